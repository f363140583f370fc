#include "dumpers/dotnet/heap_graph.h"

#include "dumpers/dotnet/references.h"

enum { FIRST = 1 << 16 };

struct building {
	struct dotnet *d;
	struct heap_graph *graph;
};

static int grow(uint32_t **v, size_t *cap, size_t max, const char *what, struct err *e)
{
	size_t wanted = *cap ? MIN(*cap * 2, max) : FIRST;
	if (wanted <= *cap) return err_set(e, ERR_LIMIT, "more than %zu %s", max, what);
	uint32_t *grown = reallocarray(*v, wanted, sizeof(**v));
	if (!grown) return err_set(e, ERR_NO_MEMORY, "no memory for %zu %s", wanted, what);
	*v = grown;
	*cap = wanted;
	return 0;
}

static int add_edge(struct heap_graph *g, uint32_t word, struct err *e)
{
	if (g->edge_count == g->edge_cap) {
		int r = grow(&g->edges, &g->edge_cap, HEAP_GRAPH_EDGES_MAX, "references", e);
		if (r) return r;
	}
	g->edges[g->edge_count++] = word;
	return 0;
}

static int add_reference(void *ctx, uint64_t offset, uint64_t value, struct err *e)
{
	struct building *b = ctx;
	uint32_t word;
	return heap_index_word(b->graph->index, value, &word) ? add_edge(b->graph, word, e) : 0;
}

/* It keeps its assembly alive by no field of its own. */
static int add_loader(struct building *b, const struct dotnet_type *type, struct err *e)
{
	uint64_t loader;
	if (!type->loader_handle ||
	    dotnet_read(b->d, type->loader_handle, &loader, sizeof(loader), NULL))
		return 0;
	return add_reference(b, 0, loader, e);
}

static int add_object(void *ctx, const struct dotnet_object *object, struct err *e)
{
	struct building *b = ctx;
	struct heap_graph *g = b->graph;
	uint32_t word;
	if (object->type->is_free || !heap_index_word(g->index, object->address, &word)) return 0;
	if (g->object_count + 1 >= g->object_cap) {
		int r = grow(&g->starts, &g->object_cap, HEAP_INDEX_OBJECTS_MAX, "objects", e);
		if (r) return r;
	}
	heap_index_add(g->index, word);
	g->starts[g->object_count++] = (uint32_t)g->edge_count;
	int r = add_loader(b, object->type, e);
	if (!r) r = references_read(b->d, object, add_reference, b, e);
	if (r == -ERR_CORRUPT || r == -ERR_NOT_FOUND || r == -ERR_IO) {
		g->unread++;
		r = 0;
	}
	return r;
}

static int walk(struct dotnet *d, struct heap_graph *g, struct err *e)
{
	struct building b = {d, g};
	int r = heap_index_new(&g->heap, &g->index, e);
	if (!r) r = grow(&g->starts, &g->object_cap, HEAP_INDEX_OBJECTS_MAX, "objects", e);
	if (!r) r = dotnet_walk(d, &g->heap, add_object, &b, &g->loss, e);
	if (!r) r = heap_index_seal(g->index, e);
	if (r) return r;
	g->starts[g->object_count] = (uint32_t)g->edge_count;
	return heap_index_count(g->index) == g->object_count
		   ? 0
		   : err_set(e, ERR_CORRUPT, "objects of the managed heap overlap");
}

int heap_graph_read(struct dotnet *d, struct heap_graph *ret, struct err *e)
{
	struct heap_graph g = {0};
	int r = dotnet_heap_read(d, &g.heap, e);
	if (!r) r = walk(d, &g, e);
	if (r)
		heap_graph_done(&g);
	else
		*ret = g;
	return r;
}

void heap_graph_done(struct heap_graph *g)
{
	heap_index_free(g->index);
	free(g->starts);
	free(g->edges);
	dotnet_heap_done(&g->heap);
	*g = (struct heap_graph){0};
}
