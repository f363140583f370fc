#include "collector/local_capture.h"

#include "base/human.h"
#include "base/log.h"
#include "collector/local_entries.h"
#include "collector/local_target.h"
#include "dumpers/proc/capturable.h"
#include "dumpers/proc/cgroup.h"
#include "dumpers/runtime/pick.h"
#include "dumpers/runtime/pids.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* WIRE_RESULT_MAX bytes have room for what is told of so many. */
enum { TARGETS_MAX = 128, COMPRESSORS_MAX = 4 };

/* --- how many threads --- */

/* What our control group allows: the CPU quota, rounded up, for a node has many more; of the tasks
 * that its pids limit leaves, two are for the tracer and the child. */
static uint64_t group_threads(void)
{
	_cleanup_free_ struct cgroup_info *info = calloc(1, sizeof *info);
	_cleanup_process_ struct process self = PROCESS_INIT;
	if (!info || process_open(getpid(), &self, NULL)) return COMPRESSORS_MAX;
	process_cgroup(&self, info);
	uint64_t quota = info->cpu_quota_us, period = info->cpu_period_us;
	uint64_t limit = info->pids.limit, usage = info->pids.usage, threads = COMPRESSORS_MAX;
	if (quota < CGROUP_UNKNOWN && period < CGROUP_UNKNOWN && period > 0) {
		threads = MIN(threads, quota / period + (quota % period != 0));
	}
	if (limit < CGROUP_UNKNOWN && usage < CGROUP_UNKNOWN) {
		threads = MIN(threads, limit - MIN(limit, usage + 2));
	}
	return threads;
}

/* What --cpu-limit leaves, rounded up. */
static uint64_t limit_cpus(const struct options *options)
{
	uint64_t limit = (uint64_t)option_int(options, OPT_CPU_LIMIT);
	return limit ? (limit + 999) / 1000 : COMPRESSORS_MAX;
}

int capture_threads(const struct options *options)
{
	int threads = (int)option_int(options, OPT_THREADS);
	cpu_set_t set;
	if (threads == 0) {
		uint64_t most = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
		most = MIN(MIN(most, group_threads()), limit_cpus(options));
		threads = (int)MIN(MAX(most, 1u), (uint64_t)COMPRESSORS_MAX);
	}
	log_debug("threads that compress: %d", threads);
	return threads;
}

/* --- which processes --- */

/* As the user numbers it: beside another container, not as we do. */
static pid_t shown_pid(const struct options *options, pid_t pid)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct proc_status status;
	if (!option_string(options, OPT_CONTAINER_ID) || process_open(pid, &p, NULL) ||
	    process_status(&p, &status, NULL))
		return pid;
	return process_own_pid(pid, &status);
}

int capture_pick_pid(const struct options *options, pid_t *ret, struct err *e)
{
	const char *name = option_string(options, OPT_PROCESS);
	const char *container = option_string(options, OPT_CONTAINER_ID);
	pid_t above;
	if (name && option_is_set(options, OPT_PID)) {
		return err_set(e, ERR_USAGE, "--pid and --process both name the process");
	}
	if (option_is_set(options, OPT_PID)) {
		return process_pick_pid(container, (pid_t)option_int(options, OPT_PID), ret, e);
	}
	if (name) return process_pick_named(container, name, ret, e);
	int r = process_pick(container, ret, &above, e);
	if (!r && above)
		log_info("process %d: what is above it, from %d on, only waits for it",
			 shown_pid(options, *ret), shown_pid(options, above));
	return r;
}

int capture_check_rights(const struct options *options, const struct process *process,
			 struct err *e)
{
	struct proc_status status;
	struct capture_verdict verdict;
	int r = process_status(process, &status, e);
	if (r) return r;
	process_capturable(process, &status, &verdict);
	if (!blocker_is_of_rights(verdict.blocker)) return 0;
	err_set(e, ERR_PERMISSION, "process %d cannot be captured: %s",
		shown_pid(options, process->pid), verdict.reason);
	return err_hint(e, "%s", verdict.hint);
}

/* The processes of one capture. */
struct targets {
	struct capture_target *v;
	size_t count;
};

