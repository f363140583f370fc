#include "base/io.h"
#include "base/log.h"
#include "collector/bundle_source.h"
#include "collector/local_answer.h"
#include "collector/pod_answers.h"
#include "collector/source.h"
#include "dumpers/snapshot/corefile.h"

static int from_core(struct command_call *call, struct source *source, struct buf *ret,
		     struct err *e)
{
	_cleanup_snapshot_ struct snapshot *snapshot = NULL;
	int r = snapshot_open_core(source->blob, NULL, 0, &snapshot, e);
	if (r) return err_wrap(e, "%s", source->text);
	char *sysroot = (char *)option_string(call->options, OPT_SYSROOT);
	return answer_stacks_of(call->options, snapshot, find_module_in_sysroot, sysroot, ret, e);
}

static int from_bundle(struct command_call *call, struct source *source, struct buf *ret,
		       struct err *e)
{
	const char *truncated = bundle_truncated(source->bundle);
	if (truncated) {
		log_warn("%s is truncated: %s", source->text, truncated);
		call->partial = true;
	}
	int r = 0;
	for (size_t i = 0;; i++) {
		_cleanup_snapshot_ struct snapshot *snapshot = NULL;
		r = bundle_snapshot(source->bundle, i, &snapshot, e);
		if (r) return i && r == -ERR_NOT_FOUND ? 0 : r;
		r = answer_stacks_of(call->options, snapshot, find_module_in_bundle, source->bundle,
				     ret, e);
		if (r) return r;
	}
}

static int run(struct command_call *call, struct err *e)
{
	_cleanup_source_ struct source source = {0};
	_cleanup_buf_ struct buf text = BUF_INIT(ANSWER_MAX);
	if (targets_are_several(call)) return pod_answers(call, "stacks", e);
	int r = source_open(call, &source, e);
	if (r) return r;
	switch (source.kind) {
	case SOURCE_LOCAL:
		r = answer_stacks(call->options, &text, e);
		break;
	case SOURCE_POD:
		return pod_answers(call, "stacks", e);
	case SOURCE_CORE:
		r = from_core(call, &source, &text, e);
		break;
	case SOURCE_BUNDLE:
		r = from_bundle(call, &source, &text, e);
		break;
	}
	return r || !text.len ? r : io_write_all(STDOUT_FILENO, text.data, text.len, "stdout", e);
}

const struct command cmd_stacks = {
    .name = "stacks",
    .verb = VERB_STACKS,
    .usage = "[SOURCE]...",
    .summary = "every thread's stack, identical ones folded",
    .details =
	"SOURCE is a pod, a core file or a bundle; without one, -l, -A and --node select pods, "
	"or --pid names a local process.",
    .operands_max = PODS_MAX,
    .run = run,
};
