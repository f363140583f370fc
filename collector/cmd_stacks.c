#include "base/io.h"
#include "base/log.h"
#include "collector/local_answer.h"
#include "collector/managed_async.h"
#include "collector/managed_files.h"
#include "collector/managed_stacks.h"
#include "collector/pod_answers.h"
#include "collector/pod_held.h"
#include "collector/source.h"
#include "dumpers/snapshot/corefile.h"

static int from_core(struct command_call *call, struct source *source, struct buf *ret,
		     struct err *e)
{
	_cleanup_snapshot_ struct snapshot *snapshot = NULL;
	int r = snapshot_open_core(source->blob, NULL, 0, &snapshot, e);
	if (r) return err_wrap(e, "%s", source->text);
	char *sysroot = (char *)option_string(call->options, OPT_SYSROOT);
	return stacks_of_snapshot(call->options, snapshot, find_module_in_sysroot, sysroot,
				  find_file_in_sysroot, ret, e);
}

static int from_bundle(struct command_call *call, struct source *source, struct buf *ret,
		       struct err *e)
{
	const struct archive archive = bundle_archive(source->bundle);
	const char *truncated = bundle_truncated(source->bundle);
	if (truncated) {
		log_warn("%s is truncated: %s", source->text, truncated);
		call->partial = true;
	}
	return stacks_of_archive(call->options, &archive, ret, e);
}

static int from_held(struct command_call *call, const char *source, struct buf *ret, struct err *e)
{
	struct pod_held *held;
	int r = pod_held_open(call->options, source, &held, e);
	if (r) return r;
	r = stacks_of_archive(call->options, pod_held_archive(held), ret, e);
	pod_held_close(held);
	return r;
}

/*
 * The probe answers beside the process, but it cannot load the library of a runtime: where there is
 * one, its memory is read from here, as far as that takes. What cannot be copied on write is left
 * to the probe.
 */
static int from_pod(struct command_call *call, const char *source, struct buf *ret, struct err *e)
{
	struct err why = {0};
	if (pod_held_is_meant(call->options, source)) return from_held(call, source, ret, e);
	int r = pod_answer_one(call, "stacks-unless-managed", ret, e);
	if (r || ret->len != strlen(ANSWER_MANAGED) || strcmp(ret->data, ANSWER_MANAGED) != 0)
		return r;
	buf_clear(ret);
	r = from_held(call, source, ret, &why);
	if (!r) return 0;
	log_info("no snapshot for the names of managed methods: %s", why.text);
	buf_clear(ret);
	return pod_answer_one(call, "stacks", ret, e);
}

static int from_several(struct command_call *call, struct err *e)
{
	if (option_bool(call->options, OPT_ASYNC))
		return err_set(e, ERR_USAGE, "--async reads one process: name one pod");
	if (!option_int(call->options, OPT_HOLD)) return pod_answers(call, "stacks", e);
	err_set(e, ERR_USAGE, "--hold keeps the snapshot of one pod");
	return err_hint(e, "Name that pod, and no others.");
}

static int check_options(const struct options *o, struct err *e)
{
	bool async = option_bool(o, OPT_ASYNC);
	if (option_is_set(o, OPT_LIMIT) && !async)
		return err_set(e, ERR_USAGE, "--limit is for stacks --async");
	if (option_bool(o, OPT_FULL) && async)
		return err_set(e, ERR_USAGE,
			       "--full is for the stacks of threads, not for --async");
	return 0;
}

static int run(struct command_call *call, struct err *e)
{
	_cleanup_source_ struct source source = {0};
	_cleanup_buf_ struct buf text = BUF_INIT(ANSWER_MAX);
	int r = check_options(call->options, e);
	if (r) return r;
	if (targets_are_several(call)) return from_several(call, e);
	if (option_bool(call->options, OPT_ASYNC)) return managed_async(call, e);
	r = source_open(call, &source, e);
	if (r) return r;
	if (source.kind != SOURCE_POD && option_int(call->options, OPT_HOLD))
		return err_set(e, ERR_USAGE, "--hold keeps the snapshot of a pod");
	switch (source.kind) {
	case SOURCE_LOCAL:
		r = stacks_of_local(call->options, &text, e);
		break;
	case SOURCE_POD:
		r = from_pod(call, source.text, &text, e);
		break;
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
