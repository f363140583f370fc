#include "dumpers/snapshot/live_cow.h"
#include "base/log.h"
#include "dumpers/proc/smaps.h"
#include "dumpers/snapshot/live_foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { PAGE = 4096 };
enum { OTHERS_NEED = 24 << 20 };               /* what else is allocated while there is a child */
#define ADDRESS_END 0x7ffffffff000u            /* TASK_SIZE */
#define FIRST_STOP_NS (2 * (uint64_t)NS_PER_S) /* of the child */

/* --- the fork --- */

static struct tracee *best_thread(struct live *l)
{
	struct tracee *best = NULL;
	int best_score = -1;

	for (size_t i = 0; i < l->tracee_count && best_score < 4; i++) {
		int score = live_inject_score(l, &l->tracees[i]);

		if (score <= best_score) continue;
		best = &l->tracees[i];
		best_score = score;
	}
	return best;
}

struct pages {
	uint64_t mapped, resident;
};

/* As /proc/PID/statm says; zeros if it does not. */
static struct pages count_pages(struct live *l, const char *statm)
{
	char text[256], *end;
	struct pages ret = {0};

	if (!live_read_proc(l, statm, text, sizeof(text))) return ret;
	ret.mapped = strtoull(text, &end, 10);
	ret.resident = strtoull(end, NULL, 10);
	return ret;
}

static struct pages count_childs_pages(struct live *l)
{
	char statm[64];

	snprintf(statm, sizeof(statm), "../%d/statm", l->child);
	return count_pages(l, statm);
}

bool live_cow_would_exhaust(const struct live *l, uint64_t child_bytes)
{
	return cgroup_meter_room(&l->meter) / l->together < child_bytes + OTHERS_NEED;
}

bool live_cow_may_exhaust(struct live *l)
{
	uint64_t bytes = count_childs_pages(l).resident * PAGE;

	return live_cow_would_exhaust(l, bytes - MIN(bytes, l->ballast.end - l->ballast.start));
}

static int end_of_call(int64_t value, struct err *e)
{
	if (value > 0) return 0;
	errno = (int)-value;
	err_errno(e, "its fork failed");
	e->code = ERR_UNSUPPORTED;
	return -ERR_UNSUPPORTED;
}

/* When memory runs out, the child shall be the one that goes, from the moment the target writes. */
static void offer_to_oom_killer(struct live *l)
{
	char path[64];

	snprintf(path, sizeof(path), "../%d/oom_score_adj", l->child);
	l->offered = process_offer_to_oom_killer(l->proc_fd, path) == 0;
	if (!l->offered) log_debug("oom_score_adj of the child: %s", strerror(errno));
}

static int await_child(struct live *l, struct err *e)
{
	uint64_t start = now_ns();
	int options = PTRACE_O_EXITKILL, status, r;

	if (l->child_stands) return 0;
	if (l->suspend_seccomp) options |= PTRACE_O_SUSPEND_SECCOMP;
	while ((r = waitpid(l->child, &status, __WALL | WNOHANG)) == 0 &&
	       now_ns() - start < FIRST_STOP_NS)
		live_nap(start);
	if (r <= 0 || !WIFSTOPPED(status))
		return err_set(e, ERR_INTERNAL, "the forked child of process %d did not stop",
			       l->pid);
	if (ptrace(PTRACE_SETOPTIONS, l->child, NULL, (void *)(uintptr_t)options) < 0)
		return err_errno(e, "the forked child of process %d", l->pid);
	l->child_stands = true;
	return 0;
}

static int read_childs_maps(struct live *l, struct err *e)
{
	if (l->base.maps.count) return 0; /* the target's, which has more */
	return live_read_maps_of(l, l->child, &l->base.maps, e);
}

static int add_ballast(struct live *l, struct err *e)
{
	int r = await_child(l, e);

	if (!r) r = read_childs_maps(l, e);
	return r ? r : live_ballast_add(l, e);
}

static void kill_child(struct live *l)
{
	int status;

	/* Another user's takes CAP_KILL by a signal; its tracer may always. */
	if (kill(l->child, SIGKILL) < 0 && errno == EPERM)
		ptrace(PTRACE_KILL, l->child, NULL, NULL);
	while (waitpid(l->child, &status, __WALL) < 0 ? errno == EINTR : WIFSTOPPED(status))
		continue;
	l->child = 0;
	l->child_ended = true;
}

int live_cow_fork(struct live *l, struct err *e)
{
	struct inject_call call = {
	    .nr = SYS_clone,
	    .args = {CLONE_FILES},
	    .deadline_ns = l->stop_started_ns + l->config.max_pause_ns,
	};
	struct tracee *t = best_thread(l);
	int64_t value;
	int r;

	if (!t) return err_set(e, ERR_UNSUPPORTED, "none of its threads is where it could fork");
	r = live_inject(l, &l->site, t, &call, &value, &l->child, e);
	if (!r) r = end_of_call(value, e);
	if (r) return r;
	offer_to_oom_killer(l);
	if (count_childs_pages(l).mapped != count_pages(l, "statm").mapped)
		r = live_foreign_keep_unforked(l, e);
	if (!r && l->shared_bytes) r = read_childs_maps(l, e);
	if (!r && l->shared_bytes) r = live_foreign_keep_shared(l, e);
	if (!r && live_cow_may_exhaust(l)) r = add_ballast(l, e);
	if (r) kill_child(l);
	return r;
}

