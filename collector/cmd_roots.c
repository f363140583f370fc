#include "base/json.h"
#include "collector/managed_object.h"
#include "dumpers/dotnet/reach.h"
#include "dumpers/dotnet/unanswered.h"

struct answering {
	struct reach reach;
	struct managed *m;
	struct buf *text;
	struct json json;
	bool is_json;
	uint64_t shown, limit;
};

static int show(void *ctx, uint64_t address, struct err *e)
{
	struct answering *a = ctx;
	struct reach_way way;
	int r = reach_way(&a->reach, address, &way, e);
	if (r) return r;
	if (a->is_json)
		reach_way_json(&a->reach, &way, &a->json);
	else if (a->shown)
		r = buf_puts(a->text, "\n", e);
	if (!r && !a->is_json) r = reach_way_text(&a->reach, &way, a->text, e);
	a->shown++;
	reach_way_done(&way);
	return r;
}

static int end_text(struct answering *a, uint64_t found, struct err *e)
{
	int r = 0;
	if (found > a->shown)
		r = buf_printf(a->text, e, "\nand %llu more objects (--limit 0 shows all)\n",
			       (unsigned long long)(found - a->shown));
	if (!r) r = reach_gaps_text(&a->reach, a->text, e);
	return r ? r : unanswered_text(a->m->dotnet, a->text, e);
}

/* {"schema":"podsnap.roots/1","pid","objects":[...],"found","unsearched","unanswered"}: see
 * reach.h. */
static int show_json(struct answering *a, const struct managed_object *q, struct err *e)
{
	struct json *j = &a->json;
	uint64_t found;
	json_init(j, a->text, true);
	json_object(j);
	json_kv_string(j, "schema", "podsnap.roots/1");
	json_kv_int(j, "pid", a->m->snapshot->id.pid);
	json_key(j, "objects");
	json_array(j);
	int r = managed_object_each(q, a->m, a->limit, show, a, &found, e);
	if (r) return r;
	json_array_end(j);
	json_kv_uint(j, "found", found);
	reach_gaps_json(&a->reach, j);
	unanswered_json(a->m->dotnet, j);
	json_object_end(j);
	return json_finish(j, e);
}

static int answer(void *ctx, struct managed *m, struct buf *ret, struct err *e)
{
	const struct options *o = m->call->options;
	struct answering a = {.m = m,
			      .text = ret,
			      .is_json = option_bool(o, OPT_JSON),
			      .limit = (uint64_t)option_int(o, OPT_LIMIT)};
	uint64_t found;
	int r = reach_read(m->dotnet, &a.reach, e);
	if (r) return r;
	if (reach_has_gaps(&a.reach)) m->call->partial = true;
	if (a.is_json) {
		r = show_json(&a, ctx, e);
	} else {
		r = managed_object_each(ctx, m, a.limit, show, &a, &found, e);
		if (!r) r = end_text(&a, found, e);
	}
	reach_done(&a.reach);
	return r;
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

const struct command cmd_roots = {
    .name = "roots",
    .verb = VERB_ROOTS,
    .usage = "[SOURCE] [0xADDRESS]",
    .summary = "why a .NET object is alive: the shortest way to it from a static, stack or handle",
    .details =
	"SOURCE is a pod, a bundle, a core file, or a snapshot that a pod holds, POD@ID; without "
	"one, --pid names a local process. Instead of an address, --type and --where find "
	"the objects.",
    .operands_max = 2,
    .run = run,
};
