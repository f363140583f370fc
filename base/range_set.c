#include "base/range_set.h"

#include "base/search.h"

#include <string.h>

void range_list_init(struct range_list *list, size_t max_ranges)
{
	*list = RANGE_LIST_INIT(max_ranges);
}

void range_list_done(struct range_list *list)
{
	if (!list) return;
	free(list->ranges);
	list->ranges = NULL;
	list->count = list->cap = 0;
}

/* The index of the first range that ends at addr or above (touch), or only above; else count. */
static size_t first_reaching(const struct range_list *list, uint64_t addr, bool touch)
{
	/* No range is empty, so that none ends at 0. */
	return FIRST_ABOVE(list->ranges, list->count, end, touch && addr ? addr - 1 : addr);
}

static int make_room(struct range_list *list, struct err *e)
{
	struct range *ranges;
	size_t cap;

	if (list->count >= list->max)
		return err_set(e, ERR_LIMIT, "more than %zu ranges", list->max);
	if (list->count < list->cap) return 0;
	cap = MIN(list->cap > SIZE_MAX / 2 ? SIZE_MAX : MAX(list->cap * 2, (size_t)16), list->max);
	ranges = reallocarray(list->ranges, cap, sizeof(*ranges));
	if (!ranges) return err_set(e, ERR_NO_MEMORY, "no memory for %zu ranges", cap);
	list->ranges = ranges;
	list->cap = cap;
	return 0;
}

int range_list_add(struct range_list *list, uint64_t start, uint64_t end, struct err *e)
{
	struct range *at;
	size_t first, past;
	int r;

	if (end < start)
		return err_set(e, ERR_USAGE, "a range from 0x%llx that ends at 0x%llx",
			       (unsigned long long)start, (unsigned long long)end);
	if (start == end) return 0;

	/* [first, past) are the ranges that the new one touches or overlaps. */
	first = list->count;
	if (first > 0 && list->ranges[first - 1].end >= start)
		first = first_reaching(list, start, true);
	for (past = first; past < list->count && list->ranges[past].start <= end;)
		past++;

	if (first == past) {
		r = make_room(list, e);
		if (r < 0) return r;
		at = list->ranges + first;
		memmove(at + 1, at, (list->count - first) * sizeof(*at));
		*at = (struct range){start, end};
		list->count++;
		return 0;
	}
	at = list->ranges + first;
	at->start = MIN(at->start, start);
	at->end = MAX(list->ranges[past - 1].end, end);
	memmove(at + 1, list->ranges + past, (list->count - past) * sizeof(*at));
	list->count -= past - first - 1;
	return 0;
}

const struct range *range_list_next(const struct range_list *list, uint64_t addr)
{
	size_t i = first_reaching(list, addr, false);

	return i < list->count ? &list->ranges[i] : NULL;
}

const struct range *range_list_find(const struct range_list *list, uint64_t addr)
{
	const struct range *range = range_list_next(list, addr);

	return range && range->start <= addr ? range : NULL;
}

uint64_t range_list_bytes(const struct range_list *list)
{
	uint64_t total = 0;

	/* Disjoint ranges of a 64-bit space: the sum is at most UINT64_MAX. */
	for (size_t i = 0; i < list->count; i++)
		total += list->ranges[i].end - list->ranges[i].start;
	return total;
}
