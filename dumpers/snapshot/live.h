/*
 * The live origin: all threads seized with PTRACE_SEIZE and stopped with PTRACE_INTERRUPT (never
 * SIGSTOP, never EXITKILL on the target), new ones caught until none is left. Then, by mode:
 *
 * - cow: the target is made to fork and runs on; the child is read (live_cow.h). It is given up
 *   when memory gets scarce, and from then on reads are of the running process and torn.
 * - stop: the target stands while it is read, for at most max_pause_ns, and never for stall_ns
 *   without a read; then it is let go, and reads are torn.
 * - nostop: nothing stops, all reads are torn.
 *
 * A thread of its own is the tracer, so that the target is let go in time whatever the readers wait
 * for. If this program dies, the kernel detaches and the target runs on.
 *
 * System calls that the stop interrupted and that do not restart by themselves are set to restart
 * before anything else happens, so that the target sees no EINTR.
 */
#ifndef DUMPERS_SNAPSHOT_LIVE_H
#define DUMPERS_SNAPSHOT_LIVE_H

#include "dumpers/snapshot/snapshot.h"

enum snapshot_mode { SNAPSHOT_AUTO, SNAPSHOT_COW, SNAPSHOT_STOP, SNAPSHOT_NOSTOP };
/* "cow", "stop", ... */
const char *snapshot_mode_name(enum snapshot_mode mode);

struct live_config {
	enum snapshot_mode mode;
	uint64_t max_pause_ns; /* 0: do not stop at all: CONSISTENCY_RUNNING */
	uint64_t stall_ns;     /* let go after this long without a read while stopped; 0: 2 s */
	uint64_t max_memory;   /* bytes that a child may come to cost; 0: what the limits leave */
};

/*
 * -ERR_PERMISSION with the likely blocker (other uid, not dumpable, Yama, already traced by PID)
 * and what helps as the hint, -ERR_GONE, -ERR_UNSUPPORTED (32-bit, kernel thread; a mode that is
 * not possible), -ERR_TIMEOUT when threads cannot be stopped within max_pause, or it would be
 * broken. On failure nothing stays stopped.
 */
int snapshot_open_live(const struct process *target, const struct live_config *config,
		       struct snapshot **ret, struct err *e);
/*
 * Several at one instant: all that can be stopped stand before the first runs on, so each pauses
 * for as long as the slowest takes to stop. ret[i] is NULL where it failed, and errs[i] says why;
 * the others go on.
 */
void snapshot_open_live_together(const struct process *targets, size_t count,
				 const struct live_config *config, struct snapshot **ret,
				 struct err *errs);
/* Lets the target go now; reads go on, torn. Fine when already let go. Returns when it runs. */
void snapshot_live_release(struct snapshot *s);

/* How the snapshot was taken, and why so. */
struct live_plan {
	enum snapshot_mode mode; /* never AUTO */
	char reason[192];
	uint64_t predicted_ns; /* of pause, before it; 0 for nostop */
};
/* NULL for a snapshot of another origin. Borrowed. */
const struct live_plan *snapshot_live_plan(const struct snapshot *s);

struct live_pause {
	uint64_t pause_ns;   /* from the first interrupt until all run again (or now, if stopped) */
	bool released_early; /* by max_pause, stall or memory, not by release or free */
	const char *why;     /* "max-pause", "no progress for 2 s", "memory got scarce", NULL */
};
void snapshot_live_pause(const struct snapshot *s, struct live_pause *ret);
/* True if a read at addr that ended just now may be torn; the core writer asks after each. */
bool snapshot_live_torn(const struct snapshot *s, uint64_t addr);

#endif
