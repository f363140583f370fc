#include "base/io.h"
#include "collector/local_answer.h"
#include "collector/pod_answers.h"
#include "collector/source.h"

static int run(struct command_call *call, struct err *e)
{
	_cleanup_source_ struct source source = {0};
	_cleanup_buf_ struct buf text = BUF_INIT(ANSWER_MAX);
	int r = 0;
	if (targets_are_several(call)) return pod_answers(call, "ps", e);
	/* Without a source: all local processes, or the one of --pid. */
	if (call->operand_count) r = source_open(call, &source, e);
	if (r) return r;
	if (source.kind == SOURCE_CORE || source.kind == SOURCE_BUNDLE) {
		err_set(e, ERR_USAGE, "ps looks at running processes; %s is evidence", source.text);
		return err_hint(e, "See: podsnap show %s", source.text);
	}
	if (source.kind == SOURCE_POD) return pod_answers(call, "ps", e);
	r = answer_ps(call->options, &text, e);
	return r || !text.len ? r : io_write_all(STDOUT_FILENO, text.data, text.len, "stdout", e);
}

const struct command cmd_ps = {
    .name = "ps",
    .verb = VERB_PS,
    .usage = "[SOURCE]...",
    .summary = "processes, what they are written in, and whether they can be captured",
    .details = "SOURCE is a pod; without one, -l, -A and --node select pods, or it is the "
	       "processes of this machine.",
    .operands_max = PODS_MAX,
    .run = run,
};
