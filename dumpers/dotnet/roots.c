#include "dumpers/dotnet/roots.h"

#include "dumpers/dotnet/dotnet_internal.h"
#include "dumpers/dotnet/walk.h"

struct gathering {
	struct dotnet *d;
	struct heap_index *index;
	struct roots roots;
};

static int make_room(void **v, size_t count, size_t *cap, size_t size, struct err *e)
{
	if (count < *cap) return 0;
	if (count >= ROOTS_MAX) return err_set(e, ERR_LIMIT, "more than %d roots", ROOTS_MAX);
	size_t wanted = *cap ? *cap * 2 : 1024;
	void *grown = reallocarray(*v, wanted, size);
	if (!grown) return err_set(e, ERR_NO_MEMORY, "no memory");
	*v = grown;
	*cap = wanted;
	return 0;
}

static bool find_object(struct gathering *g, uint64_t address, uint32_t *ret)
{
	uint32_t word;
	return heap_index_word(g->index, address, &word) && heap_index_object(g->index, word, ret);
}

/* The object that an address within it is of. */
static bool find_around(struct gathering *g, uint64_t address, uint32_t *ret)
{
	struct dotnet_object object;
	uint32_t word;
	if (!heap_index_word(g->index, align_down(address, HEAP_INDEX_WORD), &word) ||
	    !heap_index_before(g->index, word, ret))
		return false;
	uint64_t start = heap_index_address(g->index, *ret);
	return !dotnet_object_at(g->d, start, &object, NULL) && address - start < object.size;
}

static int add_root(struct gathering *g, const struct dac_wire_root *is, uint64_t address,
		    struct err *e)
{
	struct roots *r = &g->roots;
	uint32_t object;
	if (!find_object(g, address, &object) &&
	    !(is->interior && find_around(g, address, &object)))
		return 0;
	int err = make_room((void **)&r->v, r->count, &r->cap, sizeof(*r->v), e);
	if (err) return err;
	r->v[r->count++] = (struct root){*is, object};
	return 0;
}

static int add_dependent(struct gathering *g, const struct dac_wire_root *is, uint64_t key,
			 struct err *e)
{
	struct roots *r = &g->roots;
	uint32_t object, value;
	if (!find_object(g, key, &object) || !find_object(g, is->object, &value)) return 0;
	int err = make_room((void **)&r->dependents, r->dependent_count, &r->dependent_cap,
			    sizeof(*r->dependents), e);
	if (err) return err;
	r->dependents[r->dependent_count++] =
	    (struct root_dependent){.key = object, .value = value, .slot = is->slot};
	return 0;
}

/* A static that is a piece of its assembly's file has no slot among the others. */
static bool is_in_file(struct gathering *g, const struct dac_wire_root *is)
{
	const struct metadata *m = dotnet_metadata(g->d, is->module);
	return m && metadata_field_in_file(m, is->token & 0xffffff);
}

static int take(struct gathering *g, const struct dac_wire_root *is, struct err *e)
{
	uint64_t value = is->object;
	if (is->kind >= DAC_ROOT_KINDS) return 0;
	if (is->kind != DAC_ROOT_STACK && dotnet_read(g->d, is->slot, &value, sizeof(value), NULL))
		return 0;
	if (!value) return 0;
	if ((is->kind == DAC_ROOT_STATIC || is->kind == DAC_ROOT_THREAD_STATIC) &&
	    is_in_file(g, is))
		return 0;
	return is->kind == DAC_ROOT_DEPENDENT ? add_dependent(g, is, value, e)
					      : add_root(g, is, value, e);
}

/* The answer is copied: what is read for each record may ask again. */
static int ask(struct gathering *g, enum dac_message question, uint64_t argument,
	       struct dac_wire_root **ret, size_t *ret_count, struct err *e)
{
	int r = dotnet_ask(g->d, question, argument, 0, e);
	if (r) return r;
	const struct buf *answer = &g->d->answer;
	if (answer->len % sizeof(**ret))
		return err_set(e, ERR_CORRUPT, "the list of what refers to objects is cut");
	*ret = malloc(answer->len ? answer->len : 1);
	if (!*ret) return err_set(e, ERR_NO_MEMORY, "no memory");
	if (answer->len) memcpy(*ret, answer->data, answer->len);
	*ret_count = answer->len / sizeof(**ret);
	return 0;
}

