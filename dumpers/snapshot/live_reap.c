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

enum { ZOMBIES_MAX = 64, THREADS_TRIED_MAX = 16 };
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

/* Seizes a thread and waits for it to stand; false if it does not. */
static bool stop_one(struct live *l, struct tracee *t)
{
	uint64_t start = now_ns();

	if (ptrace(PTRACE_SEIZE, t->tid, NULL, NULL) < 0) {
		/* Still seized by the pause: what did not stand could not be let go. */
		look_if_stuck(l, t);
		return false;
	}
	t->state = TRACEE_SEIZED;
	ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL);
	while (t->state == TRACEE_SEIZED && now_ns() - start < STOP_NS) {
		if (live_poll_tracee(l, t, NULL)) return false;
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

/* Empties the list: the facts of its threads are published. */
static void forget_tracees(struct live *l)
{
	for (size_t i = 0; i < l->tracee_count; i++) {
		free(l->tracees[i].facts.xstate);
		l->tracees[i].facts.xstate = NULL;
	}
	l->tracee_count = 0;
}

/*
 * With the main thread standing, for the frames go below what it uses of its stack; it is the first
 * choice to run the call, too.
 */
static bool reap_with(struct live *l, const struct inject_site *site, pid_t tid, struct zombies *z)
{
	bool leader_alive = l->live_tid == l->pid, known = true;
	const pid_t tids[] = {l->pid, tid};

	forget_tracees(l);
	for (size_t i = leader_alive ? 0 : 1; i < ARRAY_SIZE(tids) && known; i++) {
		struct tracee *t = &l->tracees[l->tracee_count];
		bool standing;

		if (i == 1 && leader_alive && tid == l->pid) break;
		*t = (struct tracee){.tid = tids[i]};
		standing = stop_one(l, t);
		known = standing || t->state == TRACEE_STUCK;
		if (known || t->state == TRACEE_SEIZED) l->tracee_count++;
		if (standing && live_inject_score(l, t) >= 0) {
			wait_for_all(l, site, t, z);
			break;
		}
	}
	live_detach(l);
	return z->count == 0;
}

void live_reap(struct live *l)
{
	struct zombies z;
	struct inject_site site;
	struct err why = {0};
	pid_t tids[THREADS_TRIED_MAX];
	size_t count = live_list_threads(l, tids, ARRAY_SIZE(tids));

	find_zombies(l, &z);
	/* The list has room for two. */
	if (!z.count || !count || l->tracee_cap < 2) return;
	/* It may have exec'ed since. */
	l->live_tid = tids[0];
	if (live_inject_find(l, &site, &why)) {
		log_info("a zombie stays in process %d: %s", l->pid, why.text);
		return;
	}
	for (size_t i = 0; i < count; i++)
		if (reap_with(l, &site, tids[i], &z)) return;
	log_info("%zu zombies stay in process %d until the next capture", z.count, l->pid);
}
