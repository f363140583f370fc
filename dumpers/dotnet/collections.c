/*
 * What is in a collection, by the fields that System.Collections' classes have had from .NET Core
 * 3.1 to 9 (src/libraries/System.Private.CoreLib/src/System/Collections/Generic and
 * System.Collections.Concurrent of github.com/dotnet/runtime).
 */
#include "dumpers/dotnet/object_internal.h"

enum { ARRAY_COUNT = 8, CHAIN_MAX = 1 << 20 };

struct elements {
	struct dotnet_type *type; /* of the array */
	uint64_t first;
	uint32_t count;
};

static int open_array(struct reading *g, uint64_t array, struct elements *ret, struct err *e)
{
	*ret = (struct elements){0};
	if (!array) return 0;
	int r = dotnet_type_of(g->d, array, &ret->type, e);
	if (r) return r;
	if (!dotnet_is_array(ret->type)) return err_set(e, ERR_CORRUPT, "not an array");
	r = dotnet_read(g->d, array + ARRAY_COUNT, &ret->count, sizeof(ret->count), e);
	if (!r) r = dotnet_load_element(g->d, ret->type, array, e);
	ret->first = array + ret->type->element_offset;
	return r;
}

static uint64_t element_at(const struct elements *a, uint32_t index)
{
	return a->first + (uint64_t)index * a->type->component_size;
}

static struct place element_place(const struct elements *a, uint64_t address)
{
	return (struct place){.address = address,
			      .kind = (uint8_t)a->type->element.element_kind,
			      .type = a->type->element.element_type};
}

static bool is_full(const struct reading *g, const struct node *n)
{
	size_t of_each = n->shape == SHAPE_ENTRIES ? 2 : 1;
	if (n->shape == SHAPE_ENTRIES && g->config->all_entries) return false;
	return g->config->limit && n->child_count >= g->config->limit * of_each;
}

static int add_value(struct reading *g, const struct place *p, int follow, struct node *n,
		     struct err *e)
{
	struct node *child;
	int r = add_node(g, n, &child, e);
	return r ? r : read_value(g, p, follow, child, e);
}

/* count elements from the start-th on, around the end. */
static int add_elements(struct reading *g, const struct elements *a, uint32_t start, uint32_t count,
			int follow, struct node *n, struct err *e)
{
	int r = 0;
	n->shape = SHAPE_ITEMS;
	n->total = count;
	for (uint32_t i = (uint32_t)MIN(g->config->first, (size_t)count); !r && i < count; i++) {
		uint32_t index = (uint32_t)(((uint64_t)start + i) % a->count);
		const struct place p = element_place(a, element_at(a, index));
		n->cut = is_full(g, n);
		if (n->cut) break;
		r = add_value(g, &p, follow, n, e);
	}
	return r;
}

int read_array(struct reading *g, struct dotnet_type *type, uint64_t object, int follow,
	       struct node *n, struct err *e)
{
	struct elements a;
	int r = open_array(g, object, &a, e);
	return r ? r : add_elements(g, &a, 0, a.count, follow, n, e);
}

/* A reference, or an int, out of a field. */
static int field_reference(struct reading *g, struct dotnet_type *type, uint64_t object,
			   const char *name, uint64_t *ret, struct err *e)
{
	const struct dotnet_field *f;
	int r = dotnet_find_field(g->d, type, name, &f, e);
	return r ? r : dotnet_read(g->d, object + OBJECT_HEADER + f->is.offset, ret, 8, e);
}
static int field_count(struct reading *g, struct dotnet_type *type, uint64_t object,
		       const char *name, uint32_t *ret, struct err *e)
{
	const struct dotnet_field *f;
	int r = dotnet_find_field(g->d, type, name, &f, e);
	if (!r) r = dotnet_read(g->d, object + OBJECT_HEADER + f->is.offset, ret, 4, e);
	if (!r && *ret > INT32_MAX) r = err_set(e, ERR_CORRUPT, "a count below zero");
	return r;
}

static int read_list(struct reading *g, struct dotnet_type *type, uint64_t object, int follow,
		     struct node *n, struct err *e)
{
	struct elements a;
	uint64_t items;
	uint32_t count;
	int r = field_reference(g, type, object, "_items", &items, e);
	if (!r) r = field_count(g, type, object, "_size", &count, e);
	if (!r) r = open_array(g, items, &a, e);
	if (!r && count > a.count) r = err_set(e, ERR_CORRUPT, "a list longer than its array");
	return r ? r : add_elements(g, &a, 0, count, follow, n, e);
}

static int read_queue(struct reading *g, struct dotnet_type *type, uint64_t object, int follow,
		      struct node *n, struct err *e)
{
	struct elements a;
	uint64_t items;
	uint32_t count, head;
	int r = field_reference(g, type, object, "_array", &items, e);
	if (!r) r = field_count(g, type, object, "_size", &count, e);
	if (!r) r = field_count(g, type, object, "_head", &head, e);
	if (!r) r = open_array(g, items, &a, e);
	if (!r && count > a.count) r = err_set(e, ERR_CORRUPT, "a queue longer than its array");
	return r ? r : add_elements(g, &a, head, count, follow, n, e);
}

/* A table of slots, some of which are free: which field says so, and from which number on not. */
struct table_names {
	const char *array, *used, *mark;
	int32_t mark_min;
	const char *key; /* NULL: it holds values alone */
	const char *value;
};

static int slot_place(struct reading *g, const struct elements *a, uint64_t slot, const char *name,
		      struct place *ret, struct err *e)
{
	const struct dotnet_field *f;
	struct dotnet_type *type;
	int r = dotnet_type_at(g->d, a->type->element.element_type, &type, e);
	if (!r) r = dotnet_find_field(g->d, type, name, &f, e);
	if (r) return r;
	*ret = place_of(f, slot + f->is.offset);
	return 0;
}

