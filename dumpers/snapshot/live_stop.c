#include "dumpers/snapshot/live_internal.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* A thread that neither stops nor runs is in uninterruptible sleep (a vfork, a dead NFS server). */
#define STUCK_AFTER_NS (10 * (uint64_t)NS_PER_MS)
#define NAP_NS_MIN ((uint64_t)20000)
enum { NAP_SHARE = 32, MISSES_MAX = 16 };
#define SINGLE_STOP_NS (1 * (uint64_t)NS_PER_MS)
/* As long as a thread takes that gets a CPU at once. */
#define SPIN_NS 50000
#define WOKEN_NS_MAX (100 * (uint64_t)NS_PER_MS)

static void forget(struct live *l, struct tracee *t)
{
	t->state = TRACEE_GONE;
	/* The number may come back as a new thread. */
	l->known[t->tid / 8] &= (uint8_t) ~(1u << t->tid % 8);
}

static int seize(struct live *l, struct tracee *t, struct err *e)
{
	char state;

	if (ptrace(PTRACE_SEIZE, t->tid, NULL, NULL) == 0) {
		t->state = TRACEE_SEIZED;
		return 0;
	}
	if (errno == ESRCH) {
		forget(l, t);
		return 0;
	}
	if (errno != EPERM) return live_denied(l, "PTRACE_SEIZE", e);
	state = live_thread_state(l, t->tid);
	if (state != 'Z' && state != 'X') {
		errno = EPERM;
		return live_denied(l, "PTRACE_SEIZE", e);
	}
	if (t->tid == l->pid) {
		t->state = TRACEE_STUCK;
		t->taken = true;
	} else {
		forget(l, t);
	}
	return 0;
}

static int seize_all(struct live *l, struct err *e)
{
	for (size_t i = 0; i < l->tracee_count; i++) {
		int r = l->tracees[i].state == TRACEE_KNOWN ? seize(l, &l->tracees[i], e) : 0;

		if (r) return r;
	}
	return 0;
}

/* A signal frame (sysconf(3), _SC_MINSIGSTKSZ) holds all of it, and some more. */
size_t live_xstate_room(void)
{
	uint64_t frame = getauxval(AT_MINSIGSTKSZ);

	return (size_t)MIN(frame ? frame : 16 * KIB, (uint64_t)SNAPSHOT_XSTATE_MAX);
}

static void read_fpregs(struct snapshot_thread *t, pid_t tid)
{
	struct iovec v = {.iov_base = t->fpregs, .iov_len = sizeof(t->fpregs)};

	/* The legacy area at the start of XSAVE has the very layout of NT_FPREGSET. */
	if (t->xstate_len >= 512) {
		memcpy(t->fpregs, t->xstate, 512);
		t->fpregs_len = 512;
		return;
	}
	if (ptrace(PTRACE_GETREGSET, tid, (void *)(uintptr_t)NT_FPREGSET, &v) == 0)
		t->fpregs_len = v.iov_len;
}

void live_complete(struct live *l, struct tracee *tracee)
{
	struct snapshot_thread *t = &tracee->facts;
	struct iovec x = {.iov_base = t->xstate, .iov_len = live_xstate_room()};

	if (tracee->complete || tracee->state != TRACEE_STOPPED) return;
	tracee->complete = true;
	if (ptrace(PTRACE_GETREGSET, tracee->tid, (void *)(uintptr_t)NT_X86_XSTATE, &x) == 0)
		t->xstate_len = x.iov_len;
	read_fpregs(t, tracee->tid);
	ptrace(PTRACE_GETSIGMASK, tracee->tid, (void *)sizeof(t->sighold), &t->sighold);
	t->sigpend = live_pending_signals(tracee->tid);
	if (tracee->signal) {
		t->cursig = tracee->signal;
		ptrace(PTRACE_GETSIGINFO, tracee->tid, NULL, (void *)t->siginfo);
	}
}

bool live_complete_some(struct live *l, size_t count)
{
	for (; l->completed < l->tracee_count && count; l->completed++, count--)
		live_complete(l, &l->tracees[l->completed]);
	return l->completed < l->tracee_count;
}

