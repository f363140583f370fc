/*
 * Who holds which lock and who waits for it, whatever kind of locks they are: whoever knows a kind
 * (dumpers/dotnet/monitors.h) puts in what it finds. Nothing is guessed: a thread that waits for
 * nobody knows what, and a lock without a known owner, stay so.
 */
#ifndef DUMPERS_LOCKS_LOCK_GRAPH_H
#define DUMPERS_LOCKS_LOCK_GRAPH_H

#include "base/err.h"

#define LOCK_NONE SIZE_MAX
enum { LOCKS_MAX = 1 << 20, LOCK_THREADS_MAX = 1 << 18 };

struct lock_thread {
	uint32_t tid;     /* as the system numbers it; 0: it has ended */
	uint32_t managed; /* as its runtime numbers it; 0: it does not */
	const char *name; /* NULL: none */
	bool waits;       /* for a lock */
	size_t waits_for; /* its index; LOCK_NONE: not known which, or it does not wait */
};
struct lock {
	const char *kind; /* static text: "monitor" */
	const char *type; /* of what it belongs to */
	uint64_t address; /* of that */
	bool held;
	size_t owner;     /* index of the thread; LOCK_NONE: nobody, or not recorded */
	uint64_t times;   /* that the owner has entered it */
	uint64_t waiting; /* threads that wait for it, by its own count */
};
struct lock_graph {
	struct lock_thread *threads; /* owned, with their names */
	size_t thread_count;
	struct lock *locks; /* owned, with their types */
	size_t lock_count;
};
void lock_graph_done(struct lock_graph *g);
#define _cleanup_lock_graph_ _cleanup_(lock_graph_done)

/* Copies the record and its texts; *ret (may be NULL): its index. -ERR_LIMIT, -ERR_NO_MEMORY. */
int lock_graph_add_thread(struct lock_graph *g, const struct lock_thread *t, size_t *ret,
			  struct err *e);
int lock_graph_add_lock(struct lock_graph *g, const struct lock *l, size_t *ret, struct err *e);

/* Threads that wait for each other in a circle. */
struct lock_cycle {
	size_t
	    *threads; /* owned; each waits for a lock of the next, the last for one of the first */
	size_t count;
};
struct lock_cycles {
	struct lock_cycle *v; /* owned; the lowest tid of each comes first */
	size_t count;
};
/* Indexes that the graph's records hold are checked. */
int lock_graph_cycles(const struct lock_graph *g, struct lock_cycles *ret, struct err *e);
void lock_cycles_done(struct lock_cycles *c);
#define _cleanup_lock_cycles_ _cleanup_(lock_cycles_done)

struct buf;
struct json;
/*
 * Text: each deadlock first, "deadlock: THREAD holds TYPE @ADDRESS, waits for TYPE @ADDRESS held by
 * THREAD", a line for each of its threads; then the locks that are held or waited for, those with
 * most waiters first; then threads of which nobody knows what they wait for.
 */
int lock_graph_text(const struct lock_graph *g, struct buf *ret, struct err *e);
/* Members of an object: "deadlocks": [[{"thread","holds","waits_for"}]], "locks": [{"kind","type",
 * "address","held","owner","times","waiting","waiters"}], "waits_not_known": [thread]. A thread is
 * {"tid","managed"?,"name"}, holds and waits_for are addresses. */
int lock_graph_json(const struct lock_graph *g, struct json *j, struct err *e);

#endif
