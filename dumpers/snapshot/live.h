/*
 * The live origin: all threads seized with PTRACE_SEIZE and stopped with PTRACE_INTERRUPT (never
 * SIGSTOP, never EXITKILL on the target), new ones caught until none is left. A thread of its own
 * is the tracer, so that the target is let go in time whatever the readers wait for: after
 * max_pause_ns, or stall_ns without a read, it detaches all, and from then on reads are of the
 * running process and torn. If this program dies the kernel detaches and the target runs on.
 *
 * System calls that the stop interrupted and that do not restart by themselves are set to restart
 * before anything else happens, so that the target sees no EINTR.
 */
#ifndef DUMPERS_SNAPSHOT_LIVE_H
#define DUMPERS_SNAPSHOT_LIVE_H

#include "dumpers/snapshot/snapshot.h"

struct live_config {
	uint64_t max_pause_ns; /* 0: do not stop at all: CONSISTENCY_RUNNING */
	uint64_t stall_ns;     /* let go after this long without a read while stopped; 0: 2 s */
};

/*
 * -ERR_PERMISSION with the likely blocker in the hint (other uid, not dumpable, Yama, seccomp,
 * already traced by PID), -ERR_GONE, -ERR_UNSUPPORTED (32-bit, kernel thread), -ERR_TIMEOUT when
 * threads cannot be stopped within max_pause. On failure nothing stays stopped.
 */
int snapshot_open_live(const struct process *target, const struct live_config *config,
		       struct snapshot **ret, struct err *e);
/* Lets the target go now; reads go on, torn. Fine when already let go. Returns when it runs. */
void snapshot_live_release(struct snapshot *s);

struct live_pause {
	uint64_t pause_ns;   /* from the first interrupt until all run again (or now, if stopped) */
	bool released_early; /* by max_pause or stall, not by release or free */
	const char *why;     /* "max-pause", "no progress for 2 s", NULL */
};
void snapshot_live_pause(const struct snapshot *s, struct live_pause *ret);
/* True once reads are torn; the core writer asks after each read. */
bool snapshot_live_torn(const struct snapshot *s);

#endif
