#include "dumpers/dotnet/object_internal.h"

#include <stdio.h>

/* What is wrong with one value is shown in its place; what is wrong with the process that is asked
 * for types, or with this one, ends all. */
static bool is_of_the_value(int r)
{
	return r == -ERR_NOT_FOUND || r == -ERR_IO || r == -ERR_CORRUPT;
}

static int settle(int r, struct err *why, struct node *n, struct err *e)
{
	if (is_of_the_value(r)) {
		n->shape = SHAPE_NONE;
		return node_set_text(n, NODE_UNKNOWN, why->text, strlen(why->text), e);
	}
	if (r && e) *e = *why;
	return r;
}

int add_node(struct reading *g, struct node *parent, struct node **ret, struct err *e)
{
	if (++g->nodes > OBJECT_NODES_MAX) {
		err_set(e, ERR_LIMIT, "more than %d values", OBJECT_NODES_MAX);
		return err_hint(e, "Lower --depth or --limit.");
	}
	return node_add(parent, ret, e);
}

struct place place_of(const struct dotnet_field *f, uint64_t address)
{
	return (struct place){.address = address,
			      .kind = f->is.kind,
			      .type = f->is.type,
			      .type_module = f->is.type_module,
			      .type_token = f->is.type_token};
}

static int read_own_fields(struct reading *g, struct dotnet_type *type, uint64_t base, int follow,
			   struct node *n, struct err *e)
{
	int r = dotnet_load_fields(g->d, type, e);
	for (size_t i = 0; !r && i < type->field_count; i++) {
		const struct dotnet_field *f = &type->fields[i];
		struct node *child;
		if (f->is.is_static) continue;
		const struct place p = place_of(f, base + f->is.offset);
		r = add_node(g, n, &child, e);
		if (!r) child->name = f->name;
		if (!r) r = read_value(g, &p, follow, child, e);
	}
	return r;
}

/* The chain of base types, the last of them first. */
static int list_types(struct dotnet *d, struct dotnet_type *type,
		      struct dotnet_type *ret[static DOTNET_DEPTH_MAX], size_t *ret_count,
		      struct err *e)
{
	size_t count = 0;
	while (type) {
		if (count == DOTNET_DEPTH_MAX)
			return err_set(e, ERR_CORRUPT, "%s has no end of base types", type->name);
		ret[count++] = type;
		if (!type->parent) break;
		int r = dotnet_type_at(d, type->parent, &type, e);
		if (r) return r;
	}
	*ret_count = count;
	return 0;
}

int read_fields(struct reading *g, struct dotnet_type *type, uint64_t base, int follow,
		struct node *n, struct err *e)
{
	struct dotnet_type *chain[DOTNET_DEPTH_MAX];
	size_t count;
	int r = list_types(g->d, type, chain, &count, e);
	n->shape = SHAPE_FIELDS;
	while (!r && count)
		r = read_own_fields(g, chain[--count], base, follow, n, e);
	return r;
}

/* A static that is a struct is a boxed one. */
static int read_static(struct reading *g, const struct dotnet_field *f, int follow, struct node *n,
		       struct err *e)
{
	static const char each[] = "one for each thread", none[] = "not there yet";
	struct place p = place_of(f, f->is.address);
	struct err why = {0};
	if (f->is.is_thread_static) return node_set_text(n, NODE_UNKNOWN, each, strlen(each), e);
	if (!f->is.address) return node_set_text(n, NODE_UNKNOWN, none, strlen(none), e);
	if (p.kind != KIND_STRUCT) return read_value(g, &p, follow, n, e);
	int r = dotnet_read(g->d, f->is.address, &p.address, sizeof(p.address), &why);
	if (r) return settle(r, &why, n, e);
	if (!p.address) return node_set_text(n, NODE_UNKNOWN, none, strlen(none), e);
	p.address += OBJECT_HEADER;
	return read_value(g, &p, follow, n, e);
}

static int read_statics(struct reading *g, struct dotnet_type *type, struct node *n, struct err *e)
{
	struct dotnet_type *chain[DOTNET_DEPTH_MAX];
	size_t count;
	int r = list_types(g->d, type, chain, &count, e);
	while (!r && count) {
		struct dotnet_type *t = chain[--count];
		r = dotnet_load_fields(g->d, t, e);
		for (size_t i = 0; !r && i < t->field_count; i++) {
			struct node *child;
			if (!t->fields[i].is.is_static) continue;
			r = add_node(g, n, &child, e);
			if (r) break;
			child->name = t->fields[i].name;
			child->is_static = true;
			r = read_static(g, &t->fields[i], -1, child, e);
		}
	}
	return r;
}

