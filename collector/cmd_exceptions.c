#include "collector/managed.h"
#include "dumpers/dotnet/exceptions.h"

static int answer(void *ctx, struct managed *m, struct buf *ret, struct err *e)
{
	const struct options *o = m->call->options;
	uint64_t limit = (uint64_t)option_int(o, OPT_LIMIT);
	struct exceptions exceptions;
	int r = exceptions_read(m->dotnet, ctx, &exceptions, e);
	if (r) return r;
	if (exceptions.loss.ranges) m->call->partial = true;
	if (option_bool(o, OPT_JSON))
		r = exceptions_json(m->dotnet, &exceptions, m->snapshot->id.pid, limit, ret, e);
	else
		r = exceptions_text(m->dotnet, &exceptions, limit, ret, e);
	exceptions_done(&exceptions);
	return r;
}

static int run(struct command_call *call, struct err *e)
{
	struct search *search;
	int r = managed_search(call, &search, e);
	if (r) return r;
	r = managed_run(call, answer, search, e);
	search_free(search);
	return r;
}

const struct command cmd_exceptions = {
    .name = "exceptions",
    .verb = VERB_EXCEPTIONS,
    .usage = "[SOURCE]",
    .summary = "the exceptions on a .NET process's heap: messages and stacks, like ones counted",
    .details =
	"SOURCE is a pod, a bundle, a core file, or a snapshot that a pod holds, POD@ID; without "
	"one, --pid names a local process. Those that a thread handles right now come first.",
    .operands_max = 1,
    .run = run,
};
