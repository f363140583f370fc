#include "dumpers/snapshot/live_window.h"

#include <errno.h>
#include <time.h>

void live_window_init(struct live_window *w, size_t members)
{
	pthread_condattr_t attr;

	*w = (struct live_window){.members = members};
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &attr);
	pthread_condattr_destroy(&attr);
}

void live_window_done(struct live_window *w)
{
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
}

/* With the lock held. */
static void meet_if_all_are_here(struct live_window *w)
{
	if (w->here < w->members) return;
	w->here = 0;
	w->round++;
	pthread_cond_broadcast(&w->changed);
}

bool live_window_meet(struct live_window *w, uint64_t deadline_ns)
{
	const struct timespec deadline = {
	    .tv_sec = (time_t)(deadline_ns / NS_PER_S),
	    .tv_nsec = (long)(deadline_ns % NS_PER_S),
	};
	uint64_t round;
	bool met;

	pthread_mutex_lock(&w->lock);
	round = w->round;
	w->here++;
	meet_if_all_are_here(w);
	while (w->round == round &&
	       pthread_cond_timedwait(&w->changed, &w->lock, &deadline) != ETIMEDOUT)
		continue;
	met = w->round != round;
	if (!met) w->here--;
	pthread_mutex_unlock(&w->lock);
	return met;
}

void live_window_leave(struct live_window *w)
{
	pthread_mutex_lock(&w->lock);
	w->members--;
	if (w->here) meet_if_all_are_here(w);
	pthread_mutex_unlock(&w->lock);
}
