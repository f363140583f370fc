#include "dumpers/snapshot/live_window.h"

#include "base/thread.h"

#include <errno.h>

void live_window_init(struct live_window *w, size_t members)
{
	*w = (struct live_window){.members = members};
	pthread_mutex_init(&w->lock, NULL);
	cond_init(&w->changed);
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
	uint64_t round;
	bool met;

	pthread_mutex_lock(&w->lock);
	round = w->round;
	w->here++;
	meet_if_all_are_here(w);
	while (w->round == round &&
	       cond_wait_until(&w->changed, &w->lock, deadline_ns) != ETIMEDOUT)
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
