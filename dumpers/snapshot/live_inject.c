#include "dumpers/snapshot/live_inject.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
	SEARCH_MAX = 64 << 20, /* bytes of code looked through */
	SEARCH_PIECE = 256 << 10,
	FRAME_ALIGN = 64,
	/* Between the frames and what may be in use above: more than the red zone. */
	STACK_MARGIN = 4096,
	RESTARTS_MAX = 3,
	COMPLETE_AT_ONCE = 4, /* threads; tens of microseconds */
};
#define USER_CS 0x33 /* 64-bit user code */

/* --- where --- */

struct search {
	struct live *l;
	struct inject_site *site;
	uint8_t *piece;
	uint64_t left; /* bytes still to be looked through */
};

static void search_piece(struct search *s, const uint8_t *code, size_t len, uint64_t addr)
{
	for (size_t i = 0; i < len; i++) {
		if (!s->site->syscall_ret && inject_is_syscall_ret(code + i, len - i))
			s->site->syscall_ret = addr + i;
		if (!s->site->restorer && inject_is_restorer(code + i, len - i))
			s->site->restorer = addr + i;
	}
}

static bool found_all(const struct inject_site *site)
{
	return site->syscall_ret && site->restorer;
}

static void search_map(struct search *s, const struct map *map)
{
	for (uint64_t at = map->start; at < map->end && s->left && !found_all(s->site);
	     at += SEARCH_PIECE - INJECT_GADGET_BYTES) {
		size_t want = (size_t)MIN(map->end - at, (uint64_t)SEARCH_PIECE);
		ssize_t n = pread(s->l->inject_mem_fd, s->piece, want, (off_t)at);

		if (n <= 0) return;
		search_piece(s, s->piece, (size_t)n, at);
		s->left -= MIN(s->left, (uint64_t)n);
		if ((size_t)n < want || want < SEARCH_PIECE) return;
	}
}

/* The C library, where both are sure to be if it is glibc or musl. */
static bool is_c_library(const struct map *map)
{
	const char *name = strrchr(map->name, '/');

	return name && (strncmp(name, "/libc", 5) == 0 || strncmp(name, "/ld-", 4) == 0);
}

static void search_maps(struct search *s, const struct maps *maps, bool c_library)
{
	for (size_t i = 0; i < maps->count && !found_all(s->site); i++) {
		const struct map *map = &maps->v[i];

		/* The vsyscall page is not real code. */
		if (!(map->prot & PROT_EXEC) || map->start > INT64_MAX) continue;
		if (is_c_library(map) == c_library) search_map(s, map);
	}
}

static void find_stack(struct live *l, const struct maps *maps, struct inject_site *site)
{
	struct proc_stat stat;

	for (size_t i = 0; i < maps->count; i++) {
		if (strcmp(maps->v[i].name, "[stack]") != 0) continue;
		site->stack_start = maps->v[i].start;
		site->stack_end = maps->v[i].end;
	}
	if (live_read_stat(l, l->live_tid, &stat)) site->start_stack = stat.start_stack;
}

/* A program that was exec'ed has a memory of its own. */
static int open_memory_of_now(struct live *l, struct err *e)
{
	char path[64];

	close_fd(&l->inject_mem_fd);
	snprintf(path, sizeof(path), "task/%d/mem", l->live_tid);
	l->inject_mem_fd = openat(l->proc_fd, path, O_RDWR | O_CLOEXEC);
	if (l->inject_mem_fd < 0)
		return err_set(e, ERR_UNSUPPORTED, "its memory cannot be written");
	return 0;
}