static void targets_done(struct targets *targets)
{
	for (size_t i = 0; i < targets->count; i++) {
		capture_target_done(&targets->v[i]);
	}
	free(targets->v);
}

static bool dir_is_taken(const struct targets *targets, const char *dir)
{
	for (size_t i = 0; i < targets->count; i++) {
		if (!strcmp(targets->v[i].dir, dir)) return true;
	}
	return false;
}

static int add_target(struct targets *targets, pid_t pid, struct err *e)
{
	struct capture_target *t = &targets->v[targets->count];
	*t = (struct capture_target){.process = PROCESS_INIT};
	int r = capture_target_open(t, pid, e);
	if (r) {
		capture_target_done(t);
		return r;
	}
	/* In pid namespaces of their own, several may be number 1. */
	if (dir_is_taken(targets, t->dir)) {
		size_t len = strlen(t->dir);
		snprintf(t->dir + len, sizeof t->dir - len, ".%d", pid);
	}
	targets->count++;
	return 0;
}

/* Each costs about a dozen descriptors. */
static void allow_many_files(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit)) return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_all(struct targets *targets, pid_t pid, struct err *e)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t count;
	int r = process_pick_container(pid, TARGETS_MAX, &pids, &count, e);
	if (r) return r;
	allow_many_files();
	targets->v = calloc(count, sizeof *targets->v);
	if (!targets->v) return err_set(e, ERR_NO_MEMORY, "no memory for %zu processes", count);
	for (size_t i = 0; i < count; i++) {
		struct err why;
		/* One that ended meanwhile is none of them any more. */
		if (add_target(targets, pids[i], &why)) log_debug("%s", why.text);
	}
	return targets->count ? 0 : err_set(e, ERR_GONE, "all its processes ended");
}

static int open_targets(const struct options *options, struct targets *targets, struct err *e)
{
	pid_t pid;
	int r = capture_pick_pid(options, &pid, e);
	if (r) return r;
	if (option_bool(options, OPT_ALL)) return open_all(targets, pid, e);
	targets->v = calloc(1, sizeof *targets->v);
	if (!targets->v) return err_set(e, ERR_NO_MEMORY, "no memory");
	return add_target(targets, pid, e);
}

/* --- the capture --- */

static enum snapshot_mode wanted_mode(const struct options *options)
{
	const char *name = option_string(options, OPT_SNAPSHOT);
	for (enum snapshot_mode mode = SNAPSHOT_AUTO; mode <= SNAPSHOT_NOSTOP; mode++) {
		if (!strcmp(name, snapshot_mode_name(mode))) return mode;
	}
	return SNAPSHOT_AUTO;
}

static void say_plan(const struct capture_target *t)
{
	const struct live_plan *plan = snapshot_live_plan(t->snapshot);
	struct live_pause pause;
	char predicted[HUMAN_MAX], measured[HUMAN_MAX];
	snapshot_live_pause(t->snapshot, &pause);
	log_debug("%s: snapshot %s: %s; a pause of about %s was expected, so far it is %s", t->dir,
		  snapshot_mode_name(plan->mode), plan->reason,
		  human_duration(plan->predicted_ns, predicted),
		  human_duration(pause.pause_ns, measured));
}

/* All at one instant. Fails if none could be taken. */
static int take_snapshots(struct capture *c, struct targets *targets, struct err *e)
{
	const struct live_config config = {
	    .mode = wanted_mode(c->options),
	    .max_pause_ns = (uint64_t)option_int(c->options, OPT_MAX_PAUSE),
	    .max_memory = (uint64_t)option_int(c->options, OPT_MAX_MEMORY),
	};
	struct process processes[TARGETS_MAX];
	struct snapshot *snapshots[TARGETS_MAX];
	_cleanup_free_ struct err *errs = calloc(targets->count, sizeof *errs);
	size_t taken = 0;
	if (!errs) return err_set(e, ERR_NO_MEMORY, "no memory");
	for (size_t i = 0; i < targets->count; i++) {
		processes[i] = targets->v[i].process; /* its descriptors stay the target's */
	}
	snapshot_open_live_together(processes, targets->count, &config, snapshots, errs);
	for (size_t i = 0; i < targets->count; i++) {
		struct capture_target *t = &targets->v[i];
		t->snapshot = snapshots[i];
		t->why = errs[i];
		if (!t->snapshot) continue;
		c->standing += capture_target_stands(t);
		say_plan(t);
		taken++;
	}
	if (taken) return 0;
	if (e) *e = errs[0];
	return -errs[0].code;
}

