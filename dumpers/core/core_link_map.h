/*
 * The dynamic linker's list of what is loaded, as a debugger walks it (gABI chapter 5, DT_DEBUG;
 * <link.h>: r_debug, link_map). glibc and musl agree on the head of these structures.
 */
#ifndef DUMPERS_CORE_CORE_LINK_MAP_H
#define DUMPERS_CORE_CORE_LINK_MAP_H

#include "dumpers/core/core_internal.h"

enum { CORE_WANTED_MAX = 1 << 20 };

/* Pieces of memory that are wanted, in any order. */
struct core_wanted {
	struct range *v; /* owned */
	size_t count, cap;
};
/* Adds [start, start + len). -ERR_LIMIT, -ERR_NO_MEMORY. */
int core_want(struct core_wanted *w, uint64_t start, uint64_t len, struct err *e);
/* Adds the program headers, the dynamic sections, the list and its names, and the written data of
 * modules that libthread_db reads. What cannot be read ends the walk and is no error. */
int core_want_link_map(struct snapshot *s, struct core_wanted *w, struct err *e);

#endif
