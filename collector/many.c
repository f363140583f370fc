#include "collector/many.h"

#include "base/log.h"
#include "base/thread.h"
#include "collector/cancel.h"

#include <stdatomic.h>

struct many {
	atomic_size_t next;
	size_t count;
	many_fn fn;
	void *ctx;
};

struct worker {
	struct many *many;
	size_t number;
	pthread_t thread;
};

static void *work(void *arg)
{
	const struct worker *w = arg;
	struct many *m = w->many;
	while (!atomic_load(&cancel_requested)) {
		size_t item = atomic_fetch_add(&m->next, 1);
		if (item >= m->count) break;
		m->fn(m->ctx, item, w->number);
	}
	return NULL;
}

void many_run(size_t count, size_t workers, many_fn fn, void *ctx)
{
	struct many many = {.count = count, .fn = fn, .ctx = ctx};
	struct worker mine = {.many = &many}, *others = NULL;
	size_t wanted = MIN(workers, count), started = 0;
	struct err e;
	if (wanted > 1) others = calloc(wanted - 1, sizeof *others);
	for (size_t i = 0; others && i < wanted - 1; i++) {
		others[i] = (struct worker){.many = &many, .number = i + 1};
		if (thread_start(&others[i].thread, work, &others[i], &e)) {
			log_debug("going on with %zu at a time: %s", started + 1, e.text);
			break;
		}
		started++;
	}
	work(&mine);
	for (size_t i = 0; i < started; i++)
		pthread_join(others[i].thread, NULL);
	free(others);
}