int live_inject_find(struct live *l, struct inject_site *ret, struct err *e)
{
	_cleanup_maps_ struct maps maps = {0};
	_cleanup_free_ uint8_t *piece = malloc(SEARCH_PIECE);
	struct search search = {.l = l, .site = ret, .piece = piece, .left = SEARCH_MAX};
	int r;

	memset(ret, 0, sizeof(*ret));
	if (!piece) return err_set(e, ERR_NO_MEMORY, "looking for code to inject a call with");
	r = open_memory_of_now(l, e);
	if (!r) r = live_read_maps(l, &maps, e);
	if (r) return r;
	find_stack(l, &maps, ret);
	search_maps(&search, &maps, true);
	search_maps(&search, &maps, false);
	if (!found_all(ret))
		return err_set(e, ERR_UNSUPPORTED, "its code has no %s to fork with",
			       ret->syscall_ret ? "rt_sigreturn" : "`syscall; ret`");
	if (!ret->stack_end || !ret->start_stack)
		return err_set(e, ERR_UNSUPPORTED, "it has no main stack that could be found");
	return 0;
}

/* Code may have been unmapped or replaced since. */
static bool still_there(const struct live *l, const struct inject_site *site)
{
	uint8_t code[INJECT_GADGET_BYTES];
	ssize_t n = pread(l->inject_mem_fd, code, sizeof(code), (off_t)site->syscall_ret);

	if (n < 0 || !inject_is_syscall_ret(code, (size_t)n)) return false;
	n = pread(l->inject_mem_fd, code, sizeof(code), (off_t)site->restorer);
	return n >= 0 && inject_is_restorer(code, (size_t)n);
}

/* Zeros, as the kernel gave it, or what a run of ours that was killed here left. */
static bool looks_unused(const uint8_t *bytes, size_t len, const struct inject_site *site)
{
	if (len >= sizeof(site->restorer) &&
	    memcmp(bytes, &site->restorer, sizeof(site->restorer)) == 0)
		return true;
	for (size_t i = 0; i < len; i++)
		if (bytes[i]) return false;
	return true;
}

/*
 * True if nobody uses the len bytes at start, the low end of the main stack: it is well below the
 * main thread's stack pointer. Where that thread runs on another stack (a fiber, a signal handler)
 * or has ended, there is no telling what it left in use, so nothing may be there.
 */
static bool is_free_stack(const struct live *l, const struct inject_site *site, uint64_t start,
			  const uint8_t *bytes, size_t len)
{
	uint64_t end = start + len + STACK_MARGIN;

	for (size_t i = 0; i < l->tracee_count; i++) {
		uint64_t sp = l->tracees[i].facts.sp;

		if (l->tracees[i].tid != l->pid) continue;
		if (sp >= site->stack_start && sp < site->stack_end) return end <= sp;
	}
	return end <= site->start_stack && looks_unused(bytes, len, site);
}

/* --- which thread --- */

/* rseq(2): a thread within such a section may not be made to run elsewhere. */
static bool in_rseq_section(const struct live *l, pid_t tid)
{
	struct __ptrace_rseq_configuration c;
	uint64_t section = 0;

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, (void *)sizeof(c), &c) <= 0)
		return errno != EIO && errno != EINVAL; /* a kernel or a thread without rseq */
	if (!c.rseq_abi_pointer) return false;
	return pread(l->inject_mem_fd, &section, sizeof(section),
		     (off_t)(c.rseq_abi_pointer + 8)) != sizeof(section) ||
	       section != 0;
}

int live_inject_score(struct live *l, const struct tracee *t)
{
	struct user_regs_struct regs;
	int64_t result;

	if (t->state != TRACEE_STOPPED || t->signal) return -1;
	if (!live_get_regs(t->tid, &regs) || regs.cs != USER_CS) return -1;
	if ((int64_t)regs.orig_rax < 0) return in_rseq_section(l, t->tid) ? -1 : 1;
	result = (int64_t)regs.rax;
	/* Those that were made to restart (live_restart.c) come last: they need it as soon as the
	 * thread stands again, too. */
	if (result == -514 && live_may_see_eintr(t)) return 1;
	if (result == -512 || result == -513 || result == -514) return 4;
	return result == -516 ? 2 : 3;
}

/* --- the call --- */

/* One injection under way. */
struct injection {
	struct live *l;
	struct tracee *t;
	const struct inject_call *call;
	struct user_regs_struct before, during;
	uint64_t mask, frame;
	size_t image_len;
	int64_t value;
	pid_t child;
};

