/*
 * The instant that several snapshots share: every target stands before the first of them runs on.
 * Each member's tracer thread meets the others, and leaves when it will not meet them again, or
 * cannot: nobody waits for one that failed.
 */
#ifndef DUMPERS_SNAPSHOT_LIVE_WINDOW_H
#define DUMPERS_SNAPSHOT_LIVE_WINDOW_H

#include "base/util.h"

#include <pthread.h>

struct live_window {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t members; /* that have not left */
	size_t here;    /* of those, who wait for the others */
	uint64_t round; /* meetings held */
};
void live_window_init(struct live_window *w, size_t members);
void live_window_done(struct live_window *w);

/* Returns true when all members that have not left are here, false when that is not so by the
 * deadline (CLOCK_MONOTONIC). */
bool live_window_meet(struct live_window *w, uint64_t deadline_ns);
/* Once for each member, whatever happened to it. */
void live_window_leave(struct live_window *w);

#endif
