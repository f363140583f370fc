/* The names of a bundle's entries so far: each may come once, and BUNDLE_ENTRIES_MAX of them. */
#ifndef BUNDLE_NAME_SET_H
#define BUNDLE_NAME_SET_H

#include "bundle/entry.h"

struct name_set {
	void *tree; /* tsearch(3), of owned strings */
	size_t count;
};

/* Adds a copy. -ERR_EXISTS if it is there, -ERR_LIMIT, -ERR_NO_MEMORY; then nothing is added. */
int name_set_add(struct name_set *set, const char *name, struct err *e);
void name_set_done(struct name_set *set); /* NULL-safe */

#endif