/* paged: all of them in parts, else what one question gives. */
static int gather(struct gathering *g, enum dac_message question, uint64_t argument, bool paged,
		  struct err *e)
{
	size_t count;
	do {
		_cleanup_free_ struct dac_wire_root *some = NULL;
		int r = ask(g, question, argument, &some, &count, e);
		for (size_t i = 0; !r && i < count; i++)
			r = take(g, &some[i], e);
		if (r) return r;
		argument += count;
		if (paged && argument > ROOTS_MAX)
			return err_set(e, ERR_LIMIT, "more than %d roots", ROOTS_MAX);
	} while (paged && count == DAC_ROOTS_EACH);
	return 0;
}

/* A "no" of the library. */
static int unless_refused(int r, bool *ret_unread)
{
	if (r != -ERR_CORRUPT) return r;
	*ret_unread = true;
	return 0;
}

/* The lists of an assembly's types have none that has arguments: those that the heap has shown.
 * Asking may make more types known, which moves the table. */
static int gather_generics(struct gathering *g, struct err *e)
{
	struct dotnet *d = g->d;
	size_t count = 0;
	int r = 0;
	_cleanup_free_ struct dotnet_type **types = calloc(d->slots_used + 1, sizeof(*types));
	if (!types) return err_set(e, ERR_NO_MEMORY, "no memory");
	for (size_t i = 0; i < d->slot_count; i++) {
		struct dotnet_type *t = d->slots[i].type;
		if (t && !dotnet_is_array(t) && strchr(t->name, '[')) types[count++] = t;
	}
	for (size_t i = 0; !r && i < count; i++)
		r = unless_refused(gather(g, DAC_ASK_STATICS_OF, types[i]->address, false, e),
				   &g->roots.statics_unread);
	return r;
}

static int gather_stack(struct gathering *g, uint32_t tid, struct err *e)
{
	struct roots *r = &g->roots;
	bool refused = false;
	int err = unless_refused(gather(g, DAC_ASK_STACK, tid, false, e), &refused);
	if (err || !refused) return err;
	uint32_t *grown =
	    reallocarray(r->unread_threads, r->unread_count + 1, sizeof(*r->unread_threads));
	if (!grown) return err_set(e, ERR_NO_MEMORY, "no memory");
	r->unread_threads = grown;
	grown[r->unread_count++] = tid;
	return 0;
}

static int gather_stacks(struct gathering *g, struct err *e)
{
	int r = dotnet_ask(g->d, DAC_ASK_THREADS, 0, 0, e);
	if (r) return r;
	size_t count = g->d->answer.len / sizeof(struct dac_wire_thread);
	_cleanup_free_ struct dac_wire_thread *threads = calloc(count + 1, sizeof(*threads));
	if (!threads) return err_set(e, ERR_NO_MEMORY, "no memory");
	if (count) memcpy(threads, g->d->answer.data, count * sizeof(*threads));
	for (size_t i = 0; !r && i < count; i++) {
		if (threads[i].os_id) r = gather_stack(g, threads[i].os_id, e);
	}
	return r;
}

static int compare_dependents(const void *a, const void *b)
{
	const struct root_dependent *x = a, *y = b;
	if (x->key != y->key) return x->key < y->key ? -1 : 1;
	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static int gather_all(struct gathering *g, struct err *e)
{
	struct roots *r = &g->roots;
	int err = unless_refused(gather(g, DAC_ASK_STATICS, 0, true, e), &r->statics_unread);
	if (!err) err = gather_generics(g, e);
	if (!err) err = gather_stacks(g, e);
	if (!err) err = unless_refused(gather(g, DAC_ASK_HANDLES, 0, true, e), &r->handles_unread);
	if (!err && r->dependent_count)
		qsort(r->dependents, r->dependent_count, sizeof(*r->dependents),
		      compare_dependents);
	return err;
}

int roots_read(struct dotnet *d, struct heap_index *index, struct roots *ret, struct err *e)
{
	struct gathering g = {.d = d, .index = index};
	struct err why = {0};
	int r = gather_all(&g, &why);
	if (r && e) *e = why;
	if (r)
		roots_done(&g.roots);
	else
		*ret = g.roots;
	return r;
}

void roots_done(struct roots *r)
{
	free(r->v);
	free(r->dependents);
	free(r->unread_threads);
	*r = (struct roots){0};
}
