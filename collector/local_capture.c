#include "collector/local_capture.h"

#include "base/human.h"
#include "base/json.h"
#include "base/log.h"
#include "collector/local_core.h"
#include "collector/local_entries.h"
#include "dumpers/proc/cgroup.h"
#include "dumpers/runtime/list.h"
#include "dumpers/snapshot/live.h"
#include "dumpers/stack/stacks.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 256 << 20, COMPRESSORS_MAX = 4 };

/* One capture under way. */
struct capture {
	const struct options *options;
	struct packer *packer;
	const struct capture_hooks *hooks;
	struct process process;
	char dir[64]; /* "<pid>-<comm>" */
	struct snapshot *snapshot;
	struct modules *modules;
	struct live_pause pause;
	const struct live_plan *plan; /* the snapshot's */
	struct core_choice core;
};

static int check(struct capture *c, struct err *e)
{
	return c->hooks->check ? c->hooks->check(c->hooks->ctx, e) : 0;
}

int capture_pick_pid(const struct options *options, pid_t *ret, struct err *e)
{
	if (option_is_set(options, OPT_PID)) {
		*ret = (pid_t)option_int(options, OPT_PID);
		return 0;
	}
	return process_pick(ret, e);
}

/* What our control group allows: the CPU quota, rounded up, for a node has many more; of the tasks
 * that its pids limit leaves, two are for the tracer and the child. */
static int group_threads(void)
{
	_cleanup_free_ struct cgroup_info *info = calloc(1, sizeof *info);
	_cleanup_process_ struct process self = PROCESS_INIT;
	if (!info || process_open(getpid(), &self, NULL)) return COMPRESSORS_MAX;
	process_cgroup(&self, info);
	uint64_t quota = info->cpu_quota_us, period = info->cpu_period_us;
	uint64_t limit = info->pids.limit, usage = info->pids.usage, threads = COMPRESSORS_MAX;
	if (quota < CGROUP_UNKNOWN && period < CGROUP_UNKNOWN && period > 0)
		threads = MIN(threads, quota / period + (quota % period != 0));
	if (limit < CGROUP_UNKNOWN && usage < CGROUP_UNKNOWN)
		threads = MIN(threads, limit - MIN(limit, usage + 2));
	return (int)threads;
}

int capture_threads(const struct options *options)
{
	int threads = (int)option_int(options, OPT_THREADS);
	cpu_set_t set;
	if (threads == 0) {
		threads = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
		threads = MAX(MIN(threads, group_threads()), 1);
	}
	log_debug("threads that compress: %d", threads);
	return threads;
}

static int add_text(struct capture *c, const char *name, const struct buf *text, struct err *e)
{
	char path[BUNDLE_NAME_MAX];
	snprintf(path, sizeof path, "%s/%s", c->dir, name);
	return packer_add(c->packer, path, text->data ? text->data : "", text->len, e);
}

static int add_failed(struct capture *c, const char *name, const struct err *why, struct err *e)
{
	char path[BUNDLE_NAME_MAX];
	snprintf(path, sizeof path, "%s/%s", c->dir, name);
	log_warn("%s: %s", path, why->text);
	return packer_absent(c->packer, path, ENTRY_FAILED, why->text, e);
}

/* The packer as a core's destination. */
struct core_entry {
	struct core_sink sink;
	struct capture *capture;
	uint64_t done, total, torn_bytes;
};

static int core_reserve(struct core_sink *sink, void **ret_data, size_t *ret_len, struct err *e)
{
	struct core_entry *ce = (struct core_entry *)sink;
	int r = check(ce->capture, e);
	return r ? r : packer_reserve(ce->capture->packer, ret_data, ret_len, e);
}

static int core_commit(struct core_sink *sink, size_t len, struct err *e)
{
	struct core_entry *ce = (struct core_entry *)sink;
	const struct capture_hooks *hooks = ce->capture->hooks;
	ce->done += len;
	if (hooks->progress) hooks->progress(hooks->ctx, ce->done, ce->total);
	return packer_commit(ce->capture->packer, len, e);
}

static int core_lost(struct core_sink *sink, uint64_t start, uint64_t end, struct err *e)
{
	return packer_mark_lost(((struct core_entry *)sink)->capture->packer, start, end, e);
}

static int core_torn(struct core_sink *sink, uint64_t start, uint64_t end, struct err *e)
{
	struct core_entry *ce = (struct core_entry *)sink;
	ce->torn_bytes += end - start;
	return packer_mark_torn(ce->capture->packer, start, end, e);
}

static int end_core(struct capture *c, const struct core_entry *ce, struct err *e)
{
	if (!ce->torn_bytes) return packer_end(c->packer, ENTRY_OK, NULL, e);
	char torn[HUMAN_MAX], pause[HUMAN_MAX], reason[BUNDLE_REASON_MAX];
	human_size(ce->torn_bytes, torn);
	snapshot_live_pause(c->snapshot, &c->pause);
	if (c->plan->mode == SNAPSHOT_NOSTOP) {
		snprintf(reason, sizeof reason, "read while the process ran: %s", c->plan->reason);
	} else if (c->plan->mode == SNAPSHOT_COW) {
		snprintf(reason, sizeof reason, "%s were read from the running process: %s", torn,
			 c->pause.why ? c->pause.why : "a fork does not get them");
	} else {
		snprintf(reason, sizeof reason,
			 "%s were read after the process was let go at %s (%s)", torn,
			 human_duration(c->pause.pause_ns, pause),
			 c->pause.why ? c->pause.why : "it ended");
	}
	log_warn("%s/core is incomplete: %s", c->dir, reason);
	return packer_end(c->packer, ENTRY_PARTIAL, reason, e);
}

