#include "dumpers/dotnet/heap_report.h"

#include "base/json.h"
#include "dumpers/dotnet/unanswered.h"

enum { TABLE_FIRST = 1024 };

/* Counts by type, in a hash table of pointers. */
struct counter {
	struct heap_type *slots;
	size_t slot_count, used;
	struct heap_type *last;
	struct heap_report *report;
};

static struct heap_type *slot_of(struct heap_type *slots, size_t count,
				 const struct dotnet_type *type)
{
	size_t i =
	    (size_t)((type->address >> 3) * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (count - 1);
	while (slots[i].type && slots[i].type != type)
		i = (i + 1) & (count - 1);
	return &slots[i];
}

static int make_room(struct counter *c, struct err *e)
{
	if (c->used * 2 < c->slot_count) return 0;
	size_t count = c->slot_count ? c->slot_count * 2 : TABLE_FIRST;
	struct heap_type *slots = calloc(count, sizeof(*slots));
	if (!slots) return err_set(e, ERR_NO_MEMORY, "no memory");
	for (size_t i = 0; i < c->slot_count; i++) {
		if (c->slots[i].type) *slot_of(slots, count, c->slots[i].type) = c->slots[i];
	}
	free(c->slots);
	c->slots = slots;
	c->slot_count = count;
	c->last = NULL;
	return 0;
}

static void count_into(struct heap_generation *g, const struct dotnet_object *object)
{
	if (object->type->is_free) {
		g->free_pieces++;
		g->free_bytes += object->size;
	} else {
		g->objects++;
		g->bytes += object->size;
	}
}

static struct heap_generation *generation_of(struct heap_report *r,
					     const struct dac_wire_range *range)
{
	return range->frozen ? &r->frozen : &r->generation[range->generation];
}

static int count_object(void *ctx, const struct dotnet_object *object, struct err *e)
{
	struct counter *c = ctx;
	count_into(generation_of(c->report, object->range), object);
	count_into(&c->report->total, object);
	if (object->type->is_free) return 0;
	if (!c->last || c->last->type != object->type) {
		int r = make_room(c, e);
		if (r) return r;
		c->last = slot_of(c->slots, c->slot_count, object->type);
		if (!c->last->type) c->used++;
		c->last->type = object->type;
	}
	c->last->objects++;
	c->last->bytes += object->size;
	return 0;
}

/* Most bytes first; then the order is that of names, so that it is always the same. */
static int compare(const void *a, const void *b)
{
	const struct heap_type *x = a, *y = b;
	if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
	if (x->objects != y->objects) return x->objects < y->objects ? 1 : -1;
	int order = strcmp(x->type->name, y->type->name);
	if (order) return order;
	return x->type->address < y->type->address ? -1 : x->type->address > y->type->address;
}

static void sort_types(struct counter *c)
{
	size_t n = 0;
	for (size_t i = 0; i < c->slot_count; i++) {
		if (c->slots[i].type) c->slots[n++] = c->slots[i];
	}
	if (n) qsort(c->slots, n, sizeof(*c->slots), compare);
	c->report->types = STEAL_PTR(c->slots);
	c->report->type_count = n;
}

static void add_ranges(struct heap_report *r, const struct dotnet_heap *heap)
{
	for (uint32_t i = 0; i < heap->head.range_count; i++) {
		const struct dac_wire_range *range = &heap->ranges[i];
		struct heap_generation *g = generation_of(r, range);
		g->ranges++;
		r->total.ranges++;
	}
}

int heap_report_make(struct dotnet *d, struct heap_report *ret, struct err *e)
{
	struct heap_report report = {.dotnet = d};
	struct counter c = {.report = &report};
	struct dotnet_heap heap;
	int r = dotnet_heap_read(d, &heap, e);
	if (r) return r;
	report.head = heap.head;
	add_ranges(&report, &heap);
	r = dotnet_walk(d, &heap, count_object, &c, &report.loss, e);
	dotnet_heap_done(&heap);
	if (r) {
		free(c.slots);
		return r;
	}
	sort_types(&c);
	*ret = report;
	return 0;
}

void heap_report_done(struct heap_report *r)
{
	free(r->types);
	*r = (struct heap_report){0};
}

static const char *generation_name(int i)
{
	static const char *const names[] = {"0", "1", "2", "large", "pinned"};
	return i < DAC_GENERATIONS ? names[i] : "frozen";
}
static const struct heap_generation *generation_at(const struct heap_report *r, int i)
{
	return i < DAC_GENERATIONS ? &r->generation[i] : &r->frozen;
}

static size_t shown(const struct heap_report *r, size_t limit)
{
	return limit ? MIN(limit, r->type_count) : r->type_count;
}

static int print_generation(const char *name, const struct heap_generation *g, struct buf *ret,
			    struct err *e)
{
	uint64_t all = g->bytes + g->free_bytes;
	double fragmented = all ? 100.0 * (double)g->free_bytes / (double)all : 0;
	return buf_printf(ret, e, "%-10s %9llu %12llu %14llu %14llu %5.1f %%\n", name,
			  (unsigned long long)g->ranges, (unsigned long long)g->objects,
			  (unsigned long long)g->bytes, (unsigned long long)g->free_bytes,
			  fragmented);
}

static int print_generations(const struct heap_report *r, struct buf *ret, struct err *e)
{
	int err = buf_printf(ret, e, "%-10s %9s %12s %14s %14s %7s\n", "generation", "segments",
			     "objects", "bytes", "free bytes", "free");
	for (int i = 0; !err && i <= DAC_GENERATIONS; i++) {
		const struct heap_generation *g = generation_at(r, i);
		if (g->ranges) err = print_generation(generation_name(i), g, ret, e);
	}
	return err ? err : print_generation("total", &r->total, ret, e);
}

static int print_loss(const struct heap_report *r, struct buf *ret, struct err *e)
{
	int err = 0;
	if (!r->head.valid)
		err = buf_puts(ret, "the collector was at work: the heap may not be whole\n", e);
	if (!err && r->loss.ranges)
		err = buf_printf(ret, e, "%llu bytes in %llu segments could not be read\n",
				 (unsigned long long)r->loss.bytes,
				 (unsigned long long)r->loss.ranges);
	return err;
}

int heap_report_text(const struct heap_report *r, size_t limit, struct buf *ret, struct err *e)
{
	size_t count = shown(r, limit);
	int err = buf_printf(ret, e, "%s collector, %u heap%s\n",
			     r->head.server ? "server" : "workstation", r->head.heap_count,
			     r->head.heap_count == 1 ? "" : "s");
	if (!err) err = print_loss(r, ret, e);
	if (!err) err = print_generations(r, ret, e);
	if (!err) err = buf_printf(ret, e, "\n%12s %14s  %s\n", "objects", "bytes", "type");
	for (size_t i = 0; !err && i < count; i++)
		err = buf_printf(ret, e, "%12llu %14llu  %s\n",
				 (unsigned long long)r->types[i].objects,
				 (unsigned long long)r->types[i].bytes, r->types[i].type->name);
	if (!err && count < r->type_count)
		err = buf_printf(ret, e, "and %zu more types (--limit 0 shows all)\n",
				 r->type_count - count);
	return err ? err : unanswered_text(r->dotnet, ret, e);
}

static void write_generations(struct json *j, const struct heap_report *r)
{
	json_key(j, "generations");
	json_array(j);
	for (int i = 0; i <= DAC_GENERATIONS; i++) {
		const struct heap_generation *g = generation_at(r, i);
		if (!g->ranges) continue;
		json_object(j);
		json_kv_string(j, "generation", generation_name(i));
		json_kv_uint(j, "segments", g->ranges);
		json_kv_uint(j, "objects", g->objects);
		json_kv_uint(j, "bytes", g->bytes);
		json_kv_uint(j, "free_bytes", g->free_bytes);
		json_kv_uint(j, "free_pieces", g->free_pieces);
		json_object_end(j);
	}
	json_array_end(j);
}

static void write_types(struct json *j, const struct heap_report *r, size_t limit)
{
	json_kv_uint(j, "type_count", r->type_count);
	json_key(j, "types");
	json_array(j);
	for (size_t i = 0; i < shown(r, limit); i++) {
		json_object(j);
		json_kv_string(j, "type", r->types[i].type->name);
		json_kv_uint(j, "objects", r->types[i].objects);
		json_kv_uint(j, "bytes", r->types[i].bytes);
		json_object_end(j);
	}
	json_array_end(j);
}

int heap_report_json(const struct heap_report *r, pid_t pid, size_t limit, struct buf *ret,
		     struct err *e)
{
	struct json j;
	json_init(&j, ret, true);
	json_object(&j);
	json_kv_string(&j, "schema", "podsnap.heap/1");
	json_kv_int(&j, "pid", pid);
	json_kv_bool(&j, "server", r->head.server);
	json_kv_uint(&j, "heaps", r->head.heap_count);
	json_kv_bool(&j, "whole", r->head.valid && !r->loss.ranges);
	json_kv_uint(&j, "objects", r->total.objects);
	json_kv_uint(&j, "bytes", r->total.bytes);
	json_kv_uint(&j, "free_bytes", r->total.free_bytes);
	json_kv_uint(&j, "lost_bytes", r->loss.bytes);
	json_kv_uint(&j, "lost_segments", r->loss.ranges);
	write_generations(&j, r);
	write_types(&j, r, limit);
	unanswered_json(r->dotnet, &j);
	json_object_end(&j);
	return json_finish(&j, e);
}
