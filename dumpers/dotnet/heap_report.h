/* What fills the managed heap: types by bytes, generations, free space. */
#ifndef DUMPERS_DOTNET_HEAP_REPORT_H
#define DUMPERS_DOTNET_HEAP_REPORT_H

#include "dumpers/dotnet/walk.h"

struct heap_type {
	const struct dotnet_type *type;
	uint64_t objects, bytes;
};
struct heap_generation {
	uint64_t ranges, objects, bytes; /* of objects; free space apart */
	uint64_t free_pieces, free_bytes;
};
struct heap_report {
	struct dac_wire_heap head;
	struct heap_type *types; /* owned; most bytes first */
	size_t type_count;
	struct heap_generation generation[DAC_GENERATIONS];
	struct heap_generation frozen, total;
	struct dotnet_walk_loss loss;
	const struct dotnet *dotnet; /* borrowed */
};
/* Types are borrowed from d. */
int heap_report_make(struct dotnet *d, struct heap_report *ret, struct err *e);
void heap_report_done(struct heap_report *r);
/* limit: how many types, 0 for all. */
int heap_report_text(const struct heap_report *r, size_t limit, struct buf *ret, struct err *e);
/* {"schema":"podsnap.heap/1","pid","server","heaps","objects","bytes","generations":[{"generation",
 * "segments","objects","bytes","free_bytes","free_pieces"}],"lost_bytes",
 * "lost_segments","type_count","types":[{"type","objects","bytes"}],"unanswered"} */
int heap_report_json(const struct heap_report *r, pid_t pid, size_t limit, struct buf *ret,
		     struct err *e);

#endif
