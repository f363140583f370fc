/* Binary search in sorted arrays. */
#ifndef BASE_SEARCH_H
#define BASE_SEARCH_H

#include "base/util.h"

#include <string.h>

static inline size_t first_above(const void *field, size_t count, size_t stride, uint64_t value)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		uint64_t at;

		memcpy(&at, (const char *)field + mid * stride, sizeof(at));
		if (at <= value)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The index of the first of count items whose field, a uint64_t by which they ascend, is above
 * value; count if there is none. items may be NULL if count is 0. */
#define FIRST_ABOVE(items, count, field, value)                                                    \
	first_above((count) ? (const void *)&(items)->field : NULL, (count), sizeof(*(items)),     \
		    (value))

#endif
