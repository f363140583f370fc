/*
 * The copy-on-write child: the target is made to fork while it stands, and runs on at once. The
 * child never runs; it keeps the memory as it was, and is read instead of the target. It shares the
 * target's descriptors (CLONE_FILES: nobody's end of file is late), signals nobody at its end, and
 * is killed with this program (PTRACE_O_EXITKILL).
 *
 * What a child does not get, or does not keep as it was, is in live_foreign.h.
 *
 * All of it is for the tracer thread only.
 */
#ifndef DUMPERS_SNAPSHOT_LIVE_COW_H
#define DUMPERS_SNAPSHOT_LIVE_COW_H

#include "dumpers/snapshot/live_inject.h"

/* In the pause, all threads standing: forks. -ERR_UNSUPPORTED says why it cannot be, and the target
 * stands as before; -ERR_TIMEOUT: it hangs in its fork, the pause must end. */
int live_cow_fork(struct live *l, struct err *e);
/* True if the target, by writing, could use up the memory that is left: the child has pages of it,
 * and each costs one when it is written. */
bool live_cow_may_exhaust(struct live *l);
/* The same of a child that would have so many bytes. */
bool live_cow_would_exhaust(const struct live *l, uint64_t child_bytes);
/* After the fork, best when the target runs again: from here on memory is the child's. */
int live_cow_adopt(struct live *l, struct err *e);
/* The child gives up [start, end), which nobody will read again. */
void live_cow_forget(struct live *l, uint64_t start, uint64_t end);
/*
 * Ends the child and makes the target wait for it, and for those that killed runs left. Fine
 * without one. Where memory might run out meanwhile the target stands until the child's is given
 * back, and pause_ns grows by that.
 */
void live_cow_end(struct live *l);

/* The child, which stands, runs a call: its result, negative errno included. */
int64_t live_cow_call(struct live *l, const struct inject_call *call);

/* --- live_ballast.c --- */
/* Makes the child, which stands, the one that the OOM killer takes, whatever it gives up. base.maps
 * are known. -ERR_UNSUPPORTED when it cannot be. */
int live_ballast_add(struct live *l, struct err *e);
/* What it comes to weigh, if the child's oom_score_adj can be set. */
uint64_t live_ballast_bytes(struct live *l);

#endif
