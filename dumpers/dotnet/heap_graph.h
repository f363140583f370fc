/*
 * All objects of the managed heap and what each refers to, read in one walk. Takes 8 bytes an
 * object and 4 a reference.
 */
#ifndef DUMPERS_DOTNET_HEAP_GRAPH_H
#define DUMPERS_DOTNET_HEAP_GRAPH_H

#include "dumpers/dotnet/heap_index.h"
#include "dumpers/dotnet/walk.h"

enum { HEAP_GRAPH_EDGES_MAX = 1 << 29 };

struct heap_graph {
	struct heap_index *index; /* owned; sealed */
	/* Of the object numbered i, references are edges[starts[i]] to edges[starts[i + 1]]: words
	 * of the heap, which need not be objects. All owned. */
	uint32_t *starts, *edges;
	size_t object_count, object_cap, edge_count, edge_cap;
	struct dotnet_heap heap; /* owned */
	struct dotnet_walk_loss loss;
	uint64_t unread; /* objects whose references could not be read, at least not all */
};
/* -ERR_LIMIT beyond HEAP_GRAPH_EDGES_MAX references, or of heap_index; errors of dotnet_walk. */
int heap_graph_read(struct dotnet *d, struct heap_graph *ret, struct err *e);
void heap_graph_done(struct heap_graph *g);

#endif
