/* One piece of work for each of many items, several at a time. */
#ifndef COLLECTOR_MANY_H
#define COLLECTOR_MANY_H

#include <stddef.h>

/* worker: which of the workers does it, from 0 on; one does one item at a time. */
typedef void (*many_fn)(void *ctx, size_t item, size_t worker);

/*
 * Calls fn for the items 0 to count - 1, begun in that order, by up to that many workers: this
 * thread, which is worker 0 and the one that signals come to, and others. Fewer where the system
 * allows no more threads. Returns when all are done. After a signal none is begun any more.
 */
void many_run(size_t count, size_t workers, many_fn fn, void *ctx);

#endif
