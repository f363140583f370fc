#include "collector/local_answer.h"

#include "collector/local_capture.h"
#include "dumpers/runtime/list.h"
#include "dumpers/runtime/pick.h"
#include "dumpers/runtime/pids.h"
#include "dumpers/runtime/ps.h"
#include "dumpers/snapshot/live.h"
#include "dumpers/stack/stacks.h"

int answer_stacks_of(const struct options *options, struct snapshot *snapshot, find_module_fn find,
		     void *find_ctx, struct buf *ret, struct err *e)
{
	struct modules *modules = NULL;
	struct stacks *stacks = NULL;
	int r = modules_new(snapshot, find, find_ctx, &modules, e);
	if (!r) r = stacks_collect(modules, &stacks, e);
	if (!r && option_bool(options, OPT_JSON))
		r = stacks_print_json(stacks, true, ret, e);
	else if (!r)
		r = stacks_print_text(stacks, option_bool(options, OPT_FULL), ret, e);
	stacks_free(stacks);
	modules_free(modules);
	return r;
}

int answer_stacks(const struct options *options, struct buf *ret, struct err *e)
{
	_cleanup_process_ struct process process = PROCESS_INIT;
	_cleanup_snapshot_ struct snapshot *snapshot = NULL;
	struct live_config config = {
	    /* Over before a fork would be. */
	    .mode = SNAPSHOT_STOP,
	    .max_pause_ns = (uint64_t)option_int(options, OPT_MAX_PAUSE),
	};
	pid_t pid;
	int r = capture_pick_pid(options, &pid, e);
	if (!r) r = process_open(pid, &process, e);
	if (!r) r = capture_check_rights(options, &process, e);
	if (!r) r = snapshot_open_live(&process, &config, &snapshot, e);
	if (!r) r = answer_stacks_of(options, snapshot, find_module_in_process, &process, ret, e);
	return r;
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
