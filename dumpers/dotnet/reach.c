#include "dumpers/dotnet/reach.h"

#include "base/search.h"
#include "dumpers/dotnet/references.h"

/* What from has: another object, or a root. */
#define NOWHERE UINT32_MAX
#define ROOT (UINT32_C(1) << 31)

enum { NAME_MAX_BYTES = 64 << 10 };

struct search {
	struct reach *x;
	uint32_t *queue;
	size_t first, last;
	uint64_t *has_dependents; /* a bit for each object */
};

static void reach_object(struct search *s, uint32_t object, uint32_t from)
{
	if (s->x->from[object] != NOWHERE) return;
	s->x->from[object] = from;
	s->queue[s->last++] = object;
}

static void reach_dependents(struct search *s, uint32_t key)
{
	const struct roots *r = &s->x->roots;
	if (!(s->has_dependents[key / 64] >> key % 64 & 1)) return;
	size_t i = key ? FIRST_ABOVE(r->dependents, r->dependent_count, key, key - 1) : 0;
	for (; i < r->dependent_count && r->dependents[i].key == key; i++)
		reach_object(s, r->dependents[i].value, key);
}

static void reach_all(struct search *s)
{
	const struct heap_graph *g = &s->x->graph;
	while (s->first < s->last) {
		uint32_t object = s->queue[s->first++], to;
		for (uint32_t i = g->starts[object]; i < g->starts[object + 1]; i++) {
			if (heap_index_object(g->index, g->edges[i], &to))
				reach_object(s, to, object);
		}
		reach_dependents(s, object);
	}
}

/* Of ways that are as short as each other, that from a kind of root which says most. */
static void begin(struct search *s)
{
	const struct roots *r = &s->x->roots;
	for (unsigned int kind = 0; kind < DAC_ROOT_KINDS; kind++) {
		for (size_t i = 0; i < r->count; i++) {
			if (r->v[i].is.kind == kind)
				reach_object(s, r->v[i].object, ROOT | (uint32_t)i);
		}
	}
	for (size_t i = 0; i < r->dependent_count; i++)
		s->has_dependents[r->dependents[i].key / 64] |= UINT64_C(1)
								<< r->dependents[i].key % 64;
}

static int search(struct reach *x, struct err *e)
{
	size_t count = x->graph.object_count;
	_cleanup_free_ uint32_t *queue = calloc(count + 1, sizeof(*queue));
	_cleanup_free_ uint64_t *bits = calloc(count / 64 + 1, sizeof(*bits));
	struct search s = {.x = x, .queue = queue, .has_dependents = bits};
	x->from = malloc((count + 1) * sizeof(*x->from));
	if (!queue || !bits || !x->from) return err_set(e, ERR_NO_MEMORY, "no memory");
	memset(x->from, 0xff, (count + 1) * sizeof(*x->from));
	begin(&s);
	reach_all(&s);
	return 0;
}

int reach_read(struct dotnet *d, struct reach *ret, struct err *e)
{
	struct reach x = {.d = d};
	int r = heap_graph_read(d, &x.graph, e);
	if (!r) r = roots_read(d, x.graph.index, &x.roots, e);
	if (!r) r = search(&x, e);
	if (r)
		reach_done(&x);
	else
		*ret = x;
	return r;
}

void reach_done(struct reach *x)
{
	heap_graph_done(&x->graph);
	roots_done(&x->roots);
	free(x->from);
	*x = (struct reach){0};
}

bool reach_has_gaps(const struct reach *x)
{
	const struct roots *r = &x->roots;
	return !x->graph.heap.head.valid || x->graph.loss.ranges || x->graph.unread ||
	       r->unread_count || r->statics_unread || r->handles_unread;
}

/* --- one way
 * ----------------------------------------------------------------------------------------- */

struct sought {
	uint64_t value, offset;
	bool found;
};
static int compare_reference(void *ctx, uint64_t offset, uint64_t value, struct err *e)
{
	struct sought *s = ctx;
	if (value != s->value) return 0;
	s->offset = offset;
	s->found = true;
	return 1;
}

