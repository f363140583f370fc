/* The origin of tests: facts and memory from arrays. */
#ifndef DUMPERS_SNAPSHOT_MEMORY_H
#define DUMPERS_SNAPSHOT_MEMORY_H

#include "dumpers/snapshot/snapshot.h"

struct memory_range {
	uint64_t start, end;
	enum mem_state state;
	const void *data; /* end - start bytes for MEM_BYTES, copied */
};
/* Copies everything. maps_text as in /proc/PID/maps; ranges ascending; what they leave open inside
 * the maps is NOT_CAPTURED. */
int snapshot_open_memory(const char *maps_text, const struct memory_range *ranges, size_t count,
			 const struct snapshot_thread *threads, size_t thread_count,
			 struct snapshot **ret, struct err *e);

#endif
