/* A progress line on a terminal's stderr: size, rate, time left. Nothing on a pipe. */
#ifndef COLLECTOR_PROGRESS_H
#define COLLECTOR_PROGRESS_H

#include "base/util.h"

struct progress { /* zero-initialised */
	uint64_t started_ns, shown_ns;
	bool shown;
};
void progress_show(struct progress *p, uint64_t done, uint64_t total);
/* Wipes the line. */
void progress_end(struct progress *p);

#endif
