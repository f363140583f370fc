#include "dumpers/dotnet/walk.h"

#include "base/search.h"

enum { WINDOW = 256 << 10, HEAD = 16 };

/* The part of the heap that is in memory here. */
struct window {
	uint8_t *data;
	uint64_t start;
	size_t len;
};

struct walk {
	struct dotnet *d;
	const struct dotnet_heap *heap;
	dotnet_object_fn fn;
	void *ctx;
	struct window window;
	struct dotnet_type *last; /* most objects are of the type of the one before */
	struct dotnet_walk_loss *loss;
};

/* As much of the range as there is room for; where some of it is missing, this object's head. */
static const uint8_t *head_at(struct walk *w, uint64_t address, uint64_t end)
{
	struct window *v = &w->window;
	if (address >= v->start && address - v->start <= v->len &&
	    v->len - (address - v->start) >= HEAD)
		return v->data + (address - v->start);
	size_t len = (size_t)MIN(end - address, (uint64_t)WINDOW);
	if (len < HEAD) return NULL;
	v->start = address;
	v->len = len;
	if (!dotnet_read(w->d, address, v->data, len, NULL)) return v->data;
	v->len = HEAD;
	if (!dotnet_read(w->d, address, v->data, HEAD, NULL)) return v->data;
	v->len = 0;
	return NULL;
}

static int find_object(struct walk *w, const struct dac_wire_range *range, uint64_t at,
		       struct dotnet_object *ret, struct err *e)
{
	uint64_t table;
	uint32_t count;
	const uint8_t *head = head_at(w, at, range->end);
	if (!head) return err_set(e, ERR_NOT_FOUND, "the heap's memory is missing");
	memcpy(&table, head, sizeof(table));
	memcpy(&count, head + OBJECT_HEADER, sizeof(count));
	table &= ~UINT64_C(7);
	int r = 0;
	if (!w->last || w->last->address != table) r = dotnet_type_at(w->d, table, &w->last, e);
	if (r) {
		w->last = NULL;
		return r;
	}
	*ret = (struct dotnet_object){.address = at, .type = w->last, .range = range};
	r = dotnet_object_size(w->last, w->last->component_size ? count : 0, &ret->size, e);
	if (!r && ret->size > range->end - at)
		return err_set(e, ERR_CORRUPT, "an object larger than its segment");
	size_t len = w->window.len - (size_t)(at - w->window.start);
	ret->bytes = head;
	ret->bytes_len = (size_t)MIN((uint64_t)len, ret->size);
	return r;
}

static int walk_range(struct walk *w, const struct dac_wire_range *range, struct err *e)
{
	const struct dotnet_heap *h = w->heap;
	size_t skip = FIRST_ABOVE(h->skips, h->head.skip_count, start, MAX(range->start, 1u) - 1);
	uint64_t at = range->start;
	while (at < range->end) {
		struct dotnet_object object;
		while (skip < h->head.skip_count && h->skips[skip].start < at)
			skip++;
		if (skip < h->head.skip_count && h->skips[skip].start == at &&
		    h->skips[skip].end > at) {
			at = align_up(h->skips[skip].end, 8);
			continue;
		}
		int r = find_object(w, range, at, &object, e);
		if (r == -ERR_CORRUPT || r == -ERR_NOT_FOUND || r == -ERR_IO) {
			w->loss->bytes += range->end - at;
			w->loss->ranges++;
			return 0;
		}
		if (!r) r = w->fn(w->ctx, &object, e);
		if (r) return r;
		at += object.size;
	}
	return 0;
}

int dotnet_walk(struct dotnet *d, const struct dotnet_heap *heap, dotnet_object_fn fn, void *ctx,
		struct dotnet_walk_loss *ret_loss, struct err *e)
{
	struct walk w = {.d = d, .heap = heap, .fn = fn, .ctx = ctx, .loss = ret_loss};
	struct err why = {0};
	int r = 0;
	*ret_loss = (struct dotnet_walk_loss){0};
	w.window.data = malloc(WINDOW);
	if (!w.window.data) return err_set(e, ERR_NO_MEMORY, "no memory");
	for (uint32_t i = 0; !r && i < heap->head.range_count; i++)
		r = walk_range(&w, &heap->ranges[i], &why);
	free(w.window.data);
	if (r && e) *e = why;
	return r;
}

int dotnet_object_at(struct dotnet *d, uint64_t address, struct dotnet_object *ret, struct err *e)
{
	struct dotnet_object object = {.address = address};
	uint32_t count = 0;
	int r = dotnet_type_of(d, address, &object.type, e);
	if (!r && object.type->component_size)
		r = dotnet_read(d, address + OBJECT_HEADER, &count, sizeof(count), e);
	if (!r) r = dotnet_object_size(object.type, count, &object.size, e);
	if (!r) *ret = object;
	return r;
}
