#include "collector/meta.h"

#include "base/json.h"
#include "base/rfc3339.h"

#include <pwd.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

void meta_from(struct meta_from *ret)
{
	char strings[4096];
	struct passwd entry, *found = NULL;
	struct utsname host;
	*ret = (struct meta_from){0};
	if (!uname(&host)) snprintf(ret->host, sizeof ret->host, "%s", host.nodename);
	if (!getpwuid_r(getuid(), &entry, strings, sizeof strings, &found) && found)
		snprintf(ret->user, sizeof ret->user, "%s", found->pw_name);
	else
		snprintf(ret->user, sizeof ret->user, "uid %u", (unsigned)getuid());
}

static void write_from(struct json *j)
{
	struct meta_from from;
	meta_from(&from);
	json_key(j, "from");
	json_object(j);
	json_kv_string(j, "host", from.host);
	json_kv_string(j, "user", from.user);
	json_object_end(j);
}

/* As the API server has it. */
static void write_who(struct json *j, const struct meta_pod *pod)
{
	const cJSON *who = pod ? pod->who : NULL, *group;
	json_key(j, "who");
	if (!who) {
		json_null(j);
		return;
	}
	json_object(j);
	json_kv_string(j, "username",
		       cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(who, "username")));
	json_kv_string(j, "uid",
		       cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(who, "uid")));
	json_key(j, "groups");
	json_array(j);
	cJSON_ArrayForEach(group, cJSON_GetObjectItemCaseSensitive(who, "groups"))
	{
		json_string(j, cJSON_GetStringValue(group));
	}
	json_array_end(j);
	json_object_end(j);
}

static void write_cluster(struct json *j, const struct meta_pod *pod)
{
	json_key(j, "cluster");
	json_object(j);
	json_kv_string(j, "server", pod->server);
	json_kv_string(j, "credentials", pod->credentials);
	json_object_end(j);
}

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
				      OPT_SHOW_SECRETS,  OPT_KUBE,    OPT_LOG_LINES};
	json_key(j, "options");
	json_object(j);
	for (size_t i = 0; i < ARRAY_SIZE(told); i++) {
		_cleanup_buf_ struct buf value = BUF_INIT(64 * KIB), where = BUF_INIT(64 * KIB);
		option_show(options, told[i], &value, &where);
		json_kv_string(j, option_table[told[i]].name, value.data ? value.data : "");
	}
	json_object_end(j);
}

int meta_json(const struct options *options, const struct meta_pod *pod, time_t created,
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
	write_who(&j, pod);
	write_from(&j);
	if (pod) write_cluster(&j, pod);
	write_target(&j, options, pod ? pod->target : NULL);
	write_options(&j, options);
	json_object_end(&j);
	return json_finish(&j, e);
}