/*
 * Has it come to its stop? 1: yes; 0: not yet; -1: it has ended. The stop is looked at and not
 * taken: from a stop that was waited for the kernel drops the signal before which the thread stands
 * (kernel/exit.c, wait_task_stopped), and if we died then, the target would never get it.
 */
static int look_for_stop(struct tracee *t)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)t->tid, &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL) < 0)
		return errno == EINTR ? 0 : -1;
	if (info.si_pid == 0) return 0;
	if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED) {
		waitpid(t->tid, NULL, __WALL | WNOHANG);
		return -1;
	}
	t->state = TRACEE_STOPPED;
	/* No event: it stands before a signal. EVENT_STOP: our interrupt, or a group stop. */
	t->signal = info.si_status >> 8 == 0 ? info.si_status : 0;
	return 1;
}

void live_poll_tracee(struct live *l, struct tracee *t)
{
	struct iovec gregs = {.iov_base = t->facts.gregs, .iov_len = sizeof(t->facts.gregs)};
	int r = look_for_stop(t);

	if (r < 0) forget(l, t);
	if (r <= 0) return;
	t->taken = true;
	if (ptrace(PTRACE_GETREGSET, t->tid, (void *)(uintptr_t)NT_PRSTATUS, &gregs) == 0)
		t->facts.gregs_len = gregs.iov_len;
	live_repair_restart(t);
	regs_derive(regs_layout(l->base.e_machine), &t->facts);
}

static bool cannot_stop(struct live *l, const struct tracee *t)
{
	char state = live_thread_state(l, t->tid);

	return state == 'D' || (state == 'Z' && t->tid == l->pid);
}

/*
 * A thread that was taken to be stuck may only have waited for a lock, say, of the address space,
 * that a thread without a CPU held: it comes to its stop now. Returns whether one did, or runs.
 */
static bool recall_stuck(struct live *l, struct tracee *t)
{
	if (t->state != TRACEE_STUCK || cannot_stop(l, t)) return false;
	t->state = TRACEE_SEIZED;
	live_poll_tracee(l, t);
	return true;
}

static void give_up_stuck(struct live *l)
{
	/* One that could run but gets no CPU may hold the lock that the others wait for. */
	for (size_t i = 0; i < l->tracee_count; i++)
		if (l->tracees[i].state == TRACEE_SEIZED && !cannot_stop(l, &l->tracees[i])) return;
	for (size_t i = 0; i < l->tracee_count; i++) {
		struct tracee *t = &l->tracees[i];

		if (t->state != TRACEE_SEIZED) continue;
		t->state = TRACEE_STUCK;
		t->taken = true;
		live_read_syscall(l, t->tid, &t->facts);
	}
}

void live_nap(uint64_t since_ns)
{
	const struct timespec nap = {
	    .tv_nsec = (long)MIN(MAX((now_ns() - since_ns) / NAP_SHARE, NAP_NS_MIN), NS_PER_MS)};

	nanosleep(&nap, NULL);
}

/* Polls those on their way to the stop, until misses_max of them have not got there yet. */
static void poll_tracees(struct live *l, size_t misses_max, size_t *ret_came, size_t *ret_misses)
{
	*ret_came = *ret_misses = 0;
	for (size_t i = 0; i < l->tracee_count && *ret_misses < misses_max; i++) {
		if (l->tracees[i].state != TRACEE_SEIZED) continue;
		live_poll_tracee(l, &l->tracees[i]);
		++*(l->tracees[i].state == TRACEE_SEIZED ? ret_misses : ret_came);
	}
}

/* Waits until none is on its way to the stop. They come in about the order in which they were
 * asked, so only when none of the first ones came, all are polled. */
static int collect(struct live *l, struct err *e)
{
	uint64_t deadline = l->stop_started_ns + l->config.max_pause_ns;
	uint64_t last = now_ns();

	for (;;) {
		size_t came, misses;

		poll_tracees(l, MISSES_MAX, &came, &misses);
		if (misses && !came) poll_tracees(l, SIZE_MAX, &came, &misses);
		if (!misses) return 0;
		if (came) last = now_ns();
		if (now_ns() >= deadline)
			return err_set(e, ERR_TIMEOUT,
				       "threads of process %d did not stop within %llu ms", l->pid,
				       (unsigned long long)(l->config.max_pause_ns / NS_PER_MS));
		if (now_ns() - last >= STUCK_AFTER_NS) give_up_stuck(l);
		/* Also when some came: those that run next may be waiting for our CPU. */
		live_nap(last);
	}
}

