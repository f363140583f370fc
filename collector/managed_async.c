#include "collector/managed_async.h"

#include "collector/managed.h"
#include "dumpers/dotnet/async.h"

static int answer(void *ctx, struct managed *m, struct buf *ret, struct err *e)
{
	const struct options *o = m->call->options;
	uint64_t limit = (uint64_t)option_int(o, OPT_LIMIT);
	struct async_stacks stacks;
	int r = async_stacks_read(m->dotnet, &stacks, e);
	(void)ctx;
	if (r) return r;
	if (stacks.loss.ranges) m->call->partial = true;
	r = option_bool(o, OPT_JSON)
		? async_stacks_json(&stacks, m->snapshot->id.pid, limit, ret, e)
		: async_stacks_text(&stacks, limit, ret, e);
	async_stacks_done(&stacks);
	return r;
}

int managed_async(struct command_call *call, struct err *e)
{
	return managed_run(call, answer, NULL, e);
}