static const struct root_dependent *dependent_between(const struct reach *x, uint32_t key,
						      uint32_t value)
{
	for (size_t i = 0; i < x->roots.dependent_count; i++) {
		const struct root_dependent *d = &x->roots.dependents[i];
		if (d->key == key && d->value == value) return d;
	}
	return NULL;
}

/* By which of its references the object leads to the other. */
static int name_step(struct reach *x, uint32_t from, uint32_t to, struct buf *ret, struct err *e)
{
	struct sought sought = {.value = heap_index_address(x->graph.index, to)};
	struct dotnet_object object;
	uint64_t address = heap_index_address(x->graph.index, from);
	int r = dotnet_object_at(x->d, address, &object, e);
	if (!r) r = references_read(x->d, &object, compare_reference, &sought, e);
	if (r < 0) return r;
	if (sought.found) return reference_name(x->d, address, object.type, sought.offset, ret, e);
	const struct root_dependent *d = dependent_between(x, from, to);
	if (d)
		return buf_printf(ret, e, "kept by dependent handle 0x%llx",
				  (unsigned long long)d->slot);
	return buf_puts(ret, "loader of its assembly", e);
}

static int fill_step(struct reach *x, uint32_t from, uint32_t object, struct reach_step *ret,
		     struct err *e)
{
	_cleanup_buf_ struct buf name = BUF_INIT(NAME_MAX_BYTES);
	ret->address = heap_index_address(x->graph.index, object);
	int r = dotnet_type_of(x->d, ret->address, &ret->type, e);
	if (r) return r;
	r = from & ROOT ? reach_root_name(x, &x->roots.v[from & ~ROOT], &name, e)
			: name_step(x, from, object, &name, e);
	if (r) return r;
	ret->via = buf_steal(&name);
	return ret->via ? 0 : err_set(e, ERR_NO_MEMORY, "no memory");
}

static int fill_way(struct reach *x, uint32_t object, struct reach_way *w, struct err *e)
{
	size_t count = 0;
	uint32_t at = object;
	if (x->from[object] == NOWHERE) return 0;
	for (; !(at & ROOT); at = x->from[at])
		count++;
	if (count > REACH_STEPS_MAX)
		return err_set(e, ERR_LIMIT, "a way of %zu steps leads to it", count);
	w->root = &x->roots.v[at & ~ROOT];
	w->steps = calloc(count + 1, sizeof(*w->steps));
	if (!w->steps) return err_set(e, ERR_NO_MEMORY, "no memory");
	w->count = count;
	int r = 0;
	for (at = object; !r && !(at & ROOT); at = x->from[at])
		r = fill_step(x, x->from[at], at, &w->steps[--count], e);
	return r;
}

static bool is_frozen(const struct dotnet_heap *h, uint64_t address)
{
	size_t i = FIRST_ABOVE(h->ranges, h->head.range_count, start, address);
	return i && h->ranges[i - 1].frozen;
}

int reach_way(struct reach *x, uint64_t address, struct reach_way *ret, struct err *e)
{
	struct reach_way w = {.address = address};
	struct dotnet_object object;
	uint32_t word, number;
	if (!heap_index_word(x->graph.index, address, &word) ||
	    !heap_index_object(x->graph.index, word, &number))
		return err_set(e, ERR_NOT_FOUND, "no object of the managed heap begins at 0x%llx",
			       (unsigned long long)address);
	int r = dotnet_object_at(x->d, address, &object, e);
	if (r) return r;
	w.type = object.type;
	w.size = object.size;
	w.frozen = is_frozen(&x->graph.heap, address);
	r = fill_way(x, number, &w, e);
	if (r)
		reach_way_done(&w);
	else
		*ret = w;
	return r;
}

void reach_way_done(struct reach_way *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->steps[i].via);
	free(w->steps);
	*w = (struct reach_way){0};
}
