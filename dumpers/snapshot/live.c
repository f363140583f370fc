#include "dumpers/snapshot/live.h"

#include "base/thread.h"
#include "dumpers/snapshot/live_cow.h"
#include "dumpers/snapshot/live_foreign.h"
#include "dumpers/snapshot/live_plan.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STALL_DEFAULT_NS (2 * (uint64_t)NS_PER_S)
#define WINDOW_NS_MAX (10 * (uint64_t)NS_PER_S)
#define LATECOMER_NS (1 * (uint64_t)NS_PER_MS)
#define WATCH_NS_MAX (50 * (uint64_t)NS_PER_MS)
/* As fast as a process can write to pages it shares with its child: a fault each. */
#define COW_WRITE_BYTES_PER_S_MAX (4 * GIB)
enum { COW_ROOM_FLOOR = 12 << 20 };
enum { SHARED_ROOM_SHARE = 4 };

const char *snapshot_mode_name(enum snapshot_mode mode)
{
	static const char *const names[] = {"auto", "cow", "stop", "nostop"};

	return names[mode];
}

static uint64_t wall_clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* --- the tracer thread --- */

static void note_pause(struct live *l)
{
	if (l->stop_started_ns && !l->pause_ns) l->pause_ns = now_ns() - l->stop_started_ns;
}

static int stay(struct live *l, struct err *e)
{
	live_complete_some(l, SIZE_MAX);
	return live_read_maps(l, &l->base.maps, e);
}

/* All threads stand: fork, and let them go, or stay. */
static int freeze(struct live *l, struct err *e)
{
	struct err why = {0};
	int r;

	if (l->plan.mode == SNAPSHOT_STOP) return stay(l, e);
	r = live_cow_fork(l, &why);
	if (!r) {
		/* Memory is watched from the adoption on. */
		bool before = live_cow_may_exhaust(l);

		live_complete_some(l, SIZE_MAX);
		if (before) r = live_cow_adopt(l, e);
		live_detach(l);
		note_pause(l);
		return before ? r : live_cow_adopt(l, e);
	}
	if (r != -ERR_UNSUPPORTED || l->config.mode == SNAPSHOT_COW) {
		if (e) *e = why;
		return r;
	}
	maps_done(&l->base.maps);
	plan_fall_back(&l->plan, SNAPSHOT_STOP, why.text);
	return stay(l, e);
}

/* Stops all threads, when those of the other targets are about to be stopped, and until they are.
 */
static int stop_together(struct live *l, struct err *e)
{
	int r;

	if (!live_window_meet(l->window, now_ns() + WINDOW_NS_MAX))
		return err_set(e, ERR_TIMEOUT, "the other processes were not ready in time");
	live_hurry(true);
	r = live_stop(l, e);
	if (!r && !live_window_meet(l->window, l->stop_started_ns + l->config.max_pause_ns))
		r = err_set(e, ERR_TIMEOUT, "the other processes did not stop within %llu ms",
			    (unsigned long long)(l->config.max_pause_ns / NS_PER_MS));
	return r;
}

static int take(struct live *l, struct err *e)
{
	size_t added;
	int r = live_scan_threads(l, &added, e);

	if (!r) r = stop_together(l, e);
	live_window_leave(l->window);
	if (!r) {
		l->base.taken_ns = wall_clock_ns();
		r = freeze(l, e);
	}
	live_hurry(false);
	return r ? r : live_publish_threads(l, e);
}

