#include "collector/meta.h"

#include "base/json.h"
#include "base/rfc3339.h"

#include <sys/utsname.h>

static void write_target(struct json *j, const struct options *options,
			 const struct pod_target *target)
{
	json_key(j, "target");
	json_object(j);
	if (target) {
		json_kv_string(j, "namespace", target->namespace_);
		json_kv_string(j, "pod", target->pod);
		json_kv_string(j, "container", target->container);
		json_kv_string(j, "pod_uid", target->uid);
		json_kv_string(j, "node", target->node);
	} else {
		struct utsname host;
		json_kv_string(j, "host", uname(&host) ? NULL : host.nodename);
	}
	if (option_is_set(options, OPT_PID)) json_kv_int(j, "pid", option_int(options, OPT_PID));
	json_object_end(j);
}

static void write_options(struct json *j, const struct options *options)
{
	static const size_t told[] = {OPT_MAX_PAUSE,     OPT_CORE,    OPT_COREDUMP_FILTER,
				      OPT_EXCLUDE_FILES, OPT_MODULES, OPT_LEVEL,
				      OPT_SHOW_SECRETS};
	json_key(j, "options");
	json_object(j);
	for (size_t i = 0; i < ARRAY_SIZE(told); i++) {
		_cleanup_buf_ struct buf value = BUF_INIT(64 * KIB), where = BUF_INIT(64 * KIB);
		option_show(options, told[i], &value, &where);
		json_kv_string(j, option_table[told[i]].name, value.data ? value.data : "");
	}
	json_object_end(j);
}

int meta_json(const struct options *options, const struct pod_target *target, time_t created,
	      struct buf *ret, struct err *e)
{
	struct json j;
	char when[RFC3339_SIZE];
	json_init(&j, ret, true);
	json_object(&j);
	json_kv_string(&j, "schema", "podsnap.meta/1");
	json_kv_string(&j, "tool", "podsnap " PODSNAP_VERSION);
	json_kv_string(&j, "created", rfc3339_utc(created, when));
	json_kv_string(&j, "reason", option_string(options, OPT_REASON));
	write_target(&j, options, target);
	write_options(&j, options);
	json_object_end(&j);
	return json_finish(&j, e);
}
