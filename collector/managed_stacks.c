#include "collector/managed_stacks.h"

#include "collector/archive_source.h"
#include "collector/local_answer.h"
#include "collector/local_capture.h"
#include "collector/managed_files.h"
#include "dumpers/dotnet/name_stacks.h"
#include "dumpers/snapshot/live.h"

static int name_managed(const struct options *o, struct modules *modules,
			dotnet_find_file_fn find_file, void *find_ctx, struct stacks *stacks,
			struct err *e)
{
	_cleanup_dotnet_ struct dotnet *dotnet = NULL;
	struct err why = {0};
	int r = managed_open(o, modules, find_file, find_ctx, &dotnet, &why);
	if (!r) return dotnet_name_stacks(dotnet, stacks, e);
	if (r == -ERR_NO_MEMORY || r == -ERR_USAGE) {
		if (e) *e = why;
		return r;
	}
	stacks->unnamed = stacks_keep(stacks, why.text, strlen(why.text));
	return 0;
}

int stacks_of_snapshot(const struct options *o, struct snapshot *snapshot, find_module_fn find,
		       void *find_ctx, dotnet_find_file_fn find_file, struct buf *ret,
		       struct err *e)
{
	struct modules *modules = NULL;
	struct stacks *stacks = NULL;
	int r = modules_new(snapshot, find, find_ctx, &modules, e);
	if (!r) r = stacks_collect(modules, &stacks, e);
	if (!r && runs_dotnet(snapshot))
		r = name_managed(o, modules, find_file, find_ctx, stacks, e);
	if (!r) r = answer_print_stacks(o, stacks, ret, e);
	stacks_free(stacks);
	modules_free(modules);
	return r;
}

/* The library takes its time, in which the process shall not stand. */
static int of_managed_process(const struct options *o, struct process *process, struct buf *ret,
			      struct err *e)
{
	_cleanup_snapshot_ struct snapshot *snapshot = NULL;
	const struct live_config config = {
	    .mode = SNAPSHOT_AUTO,
	    .max_pause_ns = (uint64_t)option_int(o, OPT_MAX_PAUSE),
	    .max_memory = (uint64_t)option_int(o, OPT_MAX_MEMORY),
	};
	int r = capture_check_rights(o, process, e);
	if (!r) r = snapshot_open_live(process, &config, &snapshot, e);
	if (r) return r;
	return stacks_of_snapshot(o, snapshot, find_module_in_process, process,
				  find_file_in_process, ret, e);
}

int stacks_of_local(const struct options *o, struct buf *ret, struct err *e)
{
	_cleanup_process_ struct process process = PROCESS_INIT;
	pid_t pid;
	int r = capture_pick_pid(o, &pid, e);
	if (!r) r = process_open(pid, &process, e);
	if (r) return r;
	return process_is_managed(&process) ? of_managed_process(o, &process, ret, e)
					    : answer_stacks(o, ret, e);
}

int stacks_of_archive(const struct options *o, const struct archive *archive, struct buf *ret,
		      struct err *e)
{
	for (size_t i = 0;; i++) {
		_cleanup_snapshot_ struct snapshot *snapshot = NULL;
		struct archive_of_process a = {.archive = archive};
		int r = archive_snapshot(archive, i, &snapshot, e);
		if (r) return i && r == -ERR_NOT_FOUND ? 0 : r;
		bool managed = runs_dotnet(snapshot);
		if (managed) archive_of_process_init(&a, archive, i);
		r = stacks_of_snapshot(o, snapshot, find_module_of_process, &a,
				       find_file_of_process, ret, e);
		if (managed) archive_of_process_done(&a);
		if (r) return r;
	}
}