/* System.Int32 and its like hold themselves: a number in a field of this name. */
static uint8_t wrapped_kind(struct dotnet *d, struct dotnet_type *type, const char *field)
{
	const struct dotnet_field *f;
	if (dotnet_find_field(d, type, field, &f, NULL) || f->is.offset) return 0;
	return kind_is_number(f->is.kind) ? f->is.kind : 0;
}

static int read_enum(struct reading *g, const struct place *p, struct dotnet_type *type,
		     struct node *n, struct err *e)
{
	int64_t value;
	uint8_t kind = p->kind;
	if (!kind_is_number(kind)) kind = wrapped_kind(g->d, type, "value__");
	if (!kind) return err_set(e, ERR_CORRUPT, "%s is an enum of no number", type->name);
	int r = read_number(g->d, kind, p->address, &value, e);
	n->type = type->name;
	return r ? r : show_enum(g->d, type->module, type->token, value, n, e);
}

static int read_nullable(struct reading *g, struct dotnet_type *type, const struct place *p,
			 int follow, struct node *n, struct err *e)
{
	const struct dotnet_field *has, *value;
	uint8_t set;
	int r = dotnet_find_field(g->d, type, "hasValue", &has, e);
	if (!r) r = dotnet_find_field(g->d, type, "value", &value, e);
	if (!r) r = dotnet_read(g->d, p->address + has->is.offset, &set, sizeof(set), e);
	if (r) return r;
	n->kind = NODE_NULL;
	const struct place inner = place_of(value, p->address + value->is.offset);
	return set ? read_value(g, &inner, follow, n, e) : 0;
}

static int read_struct(struct reading *g, const struct place *p, struct dotnet_type *type,
		       int follow, struct node *n, struct err *e)
{
	uint8_t kind =
	    strncmp(type->name, "System.", 7) != 0 ? 0 : wrapped_kind(g->d, type, "m_value");
	if (kind) return show_number(g->d, kind, p->address, n, e);
	int r = show_known_struct(g->d, type, p->address, n, e);
	if (r != -ERR_NOT_FOUND) return r;
	if (!strncmp(type->name, "System.Nullable`1[", 18))
		return read_nullable(g, type, p, follow, n, e);
	n->kind = NODE_STRUCT;
	n->type = type->name;
	return read_fields(g, type, p->address, follow, n, e);
}

static int read_pointer(struct reading *g, const struct place *p, struct node *n, struct err *e)
{
	int r = dotnet_read(g->d, p->address, &n->number, sizeof(n->number), e);
	n->kind = NODE_POINTER;
	return r;
}

/* An enum's kind is that of its numbers; its type, or its token where that is not loaded, tells. */
static int read_plain_number(struct reading *g, const struct place *p, struct node *n,
			     struct err *e)
{
	struct dotnet_type *type;
	int64_t value;
	if (p->type && !dotnet_type_at(g->d, p->type, &type, NULL))
		return type->is_enum ? read_enum(g, p, type, n, e)
				     : show_number(g->d, p->kind, p->address, n, e);
	if (!(p->type_token & 0xffffff) || p->kind == KIND_BOOL || p->kind > KIND_U8)
		return show_number(g->d, p->kind, p->address, n, e);
	int r = read_number(g->d, p->kind, p->address, &value, e);
	return r ? r : show_enum(g->d, p->type_module, p->type_token, value, n, e);
}

static int read_plain(struct reading *g, const struct place *p, int follow, struct node *n,
		      struct err *e)
{
	struct dotnet_type *type;
	uint64_t object;
	int r;
	if (kind_is_number(p->kind)) return read_plain_number(g, p, n, e);
	switch (p->kind) {
	case KIND_POINTER:
	case KIND_BY_REFERENCE:
	case KIND_FUNCTION:
	case KIND_I:
	case KIND_U:
		return read_pointer(g, p, n, e);
	case KIND_STRUCT:
		if (!p->type) return err_set(e, ERR_NOT_FOUND, "its type is not loaded");
		r = dotnet_type_at(g->d, p->type, &type, e);
		if (r) return r;
		return type->is_enum ? read_enum(g, p, type, n, e)
				     : read_struct(g, p, type, follow, n, e);
	default:
		r = dotnet_read(g->d, p->address, &object, sizeof(object), e);
		return r ? r : read_reference(g, object, follow, n, e);
	}
}

int read_value(struct reading *g, const struct place *p, int follow, struct node *n, struct err *e)
{
	struct err why = {0};
	if (g->nesting == OBJECT_NESTING_MAX)
		return node_set_text(n, NODE_UNKNOWN, "nested too deep", 15, e);
	g->nesting++;
	int r = read_plain(g, p, follow, n, &why);
	g->nesting--;
	return settle(r, &why, n, e);
}