/* The next stop: 0 and its wait status. */
static int await_stop(struct injection *in, int *ret_status, struct err *e)
{
	uint64_t start = now_ns();

	for (;;) {
		int r = waitpid(in->t->tid, ret_status, __WALL | WNOHANG);

		if (r > 0 && WIFSTOPPED(*ret_status)) return 0;
		if (r > 0 || (r < 0 && errno != EINTR)) {
			in->t->state = TRACEE_GONE;
			return err_set(e, ERR_GONE, "thread %d ended during the fork", in->t->tid);
		}
		if (now_ns() >= in->call->deadline_ns) {
			in->t->state = TRACEE_LEFT;
			return err_set(e, ERR_TIMEOUT,
				       "the call that forks did not return in time");
		}
		if (!live_complete_some(in->l, COMPLETE_AT_ONCE)) live_nap(start);
	}
}

/* The call itself made a fault, or a filter trapped it. */
static bool is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGSYS ||
	       sig == SIGTRAP || sig == SIGFPE;
}

enum phase { BEFORE_ENTRY, BEFORE_EXIT, AFTER_EXIT };

/* Remembers a signal that came in between (only SIGSTOP is not blocked): detach passes it on. */
static void keep_signal(struct injection *in, int sig)
{
	if (!in->t->signal) in->t->signal = sig;
}

/* A system call's entry and exit. True when it is over. */
static bool take_call_stop(struct injection *in, enum phase *phase)
{
	struct user_regs_struct regs;

	if (*phase == BEFORE_ENTRY) {
		*phase = BEFORE_EXIT;
		return false;
	}
	in->value = live_get_regs(in->t->tid, &regs) ? (int64_t)regs.rax : -EIO;
	return true;
}

/* From the registers being set to the exit of the call. */
static int run_call(struct injection *in, struct err *e)
{
	enum phase phase = BEFORE_ENTRY;

	for (;;) {
		int status, sig, r;
		unsigned long child;

		ptrace(PTRACE_SYSCALL, in->t->tid, NULL, NULL);
		r = await_stop(in, &status, e);
		if (r) return r;
		sig = WSTOPSIG(status);
		switch (status >> 16) {
		case PTRACE_EVENT_CLONE:
		case PTRACE_EVENT_FORK:
			if (ptrace(PTRACE_GETEVENTMSG, in->t->tid, NULL, &child) == 0)
				in->child = (pid_t)child;
			break;
		case 0:
			if (sig == (SIGTRAP | 0x80)) {
				if (take_call_stop(in, &phase)) return 0;
			} else if (is_fault(sig)) {
				in->value = -EFAULT;
				return 0;
			} else {
				keep_signal(in, sig);
			}
			break;
		default: /* a group stop: the kernel reinstates it at detach */
			break;
		}
	}
}

/* To a stop within the kernel's signal code, where the registers of an interrupted call are those
 * it will act on: at the exit of a call they would be taken as its result. */
static int stop_again(struct injection *in, struct err *e)
{
	ptrace(PTRACE_INTERRUPT, in->t->tid, NULL, NULL);
	for (;;) {
		int status, r;

		ptrace(PTRACE_CONT, in->t->tid, NULL, NULL);
		r = await_stop(in, &status, e);
		if (r) return r;
		if (status >> 16 == PTRACE_EVENT_STOP) return 0;
		if (status >> 16 == 0 && !is_fault(WSTOPSIG(status)))
			keep_signal(in, WSTOPSIG(status));
	}
}

static int write_frame(struct injection *in, const struct inject_site *site, struct err *e)
{
	struct live *l = in->l;
	size_t len;

	in->frame = align_up(site->stack_start, FRAME_ALIGN);
	len = inject_build_image(l->inject_image, in->frame, site, &in->before, in->mask,
				 in->t->facts.xstate, in->t->facts.xstate_len);
	if (!len || pread(l->inject_mem_fd, l->inject_saved, len, (off_t)in->frame) != (ssize_t)len)
		return err_set(e, ERR_UNSUPPORTED, "its main stack cannot be read");
	if (!is_free_stack(l, site, in->frame, l->inject_saved, len))
		return err_set(e, ERR_UNSUPPORTED, "its main stack has no room to fork safely");
	if (pwrite(l->inject_mem_fd, l->inject_image, len, (off_t)in->frame) != (ssize_t)len)
		return err_set(e, ERR_UNSUPPORTED, "its main stack cannot be written");
	in->image_len = l->inject_len = len;
	l->inject_frame = in->frame;
	return 0;
}

