#include "dumpers/snapshot/live.h"

#include "dumpers/snapshot/live_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STALL_DEFAULT_NS (2 * (uint64_t)NS_PER_S)

static int read_maps(struct live *l, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(MAPS_TEXT_MAX);
	char path[64];
	int r;

	snprintf(path, sizeof(path), "task/%d/maps", l->live_tid);
	r = io_read_file(l->proc_fd, path, &text, e);
	return r ? r : maps_parse(text.data ? text.data : "", text.len, &l->base.maps, e);
}

static uint64_t wall_clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* --- the tracer thread --- */

static int take(struct live *l, struct err *e)
{
	size_t added;
	int r = live_scan_threads(l, &added, e);

	if (!r) r = live_stop(l, e);
	if (r) return r;
	l->base.taken_ns = wall_clock_ns();
	r = read_maps(l, e);
	return r ? r : live_publish_threads(l, e);
}

static void wait_until(struct live *l, uint64_t deadline_ns)
{
	struct timespec t = {
	    .tv_sec = (time_t)(deadline_ns / NS_PER_S),
	    .tv_nsec = (long)(deadline_ns % NS_PER_S),
	};

	pthread_cond_timedwait(&l->changed, &l->lock, &t);
}

/* Holds the target until it is asked to let go, or must. Called and left with the lock held. */
static void hold(struct live *l)
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
		if (l->why) {
			l->released_early = true;
			return;
		}
		/* In eighths, so that a stall is seen soon after it is one. */
		wait_until(l, MIN(deadline, now + MAX(stall / 8, (uint64_t)NS_PER_MS)));
	}
}

static void let_go(struct live *l)
{
	/* Before the first thread runs, so that a read that ended with torn still false is good. */
	atomic_store(&l->torn, true);
	live_detach(l);
	if (l->stop_started_ns) l->pause_ns = now_ns() - l->stop_started_ns;
}

static void *tracer_main(void *arg)
{
	struct live *l = arg;
	int r = take(l, &l->tracer_err);

	pthread_mutex_lock(&l->lock);
	if (!r) {
		l->phase = LIVE_STOPPED;
		pthread_cond_broadcast(&l->changed);
		hold(l);
	}
	let_go(l);
	l->phase = r ? LIVE_FAILED : LIVE_RELEASED;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

static int start_tracer(struct live *l, struct err *e)
{
	sigset_t all, before;
	int error;

	/* No signal handler of the program runs on the tracer. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	error = pthread_create(&l->tracer, NULL, tracer_main, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error) {
		errno = error;
		return err_errno(e, "starting the tracer thread");
	}
	l->has_tracer = true;
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

	if (!r) r = read_maps(l, e);
	if (r) return r;
	for (size_t i = 0; i < l->tracee_count; i++) {
		struct tracee *t = &l->tracees[i];

		t->state = t->facts.state == '?' ? TRACEE_GONE : TRACEE_STUCK;
		live_read_syscall(l, t->tid, &t->facts);
	}
	l->base.consistency = CONSISTENCY_RUNNING;
	l->base.taken_ns = wall_clock_ns();
	l->phase = LIVE_RELEASED;
	atomic_store(&l->torn, true);
	return live_publish_threads(l, e);
}

static int open_memory(struct live *l, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "task/%d/mem", l->live_tid);
	l->mem_fd = openat(l->proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (l->mem_fd < 0) return live_denied(l, "opening /proc/PID/mem", e);
	snprintf(path, sizeof(path), "task/%d/pagemap", l->live_tid);
	l->pagemap_fd = openat(l->proc_fd, path, O_RDONLY | O_CLOEXEC);
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
	pthread_condattr_t attr;

	if (!l) return NULL;
	l->base.ops = &live_ops;
	l->base.consistency = CONSISTENCY_STOPPED;
	l->base.e_machine = EM_X86_64;
	l->base.elf_class = ELFCLASS64;
	l->pid = target->pid;
	l->proc_fd = l->task_fd = l->mem_fd = l->pagemap_fd = l->shared.fd = -1;
	l->config = *config;
	if (!l->config.stall_ns) l->config.stall_ns = STALL_DEFAULT_NS;
	pthread_mutex_init(&l->lock, NULL);
	pthread_mutex_init(&l->pages.lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->changed, &attr);
	pthread_condattr_destroy(&attr);
	l->xstate_buf = malloc(SNAPSHOT_XSTATE_MAX);
	if (!l->xstate_buf) {
		snapshot_free(&l->base);
		return NULL;
	}
	return l;
}

int snapshot_open_live(const struct process *target, const struct live_config *config,
		       struct snapshot **ret, struct err *e)
{
	struct live *l = live_new(target, config);
	int r;

	if (!l) return err_set(e, ERR_NO_MEMORY, "snapshot of process %d", target->pid);
	r = open_target(l, target, e);
	if (!r) r = config->max_pause_ns ? start_tracer(l, e) : look_without_stop(l, e);
	if (r) {
		snapshot_free(&l->base);
		return r;
	}
	*ret = &l->base;
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
	while (l->phase == LIVE_STOPPED)
		pthread_cond_wait(&l->changed, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

void snapshot_live_pause(const struct snapshot *s, struct live_pause *ret)
{
	struct live *l = as_live(s);

	memset(ret, 0, sizeof(*ret));
	if (!l) return;
	pthread_mutex_lock(&l->lock);
	ret->pause_ns = l->phase == LIVE_STOPPED ? now_ns() - l->stop_started_ns : l->pause_ns;
	ret->released_early = l->released_early;
	ret->why = l->why;
	pthread_mutex_unlock(&l->lock);
}

bool snapshot_live_torn(const struct snapshot *s)
{
	struct live *l = as_live(s);

	return l && atomic_load(&l->torn);
}
