#include "dumpers/dotnet/async.h"

#include "base/search.h"
#include "dumpers/dotnet/fields.h"

/* Task.TASK_STATE_FAULTED, _CANCELED, _RAN_TO_COMPLETION (Task.cs) */
enum { TASK_COMPLETED = 0x200000 | 0x400000 | 0x1000000 };
enum { LIST_MAX = 1 << 12, LIST_DATA = 16, PROMISES_MAX = 8, AWAITER_FIELDS_MAX = 256 };

static const char builder_names[] = "System.Runtime.CompilerServices.";
static const char box_name[] = "StateMachineBox`1[";

static bool is_box(const struct dotnet_type *type)
{
	return !strncmp(type->name, builder_names, strlen(builder_names)) &&
	       strstr(type->name, box_name);
}

static uint64_t read_word(struct dotnet *d, uint64_t address)
{
	uint64_t value = 0;
	return address && !dotnet_read(d, address, &value, sizeof(value), NULL) ? value : 0;
}

/* --- one method --- */

/* Where the state machine is: a struct in the box, or, as compiled for debugging, an object. */
struct machine {
	uint64_t base; /* of its fields */
	struct dotnet_type *type;
};

static bool find_machine(struct dotnet *d, uint64_t box, struct dotnet_type *type,
			 struct machine *ret)
{
	const struct dotnet_field *field;
	if (dotnet_find_field(d, type, "StateMachine", &field, NULL)) return false;
	uint64_t at = box + OBJECT_HEADER + field->is.offset;
	if (field->is.kind == KIND_STRUCT) {
		ret->base = at;
		return !dotnet_type_at(d, field->is.type, &ret->type, NULL);
	}
	uint64_t object = read_word(d, at);
	ret->base = object + OBJECT_HEADER;
	return object && !dotnet_type_of(d, object, &ret->type, NULL);
}

/* The reference in an awaiter: a task, or the source of a ValueTask, however deep in its structs.
 * *left: how many fields may still be looked at. */
static uint64_t find_awaited(struct dotnet *d, const struct dotnet_field *field, uint64_t at,
			     int *left)
{
	struct dotnet_type *type;
	if (field->is.kind != KIND_STRUCT) {
		bool is_reference = field->is.kind == KIND_CLASS || field->is.kind == KIND_OBJECT;
		return is_reference ? read_word(d, at) : 0;
	}
	if (dotnet_type_at(d, field->is.type, &type, NULL) || dotnet_load_fields(d, type, NULL))
		return 0;
	for (size_t i = 0; i < type->field_count && *left; i++) {
		const struct dotnet_field *inner = &type->fields[i];
		--*left;
		if (inner->is.is_static) continue;
		uint64_t found = find_awaited(d, inner, at + inner->is.offset, left);
		if (found) return found;
	}
	return 0;
}

/* Awaiters are fields of the state machine whose names begin so; one that is done with is empty. */
static uint64_t read_awaited(struct dotnet *d, const struct machine *m)
{
	static const char prefix[] = "<>u__";
	int left = AWAITER_FIELDS_MAX;
	if (dotnet_load_fields(d, m->type, NULL)) return 0;
	for (size_t i = 0; i < m->type->field_count; i++) {
		const struct dotnet_field *field = &m->type->fields[i];
		if (field->is.is_static || strncmp(field->name, prefix, strlen(prefix)) != 0)
			continue;
		uint64_t found = find_awaited(d, field, m->base + field->is.offset, &left);
		if (found) return found;
	}
	return 0;
}

/* False: it has ended, or is no such object after all. */
static bool read_method(struct dotnet *d, const struct dotnet_object *box, struct async_method *ret)
{
	const struct dotnet_field *state;
	struct machine m;
	uint64_t flags = field_number(d, box->address, "m_stateFlags", sizeof(uint32_t));
	*ret = (struct async_method){.address = box->address};
	if (flags & TASK_COMPLETED || !find_machine(d, box->address, box->type, &m)) return false;
	if (dotnet_find_field(d, m.type, "<>1__state", &state, NULL) ||
	    dotnet_read(d, m.base + state->is.offset, &ret->state, sizeof(ret->state), NULL))
		return false;
	ret->machine = m.type;
	ret->awaits = read_awaited(d, &m);
	ret->continuation =
	    field_number(d, box->address, "m_continuationObject", sizeof(ret->continuation));
	return ret->state >= -1;
}

struct collecting {
	struct dotnet *d;
	struct async_stacks *s;
	/* The last type that was looked at; most objects are of the type of the one before. */
	const struct dotnet_type *last;
	bool last_is;
};

