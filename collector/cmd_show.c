#include "base/human.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "collector/source.h"

#include <cjson/cJSON.h>

static int print_entry(const struct bundle_entry *entry, struct buf *ret, struct err *e)
{
	char size[HUMAN_MAX] = "-";
	if (entry->in_tar) human_size(entry->size, size);
	return buf_printf(ret, e, "%10s  %-7s  %s%s%s\n", size, entry_status_name(entry->status),
			  entry->name, entry->reason[0] ? ": " : "", entry->reason);
}

static cJSON *parse(const char *text, size_t len)
{
	return cJSON_ParseWithLengthOpts(text, len, NULL, false);
}

static const char *text_of(const cJSON *object, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
	return text ? text : "?";
}

static double number_of(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static int print_target(const cJSON *target, struct buf *ret, struct err *e)
{
	if (cJSON_GetObjectItemCaseSensitive(target, "pod")) {
		return buf_printf(ret, e, "target    pod %s/%s, container %s, node %s\n",
				  text_of(target, "namespace"), text_of(target, "pod"),
				  text_of(target, "container"), text_of(target, "node"));
	}
	return buf_printf(ret, e, "target    host %s, pid %.0f\n", text_of(target, "host"),
			  number_of(target, "pid"));
}

/* Who captured, as the API server has it, and from where. */
static int print_who(const cJSON *meta, struct buf *ret, struct err *e)
{
	const cJSON *who = cJSON_GetObjectItemCaseSensitive(meta, "who");
	const cJSON *from = cJSON_GetObjectItemCaseSensitive(meta, "from");
	if (!from) return 0;
	return buf_printf(
	    ret, e, "by        %s%s%s on %s\n", cJSON_IsObject(who) ? text_of(who, "username") : "",
	    cJSON_IsObject(who) ? ", " : "", text_of(from, "user"), text_of(from, "host"));
}

static int print_meta(struct source *s, struct buf *ret, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(MIB);
	struct err why;
	if (bundle_read_entry(s->bundle, "meta.json", &text, &why)) {
		return buf_printf(ret, e, "meta.json cannot be read: %s\n", why.text);
	}
	cJSON *meta = parse(text.data, text.len);
	const char *reason = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(meta, "reason"));
	int r = print_target(cJSON_GetObjectItemCaseSensitive(meta, "target"), ret, e);
	if (!r) {
		r = buf_printf(ret, e, "taken     %s by %s%s%s\n", text_of(meta, "created"),
			       text_of(meta, "tool"), reason ? ", reason: " : "",
			       reason ? reason : "");
	}
	if (!r) r = print_who(meta, ret, e);
	cJSON_Delete(meta);
	return r;
}

/* How the processes were looked at; a truncated bundle lost that with its manifest. */
static int print_snapshots(struct source *s, struct buf *ret, struct err *e)
{
	size_t len;
	const char *text = bundle_manifest(s->bundle, &len);
	cJSON *manifest = text ? parse(text, len) : NULL;
	const cJSON *process;
	int r = 0;
	cJSON_ArrayForEach(process, cJSON_GetObjectItemCaseSensitive(manifest, "processes"))
	{
		char pause[HUMAN_MAX];
		human_duration((uint64_t)number_of(process, "pause_ns"), pause);
		if (!r) {
			r = buf_printf(ret, e, "snapshot  %s: %s, %.0f threads, paused for %s\n",
				       text_of(process, "dir"), text_of(process, "mode"),
				       number_of(process, "threads"), pause);
		}
	}
	cJSON_Delete(manifest);
	return r;
}

static int print_text(struct source *s, struct buf *ret, struct err *e)
{
	char size[HUMAN_MAX];
	const char *truncated = bundle_truncated(s->bundle);
	int r = buf_printf(ret, e, "%s: %s, %s\n", s->text, human_size(s->blob->size, size),
			   truncated ? "TRUNCATED" : "complete");
	if (!r && truncated) r = buf_printf(ret, e, "%s\n", truncated);
	if (!r) r = print_meta(s, ret, e);
	if (!r) r = print_snapshots(s, ret, e);
	if (!r) r = buf_printf(ret, e, "\n%10s  %-7s  %s\n", "SIZE", "STATUS", "ENTRY");
	for (size_t i = 0; !r && i < bundle_entry_count(s->bundle); i++) {
		r = print_entry(bundle_entry_at(s->bundle, i), ret, e);
	}
	return r;
}

static void json_entry(struct json *j, const struct bundle_entry *entry)
{
	json_object(j);
	json_kv_string(j, "name", entry->name);
	json_kv_string(j, "status", entry_status_name(entry->status));
	if (entry->reason[0]) json_kv_string(j, "reason", entry->reason);
	if (entry->in_tar) json_kv_uint(j, "size", entry->size);
	json_object_end(j);
}

static int print_json(struct source *s, struct buf *ret, struct err *e)
{
	struct json j;
	json_init(&j, ret, true);
	json_object(&j);
	json_kv_string(&j, "schema", "podsnap.show/1");
	json_kv_string(&j, "bundle", s->text);
	json_kv_uint(&j, "bytes", s->blob->size);
	json_kv_bool(&j, "complete", !bundle_truncated(s->bundle));
	json_kv_string(&j, "truncated", bundle_truncated(s->bundle));
	json_key(&j, "entries");
	json_array(&j);
	for (size_t i = 0; i < bundle_entry_count(s->bundle); i++) {
		json_entry(&j, bundle_entry_at(s->bundle, i));
	}
	json_array_end(&j);
	json_object_end(&j);
	return json_finish(&j, e);
}

static int run(struct command_call *call, struct err *e)
{
	_cleanup_source_ struct source s = {0};
	_cleanup_buf_ struct buf text = BUF_INIT(256 * MIB);
	int r = source_open_bundle(call->operands[0], &s, e);
	if (r) return r;
	call->partial = bundle_truncated(s.bundle) != NULL;
	r = option_bool(call->options, OPT_JSON) ? print_json(&s, &text, e)
						 : print_text(&s, &text, e);
	return r ? r : io_write_all(STDOUT_FILENO, text.data, text.len, "stdout", e);
}

const struct command cmd_show = {
    .name = "show",
    .verb = VERB_SHOW,
    .usage = "BUNDLE",
    .summary = "what a bundle holds",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
