#include "base/io.h"
#include "collector/local_answer.h"
#include "collector/managed.h"
#include "dumpers/dotnet/heap_diff.h"

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

/* One of the two heaps of a comparison. */
struct side {
	struct heap_tally *tally;
	enum heap_side side;
};

static int add_side(void *ctx, struct managed *m, struct buf *ret, struct err *e)
{
	const struct side *s = ctx;
	struct heap_report report;
	int r = heap_report_make(m->dotnet, &report, e);
	if (r) return r;
	if (report.loss.ranges || !report.head.valid) m->call->partial = true;
	r = heap_tally_add(s->tally, s->side, &report, e);
	heap_report_done(&report);
	return r;
}

static int print_diff(const struct options *o, struct heap_tally *tally, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(ANSWER_MAX);
	struct heap_diff diff;
	size_t limit = (size_t)option_int(o, OPT_LIMIT);
	int r = heap_tally_diff(tally, &diff, e);
	if (r) return r;
	r = option_bool(o, OPT_JSON) ? heap_diff_json(&diff, limit, &text, e)
				     : heap_diff_text(&diff, limit, &text, e);
	heap_diff_done(&diff);
	return r ? r : io_write_all(STDOUT_FILENO, text.data, text.len, "stdout", e);
}

static int compare(struct command_call *call, const char *other, struct err *e)
{
	struct side side = {.side = HEAP_BEFORE};
	struct command_call before = {
	    .options = call->options, .operands = &other, .operand_count = 1};
	int r = heap_tally_new(&side.tally, e);
	if (!r) r = managed_run(&before, add_side, &side, e);
	side.side = HEAP_NOW;
	if (!r) r = managed_run(call, add_side, &side, e);
	if (!r) r = print_diff(call->options, side.tally, e);
	call->partial = call->partial || before.partial;
	heap_tally_free(side.tally);
	return r;
}

static int run(struct command_call *call, struct err *e)
{
	const char *other = option_string(call->options, OPT_DIFF);
	return other ? compare(call, other, e) : managed_run(call, report, NULL, e);
}

const struct command cmd_heap = {
    .name = "heap",
    .verb = VERB_HEAP,
    .usage = "[SOURCE]",
    .summary = "what fills a .NET process's heap: types by bytes, generations, free space",
    .details =
	"SOURCE is a pod, a bundle, a core file, or a snapshot that a pod holds, POD@ID; without "
	"one, --pid names a local process. --diff OTHER compares it to an earlier one, which is "
	"named in the same way.",
    .operands_max = 1,
    .run = run,
};
