/* The memory map of a process, as /proc/PID/maps prints it (proc(5)). */
#ifndef DUMPERS_PROC_MAPS_H
#define DUMPERS_PROC_MAPS_H

#include "base/buf.h"

#include <sys/mman.h>

enum { MAPS_COUNT_MAX = 1 << 20, MAPS_TEXT_MAX = 256 << 20 };

struct map {
	uint64_t start, end; /* addresses, [start, end) */
	uint64_t offset;     /* bytes into the file */
	uint32_t prot;       /* PROT_READ | PROT_WRITE | PROT_EXEC */
	bool shared;         /* MAP_SHARED */
	bool deleted;        /* the name ended in " (deleted)", which was taken off */
	uint32_t dev_major, dev_minor;
	uint64_t inode;   /* 0: no file */
	const char *name; /* path, "[stack]", or ""; never NULL; owned by the struct maps */
};

struct maps {
	struct map *v; /* ascending, not overlapping */
	size_t count;
	char *names; /* storage of the names */
};
/* Parses the text of a maps file; -ERR_CORRUPT names the line. */
int maps_parse(const char *text, size_t len, struct maps *ret, struct err *e);
/* Appends the map as the same text. */
int maps_format(const struct maps *maps, struct buf *ret, struct err *e);
void maps_done(struct maps *maps);
#define _cleanup_maps_ _cleanup_(maps_done)
/* Memory that looks like a file but has none behind it: memfd, System V and POSIX shared memory,
 * shared anonymous memory, huge pages. It is gone with its last user, or with the pod. */
bool map_is_memory(const struct map *map);
/* The map that holds the address, or NULL. */
const struct map *maps_find(const struct maps *maps, uint64_t address);

#endif
