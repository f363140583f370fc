#include "base/json.h"
#include "collector/managed.h"
#include "dumpers/dotnet/monitors.h"

static int show_text(struct managed *m, const struct lock_graph *g,
		     const struct dotnet_walk_loss *loss, struct buf *ret, struct err *e)
{
	int r = lock_graph_text(g, ret, e);
	if (r || !loss->ranges) return r;
	return buf_printf(ret, e,
			  "%llu bytes in %llu segments of the heap could not be searched for locks "
			  "that nobody waits for\n",
			  (unsigned long long)loss->bytes, (unsigned long long)loss->ranges);
}

/* {"schema":"podsnap.locks/1","pid",...,"lost_bytes"}: see lock_graph.h. */
static int show_json(struct managed *m, const struct lock_graph *g,
		     const struct dotnet_walk_loss *loss, struct buf *ret, struct err *e)
{
	struct json j;
	json_init(&j, ret, true);
	json_object(&j);
	json_kv_string(&j, "schema", "podsnap.locks/1");
	json_kv_int(&j, "pid", m->snapshot->id.pid);
	int r = lock_graph_json(g, &j, e);
	if (r) return r;
	json_kv_uint(&j, "lost_bytes", loss->bytes);
	json_object_end(&j);
	return json_finish(&j, e);
}

static int answer(void *ctx, struct managed *m, struct buf *ret, struct err *e)
{
	_cleanup_lock_graph_ struct lock_graph g = {0};
	struct dotnet_walk_loss loss;
	int r = dotnet_monitors(m->dotnet, &g, &loss, e);
	if (r) return r;
	if (loss.ranges) m->call->partial = true;
	return option_bool(m->call->options, OPT_JSON) ? show_json(m, &g, &loss, ret, e)
						       : show_text(m, &g, &loss, ret, e);
}

static int run(struct command_call *call, struct err *e)
{
	return managed_run(call, answer, NULL, e);
}

const struct command cmd_locks = {
    .name = "locks",
    .verb = VERB_LOCKS,
    .usage = "[SOURCE]",
    .summary = "who holds which lock and who waits for it; deadlocks first",
    .details =
	"Locks of System.Threading.Monitor, in a .NET process. SOURCE is a pod, a bundle, a core "
	"file, or a snapshot that a pod holds, POD@ID; without one, --pid names a local process.",
    .operands_max = 1,
    .run = run,
};
