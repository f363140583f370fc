/* What has become more on the managed heap, and what less, from one instant to another. */
#ifndef DUMPERS_DOTNET_HEAP_DIFF_H
#define DUMPERS_DOTNET_HEAP_DIFF_H

#include "dumpers/dotnet/heap_report.h"

struct heap_count {
	uint64_t objects, bytes;
};
struct heap_change {
	char *name; /* owned; types of the same name count as one */
	struct heap_count before, now;
};
struct heap_diff {
	struct heap_change
	    *v; /* owned; most growth in bytes first; without what stayed as it was */
	size_t count;
	struct heap_count before, now; /* of all types */
	bool whole;                    /* no part of either heap was lost */
};
enum heap_side { HEAP_BEFORE, HEAP_NOW };

struct heap_tally;
int heap_tally_new(struct heap_tally **ret, struct err *e);
void heap_tally_free(struct heap_tally *t); /* NULL-safe */
/* Adds the types of a report, each side once; keeps nothing of it. */
int heap_tally_add(struct heap_tally *t, enum heap_side side, const struct heap_report *report,
		   struct err *e);
int heap_tally_diff(struct heap_tally *t, struct heap_diff *ret, struct err *e);
void heap_diff_done(struct heap_diff *d);

/* limit: how many types, 0 for all. */
int heap_diff_text(const struct heap_diff *d, size_t limit, struct buf *ret, struct err *e);
/* {"schema":"podsnap.heap-diff/1","whole","objects":{"before","now"},"bytes":{...},"type_count",
 * "types":[{"type","objects":{"before","now"},"bytes":{...}}]} */
int heap_diff_json(const struct heap_diff *d, size_t limit, struct buf *ret, struct err *e);

#endif
