#include "collector/local_answer.h"

#include "collector/local_capture.h"
#include "dumpers/runtime/facts.h"
#include "dumpers/runtime/list.h"
#include "dumpers/runtime/pick.h"
#include "dumpers/runtime/pids.h"
#include "dumpers/runtime/ps.h"
#include "dumpers/snapshot/live.h"

#include <string.h>

int answer_print_stacks(const struct options *options, const struct stacks *stacks, struct buf *ret,
			struct err *e)
{
	if (option_bool(options, OPT_JSON)) return stacks_print_json(stacks, true, ret, e);
	return stacks_print_text(stacks, option_bool(options, OPT_FULL), ret, e);
}

int answer_stacks_of(const struct options *options, struct snapshot *snapshot, find_module_fn find,
		     void *find_ctx, const char *unnamed, struct buf *ret, struct err *e)
{
	struct modules *modules = NULL;
	struct stacks *stacks = NULL;
	int r = modules_new(snapshot, find, find_ctx, &modules, e);
	if (!r) r = stacks_collect(modules, &stacks, e);
	if (!r && unnamed) stacks->unnamed = stacks_keep(stacks, unnamed, strlen(unnamed));
	if (!r) r = answer_print_stacks(options, stacks, ret, e);
	stacks_free(stacks);
	modules_free(modules);
	return r;
}

bool process_is_managed(const struct process *process)
{
	_cleanup_facts_ struct runtime_facts facts;
	facts_read(process, &facts);
	return facts_find_map(&facts, "libcoreclr.so") != NULL;
}

static int open_process(const struct options *options, struct process *ret, struct err *e)
{
	pid_t pid;
	int r = capture_pick_pid(options, &pid, e);
	if (!r) r = process_open(pid, ret, e);
	return r ? r : capture_check_rights(options, ret, e);
}

static int stacks_of_process(const struct options *options, struct process *process, bool managed,
			     struct buf *ret, struct err *e)
{
	_cleanup_snapshot_ struct snapshot *snapshot = NULL;
	struct live_config config = {
	    /* Over before a fork would be. */
	    .mode = SNAPSHOT_STOP,
	    .max_pause_ns = (uint64_t)option_int(options, OPT_MAX_PAUSE),
	};
	const char *unnamed = managed ? "podsnap stacks names them of a single pod whose process "
					"can be copied on write, and out of a bundle"
				      : NULL;
	int r = snapshot_open_live(process, &config, &snapshot, e);
	if (r) return r;
	return answer_stacks_of(options, snapshot, find_module_in_process, process, unnamed, ret,
				e);
}

int answer_stacks(const struct options *options, struct buf *ret, struct err *e)
{
	_cleanup_process_ struct process process = PROCESS_INIT;
	int r = open_process(options, &process, e);
	if (r) return r;
	return stacks_of_process(options, &process, process_is_managed(&process), ret, e);
}

int answer_stacks_unless_managed(const struct options *options, struct buf *ret, struct err *e)
{
	_cleanup_process_ struct process process = PROCESS_INIT;
	int r = open_process(options, &process, e);
	if (r) return r;
	if (process_is_managed(&process)) return buf_puts(ret, ANSWER_MANAGED, e);
	return stacks_of_process(options, &process, false, ret, e);
}

int answer_ps(const struct options *options, struct buf *ret, struct err *e)
{
	struct process_list list;
	const char *container = option_string(options, OPT_CONTAINER_ID);
	pid_t only = option_is_set(options, OPT_PID) ? (pid_t)option_int(options, OPT_PID) : 0;
	int r = only ? process_pick_pid(container, only, &only, e) : 0;
	if (!r) r = process_list_read(container, only, &list, e);
	if (r) return r;
	if (option_bool(options, OPT_JSON))
		r = ps_print_json(&list, ret, e);
	else
		r = ps_print_text(&list, option_bool(options, OPT_WIDE), ret, e);
	process_list_done(&list);
	return r;
}

int answer_check(const struct options *options, struct buf *ret, struct err *e)
{
	_cleanup_process_ struct process process = PROCESS_INIT;
	struct capture_verdict verdict;
	struct proc_status status;
	struct json j;
	pid_t pid;
	int r = capture_pick_pid(options, &pid, e);
	if (!r) r = process_open(pid, &process, e);
	if (!r) r = process_status(&process, &status, e);
	if (r) return r;
	process_capturable(&process, &status, &verdict);
	json_init(&j, ret, false);
	json_object(&j);
	json_kv_int(&j, "pid", process_own_pid(pid, &status));
	json_kv_uint(&j, "uid", status.uid[ID_EFFECTIVE]);
	json_kv_uint(&j, "gid", status.gid[ID_EFFECTIVE]);
	json_kv_string(&j, "blocker", blocker_name(verdict.blocker));
	json_kv_string(&j, "reason", verdict.reason);
	json_kv_string(&j, "hint", verdict.hint);
	json_object_end(&j);
	return json_finish(&j, e);
}