/* Holds the target until it is asked to let go, or must. Called and left with the lock held. */
static void hold_target(struct live *l)
{
	uint64_t deadline = l->stop_started_ns + l->config.max_pause_ns;
	uint64_t stall = l->config.stall_ns, last_ns = now_ns();
	uint64_t progress = atomic_load(&l->progress);

	while (!l->release_wanted) {
		uint64_t now = now_ns(), seen = atomic_load(&l->progress);

		if (seen != progress) {
			progress = seen;
			last_ns = now;
		}
		if (now >= deadline) {
			l->why = "max-pause";
		} else if (now - last_ns >= stall) {
			snprintf(l->why_text, sizeof(l->why_text), "no progress for %g s",
				 (double)stall / NS_PER_S);
			l->why = l->why_text;
		}
		if (l->why) return;
		/* In eighths, so that a stall is seen soon after it is one. */
		cond_wait_until(&l->changed, &l->lock,
				MIN(deadline, now + MAX(stall / 8, (uint64_t)NS_PER_MS)));
	}
}

/* Gives up in the child what nobody will read again. */
static void forget_some(struct live *l)
{
	struct range_list ranges = l->forget;

	range_list_init(&l->forget, FORGET_RANGES_MAX);
	pthread_mutex_unlock(&l->lock);
	for (size_t i = 0; i < ranges.count && !l->forget_failed; i++)
		live_cow_forget(l, ranges.ranges[i].start, ranges.ranges[i].end);
	range_list_done(&ranges);
	pthread_mutex_lock(&l->lock);
}

/*
 * Each page that the target writes while the child lives is kept twice, and the memory limit kills
 * the larger process, which is the target: the child must be gone before. So the less room there
 * is, the more often it is looked at.
 */
static uint64_t watch_memory(struct live *l, uint64_t room_before)
{
	uint64_t room = cgroup_meter_room(&l->meter), left, limit = l->config.max_memory;

	if (room < COW_ROOM_FLOOR) l->why = "memory got scarce";
	left = room - MIN(room, (uint64_t)COW_ROOM_FLOOR);
	if (limit) {
		uint64_t used = room_before - MIN(room_before, room);

		if (used >= limit) l->why = "max-memory";
		left = MIN(left, limit - MIN(limit, used));
	}
	return MIN(
	    MAX(left / COW_WRITE_BYTES_PER_S_MAX * NS_PER_S / 4 +
		    left % COW_WRITE_BYTES_PER_S_MAX * NS_PER_S / COW_WRITE_BYTES_PER_S_MAX / 4,
		(uint64_t)NS_PER_MS),
	    WATCH_NS_MAX);
}

/* Holds the child until nobody needs it, or must give it up. Called and left with the lock held. */
static void hold_child(struct live *l)
{
	uint64_t room_before = cgroup_meter_room(&l->meter);

	/* Near a limit the target may need less than a time slice to reach it. */
	live_hurry(l->meter.usage_fd >= 0);
	while (!l->release_wanted) {
		uint64_t wait_ns = watch_memory(l, room_before);

		if (live_detach_latecomers(l)) wait_ns = MIN(wait_ns, LATECOMER_NS);
		if (!atomic_load(&l->reads_child)) l->why = "memory got scarce";
		if (l->why) return;
		if (l->forget.count)
			forget_some(l);
		else
			cond_wait_until(&l->changed, &l->lock, now_ns() + wait_ns);
	}
}

/* Called and left with the lock held. */
static void let_go(struct live *l)
{
	/* Before the first thread runs, so that a read that ended with torn still false is good. */
	atomic_store(&l->torn, true);
	live_detach(l);
	note_pause(l);
	pthread_mutex_unlock(&l->lock);
	live_cow_end(l);
	pthread_mutex_lock(&l->lock);
}