static int collect(void *ctx, const struct dotnet_object *object, struct err *e)
{
	struct collecting *c = ctx;
	struct async_stacks *s = c->s;
	if (c->last != object->type) c->last_is = is_box(object->type);
	c->last = object->type;
	if (!c->last_is) return 0;
	if (s->method_count == ASYNC_METHODS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d async methods wait", ASYNC_METHODS_MAX);
	if (s->method_count == s->method_cap) {
		size_t cap = MAX(2 * s->method_cap, (size_t)256);
		struct async_method *grown = reallocarray(s->methods, cap, sizeof(*grown));
		if (!grown) return err_set(e, ERR_NO_MEMORY, "no memory for async methods");
		s->methods = grown;
		s->method_cap = cap;
	}
	if (read_method(c->d, object, &s->methods[s->method_count])) s->method_count++;
	return 0;
}

static int compare_methods(const void *a, const void *b)
{
	const struct async_method *x = a, *y = b;
	return x->address < y->address ? -1 : x->address > y->address;
}

static struct async_method *find_method(const struct async_stacks *s, uint64_t address)
{
	const struct async_method key = {.address = address};
	return address && s->method_count
		   ? bsearch(&key, s->methods, s->method_count, sizeof(key), compare_methods)
		   : NULL;
}

/* --- who continues --- */

/*
 * The method that a continuation is of: itself; what a delegate calls (Action, or that of an
 * AwaitTaskContinuation); or, of a promise such as that of Task.WhenAll, what continues after it.
 */
static struct async_method *method_of(struct dotnet *d, const struct async_stacks *s,
				      uint64_t object)
{
	for (int i = 0; i < PROMISES_MAX && object; i++) {
		uint64_t action = field_number(d, object, "m_action", 8);
		struct async_method *m = find_method(s, object);
		if (!m) m = find_method(s, field_number(d, action ? action : object, "_target", 8));
		if (m) return m;
		object = field_number(d, object, "m_continuationObject", 8);
	}
	return NULL;
}

/* Of several the runtime makes a List: count of them, the i-th; else the one itself. */
static size_t count_continuations(struct dotnet *d, uint64_t object, uint64_t *ret_items)
{
	static const char list[] = "System.Collections.Generic.List`1[";
	struct dotnet_type *type;
	*ret_items = 0;
	if (!object) return 0;
	if (dotnet_type_of(d, object, &type, NULL) || strncmp(type->name, list, strlen(list)) != 0)
		return 1;
	*ret_items = field_number(d, object, "_items", 8);
	return *ret_items ? MIN(field_number(d, object, "_size", 4), (uint64_t)LIST_MAX) : 0;
}

static uint64_t continuation_at(struct dotnet *d, const struct async_method *m, uint64_t items,
				size_t i)
{
	return items ? read_word(d, items + LIST_DATA + i * sizeof(uint64_t)) : m->continuation;
}

/* Who awaits another async method is inside of a stack: it begins none. */
static void mark_awaiting(struct dotnet *d, struct async_stacks *s)
{
	for (size_t i = 0; i < s->method_count; i++) {
		uint64_t items;
		size_t count = count_continuations(d, s->methods[i].continuation, &items);
		for (size_t k = 0; k < count; k++) {
			struct async_method *outer =
			    method_of(d, s, continuation_at(d, &s->methods[i], items, k));
			if (outer) outer->is_awaiting = true;
		}
	}
}

/* --- stacks --- */

struct climbing {
	struct dotnet *d;
	struct async_stacks *s;
	uint32_t path[ASYNC_DEPTH_MAX];
	size_t len;
	size_t total; /* methods of all stacks */
};

static struct dotnet_type *type_of(struct dotnet *d, uint64_t object)
{
	struct dotnet_type *type;
	return object && !dotnet_type_of(d, object, &type, NULL) ? type : NULL;
}

static int add_stack(struct climbing *c, enum async_end end, uint64_t then, struct err *e)
{
	struct async_stacks *s = c->s;
	if (s->count == ASYNC_STACKS_MAX || c->len > ASYNC_TOTAL_MAX - c->total)
		return err_set(e, ERR_LIMIT, "too many async stacks: more than %zu", s->count);
	if (s->count == s->cap) {
		size_t cap = MAX(2 * s->cap, (size_t)256);
		struct async_stack *grown = reallocarray(s->v, cap, sizeof(*grown));
		if (!grown) return err_set(e, ERR_NO_MEMORY, "no memory for async stacks");
		s->v = grown;
		s->cap = cap;
	}
	uint32_t *methods = malloc(c->len * sizeof(*methods));
	if (!methods) return err_set(e, ERR_NO_MEMORY, "no memory for async stacks");
	memcpy(methods, c->path, c->len * sizeof(*methods));
	c->total += c->len;
	s->v[s->count++] =
	    (struct async_stack){.methods = methods,
				 .count = c->len,
				 .end = end,
				 .waits = type_of(c->d, s->methods[methods[0]].awaits),
				 .then = type_of(c->d, then),
				 .same = 1};
	return 0;
}

static bool is_on_path(const struct climbing *c, uint32_t index)
{
	for (size_t i = 0; i < c->len; i++)
		if (c->path[i] == index) return true;
	return false;
}

/* From the method outwards, once for each that awaits it. */
static int climb(struct climbing *c, struct async_method *m, struct err *e)
{
	uint32_t index = (uint32_t)(m - c->s->methods);
	uint64_t items;
	if (is_on_path(c, index)) return add_stack(c, ASYNC_CIRCLE, 0, e);
	if (c->len == ASYNC_DEPTH_MAX) return add_stack(c, ASYNC_CUT, 0, e);
	c->path[c->len++] = index;
	m->is_shown = true;
	size_t count = count_continuations(c->d, m->continuation, &items);
	int r = count ? 0 : add_stack(c, ASYNC_COMPLETE, 0, e);
	for (size_t i = 0; !r && i < count; i++) {
		uint64_t object = continuation_at(c->d, m, items, i);
		struct async_method *outer = method_of(c->d, c->s, object);
		r = outer ? climb(c, outer, e) : add_stack(c, ASYNC_COMPLETE, object, e);
	}
	c->len--;
	return r;
}

/* --- identical ones --- */

static int compare_pointers(const void *a, const void *b)
{
	return (uintptr_t)a < (uintptr_t)b ? -1 : (uintptr_t)a > (uintptr_t)b;
}

/* By what they say: 0 if they say the same. */
static int compare_stacks(const struct async_stacks *s, const struct async_stack *x,
			  const struct async_stack *y)
{
	int r = x->count < y->count ? -1 : x->count > y->count;
	if (!r) r = compare_pointers(x->waits, y->waits);
	if (!r) r = compare_pointers(x->then, y->then);
	if (!r) r = (int)x->end - (int)y->end;
	for (size_t i = 0; !r && i < x->count; i++) {
		const struct async_method *m = &s->methods[x->methods[i]];
		const struct async_method *n = &s->methods[y->methods[i]];
		r = compare_pointers(m->machine, n->machine);
		if (!r) r = m->state < n->state ? -1 : m->state > n->state;
	}
	return r;
}

static int compare_to_fold(const void *a, const void *b, void *stacks)
{
	const struct async_stack *x = a, *y = b;
	int r = compare_stacks(stacks, x, y);
	return r ? r
		 : compare_methods(&((struct async_stacks *)stacks)->methods[x->methods[0]],
				   &((struct async_stacks *)stacks)->methods[y->methods[0]]);
}

/* The addresses on a heap say in which order they came to be there, more or less. */
static int compare_to_show(const void *a, const void *b)
{
	const struct async_stack *x = a, *y = b;
	if ((x->end == ASYNC_CIRCLE) != (y->end == ASYNC_CIRCLE))
		return x->end == ASYNC_CIRCLE ? -1 : 1;
	if (x->same != y->same) return x->same > y->same ? -1 : 1;
	return x->methods[0] < y->methods[0] ? -1 : x->methods[0] > y->methods[0];
}

static void fold(struct async_stacks *s)
{
	size_t kept = 0;
	if (s->count) qsort_r(s->v, s->count, sizeof(*s->v), compare_to_fold, s);
	for (size_t i = 0; i < s->count; i++) {
		if (kept && !compare_stacks(s, &s->v[kept - 1], &s->v[i])) {
			s->v[kept - 1].same++;
			free(s->v[i].methods);
		} else {
			s->v[kept++] = s->v[i];
		}
	}
	s->count = kept;
	if (kept) qsort(s->v, kept, sizeof(*s->v), compare_to_show);
}

static int read_stacks(struct dotnet *d, struct async_stacks *s, struct err *e)
{
	struct collecting c = {.d = d, .s = s};
	struct climbing *up = NULL;
	struct dotnet_heap heap;
	int r = dotnet_heap_read(d, &heap, e);
	if (r) return r;
	r = dotnet_walk(d, &heap, collect, &c, &s->loss, e);
	dotnet_heap_done(&heap);
	if (!r && s->method_count)
		qsort(s->methods, s->method_count, sizeof(*s->methods), compare_methods);
	if (!r) up = calloc(1, sizeof(*up));
	if (!r && !up) r = err_set(e, ERR_NO_MEMORY, "no memory for async stacks");
	if (r) return r;
	*up = (struct climbing){.d = d, .s = s};
	mark_awaiting(d, s);
	for (size_t i = 0; !r && i < s->method_count; i++)
		if (!s->methods[i].is_awaiting) r = climb(up, &s->methods[i], e);
	/* Those that await each other in a circle. */
	for (size_t i = 0; !r && i < s->method_count; i++)
		if (!s->methods[i].is_shown) r = climb(up, &s->methods[i], e);
	free(up);
	if (!r) fold(s);
	return r;
}

int async_stacks_read(struct dotnet *d, struct async_stacks *ret, struct err *e)
{
	*ret = (struct async_stacks){0};
	int r = read_stacks(d, ret, e);
	if (r) async_stacks_done(ret);
	return r;
}

void async_stacks_done(struct async_stacks *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->v[i].methods);
	free(s->v);
	free(s->methods);
	*s = (struct async_stacks){0};
}
