/*
 * Why an object is alive: the shortest way to it from what refers into the managed heap (roots.h),
 * by the references that the collector itself follows.
 */
#ifndef DUMPERS_DOTNET_REACH_H
#define DUMPERS_DOTNET_REACH_H

#include "base/buf.h"
#include "dumpers/dotnet/heap_graph.h"
#include "dumpers/dotnet/roots.h"

enum { REACH_STEPS_MAX = 1 << 16 }; /* of a way that is shown */

struct reach {
	struct dotnet *d; /* borrowed */
	struct heap_graph graph;
	struct roots roots;
	uint32_t *from; /* owned; of each object: where it was reached from */
};
/* Searches all of the heap once. Errors of heap_graph_read and roots_read. */
int reach_read(struct dotnet *d, struct reach *ret, struct err *e);
void reach_done(struct reach *x);
/* Whether something that may keep objects alive could not be searched. */
bool reach_has_gaps(const struct reach *x);

struct reach_step {
	char *via; /* owned: ".next", "[17]", "static Shop.Ledger.Growing" */
	uint64_t address;
	struct dotnet_type *type;
};
struct reach_way {
	uint64_t address, size; /* of the object */
	struct dotnet_type *type;
	bool frozen;              /* in a segment that is never collected */
	const struct root *root;  /* NULL: nothing holds it */
	struct reach_step *steps; /* owned; the last is the object */
	size_t count;
};
/* -ERR_NOT_FOUND if no object of the heap begins there; -ERR_LIMIT beyond REACH_STEPS_MAX. */
int reach_way(struct reach *x, uint64_t address, struct reach_way *ret, struct err *e);
void reach_way_done(struct reach_way *w);

/* reach_print.c */
/* The object, then a line for the root and for each step; or that nothing holds it. */
int reach_way_text(const struct reach *x, const struct reach_way *w, struct buf *ret,
		   struct err *e);
/* What could not be searched, a line each; nothing if all was. */
int reach_gaps_text(const struct reach *x, struct buf *ret, struct err *e);
struct json;
/* {"type","address","size","frozen","root":null or {"kind","name","slot","thread"},
 * "path":[{"via","type","address"}]} */
void reach_way_json(const struct reach *x, const struct reach_way *w, struct json *j);
/* "unsearched":{"lost_bytes","unread_objects","threads":[...],"statics","handles","collecting"} */
void reach_gaps_json(const struct reach *x, struct json *j);
/* Of a root alone: "static Shop.Ledger.Growing", "strong handle 0x...". */
int reach_root_name(const struct reach *x, const struct root *root, struct buf *ret, struct err *e);

#endif