/* Once: a second one would stop it again when it has been let go. */
static void interrupt(struct tracee *t)
{
	if (t->state != TRACEE_SEIZED || t->interrupted) return;
	t->interrupted = true;
	/* An error means that the thread stopped for a signal or ended: waitpid will tell. */
	ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL);
}

/* Spins at first. A thread that is to run on our CPU does not before we sleep: we go first. */
static void await_single(struct live *l, struct tracee *t)
{
	uint64_t start = now_ns(), now = start;

	while (t->state == TRACEE_SEIZED && now - start < SINGLE_STOP_NS) {
		if (now - start >= SPIN_NS) live_nap(start);
		live_poll_tracee(l, t);
		now = now_ns();
	}
}

/*
 * A call of the kind that the stop makes fail is mended as soon as its thread stands; if we die
 * before, the target sees the EINTR. No kernel interface stops such a thread without it, so they
 * are stopped one by one: at most one is in that state, but for those that enter such a call just
 * now.
 */
static void interrupt_singly(struct live *l)
{
	/* While all still run: at 1,000 threads it is half of the work. */
	for (size_t i = 0; i < l->tracee_count; i++) {
		struct tracee *t = &l->tracees[i];

		if (t->state != TRACEE_SEIZED || t->interrupted) continue;
		live_read_syscall(l, t->tid, &t->facts);
		t->parent = live_may_see_eintr(t) && live_has_children(l, t->tid);
	}
	if (!l->stop_started_ns) l->stop_started_ns = now_ns();
	for (size_t i = 0; i < l->tracee_count; i++) {
		struct tracee *t = &l->tracees[i];

		if (t->state != TRACEE_SEIZED || t->interrupted || !live_may_see_eintr(t)) continue;
		interrupt(t);
		await_single(l, t);
	}
}

static void interrupt_all(struct live *l)
{
	for (size_t i = 0; i < l->tracee_count; i++)
		interrupt(&l->tracees[i]);
}

/* The kernel's count of threads is that of those which stand (proc(5): links of task/). */
static bool all_stand(struct live *l)
{
	struct stat st;
	size_t standing = 0;

	for (size_t i = 0; i < l->tracee_count; i++)
		standing +=
		    l->tracees[i].state == TRACEE_STOPPED || l->tracees[i].state == TRACEE_STUCK;
	return fstat(l->task_fd, &st) == 0 && st.st_nlink == standing + 2;
}

static bool recall_all_stuck(struct live *l)
{
	bool any = false;

	for (size_t i = 0; i < l->tracee_count; i++)
		any |= recall_stuck(l, &l->tracees[i]);
	return any;
}

static int stop_rounds(struct live *l, struct err *e)
{
	size_t added = 0;
	int r = seize_all(l, e);

	while (!r) {
		interrupt_singly(l);
		interrupt_all(l);
		r = collect(l, e);
		if (!r && recall_all_stuck(l)) continue;
		if (r || all_stand(l)) break;
		r = live_scan_threads(l, &added, e);
		if (!r && !added) break;
		if (!r) r = seize_all(l, e);
	}
	return r;
}

void live_hurry(bool hurry)
{
	const struct sched_param param = {.sched_priority = hurry ? 1 : 0};

	/* Without it each nap lasts 70 us; without the priority the woken threads of the target
	 * come before us. */
	prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
	pthread_setschedparam(pthread_self(), hurry ? SCHED_FIFO : SCHED_OTHER, &param);
}

static size_t count_in_state(const struct live *l, enum tracee_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < l->tracee_count; i++)
		count += l->tracees[i].state == state;
	return count;
}

static bool is_fork(uint64_t nr)
{
	return nr == SYS_vfork || nr == SYS_clone || nr == SYS_clone3;
}

/* vfork(2), also as clone(2) does it, returns when the child executes another program. */
static bool waits_for_child(const struct live *l)
{
	for (size_t i = 0; i < l->tracee_count; i++) {
		const struct tracee *t = &l->tracees[i];

		if (t->state == TRACEE_STUCK && t->facts.in_syscall && is_fork(t->facts.syscall_nr))
			return true;
	}
	return false;
}

