#include "base/json.h"
#include "collector/managed_object.h"
#include "dumpers/dotnet/object.h"
#include "dumpers/dotnet/unanswered.h"

struct showing {
	struct managed *m;
	struct object_config config;
	struct buf *text;
	struct json json;
	bool is_json;
	uint64_t shown;
};

static int show(void *ctx, uint64_t address, struct err *e)
{
	struct showing *s = ctx;
	_cleanup_node_ struct node *n = NULL;
	int r = object_read(s->m->dotnet, address, &s->config, &n, e);
	if (r) return r;
	if (s->shown++ && !s->is_json) r = buf_puts(s->text, "\n", e);
	if (!r && s->is_json)
		node_json(&s->json, n);
	else if (!r)
		r = node_print_text(n, s->text, e);
	return r;
}

/* {"schema":"podsnap.object/1","pid","objects":[...],"unanswered"}, each as node_json writes
 * it. */
static int answer(void *ctx, struct managed *m, struct buf *ret, struct err *e)
{
	const struct options *o = m->call->options;
	const struct managed_object *q = ctx;
	uint64_t found;
	struct showing s = {.m = m,
			    .text = ret,
			    .is_json = option_bool(o, OPT_JSON),
			    .config = {.limit = (size_t)option_int(o, OPT_LIMIT),
				       .depth = (int)option_int(o, OPT_DEPTH),
				       .statics = true}};
	if (s.is_json) {
		json_init(&s.json, ret, true);
		json_object(&s.json);
		json_kv_string(&s.json, "schema", "podsnap.object/1");
		json_kv_int(&s.json, "pid", m->snapshot->id.pid);
		json_key(&s.json, "objects");
		json_array(&s.json);
	}
	int r = managed_object_each(q, m, s.config.limit, show, &s, &found, e);
	if (r) return r;
	if (!s.is_json) return unanswered_text(m->dotnet, ret, e);
	json_array_end(&s.json);
	unanswered_json(m->dotnet, &s.json);
	json_object_end(&s.json);
	return json_finish(&s.json, e);
}

static int run(struct command_call *call, struct err *e)
{
	struct managed_object q;
	int r = managed_object_take(call, &q, e);
	if (!r && *q.path) r = err_set(e, ERR_USAGE, "%s: not an address", q.path);
	if (!r) r = managed_run(call, answer, &q, e);
	managed_object_done(&q);
	return r;
}

const struct command cmd_object = {
    .name = "object",
    .verb = VERB_OBJECT,
    .usage = "[SOURCE] [0xADDRESS]",
    .summary = "a .NET object: its fields and statics, what a collection holds",
    .details =
	"SOURCE is a pod, a bundle, a core file, or a snapshot that a pod holds, POD@ID; without "
	"one, --pid names a local process. Instead of an address, --type and --where find "
	"what is shown.",
    .operands_max = 2,
    .run = run,
};
