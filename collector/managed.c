#include "collector/managed.h"

#include "base/io.h"
#include "base/log.h"
#include "collector/archive_source.h"
#include "collector/local_answer.h"
#include "collector/local_capture.h"
#include "collector/managed_files.h"
#include "collector/pod_held.h"
#include "collector/source.h"
#include "dumpers/dotnet/search.h"
#include "dumpers/dotnet/unanswered.h"
#include "dumpers/snapshot/corefile.h"
#include "dumpers/snapshot/live.h"

#include <string.h>

struct request {
	struct command_call *call;
	managed_fn fn;
	void *ctx;
	struct buf *text;
	bool live; /* the next command sees another instant */
};

static int answer(struct request *q, struct snapshot *snapshot, find_module_fn find, void *find_ctx,
		  dotnet_find_file_fn find_file, struct err *e)
{
	_cleanup_dotnet_ struct dotnet *dotnet = NULL;
	struct modules *modules = NULL;
	int r = modules_new(snapshot, find, find_ctx, &modules, e);
	if (!r) r = managed_open(q->call->options, modules, find_file, find_ctx, &dotnet, e);
	struct managed m = {
	    .call = q->call, .dotnet = dotnet, .snapshot = snapshot, .live = q->live};
	if (!r) r = q->fn(q->ctx, &m, q->text, e);
	if (!r && unanswered_count(dotnet)) q->call->partial = true;
	dotnet_free(STEAL_PTR(dotnet));
	modules_free(modules);
	return r;
}

static int from_process(struct request *q, struct err *e)
{
	_cleanup_process_ struct process process = PROCESS_INIT;
	_cleanup_snapshot_ struct snapshot *snapshot = NULL;
	const struct options *o = q->call->options;
	const struct live_config config = {.mode = SNAPSHOT_AUTO,
					   .max_pause_ns = (uint64_t)option_int(o, OPT_MAX_PAUSE)};
	pid_t pid;
	q->live = true;
	int r = capture_pick_pid(o, &pid, e);
	if (!r) r = process_open(pid, &process, e);
	if (!r) r = capture_check_rights(o, &process, e);
	if (!r) r = snapshot_open_live(&process, &config, &snapshot, e);
	if (!r) r = answer(q, snapshot, find_module_in_process, &process, find_file_in_process, e);
	return r;
}

static int from_core(struct request *q, struct source *source, struct err *e)
{
	_cleanup_snapshot_ struct snapshot *snapshot = NULL;
	char *sysroot = (char *)option_string(q->call->options, OPT_SYSROOT);
	int r = snapshot_open_core(source->blob, NULL, 0, &snapshot, e);
	if (r) return err_wrap(e, "%s", source->text);
	return answer(q, snapshot, find_module_in_sysroot, sysroot, find_file_in_sysroot, e);
}

static int from_archive(struct request *q, const struct archive *archive, struct err *e)
{
	for (size_t i = 0;; i++) {
		_cleanup_snapshot_ struct snapshot *snapshot = NULL;
		struct archive_of_process a;
		int r = archive_snapshot(archive, i, &snapshot, e);
		if (r && i && r == -ERR_NOT_FOUND)
			return err_set(e, ERR_NOT_FOUND, "no process in the bundle runs .NET");
		if (r) return r;
		if (!runs_dotnet(snapshot)) continue;
		archive_of_process_init(&a, archive, i);
		r = answer(q, snapshot, find_module_of_process, &a, find_file_of_process, e);
		archive_of_process_done(&a);
		return r;
	}
}

static int from_bundle(struct request *q, struct source *source, struct err *e)
{
	const struct archive archive = bundle_archive(source->bundle);
	const char *truncated = bundle_truncated(source->bundle);
	if (truncated) {
		log_warn("%s is truncated: %s", source->text, truncated);
		q->call->partial = true;
	}
	return from_archive(q, &archive, e);
}

static int from_pod(struct request *q, const char *source, struct err *e)
{
	struct pod_held *held;
	q->live = !strchr(source, '@');
	int r = pod_held_open(q->call->options, source, &held, e);
	if (r) return r;
	r = from_archive(q, pod_held_archive(held), e);
	pod_held_close(held);
	return r;
}

static int from_source(struct request *q, struct source *source, struct err *e)
{
	switch (source->kind) {
	case SOURCE_LOCAL:
		return from_process(q, e);
	case SOURCE_CORE:
		return from_core(q, source, e);
	case SOURCE_BUNDLE:
		return from_bundle(q, source, e);
	case SOURCE_POD:
		return from_pod(q, source->text, e);
	}
	return err_set(e, ERR_INTERNAL, "no such source");
}

int managed_run(struct command_call *call, managed_fn fn, void *ctx, struct err *e)
{
	_cleanup_source_ struct source source = {0};
	_cleanup_buf_ struct buf text = BUF_INIT(ANSWER_MAX);
	struct request q = {.call = call, .fn = fn, .ctx = ctx, .text = &text};
	int r = source_open(call, &source, e);
	if (!r) r = from_source(&q, &source, e);
	return r || !text.len ? r : io_write_all(STDOUT_FILENO, text.data, text.len, "stdout", e);
}

int managed_search(struct command_call *call, struct search **ret, struct err *e)
{
	const struct options *o = call->options;
	size_t count = option_list_count(o, OPT_WHERE);
	const char *type = option_string(o, OPT_TYPE);
	_cleanup_free_ const char **conditions = calloc(count + 1, sizeof(*conditions));
	if (!conditions) return err_set(e, ERR_NO_MEMORY, "no memory");
	for (size_t i = 0; i < count; i++)
		conditions[i] = option_list_at(o, OPT_WHERE, i);
	return search_new(type ? type : "", conditions, count, ret, e);
}
