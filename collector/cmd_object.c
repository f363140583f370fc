#include "base/json.h"
#include "collector/managed_object.h"
#include "dumpers/dotnet/object_path.h"
#include "dumpers/dotnet/unanswered.h"

struct showing {
	struct managed *m;
	struct object_config config;
	const char *path;   /* "": none */
	struct err *astray; /* why the first that the path led nowhere from */
	uint64_t led;       /* objects from which it led somewhere */
	bool several;       /* what one lacks, others may have */
	struct buf *text;
	struct json json;
	bool is_json;
	uint64_t shown;
};

/* Of several objects a path may lead nowhere in some. */
static int read_one(struct showing *s, uint64_t address, struct node **ret, struct err *e)
{
	struct err why = {0};
	if (!*s->path) return object_read(s->m->dotnet, address, &s->config, ret, e);
	int r = object_path_read(s->m->dotnet, address, s->path, &s->config, ret, &why);
	if (!r) s->led++;
	if (r == -ERR_NOT_FOUND && s->several) {
		*ret = node_new();
		if (!*ret) return err_set(e, ERR_NO_MEMORY, "no memory");
		if (!s->astray->code) *s->astray = why;
		return node_set_text(*ret, NODE_UNKNOWN, why.text, strlen(why.text), e);
	}
	if (r && e) *e = why;
	return r;
}

/* A path that leads nowhere from any object is an error, from some it is a part that is missing. */
static int judge_path(struct showing *s, struct err *e)
{
	if (!s->astray->code) return 0;
	s->m->call->partial = true;
	if (!s->led && e) *e = *s->astray;
	return s->led ? 0 : -s->astray->code;
}

static int show(void *ctx, uint64_t address, struct err *e)
{
	struct showing *s = ctx;
	_cleanup_node_ struct node *n = NULL;
	int r = read_one(s, address, &n, e);
	if (r) return r;
	bool is_line = n->kind != NODE_OBJECT; /* a value of a path */
	if (s->shown++ && !s->is_json && !is_line) r = buf_puts(s->text, "\n", e);
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
	const char *path = option_string(o, OPT_PATH);
	struct err astray = {0};
	struct showing s = {.m = m,
			    .path = path ? path : q->path,
			    .several = q->search != NULL,
			    .astray = &astray,
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
	if (!r) r = judge_path(&s, e);
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
	const char *path = option_string(call->options, OPT_PATH);
	int r = managed_object_take(call, &q, e);
	if (!r && path && *q.path)
		r = err_set(e, ERR_USAGE, "a path either after the address, or by --path");
	if (!r && (path || *q.path)) r = object_path_check(path ? path : q.path, e);
	if (!r) r = managed_run(call, answer, &q, e);
	managed_object_done(&q);
	return r;
}

const struct command cmd_object = {
    .name = "object",
    .verb = VERB_OBJECT,
    .usage = "[SOURCE] [0xADDRESS[PATH]]",
    .summary = "a .NET object: its fields and statics, what a collection holds",
    .details =
	"SOURCE is a pod, a bundle, a core file, or a snapshot that a pod holds, POD@ID; without "
	"one, --pid names a local process. Instead of an address, --type and --where find "
	"what is shown. PATH leads to a value inside: .flags[\"EnableFallback\"], .list[3], "
	".next.name.",
    .operands_max = 2,
    .run = run,
};
