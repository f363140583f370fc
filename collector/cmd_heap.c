#include "collector/managed.h"
#include "dumpers/dotnet/heap_report.h"

static int report(void *ctx, struct managed *m, struct buf *ret, struct err *e)
{
	const struct options *o = m->call->options;
	size_t limit = (size_t)option_int(o, OPT_LIMIT);
	struct heap_report report;
	int r = heap_report_make(m->dotnet, &report, e);
	if (r) return r;
	if (report.loss.ranges || !report.head.valid) m->call->partial = true;
	if (option_bool(o, OPT_JSON))
		r = heap_report_json(&report, m->snapshot->id.pid, limit, ret, e);
	else
		r = heap_report_text(&report, limit, ret, e);
	heap_report_done(&report);
	return r;
}

static int run(struct command_call *call, struct err *e)
{
	return managed_run(call, report, NULL, e);
}

const struct command cmd_heap = {
    .name = "heap",
    .verb = VERB_HEAP,
    .usage = "[SOURCE]",
    .summary = "what fills a .NET process's heap: types by bytes, generations, free space",
    .details =
	"SOURCE is a pod, a bundle, a core file, or a snapshot that a pod holds, POD@ID; without "
	"one, --pid names a local process.",
    .operands_max = 1,
    .run = run,
};
