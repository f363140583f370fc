/*
 * A stop wakes every sleeping system call. Most restart by themselves (-ERESTARTSYS and its kin);
 * those of signal(7), "Interruption of system calls and library functions by stop signals", return
 * EINTR although no signal came. They have done nothing yet, so they are made to run again.
 */
#include "dumpers/snapshot/live_internal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

/* linux/errno.h: what a call says to the kernel's own way out of it, where the thread stands. When
 * it goes on, the kernel makes EINTR of it if a handler is to run first, and else lets the call run
 * again (arch/x86/kernel/signal.c, arch_do_signal_or_restart): whatever comes until then, and
 * whether we are there to see it or not. */
enum { ERESTARTNOHAND = 514 };

/* Not connect (a second one answers EALREADY) and not close (the descriptor is gone). */
static bool fails_with_eintr(uint64_t nr)
{
	static const uint16_t table[] = {
	    SYS_epoll_wait,   SYS_epoll_pwait,   SYS_epoll_pwait2,   SYS_rt_sigtimedwait,
	    SYS_semop,        SYS_semtimedop,    SYS_msgrcv,         SYS_msgsnd,
	    SYS_recvfrom,     SYS_recvmsg,       SYS_recvmmsg,       SYS_sendto,
	    SYS_sendmsg,      SYS_sendmmsg,      SYS_accept,         SYS_accept4,
	    SYS_read,         SYS_readv,         SYS_write,          SYS_writev,
	    SYS_io_getevents, SYS_io_pgetevents, SYS_io_uring_enter, SYS_mq_timedreceive,
	    SYS_mq_timedsend, SYS_futex,         SYS_futex_waitv,
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i] == nr) return true;
	return false;
}

bool live_may_see_eintr(const struct tracee *t)
{
	return t->facts.in_syscall && fails_with_eintr(t->facts.syscall_nr);
}

uint64_t live_pending_signals(pid_t tid)
{
	struct __ptrace_peeksiginfo_args args = {.nr = 16};
	siginfo_t infos[16];
	uint64_t pending = 0;
	long n;

	while ((n = ptrace(PTRACE_PEEKSIGINFO, tid, &args, infos)) > 0) {
		for (long i = 0; i < n; i++)
			if (infos[i].si_signo >= 1 && infos[i].si_signo <= 64)
				pending |= (uint64_t)1 << (infos[i].si_signo - 1);
		args.off += (uint64_t)n;
		if (args.off > 4096) break;
	}
	return pending;
}

bool live_get_regs(pid_t tid, struct user_regs_struct *regs)
{
	struct iovec v = {.iov_base = regs, .iov_len = sizeof(*regs)};

	return ptrace(PTRACE_GETREGSET, tid, (void *)(uintptr_t)NT_PRSTATUS, &v) == 0 &&
	       v.iov_len == sizeof(*regs);
}

bool live_set_regs(pid_t tid, const struct user_regs_struct *regs)
{
	struct iovec v = {.iov_base = (void *)(uintptr_t)regs, .iov_len = sizeof(*regs)};

	return ptrace(PTRACE_SETREGSET, tid, (void *)(uintptr_t)NT_PRSTATUS, &v) == 0;
}

void live_repair_restart(struct tracee *t)
{
	struct user_regs_struct regs;

	if (t->state != TRACEE_STOPPED) return;
	if (t->facts.gregs_len == sizeof(regs))
		memcpy(&regs, t->facts.gregs, sizeof(regs));
	else if (!live_get_regs(t->tid, &regs))
		return;
	if ((int64_t)regs.orig_rax < 0 || (int64_t)regs.rax != -EINTR) return;
	if (!fails_with_eintr(regs.orig_rax)) return;
	regs.rax = (unsigned long long)-ERESTARTNOHAND;
	live_set_regs(t->tid, &regs);
}