static void *tracer_main(void *arg)
{
	struct live *l = arg;
	int r = take(l, &l->tracer_err);

	pthread_mutex_lock(&l->lock);
	if (!r) {
		l->phase = LIVE_HELD;
		pthread_cond_broadcast(&l->changed);
		if (l->child)
			hold_child(l);
		else
			hold_target(l);
		l->released_early = l->why != NULL;
	}
	let_go(l);
	l->phase = r ? LIVE_FAILED : LIVE_RELEASED;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

static int start_tracer(struct live *l, struct live_window *window, struct err *e)
{
	int r;

	l->window = window;
	r = thread_start(&l->tracer, tracer_main, l, e);
	l->has_tracer = r == 0;
	if (r) live_window_leave(window);
	return r;
}

/* Until the target, or its child, is held. */
static int await_tracer(struct live *l, struct err *e)
{
	pthread_mutex_lock(&l->lock);
	while (l->phase == LIVE_STARTING)
		pthread_cond_wait(&l->changed, &l->lock);
	pthread_mutex_unlock(&l->lock);
	if (l->phase != LIVE_FAILED) return 0;
	if (e) *e = l->tracer_err;
	return -l->tracer_err.code;
}

/* --- opening --- */

/* Facts without a stop: what /proc tells of each thread as it passes by. */
static int look_without_stop(struct live *l, struct err *e)
{
	size_t added;
	int r = live_scan_threads(l, &added, e);

	if (!r) r = live_read_maps(l, &l->base.maps, e);
	if (r) return r;
	for (size_t i = 0; i < l->tracee_count; i++) {
		struct tracee *t = &l->tracees[i];

		t->state = t->facts.state == '?' ? TRACEE_GONE : TRACEE_KNOWN;
		t->taken = true;
		live_read_syscall(l, t->tid, &t->facts);
	}
	l->base.consistency = CONSISTENCY_RUNNING;
	l->base.taken_ns = wall_clock_ns();
	l->phase = LIVE_RELEASED;
	atomic_store(&l->torn, true);
	return live_publish_threads(l, e);
}

/* Nothing of it could be stopped. */
static int fall_back_to_running(struct live *l, struct err *e)
{
	pthread_join(l->tracer, NULL);
	l->has_tracer = false;
	plan_fall_back(&l->plan, SNAPSHOT_NOSTOP, l->tracer_err.text);
	live_forget_threads(l);
	maps_done(&l->base.maps);
	return look_without_stop(l, e);
}

static int open_memory(struct live *l, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "task/%d/mem", l->live_tid);
	l->target_mem_fd = openat(l->proc_fd, path, O_RDWR | O_CLOEXEC);
	if (l->target_mem_fd < 0) l->target_mem_fd = openat(l->proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (l->target_mem_fd < 0) return live_denied(l, "opening /proc/PID/mem", e);
	snprintf(path, sizeof(path), "task/%d/pagemap", l->live_tid);
	l->target_pagemap_fd = openat(l->proc_fd, path, O_RDONLY | O_CLOEXEC);
	l->pagemap_fd = l->target_pagemap_fd;
	return live_pages_init(l, e);
}

static int open_target(struct live *l, const struct process *target, struct err *e)
{
	int r = process_check(target, NULL);

	/* A leader that ended while its threads run on looks like a zombie: the threads decide. */
	if (r && r != -ERR_GONE) return process_check(target, e);
	l->proc_fd = fcntl(target->proc_fd, F_DUPFD_CLOEXEC, 3);
	if (l->proc_fd < 0) return err_errno(e, "process %d", target->pid);
	l->task_fd = openat(l->proc_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->task_fd < 0) return err_set(e, ERR_GONE, "process %d ended", l->pid);
	r = live_check_target(l, e);
	if (!r) r = live_read_identity(l, e);
	if (!r) r = open_memory(l, e);
	return r;
}

static struct live *live_new(const struct process *target, const struct live_config *config)
{
	struct live *l = calloc(1, sizeof(*l));

	if (!l) return NULL;
	l->base.ops = &live_ops;
	l->base.consistency = CONSISTENCY_STOPPED;
	l->base.e_machine = EM_X86_64;
	l->base.elf_class = ELFCLASS64;
	l->pid = target->pid;
	l->proc_fd = l->task_fd = l->target_mem_fd = l->child_mem_fd = -1;
	l->pagemap_fd = l->target_pagemap_fd = l->child_pagemap_fd = -1;
	l->shared.fd = -1;
	l->inject_mem_fd = -1;
	l->meter = CGROUP_METER_INIT;
	range_list_init(&l->forget, FORGET_RANGES_MAX);
	l->config = *config;
	if (!l->config.stall_ns) l->config.stall_ns = STALL_DEFAULT_NS;
	pthread_mutex_init(&l->lock, NULL);
	pthread_mutex_init(&l->pages.lock, NULL);
	cond_init(&l->changed);
	return l;
}

/* Of the target's shared memory, what the pause is to copy. The copies are this program's memory,
 * which the target's limit may count: they are left out where that is scarce. */
static uint64_t shared_to_copy(struct live *l, const struct plan_facts *facts)
{
	uint64_t bytes = facts->shared_bytes;

	if (bytes) bytes = MIN(bytes, live_foreign_shared_bytes(l));
	return bytes <= facts->room_bytes / SHARED_ROOM_SHARE ? bytes : 0;
}

/* Decides how, and has at hand what the pause shall not wait for. */
static int prepare(struct live *l, const struct process *target, struct err *e)
{
	struct plan_facts facts;
	struct err why = {0};
	uint64_t room;
	int r;

	cgroup_meter_open(target, &l->meter);
	room = cgroup_meter_room(&l->meter);
	if (l->config.max_memory) room = MIN(room, l->config.max_memory);
	plan_look(target, room / l->together, &facts);
	facts.shared_bytes = shared_to_copy(l, &facts);
	if (live_cow_would_exhaust(l, facts.anon_bytes))
		facts.ballast_bytes = live_ballast_bytes(l);
	l->suspend_seccomp = facts.may_suspend_seccomp;
	l->passed_filters = facts.same_filters ? facts.seccomp_filters : 0;
	l->inject_image = calloc(1, INJECT_IMAGE_MAX);
	l->inject_saved = calloc(1, INJECT_IMAGE_MAX);
	if (!l->inject_image || !l->inject_saved)
		return err_set(e, ERR_NO_MEMORY, "snapshot of process %d", l->pid);
	if (live_inject_find(l, &l->site, &why))
		snprintf(facts.no_site, sizeof(facts.no_site), "%.159s", why.text);
	r = plan_choose(&facts, &l->config, &l->plan, e);
	if (!r && l->plan.mode == SNAPSHOT_COW) live_foreign_prepare(l, facts.shared_bytes);
	return r;
}

/* Everything before the first thread of it is touched. */
static int begin(const struct process *target, size_t together, const struct live_config *config,
		 struct live **ret, struct err *e)
{
	struct live *l = live_new(target, config);
	int r;

	*ret = l;
	if (!l) return err_set(e, ERR_NO_MEMORY, "snapshot of process %d", target->pid);
	l->together = together;
	r = open_target(l, target, e);
	return r ? r : prepare(l, target, e);
}

static int finish(struct live *l, struct err *e)
{
	int r = l->has_tracer ? await_tracer(l, e) : look_without_stop(l, e);

	if (r == -ERR_UNSUPPORTED && l->has_tracer && l->config.mode == SNAPSHOT_AUTO)
		r = fall_back_to_running(l, e);
	return r;
}

/* Of the stop of several: where processes are born all the time, one in ten may fail. */
enum { TRIES_MAX = 5 };

/* One of those that are opened together. */
struct opening {
	struct live *live;
	int r;
};

/* Waits for them. True if one waits for a child that stands too, before its exec: vfork(2). */
static bool one_waits_for_another(struct opening *v, size_t count)
{
	bool any = false;

	for (size_t i = 0; i < count; i++)
		if (!v[i].r && v[i].live->has_tracer && await_tracer(v[i].live, NULL))
			any |= v[i].live->waits_for_child;
	return any && count > 1;
}

static void undo(struct opening *v, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (v[i].live) snapshot_free(&v[i].live->base);
	memset(v, 0, count * sizeof(*v));
}

/* Returns whether it is worth another try, if there may be one; then nothing is open. */
static bool open_together(struct opening *v, const struct process *targets, size_t count,
			  const struct live_config *config, struct err *errs, bool may_retry)
{
	struct live_window window;
	size_t members = 0;
	bool again;

	for (size_t i = 0; i < count; i++) {
		errs[i] = (struct err){0};
		v[i].r = begin(&targets[i], count, config, &v[i].live, &errs[i]);
		members += !v[i].r && v[i].live->plan.mode != SNAPSHOT_NOSTOP;
	}
	live_window_init(&window, members);
	for (size_t i = 0; i < count; i++)
		if (!v[i].r && v[i].live->plan.mode != SNAPSHOT_NOSTOP)
			v[i].r = start_tracer(v[i].live, &window, &errs[i]);
	again = may_retry && one_waits_for_another(v, count);
	if (again) undo(v, count);
	for (size_t i = 0; i < count && !again; i++)
		if (!v[i].r) v[i].r = finish(v[i].live, &errs[i]);
	live_window_done(&window);
	return again;
}

void snapshot_open_live_together(const struct process *targets, size_t count,
				 const struct live_config *config, struct snapshot **ret,
				 struct err *errs)
{
	_cleanup_free_ struct opening *v = calloc(count, sizeof(*v));
	bool again = v != NULL;

	for (int left = TRIES_MAX - 1; again; left--)
		again = open_together(v, targets, count, config, errs, left > 0);
	for (size_t i = 0; i < count; i++) {
		ret[i] = NULL;
		if (!v)
			err_set(&errs[i], ERR_NO_MEMORY, "snapshots of %zu processes", count);
		else if (v[i].r && v[i].live)
			snapshot_free(&v[i].live->base);
		else if (v[i].live)
			ret[i] = &v[i].live->base;
	}
}

int snapshot_open_live(const struct process *target, const struct live_config *config,
		       struct snapshot **ret, struct err *e)
{
	struct snapshot *s;
	struct err why;

	snapshot_open_live_together(target, 1, config, &s, &why);
	if (!s) {
		if (e) *e = why;
		return -why.code;
	}
	*ret = s;
	return 0;
}

/* --- what callers ask --- */

/* NULL if the snapshot is of another origin. */
static struct live *as_live(const struct snapshot *s)
{
	return s->ops == &live_ops ? (struct live *)(uintptr_t)s : NULL;
}

void snapshot_live_release(struct snapshot *s)
{
	struct live *l = as_live(s);

	if (!l || !l->has_tracer) return;
	pthread_mutex_lock(&l->lock);
	l->release_wanted = true;
	pthread_cond_broadcast(&l->changed);
	while (l->phase == LIVE_HELD)
		pthread_cond_wait(&l->changed, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

void snapshot_live_pause(const struct snapshot *s, struct live_pause *ret)
{
	struct live *l = as_live(s);

	memset(ret, 0, sizeof(*ret));
	if (!l) return;
	pthread_mutex_lock(&l->lock);
	ret->pause_ns = l->pause_ns;
	if (!l->pause_ns && l->stop_started_ns) ret->pause_ns = now_ns() - l->stop_started_ns;
	ret->released_early = l->released_early;
	ret->why = l->why;
	pthread_mutex_unlock(&l->lock);
}

const struct live_plan *snapshot_live_plan(const struct snapshot *s)
{
	struct live *l = as_live(s);

	return l ? &l->plan : NULL;
}

bool snapshot_live_torn(const struct snapshot *s, uint64_t addr)
{
	struct live *l = as_live(s);
	const struct foreign *foreign;
	uint64_t next;

	if (!l) return false;
	if (atomic_load(&l->torn)) return true;
	foreign = live_foreign_find(l, addr, &next);
	return foreign && !foreign->copy;
}