int live_stop(struct live *l, struct err *e)
{
	int r = stop_rounds(l, e);

	if (r || count_in_state(l, TRACEE_STOPPED)) return r;
	if (!count_in_state(l, TRACEE_STUCK))
		return err_set(e, ERR_GONE, "process %d ended", l->pid);
	l->waits_for_child = waits_for_child(l);
	err_set(e, ERR_UNSUPPORTED,
		"all its threads are in uninterruptible waits, and cannot be stopped");
	return err_hint(e, "wait for the end of that (a vfork, a file system that hangs), or take "
			   "it unstopped: --snapshot=nostop");
}

void live_stop_again(struct live *l)
{
	l->stop_started_ns = 0;
	stop_rounds(l, NULL);
}

/* One that did not stop in time may stand by now. */
static void catch_latecomer(struct live *l, struct tracee *t)
{
	int r = look_for_stop(t);

	if (r < 0) t->state = TRACEE_GONE;
	if (r > 0) live_repair_restart(t);
}

static void detach(struct live *l, struct tracee *t)
{
	if (t->state == TRACEE_STUCK || t->state == TRACEE_SEIZED) catch_latecomer(l, t);
	if (t->state != TRACEE_STOPPED) return;
	if (ptrace(PTRACE_DETACH, t->tid, NULL, (void *)(uintptr_t)t->signal) < 0)
		waitpid(t->tid, NULL, __WALL | WNOHANG);
	t->state = TRACEE_KNOWN;
	t->signal = 0;
	t->interrupted = false;
}

enum { TURNS = 3 };
static int turn_to_go(const struct live *l, const struct tracee *t)
{
	if (!live_may_see_eintr(t)) return 0;
	return t->tid == l->pid || t->parent ? 1 : 2;
}

/* Those that cannot be detached because they do not stand are let go when they do, or by the kernel
 * when the tracer thread ends. */
void live_detach(struct live *l)
{
	for (int turn = 0; turn < TURNS; turn++)
		for (size_t i = 0; i < l->tracee_count; i++)
			if (turn_to_go(l, &l->tracees[i]) == turn) detach(l, &l->tracees[i]);
}

bool live_detach_latecomers(struct live *l)
{
	bool more = false;

	for (size_t i = 0; i < l->tracee_count; i++) {
		struct tracee *t = &l->tracees[i];

		if (t->state != TRACEE_STUCK && t->state != TRACEE_SEIZED) continue;
		/* A main thread that ended cannot be seized, and does not come. */
		if (t->tid == l->pid && l->live_tid != l->pid) continue;
		detach(l, t);
		more |= t->state == TRACEE_STUCK || t->state == TRACEE_SEIZED;
	}
	return more;
}

/* Signals that wait for the process and that it does not handle. */
static bool ignored_signals_wait(struct live *l)
{
	char status[LIVE_STATUS_MAX];

	return live_read_proc(l, "status", status, sizeof(status)) &&
	       (live_status_hex(status, "ShdPnd:") & ~live_status_hex(status, "SigBlk:") &
		~live_status_hex(status, "SigCgt:"));
}

void live_detach_woken(struct live *l)
{
	uint64_t start = now_ns();

	/* A signal leaves the queue in the same step in which its thread stops for it. */
	while (ignored_signals_wait(l) && now_ns() - start < WOKEN_NS_MAX) {
		live_detach_latecomers(l);
		live_nap(start);
	}
	live_detach_latecomers(l);
}

int live_publish_threads(struct live *l, struct err *e)
{
	struct snapshot *s = &l->base;

	s->threads = calloc(l->tracee_count, sizeof(*s->threads));
	if (!s->threads) return err_set(e, ERR_NO_MEMORY, "%zu threads", l->tracee_count);
	for (size_t i = 0; i < l->tracee_count; i++) {
		struct tracee *t = &l->tracees[i];

		if (!t->taken || t->state == TRACEE_GONE) continue;
		s->threads[s->thread_count++] = t->facts;
		t->facts.xstate = NULL;
	}
	snapshot_sort_threads(s);
	return 0;
}
