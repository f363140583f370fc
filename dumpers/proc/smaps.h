/* The flags of each map of a process: VmFlags in /proc/PID/smaps (proc_pid_smaps(5)). */
#ifndef DUMPERS_PROC_SMAPS_H
#define DUMPERS_PROC_SMAPS_H

#include "base/err.h"
#include "dumpers/proc/scan.h"

/* Called for each map, in order; flags are its two-letter words. Not 0 ends the reading. */
typedef int smaps_fn(void *ctx, const struct range *map, struct scan flags, struct err *e);

bool smaps_has(struct scan flags, const char *flag);
/* Reads an open smaps to its end, in pieces: the text is far longer than that of maps. It takes
 * time that grows with the memory. -ERR_CORRUPT, or what fn returned. */
int smaps_read(int fd, smaps_fn *fn, void *ctx, struct err *e);
/* The parser, of whole lines; at holds the map at hand from one piece to the next, at first {0}. */
int smaps_parse(const char *text, size_t len, struct range *at, smaps_fn *fn, void *ctx,
		struct err *e);

#endif
