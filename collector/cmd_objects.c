#include "base/json.h"
#include "collector/managed.h"
#include "dumpers/dotnet/search.h"
#include "dumpers/dotnet/unanswered.h"

/* A list of what is found; what is beyond the limit is counted. */
struct listing {
	struct search *search;
	struct managed *m;
	struct buf *text;
	struct json json;
	bool is_json;
	uint64_t found, bytes, limit; /* limit 0: none */
};

static int list_object(void *ctx, const struct dotnet_object *object, struct err *e)
{
	struct listing *l = ctx;
	l->found++;
	l->bytes += object->size;
	if (l->limit && l->found > l->limit) return 0;
	if (!l->is_json)
		return buf_printf(l->text, e, "0x%012llx %10llu  %s\n",
				  (unsigned long long)object->address,
				  (unsigned long long)object->size, object->type->name);
	json_object(&l->json);
	json_kv_hex(&l->json, "address", object->address);
	json_kv_uint(&l->json, "size", object->size);
	json_kv_string(&l->json, "type", object->type->name);
	json_object_end(&l->json);
	return 0;
}

static int end_text(const struct listing *l, const struct dotnet_walk_loss *loss, struct err *e)
{
	int r =
	    buf_printf(l->text, e, "%llu object%s, %llu bytes%s\n", (unsigned long long)l->found,
		       l->found == 1 ? "" : "s", (unsigned long long)l->bytes,
		       l->limit && l->found > l->limit ? " (--limit 0 lists all)" : "");
	if (!r && loss->ranges)
		r = buf_printf(l->text, e, "%llu bytes in %llu segments could not be read\n",
			       (unsigned long long)loss->bytes, (unsigned long long)loss->ranges);
	return r ? r : unanswered_text(l->m->dotnet, l->text, e);
}

static int end_json(struct listing *l, const struct dotnet_walk_loss *loss, struct err *e)
{
	json_array_end(&l->json);
	json_kv_uint(&l->json, "found", l->found);
	json_kv_uint(&l->json, "bytes", l->bytes);
	json_kv_uint(&l->json, "lost_bytes", loss->bytes);
	unanswered_json(l->m->dotnet, &l->json);
	json_object_end(&l->json);
	return json_finish(&l->json, e);
}

/* {"schema":"podsnap.objects/1","pid","objects":[{"address","size","type"}],"found","bytes",
 * "lost_bytes","unanswered"} */
static int list(void *ctx, struct managed *m, struct buf *ret, struct err *e)
{
	struct dotnet_walk_loss loss;
	struct listing l = {.search = ctx,
			    .m = m,
			    .text = ret,
			    .is_json = option_bool(m->call->options, OPT_JSON),
			    .limit = (uint64_t)option_int(m->call->options, OPT_LIMIT)};
	if (l.is_json) {
		json_init(&l.json, ret, true);
		json_object(&l.json);
		json_kv_string(&l.json, "schema", "podsnap.objects/1");
		json_kv_int(&l.json, "pid", m->snapshot->id.pid);
		json_key(&l.json, "objects");
		json_array(&l.json);
	}
	int r = search_run(l.search, m->dotnet, list_object, &l, &loss, e);
	if (r) return r;
	if (loss.ranges) m->call->partial = true;
	return l.is_json ? end_json(&l, &loss, e) : end_text(&l, &loss, e);
}

static int run(struct command_call *call, struct err *e)
{
	struct search *search;
	int r = managed_search(call, &search, e);
	if (r) return r;
	r = managed_run(call, list, search, e);
	search_free(search);
	return r;
}

const struct command cmd_objects = {
    .name = "objects",
    .verb = VERB_OBJECTS,
    .usage = "[SOURCE]",
    .summary = "a .NET process's objects of a type: address, size, type",
    .details =
	"SOURCE is a pod, a bundle, a core file, or a snapshot that a pod holds, POD@ID; without "
	"one, --pid names a local process.",
    .operands_max = 1,
    .run = run,
};