/* Those that stand until they are read come first. */
static int dump_all(struct capture *c, struct targets *targets, struct err *e)
{
	int r = 0;
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; !r && i < targets->count; i++) {
			if (capture_target_stands(&targets->v[i]) != (pass == 0)) continue;
			r = capture_target_dump(c, &targets->v[i], e);
		}
	}
	return r;
}

/* Members of an object that is still to be: without the braces. */
static int add_result(const struct targets *targets, struct buf *ret, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(ret->max);
	struct json j;
	json_init(&j, &text, false);
	json_object(&j);
	json_key(&j, "processes");
	json_array(&j);
	for (size_t i = 0; i < targets->count; i++) {
		if (targets->v[i].snapshot) capture_target_result(&targets->v[i], &j);
	}
	json_array_end(&j);
	json_object_end(&j);
	int r = json_finish(&j, e);
	return r ? r : buf_append(ret, text.data + 1, text.len - strlen("{}\n"), e);
}

static bool is_target(const struct targets *targets, pid_t pid)
{
	for (size_t i = 0; i < targets->count; i++) {
		if (targets->v[i].process.pid == pid) return true;
	}
	return false;
}

/* Processes that were started after the list was made are not in the bundle. */
static void tell_newcomers(const struct options *options, const struct targets *targets)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t count;
	if (process_pick_container(targets->v[0].process.pid, SIZE_MAX, &pids, &count, NULL)) {
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (is_target(targets, pids[i])) continue;
		log_warn("process %d came while the others were taken and is left out",
			 shown_pid(options, pids[i]));
	}
}

/* Of several, one that ended meanwhile is none of them any more. */
static int describe_all(struct capture *c, struct targets *targets, struct err *e)
{
	bool several = targets->count > 1;
	size_t kept = 0;
	int r = 0;
	for (size_t i = 0; i < targets->count; i++) {
		struct capture_target *t = &targets->v[i];
		if (!r) r = capture_target_describe(c, t, e);
		if (r == -ERR_GONE && several) {
			log_debug("%s ended before it was taken", t->dir);
			capture_target_done(t);
			r = 0;
			continue;
		}
		targets->v[kept++] = *t;
	}
	targets->count = kept;
	return r || kept ? r : err_set(e, ERR_GONE, "all its processes ended");
}

/* Before anything is written: by another way in it may be allowed. One of several is enough. */
static int check_rights(const struct options *options, const struct targets *targets, struct err *e)
{
	int r = 0;
	for (size_t i = 0; i < targets->count; i++) {
		r = capture_check_rights(options, &targets->v[i].process, e);
		if (r != -ERR_PERMISSION) return 0;
	}
	return r;
}

static int run(struct capture *c, struct targets *targets, struct buf *result_json, struct err *e)
{
	int r = open_targets(c->options, targets, e);
	if (!r) r = check_rights(c->options, targets, e);
	if (!r) r = describe_all(c, targets, e);
	/* What is known so far travels before the processes are stopped. */
	if (!r) r = packer_flush(c->packer, e);
	if (!r) r = take_snapshots(c, targets, e);
	if (!r && option_bool(c->options, OPT_ALL)) tell_newcomers(c->options, targets);
	if (!r) r = dump_all(c, targets, e);
	if (!r) r = packer_flush(c->packer, e);
	return r ? r : add_result(targets, result_json, e);
}

int capture_run(const struct options *options, struct packer *packer,
		const struct capture_hooks *hooks, struct buf *result_json, struct err *e)
{
	struct capture c = {.options = options, .packer = packer, .hooks = hooks};
	struct targets targets = {0};
	cpu_limit_start(&c.cpu_limit, (uint64_t)option_int(options, OPT_CPU_LIMIT));
	int r = run(&c, &targets, result_json, e);
	targets_done(&targets);
	return r;
}
