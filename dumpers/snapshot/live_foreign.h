/*
 * Memory that a copy-on-write child does not get, or does not keep as it was. It is copied while
 * the target stands:
 * - what it keeps out of its forks (madvise(2): MADV_DONTFORK);
 * - small pieces of shared memory, on which the target writes on. They belong to what private
 *   memory says: a runtime that maps its code and types twice keeps them in a memfd (.NET, for
 *   one), and pointers lead there. A cache of gigabytes is read as it is by then.
 * What is wiped in forks (MADV_WIPEONFORK) is read from the running target, as torn.
 */
#ifndef DUMPERS_SNAPSHOT_LIVE_FOREIGN_H
#define DUMPERS_SNAPSHOT_LIVE_FOREIGN_H

#include "dumpers/snapshot/live_internal.h"

struct foreign {
	uint64_t start, end;
	/* Bytes read while the target stood; NULL: to be read from the running one. */
	const uint8_t *copy;
};
enum {
	FOREIGN_MAX = 4096,               /* ranges */
	FOREIGN_KEPT_MAX = 64 << 20,      /* bytes copied in the pause, of what forks lack */
	FOREIGN_SHARED_MAX = 32 << 20,    /* the same of shared memory, ... */
	FOREIGN_SHARED_MAP_MAX = 8 << 20, /* ... whose maps have so much address space at most */
};

/* Before the pause: how many bytes of small shared memory may have to be copied; 0 also where it
 * cannot be looked at. */
uint64_t live_foreign_shared_bytes(struct live *l);
/* Before the pause: room for so many of them, whose pages are there already, so that the pause
 * waits for the copies alone. */
void live_foreign_prepare(struct live *l, uint64_t shared_bytes);

/* In the pause: what the child lacks of the target's maps. -ERR_UNSUPPORTED beyond
 * FOREIGN_KEPT_MAX bytes. */
int live_foreign_keep_unforked(struct live *l, struct err *e);
/* In the pause: small shared memory, as far as there is room. base.maps are known. */
int live_foreign_keep_shared(struct live *l, struct err *e);
/* After it: one that is to be read from the running target. */
int live_foreign_add_running(struct live *l, uint64_t start, uint64_t end, struct err *e);
/* When all are there. */
void live_foreign_sort(struct live *l);

/* The range that holds addr, or NULL; *ret_next is where the next one starts. */
const struct foreign *live_foreign_find(const struct live *l, uint64_t addr, uint64_t *ret_next);
void live_foreign_done(struct live *l);

#endif