static int read_boxed(struct reading *g, struct dotnet_type *type, uint64_t object, int follow,
		      struct node *n, struct err *e)
{
	struct node *child;
	const struct place p = {
	    .address = object + OBJECT_HEADER, .kind = KIND_STRUCT, .type = type->address};
	n->shape = SHAPE_BOXED;
	int r = add_node(g, n, &child, e);
	return r ? r : read_value(g, &p, follow, child, e);
}

static int read_inside(struct reading *g, struct dotnet_type *type, uint64_t object, int follow,
		       bool fields, struct node *n, struct err *e)
{
	if (dotnet_is_array(type)) return read_array(g, type, object, follow, n, e);
	int r = g->config->raw ? -ERR_NOT_FOUND : read_collection(g, type, object, follow, n, e);
	if (r != -ERR_NOT_FOUND) return r;
	return fields ? read_fields(g, type, object + OBJECT_HEADER, follow, n, e) : 0;
}

static int measure(struct reading *g, struct dotnet_type *type, uint64_t object, uint64_t *ret,
		   struct err *e)
{
	uint32_t count = 0;
	int r = 0;
	if (type->component_size)
		r = dotnet_read(g->d, object + OBJECT_HEADER, &count, sizeof(count), e);
	return r ? r : dotnet_object_size(type, count, ret, e);
}

static bool is_open(const struct reading *g, uint64_t object)
{
	for (size_t i = 0; i < g->open_count; i++) {
		if (g->open[i] == object) return true;
	}
	return g->open_count == OBJECT_NESTING_MAX;
}

int read_reference(struct reading *g, uint64_t object, int follow, struct node *n, struct err *e)
{
	struct dotnet_type *type;
	n->kind = NODE_NULL;
	if (!object) return 0;
	int r = dotnet_type_of(g->d, object, &type, e);
	if (r) return r;
	if (type->is_string) return show_string(g->d, object, n, e);
	n->kind = NODE_OBJECT;
	n->number = (int64_t)object;
	n->type = type->name;
	if (type->is_value) return read_boxed(g, type, object, follow, n, e);
	if (follow < 0 || is_open(g, object)) return 0;
	g->open[g->open_count++] = object;
	r = read_inside(g, type, object, follow - 1, follow > 0, n, e);
	g->open_count--;
	return r;
}

static int find_top(struct reading *g, uint64_t object, struct dotnet_type **ret, struct err *e)
{
	struct err why = {0};
	int r = dotnet_type_of(g->d, object, ret, &why);
	if (!r && (*ret)->is_free) r = err_set(&why, ERR_NOT_FOUND, "free space is there");
	if (is_of_the_value(r))
		r = err_wrap(&why, "no object at 0x%llx", (unsigned long long)object);
	if (r && e) *e = why;
	return r;
}

static int read_top(struct reading *g, uint64_t object, struct node *n, struct err *e)
{
	struct dotnet_type *type;
	int r = find_top(g, object, &type, e);
	if (!r) r = read_reference(g, object, g->config->depth + 1, n, e);
	if (r) return r;
	n->type = type->name;
	r = measure(g, type, object, &n->size, e);
	if (!r && g->config->statics && n->shape == SHAPE_FIELDS && n->kind == NODE_OBJECT)
		r = read_statics(g, type, n, e);
	return r;
}

int object_read(struct dotnet *d, uint64_t address, const struct object_config *config,
		struct node **ret, struct err *e)
{
	struct reading g = {.d = d, .config = config};
	_cleanup_node_ struct node *n = node_new();
	if (!n) return err_set(e, ERR_NO_MEMORY, "no memory");
	if (!address || address % 8)
		return err_set(e, ERR_NOT_FOUND, "no object at 0x%llx",
			       (unsigned long long)address);
	int r = read_top(&g, address, n, e);
	if (!r) *ret = STEAL_PTR(n);
	return r;
}

int object_field(struct dotnet *d, uint64_t address, struct dotnet_type *type, const char *name,
		 struct node **ret, struct err *e)
{
	static const struct object_config config = {.limit = 1};
	struct reading g = {.d = d, .config = &config};
	const struct dotnet_field *f;
	int r = dotnet_find_field(d, type, name, &f, e);
	if (r) return r;
	_cleanup_node_ struct node *n = node_new();
	if (!n) return err_set(e, ERR_NO_MEMORY, "no memory");
	const struct place p = place_of(f, address + OBJECT_HEADER + f->is.offset);
	r = read_value(&g, &p, -1, n, e);
	if (!r) *ret = STEAL_PTR(n);
	return r;
}
