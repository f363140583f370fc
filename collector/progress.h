/* A progress line on a terminal's stderr: size, rate, time left. Nothing on a pipe. */
#ifndef COLLECTOR_PROGRESS_H
#define COLLECTOR_PROGRESS_H

#include "base/util.h"

#include <pthread.h>

/* Of several captures at a time: one line for all. Zero-initialised but for items. */
struct progress_sum {
	pthread_mutex_t lock;
	size_t items, done;
	uint64_t bytes; /* of evidence, of all that were begun */
	uint64_t started_ns, shown_ns;
	bool shown;
};
void progress_sum_init(struct progress_sum *sum, size_t items);
/* One more is done, for good or ill. */
void progress_sum_step(struct progress_sum *sum);
/* Wipes the line. */
void progress_sum_done(struct progress_sum *sum);

struct progress {                 /* zero-initialised but for sum */
	struct progress_sum *sum; /* NULL: a line of its own */
	uint64_t counted;         /* bytes, in sum */
	uint64_t started_ns, shown_ns;
	bool shown;
};
void progress_show(struct progress *p, uint64_t done, uint64_t total);
/* Wipes the line, if it is its own. */
void progress_end(struct progress *p);

#endif