/* Each thread may have filters of its own, and they may kill it for our call. */
static int look_at_filters(const struct injection *in, uint64_t *ret_options, struct err *e)
{
	char status[LIVE_STATUS_MAX];
	size_t len = live_read_task(in->l, in->t->tid, "status", status, sizeof(status));
	const char *filters = strstr(status, "\nSeccomp_filters:");

	*ret_options = 0;
	/* A text that is cut (thousands of groups) may lack the line. */
	if (len + 1 < sizeof(status) && live_status_hex(status, "Seccomp:") == 0) return 0;
	if (in->l->suspend_seccomp) {
		*ret_options = PTRACE_O_SUSPEND_SECCOMP;
		return 0;
	}
	if (in->l->passed_filters && filters &&
	    strtoull(filters + strlen("\nSeccomp_filters:"), NULL, 10) == in->l->passed_filters)
		return 0;
	return err_set(e, ERR_UNSUPPORTED,
		       "thread %d has a seccomp filter of its own, which may not let it fork",
		       in->t->tid);
}

/*
 * The order matters, for we may die between any two: as soon as the registers lead to the frame,
 * the frame restores everything, the mask too.
 */
static int begin(struct injection *in, const struct inject_site *site, struct err *e)
{
	uint64_t all = UINT64_MAX, options;
	pid_t tid = in->t->tid;
	int r = look_at_filters(in, &options, e);

	if (r) return r;
	live_complete(in->l, in->t);
	if (!in->t->facts.xstate_len)
		return err_set(e, ERR_UNSUPPORTED, "thread %d: no vector registers", tid);
	if (!still_there(in->l, site))
		return err_set(e, ERR_UNSUPPORTED, "its code changed meanwhile");
	if (!live_get_regs(tid, &in->before) ||
	    ptrace(PTRACE_GETSIGMASK, tid, (void *)sizeof(in->mask), &in->mask) < 0)
		return err_set(e, ERR_UNSUPPORTED, "thread %d: no registers", tid);
	if (ptrace(PTRACE_SETOPTIONS, tid, NULL,
		   (void *)(uintptr_t)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | options)) < 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "its seccomp filter cannot be suspended (no CAP_SYS_ADMIN)");
	r = write_frame(in, site, e);
	if (r) return r;
	in->during = in->before;
	inject_set_call(&in->during, site, in->frame, in->call);
	if (!live_set_regs(tid, &in->during))
		return err_set(e, ERR_UNSUPPORTED, "thread %d: registers cannot be set", tid);
	ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof(all), &all);
	return 0;
}

/* The mask goes first: until the registers are back, the frame would do the same. */
static void end(struct injection *in)
{
	ptrace(PTRACE_SETSIGMASK, in->t->tid, (void *)sizeof(in->mask), &in->mask);
	live_set_regs(in->t->tid, &in->before);
	if (pwrite(in->l->inject_mem_fd, in->l->inject_saved, in->image_len, (off_t)in->frame) < 0)
		return; /* below all that is in use: nobody will look */
}

int live_inject(struct live *l, const struct inject_site *site, struct tracee *t,
		const struct inject_call *call, int64_t *ret_value, pid_t *ret_child, struct err *e)
{
	struct injection in = {.l = l, .t = t, .call = call};
	int r = begin(&in, site, e);

	if (r) return r;
	/* The kernel wants a fork to be made anew if something came in between. */
	for (int i = 0; i < RESTARTS_MAX; i++) {
		r = run_call(&in, e);
		if (!r) r = stop_again(&in, e);
		if (r) return r;
		if (in.value != -513) break;
		live_set_regs(t->tid, &in.during);
	}
	end(&in);
	*ret_value = in.value;
	if (ret_child) *ret_child = in.child;
	return 0;
}
