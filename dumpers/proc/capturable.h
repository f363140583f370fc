/*
 * Whether a process can be captured, and if not, what stands in the way. The kernel itself is
 * asked, without any side effect on the target: reading /proc/PID/personality needs the same right
 * as PTRACE_SEIZE (PTRACE_MODE_ATTACH_FSCREDS, fs/proc/base.c), Yama and other security modules
 * included. Where it says no, the rules of ptrace(2), "Ptrace access mode checking", are gone
 * through to name the first that forbids.
 */
#ifndef DUMPERS_PROC_CAPTURABLE_H
#define DUMPERS_PROC_CAPTURABLE_H

#include "dumpers/proc/status.h"

enum blocker {
	BLOCKER_NONE,
	BLOCKER_SELF,          /* it is this program */
	BLOCKER_KERNEL_THREAD, /* it has no memory of its own */
	BLOCKER_ZOMBIE,        /* it ended */
	BLOCKER_TRACED,        /* by somebody else */
	BLOCKER_BITS,          /* a 32-bit program */
	BLOCKER_MACHINE,       /* another CPU: emulated */
	BLOCKER_UID,           /* other user, and we lack CAP_SYS_PTRACE */
	BLOCKER_USERNS,        /* other user namespace */
	BLOCKER_DUMPABLE,      /* prctl(PR_SET_DUMPABLE, 0), set-uid, unreadable program */
	BLOCKER_CAPS,          /* it has capabilities that we lack */
	BLOCKER_YAMA,          /* kernel.yama.ptrace_scope */
	BLOCKER_SECURITY,      /* none of these: a security module */
	BLOCKER_GONE,          /* it ended while we looked */
	BLOCKER_COUNT,
};
/* One word: "uid", "yama"; "" for NONE. */
const char *blocker_name(enum blocker blocker);

/* Is it the right to trace that is missing, which another program may have? */
bool blocker_is_of_rights(enum blocker blocker);

enum { VERDICT_TEXT_MAX = 256 };
struct capture_verdict {
	enum blocker blocker;
	char reason[VERDICT_TEXT_MAX]; /* one sentence, "" when it can be captured */
	char hint[VERDICT_TEXT_MAX];   /* the smallest change that helps, or "" */
};

/* What the rules look at; gathered by process_refusal, given by tests. */
struct ptrace_facts {
	struct proc_status ours, theirs;
	bool dumpable;      /* the target's */
	bool same_userns;   /* or not known */
	int yama_scope;     /* 0 also where there is no Yama */
	bool is_descendant; /* the target is below us: Yama 1 allows it */
};
/* The first rule that forbids; SECURITY when none does. */
enum blocker ptrace_blocker(const struct ptrace_facts *facts);
/*
 * Is the target dumpable? facts->dumpable says whether its files in /proc have its own owner, which
 * shows nothing where that is root in any case. The right to read (readable: /proc/PID/maps, auxv)
 * is that to trace but for Yama: where it is missing although users and capabilities allow it, that
 * is the likeliest reason.
 */
bool ptrace_dumpable(const struct ptrace_facts *facts, bool readable);

/* status is the target's, already read. Never fails. */
void process_capturable(const struct process *p, const struct proc_status *status,
			struct capture_verdict *ret);
/* The same for a process that the kernel just refused to let us trace or read: who traces it, or
 * the first rule that forbids; never BLOCKER_NONE. */
void process_refusal(const struct process *p, const struct proc_status *status,
		     struct capture_verdict *ret);

#endif