/* --- after the pause --- */

static int open_childs(struct live *l, const char *name, int flags, int *ret, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "../%d/%s", l->child, name);
	*ret = openat(l->proc_fd, path, flags | O_CLOEXEC);
	return *ret < 0 ? err_errno(e, "%s of the forked child of process %d", name, l->pid) : 0;
}

static int add_if_wiped(void *ctx, const struct range *map, struct scan flags, struct err *e)
{
	return smaps_has(flags, "wf") ? live_foreign_add_running(ctx, map->start, map->end, e) : 0;
}

static int find_wiped(struct live *l, struct err *e)
{
	_cleanup_close_ int fd = -1;

	/* A kernel may be built without it. */
	if (open_childs(l, "smaps", O_RDONLY, &fd, NULL)) return 0;
	return smaps_read(fd, add_if_wiped, l, e);
}

/* The child was forked with our frames on its stack. It is killed with us from now on, and does not
 * need them: what was there before is what the snapshot shows. */
static int clear_frames(struct live *l, int mem_fd, struct err *e)
{
	ssize_t n = pwrite(mem_fd, l->inject_saved, l->inject_len, (off_t)l->inject_frame);

	return n == (ssize_t)l->inject_len
		   ? 0
		   : err_errno(e, "the memory of the forked child of process %d", l->pid);
}

int live_cow_adopt(struct live *l, struct err *e)
{
	int mem_fd = -1, r = await_child(l, e);

	if (!r) r = read_childs_maps(l, e);
	if (!r) r = find_wiped(l, e);
	if (!r) r = open_childs(l, "mem", O_RDWR, &mem_fd, e);
	if (!r) r = clear_frames(l, mem_fd, e);
	if (!r) r = open_childs(l, "pagemap", O_RDONLY, &l->child_pagemap_fd, e);
	if (r) {
		close_fd(&mem_fd);
		return r;
	}
	live_foreign_sort(l);
	l->child_mem_fd = mem_fd;
	live_pages_switch(l, l->child_pagemap_fd);
	l->base.consistency = CONSISTENCY_COW;
	atomic_store(&l->reads_child, true);
	return 0;
}

/* The child's own system calls need no frame to come back to: it never runs by itself. */
int64_t live_cow_call(struct live *l, const struct inject_call *call)
{
	struct user_regs_struct regs;
	int status;

	if (!live_get_regs(l->child, &regs)) return -ESRCH;
	inject_set_call(&regs, &l->site, regs.rsp, call);
	if (!live_set_regs(l->child, &regs)) return -ESRCH;
	/* One stop, behind the call. */
	ptrace(PTRACE_SINGLESTEP, l->child, NULL, NULL);
	if (waitpid(l->child, &status, __WALL) < 0 || !WIFSTOPPED(status) ||
	    WSTOPSIG(status) != SIGTRAP)
		return -EIO;
	return live_get_regs(l->child, &regs) ? (int64_t)regs.rax : -ESRCH;
}

static int64_t unmap(struct live *l, uint64_t start, uint64_t end)
{
	const struct inject_call call = {.nr = SYS_munmap, .args = {start, end - start}};

	return start < end ? live_cow_call(l, &call) : 0;
}

void live_cow_forget(struct live *l, uint64_t start, uint64_t end)
{
	/* Where its calls come from must stay. */
	if (!l->child || (l->site.syscall_ret >= start && l->site.syscall_ret < end)) return;
	if (unmap(l, start, end) != 0) l->forget_failed = true;
}

/* --- the end --- */

/*
 * A process that exits has no memory any more in the eyes of the OOM killer, long before it has
 * given all of it back: it would take the target. So the child gives it back while it lives, but
 * for its ballast and the code its calls come from.
 */
static void empty_child(struct live *l)
{
	uint64_t code = align_down(l->site.syscall_ret, PAGE), after = code + 2 * PAGE;
	const struct range *ballast = &l->ballast;
	const struct sched_param first = {.sched_priority = 1};

	/* Before the target writes more, if we may. */
	sched_setscheduler(l->child, SCHED_FIFO, &first);
	unmap(l, 0, code);
	unmap(l, after, ballast->start ? ballast->start : ADDRESS_END);
	unmap(l, MAX(ballast->end, after), ADDRESS_END);
}

static void end_child(struct live *l)
{
	bool stands = live_cow_may_exhaust(l);

	/* The kernel takes back up to 40 MiB of a process before it gives any of it free
	 * (mm/mmu_gather.c): in that time the target could write as much. */
	if (stands) live_stop_again(l);
	empty_child(l);
	kill_child(l);
	if (!stands) return;
	live_detach(l);
	pthread_mutex_lock(&l->lock);
	l->pause_ns += now_ns() - l->stop_started_ns;
	pthread_mutex_unlock(&l->lock);
}

void live_cow_end(struct live *l)
{
	if (l->child) {
		/* Readers that come from here on read the target. */
		atomic_store(&l->torn, true);
		atomic_store(&l->reads_child, false);
		end_child(l);
	}
	if (l->child_ended) live_reap(l);
}
