/*
 * Locks of System.Threading.Monitor (C#'s lock statement). A lock that nobody else wanted is in the
 * word before its object, a thin lock; any other has a sync block, which the runtime lists
 * (dotnet/runtime, src/coreclr/vm/syncblk.h).
 */
#ifndef DUMPERS_DOTNET_MONITORS_H
#define DUMPERS_DOTNET_MONITORS_H

#include "dumpers/dotnet/walk.h"
#include "dumpers/locks/lock_graph.h"

/* What the word before an object says of its lock. */
struct thin_lock {
	uint32_t id;    /* of the managed thread that holds it, where is_sure */
	uint32_t times; /* that it has entered */
	bool is_sure; /* else two layouts of the word are possible, of different versions of .NET */
};
typedef bool (*thin_lock_thread_fn)(void *ctx, uint32_t id);
/* False: it is no thin lock that is held. is_thread: is that the id of a managed thread? */
bool thin_lock_parse(uint32_t word, thin_lock_thread_fn is_thread, void *ctx,
		     struct thin_lock *ret);

/*
 * Adds to g the managed threads, and locks that are held or waited for. A thread waits for a lock
 * where it stands in Monitor.Enter with a reference to the object that the runtime keeps for just
 * that call. ret_loss: parts of the heap in which thin locks could not be looked for. Errors of the
 * DAC's process, limits of lock_graph.h.
 */
int dotnet_monitors(struct dotnet *d, struct lock_graph *g, struct dotnet_walk_loss *ret_loss,
		    struct err *e);

#endif
