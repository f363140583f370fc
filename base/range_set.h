/*
 * A list of disjoint ranges in ascending order, with a cap: ZERO, NOT_CAPTURED and torn parts of an
 * address space, lost parts of an entry. Neighbours that touch are one range.
 */
#ifndef BASE_RANGE_SET_H
#define BASE_RANGE_SET_H

#include "base/err.h"

struct range_list {
	struct range *ranges; /* owned; count of them, ascending, disjoint, none empty */
	size_t count;
	size_t cap; /* allocated */
	size_t max; /* cap on count, set at init */
};

/* Starts empty; max_ranges caps count. */
void range_list_init(struct range_list *list, size_t max_ranges);
#define RANGE_LIST_INIT(max_ranges) ((struct range_list){.max = (max_ranges)})
void range_list_done(struct range_list *list); /* NULL-safe */
#define _cleanup_range_list_ _cleanup_(range_list_done)

/*
 * Adds [start, end). At the end of the list, the usual case, it is cheap, and a range that touches
 * or overlaps the last one extends it; elsewhere it is merged with what it touches. An empty range
 * adds nothing. -ERR_USAGE if end < start, -ERR_LIMIT past max, -ERR_NO_MEMORY; then the list is
 * unchanged.
 */
int range_list_add(struct range_list *list, uint64_t start, uint64_t end, struct err *e);
/* The range that holds addr, else NULL. Borrowed until the next add. Binary search. */
const struct range *range_list_find(const struct range_list *list, uint64_t addr);
/* The first range that ends after addr: the one that holds addr or the next above; else NULL. */
const struct range *range_list_next(const struct range_list *list, uint64_t addr);
/* Bytes in all of them; UINT64_MAX at most. */
uint64_t range_list_bytes(const struct range_list *list);

#endif
