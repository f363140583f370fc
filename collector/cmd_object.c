#include "base/json.h"
#include "base/log.h"
#include "collector/managed.h"
#include "dumpers/dotnet/object.h"
#include "dumpers/dotnet/search.h"

#include <errno.h>

/* What is to be shown: the object at an address, or those that a search finds. */
struct request {
	uint64_t address; /* 0: none */
	struct search *search;
};
struct showing {
	struct managed *m;
	struct object_config config;
	struct buf *text;
	struct json json;
	bool is_json;
	uint64_t shown;
};

static int show(struct showing *s, uint64_t address, struct err *e)
{
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

/* One more than the limit is never read; the search goes on to its end all the same. */
static int show_found(void *ctx, const struct dotnet_object *object, struct err *e)
{
	struct showing *s = ctx;
	if (s->config.limit && s->shown >= s->config.limit) return 0;
	return show(s, object->address, e);
}

static int show_all(struct showing *s, const struct request *q, struct err *e)
{
	struct dotnet_walk_loss loss;
	if (q->address) return show(s, q->address, e);
	int r = search_run(q->search, s->m->dotnet, show_found, s, &loss, e);
	if (r) return r;
	if (loss.ranges) s->m->call->partial = true;
	return s->shown ? 0 : err_set(e, ERR_NOT_FOUND, "no such object is on the heap");
}

/* {"schema":"podsnap.object/1","pid","objects":[...]}, each as node_json writes it. */
static int answer(void *ctx, struct managed *m, struct buf *ret, struct err *e)
{
	const struct options *o = m->call->options;
	const struct request *q = ctx;
	struct showing s = {.m = m,
			    .text = ret,
			    .is_json = option_bool(o, OPT_JSON),
			    .config = {.limit = (size_t)option_int(o, OPT_LIMIT),
				       .depth = (int)option_int(o, OPT_DEPTH),
				       .statics = true}};
	if (q->address && m->live)
		log_warn("this is another instant than that of the address: the collector may have "
			 "moved the object; --type and --where find it and show it in one");
	if (!s.is_json) return show_all(&s, q, e);
	json_init(&s.json, ret, true);
	json_object(&s.json);
	json_kv_string(&s.json, "schema", "podsnap.object/1");
	json_kv_int(&s.json, "pid", m->snapshot->id.pid);
	json_key(&s.json, "objects");
	json_array(&s.json);
	int r = show_all(&s, q, e);
	if (r) return r;
	json_array_end(&s.json);
	json_object_end(&s.json);
	return json_finish(&s.json, e);
}

/* The last operand, if it is one: "0x..." is no name of a pod or file that anybody has. */
static int take_address(struct command_call *call, uint64_t *ret, struct err *e)
{
	char *end;
	if (!call->operand_count) return 0;
	const char *text = call->operands[call->operand_count - 1];
	if (strncmp(text, "0x", 2) != 0) {
		if (call->operand_count == 1) return 0;
		return err_set(e, ERR_USAGE, "%s: an address is written as 0x7f00deadbeef", text);
	}
	errno = 0;
	*ret = strtoull(text, &end, 16);
	if (errno || *end || !*ret) return err_set(e, ERR_USAGE, "%s: not an address", text);
	call->operand_count--;
	return 0;
}

static int run(struct command_call *call, struct err *e)
{
	struct request q = {0};
	bool by_type = option_is_set(call->options, OPT_TYPE);
	int r = take_address(call, &q.address, e);
	if (r) return r;
	if (!!q.address == by_type) {
		err_set(e, ERR_USAGE, "which object: either an address, or --type");
		return err_hint(e, "podsnap objects SOURCE --type REGEX lists addresses.");
	}
	if (by_type) r = managed_search(call, &q.search, e);
	if (!r) r = managed_run(call, answer, &q, e);
	search_free(q.search);
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