static int add_slot(struct reading *g, const struct elements *a, uint64_t slot,
		    const struct table_names *t, int follow, struct node *n, struct err *e)
{
	struct place mark, place;
	int64_t number = 0;
	int r = slot_place(g, a, slot, t->mark, &mark, e);
	if (!r) r = read_number(g->d, KIND_I4, mark.address, &number, e);
	if (r || number < t->mark_min) return r;
	n->total++;
	if (n->cut) return 0;
	n->cut = is_full(g, n);
	if (n->cut) return 0;
	if (t->key) {
		r = slot_place(g, a, slot, t->key, &place, e);
		if (!r) r = add_value(g, &place, follow, n, e);
	}
	if (!r) r = slot_place(g, a, slot, t->value, &place, e);
	return r ? r : add_value(g, &place, follow, n, e);
}

static int read_table(struct reading *g, struct dotnet_type *type, uint64_t object,
		      const struct table_names *t, int follow, struct node *n, struct err *e)
{
	struct elements a;
	uint64_t array;
	uint32_t used;
	int r = field_reference(g, type, object, t->array, &array, e);
	if (!r) r = field_count(g, type, object, t->used, &used, e);
	if (!r) r = open_array(g, array, &a, e);
	if (!r && array && used > a.count)
		r = err_set(e, ERR_CORRUPT, "a table with more slots than its array");
	n->shape = t->key ? SHAPE_ENTRIES : SHAPE_ITEMS;
	for (uint32_t i = 0; !r && array && i < used; i++)
		r = add_slot(g, &a, element_at(&a, i), t, follow, n, e);
	return r;
}

static int read_dictionary(struct reading *g, struct dotnet_type *type, uint64_t object, int follow,
			   struct node *n, struct err *e)
{
	/* A free slot's next is -2 or less. */
	static const struct table_names names = {"_entries", "_count", "next", -1, "key", "value"};
	return read_table(g, type, object, &names, follow, n, e);
}

static int read_set(struct reading *g, struct dotnet_type *type, uint64_t object, int follow,
		    struct node *n, struct err *e)
{
	static const struct table_names names = {"_entries", "_count", "Next", -1, NULL, "Value"};
	static const struct table_names before_5 = {"_slots", "_lastIndex", "hashCode",
						    0,        NULL,         "value"};
	const struct dotnet_field *f;
	bool old = !dotnet_find_field(g->d, type, "_slots", &f, NULL);
	return read_table(g, type, object, old ? &before_5 : &names, follow, n, e);
}

static int add_chain(struct reading *g, uint64_t at, int follow, struct node *n, struct err *e)
{
	static const char *const names[] = {"_key", "_value"};
	for (int i = 0; at && i < CHAIN_MAX; i++) {
		struct dotnet_type *type;
		int r = dotnet_type_of(g->d, at, &type, e);
		n->total++;
		if (!n->cut) n->cut = is_full(g, n);
		for (size_t k = 0; !r && !n->cut && k < ARRAY_SIZE(names); k++) {
			const struct dotnet_field *f;
			r = dotnet_find_field(g->d, type, names[k], &f, e);
			if (r) break;
			const struct place p = place_of(f, at + OBJECT_HEADER + f->is.offset);
			r = add_value(g, &p, follow, n, e);
		}
		if (!r) r = field_reference(g, type, at, "_next", &at, e);
		if (r) return r;
	}
	return 0;
}

/* Its buckets are references, since .NET 8 in a struct of their own. */
static int read_concurrent(struct reading *g, struct dotnet_type *type, uint64_t object, int follow,
			   struct node *n, struct err *e)
{
	struct dotnet_type *tables_type;
	struct elements a;
	uint64_t tables, buckets;
	int r = field_reference(g, type, object, "_tables", &tables, e);
	if (!r) r = dotnet_type_of(g->d, tables, &tables_type, e);
	if (!r) r = field_reference(g, tables_type, tables, "_buckets", &buckets, e);
	if (!r) r = open_array(g, buckets, &a, e);
	if (!r && buckets && a.type->component_size != sizeof(uint64_t))
		r = err_set(e, ERR_CORRUPT, "buckets of another kind");
	n->shape = SHAPE_ENTRIES;
	for (uint32_t i = 0; !r && buckets && i < a.count; i++) {
		uint64_t node;
		r = dotnet_read(g->d, element_at(&a, i), &node, sizeof(node), e);
		if (!r) r = add_chain(g, node, follow, n, e);
	}
	return r;
}

int read_collection(struct reading *g, struct dotnet_type *type, uint64_t object, int follow,
		    struct node *n, struct err *e)
{
	static const struct {
		const char *prefix;
		int (*read)(struct reading *g, struct dotnet_type *type, uint64_t object,
			    int follow, struct node *n, struct err *e);
	} known[] = {
	    {"System.Collections.Generic.Dictionary`2[", read_dictionary},
	    {"System.Collections.Generic.List`1[", read_list},
	    {"System.Collections.Generic.HashSet`1[", read_set},
	    {"System.Collections.Generic.Queue`1[", read_queue},
	    {"System.Collections.Concurrent.ConcurrentDictionary`2[", read_concurrent},
	};
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		size_t len = strlen(known[i].prefix);
		if (strncmp(type->name, known[i].prefix, len) != 0) continue;
		int r = known[i].read(g, type, object, follow, n, e);
		return r == -ERR_NOT_FOUND
			   ? err_set(e, ERR_CORRUPT, "%s of an unknown build", type->name)
			   : r;
	}
	return err_set(e, ERR_NOT_FOUND, "no collection");
}
