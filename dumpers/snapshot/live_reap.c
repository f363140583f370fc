/*
 * A child of the target that was killed stays a zombie until the target waits for it. It does not
 * know of it, so it is made to: one thread, for a fraction of a millisecond.
 */
#include "base/log.h"
#include "dumpers/snapshot/live_cow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { ZOMBIES_MAX = 64 /* at a time */, THREADS_TRIED_MAX = 16 };
#define STUCK_NS (10 * (uint64_t)NS_PER_MS)
#define STOP_NS (500 * (uint64_t)NS_PER_MS)
#define CALL_NS (1 * (uint64_t)NS_PER_S)

/* Pids as the target numbers them. */
struct zombies {
	pid_t pids[ZOMBIES_MAX];
	size_t count;
};

/* A child that ended without a signal to its parent: no C library makes such. */
static bool is_ours(struct live *l, const char *name)
{
	struct proc_stat stat;
	char path[64], text[STAT_TEXT_MAX];
	size_t len;

	snprintf(path, sizeof(path), "../%.20s/stat", name);
	len = live_read_proc(l, path, text, sizeof(text));
	return len && proc_stat_parse(text, len, &stat, NULL) == 0 && stat.state == 'Z' &&
	       stat.ppid == l->pid && stat.exit_signal == 0;
}

static void find_zombies(struct live *l, struct zombies *ret)
{
	_cleanup_close_ int fd = openat(l->proc_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	ret->count = 0;
	if (!dir) return;
	steal_fd(&fd);
	while (ret->count < ZOMBIES_MAX && (entry = readdir(dir))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
		if (!is_ours(l, entry->d_name)) continue;
		ret->pids[ret->count] = live_own_pid(l, (pid_t)strtol(entry->d_name, NULL, 10));
		if (ret->pids[ret->count] > 0) ret->count++;
	}
	closedir(dir);
}

/* One that waits in the kernel (D) will not run before it is let go; where its stack pointer is can
 * be read. */
static void look_if_stuck(struct live *l, struct tracee *t)
{
	if (live_thread_state(l, t->tid) != 'D') return;
	t->state = TRACEE_STUCK;
	live_read_syscall(l, t->tid, &t->facts);
}

static void seize(struct tracee *t)
{
	siginfo_t info;
	bool ours = ptrace(PTRACE_SEIZE, t->tid, NULL, NULL) == 0 ||
		    /* Still seized by the pause: what did not stand could not be let go. */
		    waitid(P_PID, (id_t)t->tid, &info,
			   WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL) == 0;

	t->state = ours ? TRACEE_SEIZED : TRACEE_GONE;
}

/* A signal that is ignored, and comes to the main thread while it stands, may wake one of these:
 * see live_detach. They are seized, and not stopped. */
static void seize_who_may_be_woken(struct live *l)
{
	for (size_t i = 0; i < l->tracee_count; i++) {
		struct tracee *t = &l->tracees[i];

		live_read_syscall(l, t->tid, &t->facts);
		/* Traced, one with children would itself be sent such signals. */
		if (t->tid != l->pid && live_may_see_eintr(t) && !live_has_children(l, t->tid))
			seize(t);
	}
}

static struct tracee *find_tracee(struct live *l, pid_t tid)
{
	for (size_t i = 0; i < l->tracee_count; i++)
		if (l->tracees[i].tid == tid) return &l->tracees[i];
	return NULL;
}

/* Stops a thread; false if it does not come to stand. */
static bool stop_one(struct live *l, struct tracee *t)
{
	uint64_t start = now_ns();

	if (t->state == TRACEE_KNOWN) seize(t);
	if (t->state != TRACEE_SEIZED) return false;
	ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL);
	while (t->state == TRACEE_SEIZED && now_ns() - start < STOP_NS) {
		live_poll_tracee(l, t);
		if (t->state == TRACEE_SEIZED && now_ns() - start >= STUCK_NS) look_if_stuck(l, t);
		if (t->state == TRACEE_SEIZED) live_nap(start);
	}
	return t->state == TRACEE_STOPPED;
}

static void wait_for_all(struct live *l, const struct inject_site *site, struct tracee *t,
			 struct zombies *z)
{
	while (z->count && t->state == TRACEE_STOPPED) {
		const struct inject_call call = {
		    .nr = SYS_wait4,
		    .args = {(uint64_t)z->pids[z->count - 1], 0, __WALL | WNOHANG},
		    .deadline_ns = now_ns() + CALL_NS,
		};
		int64_t value;

		if (live_inject(l, site, t, &call, &value, NULL, NULL)) return;
		/* ECHILD: the target waited for it by itself. */
		if (value == 0 || (value < 0 && value != -ECHILD)) return;
		z->count--;
	}
}

/*
 * With the main thread standing, for the frames go below what it uses of its stack; it is the first
 * choice to run the call, too.
 */
static void reap(struct live *l, const struct inject_site *site, struct zombies *z)
{
	/* A zombie leader uses no stack. */
	struct tracee *leader = l->live_tid == l->pid ? find_tracee(l, l->pid) : NULL;
	size_t tried = 0;

	if (leader && live_has_children(l, l->pid)) seize_who_may_be_woken(l);
	if (leader && stop_one(l, leader) && live_inject_score(l, leader) >= 0) {
		wait_for_all(l, site, leader, z);
		return;
	}
	/* Where the main thread is on its stack must be known. */
	if (leader && leader->state != TRACEE_STOPPED && leader->state != TRACEE_STUCK) return;
	for (size_t i = 0; i < l->tracee_count && tried < THREADS_TRIED_MAX; i++) {
		struct tracee *t = &l->tracees[i];

		if (t->tid == l->pid) continue;
		tried++;
		if (!stop_one(l, t) || live_inject_score(l, t) < 0) continue;
		wait_for_all(l, site, t, z);
		return;
	}
}

/* One short stop. True if there may be more to wait for. */
static bool reap_some(struct live *l)
{
	struct zombies z;
	struct inject_site site;
	struct err why = {0};
	size_t added;
	bool full;

	find_zombies(l, &z);
	full = z.count == ZOMBIES_MAX;
	/* It may have exec'ed since. */
	if (!z.count || !live_list_threads(l, &l->live_tid, 1)) return false;
	if (live_inject_find(l, &site, &why)) {
		log_info("a zombie stays in process %d: %s", l->pid, why.text);
		return false;
	}
	/* The facts of the snapshot's are published. */
	live_forget_threads(l);
	if (live_scan_threads(l, &added, NULL) == 0) reap(l, &site, &z);
	live_detach(l);
	live_detach_woken(l);
	if (z.count)
		log_info("%zu zombies stay in process %d until the next capture", z.count, l->pid);
	return full && !z.count;
}

void live_reap(struct live *l)
{
	/* Runs that were killed one after the other left one each. */
	while (reap_some(l))
		;
}