static int write_core(struct capture *c, struct err *e)
{
	struct err why = {0};
	struct core *core = NULL;
	if (core_choice_plan(&c->core, c->snapshot, &core, &why))
		return add_failed(c, "core", &why, e);
	struct core_entry ce = {
	    .sink = {.reserve = core_reserve,
		     .commit = core_commit,
		     .lost = core_lost,
		     .torn = core_torn},
	    .capture = c,
	    .total = core_size(core),
	};
	char path[BUNDLE_NAME_MAX];
	snprintf(path, sizeof path, "%s/core", c->dir);
	int r = packer_begin(c->packer, path, ce.total, e);
	if (!r) r = core_write(core, &ce.sink, e);
	if (!r) r = end_core(c, &ce, e);
	core_free(core);
	return r;
}

/* The stacks are computed while the process stands and written once it runs again. */
static int collect_stacks(struct capture *c, struct buf *text, struct buf *json, struct err *e)
{
	struct stacks *stacks = NULL;
	int r = stacks_collect(c->modules, &stacks, e);
	if (!r) r = stacks_print_text(stacks, false, text, e);
	if (!r) r = stacks_print_json(stacks, false, json, e);
	if (!r) r = core_choice_take_stacks(&c->core, stacks, e);
	stacks_free(stacks);
	return r;
}

static int add_stacks(struct capture *c, int collected, const struct err *why,
		      const struct buf *text, const struct buf *json, struct err *e)
{
	if (collected) {
		int r = add_failed(c, "stacks.txt", why, e);
		return r ? r : add_failed(c, "stacks.json", why, e);
	}
	int r = add_text(c, "stacks.txt", text, e);
	return r ? r : add_text(c, "stacks.json", json, e);
}

static enum snapshot_mode wanted_mode(const struct options *options)
{
	const char *name = option_string(options, OPT_SNAPSHOT);
	for (enum snapshot_mode mode = SNAPSHOT_AUTO; mode <= SNAPSHOT_NOSTOP; mode++) {
		if (!strcmp(name, snapshot_mode_name(mode))) return mode;
	}
	return SNAPSHOT_AUTO;
}

static void say_plan(const struct capture *c)
{
	struct live_pause pause;
	char predicted[HUMAN_MAX], measured[HUMAN_MAX];
	snapshot_live_pause(c->snapshot, &pause);
	log_debug("snapshot %s: %s; a pause of about %s was expected, so far it is %s",
		  snapshot_mode_name(c->plan->mode), c->plan->reason,
		  human_duration(c->plan->predicted_ns, predicted),
		  human_duration(pause.pause_ns, measured));
}

static int open_snapshot(struct capture *c, struct err *e)
{
	struct live_config config = {
	    .mode = wanted_mode(c->options),
	    .max_pause_ns = (uint64_t)option_int(c->options, OPT_MAX_PAUSE),
	    .max_memory = (uint64_t)option_int(c->options, OPT_MAX_MEMORY),
	};
	int r = snapshot_open_live(&c->process, &config, &c->snapshot, e);
	if (r) return r;
	c->plan = snapshot_live_plan(c->snapshot);
	say_plan(c);
	return modules_new(c->snapshot, find_module_in_process, &c->process, &c->modules, e);
}

static int dump(struct capture *c, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(TEXT_MAX), json = BUF_INIT(TEXT_MAX);
	struct err why = {0};
	core_choice_init(&c->core, c->options, &c->process);
	int r = open_snapshot(c, e);
	if (r) return r;
	int collected = collect_stacks(c, &text, &json, &why);
	if (!c->core.none) r = write_core(c, e);
	snapshot_live_release(c->snapshot);
	snapshot_live_pause(c->snapshot, &c->pause);
	if (!r) r = add_stacks(c, collected, &why, &text, &json, e);
	if (!r && option_bool(c->options, OPT_MODULES))
		r = add_modules(c->packer, c->modules, c->hooks, e);
	return r;
}

/* Members of an object that is still to be: without the braces. */
static int add_result(const struct capture *c, struct buf *ret, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(4 * KIB);
	struct json j;
	json_init(&j, &text, false);
	json_object(&j);
	json_kv_string(&j, "mode", snapshot_mode_name(c->plan->mode));
	json_kv_string(&j, "mode_reason", c->plan->reason);
	json_kv_uint(&j, "predicted_pause_ns", c->plan->predicted_ns);
	json_kv_uint(&j, "pause_ns", c->pause.pause_ns);
	json_kv_bool(&j, "released_early", c->pause.released_early);
	json_kv_uint(&j, "threads", c->snapshot->thread_count);
	json_object_end(&j);
	int r = json_finish(&j, e);
	return r ? r : buf_append(ret, text.data + 1, text.len - strlen("{}\n"), e);
}

int capture_process(const struct options *options, struct packer *packer,
		    const struct capture_hooks *hooks, struct buf *result_json, struct err *e)
{
	struct capture c = {
	    .options = options, .packer = packer, .hooks = hooks, .process = PROCESS_INIT};
	pid_t pid;
	int r = capture_pick_pid(options, &pid, e);
	if (!r) r = process_open(pid, &c.process, e);
	if (!r) r = process_entry_dir(&c.process, c.dir, sizeof c.dir, e);
	if (!r) {
		r = add_process_entries(packer, &c.process, c.dir,
					option_bool(options, OPT_SHOW_SECRETS), e);
	}
	/* What is known so far travels before the process is stopped. */
	if (!r) r = packer_flush(packer, e);
	if (!r) r = dump(&c, e);
	if (!r) r = packer_flush(packer, e);
	if (!r) r = add_result(&c, result_json, e);
	modules_free(c.modules);
	snapshot_free(c.snapshot);
	core_choice_done(&c.core);
	process_done(&c.process);
	return r;
}
