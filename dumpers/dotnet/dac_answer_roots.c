/*
 * What refers into the heap from outside of it, as the library lists it: handles, the queue of
 * objects whose finalizer is to run, static fields, references of a thread's stack.
 */
#include "dumpers/dotnet/dac_host_internal.h"

#include <string.h>

enum { LIST_MAX = 1 << 16, TYPES_MAX = 1 << 20, AT_A_TIME = 64, HEAPS_MAX = 1024 };

struct listing {
	struct dac *dac;
	struct buf *ret;
	uint64_t leave_out; /* records that still are to be */
	size_t count;
	struct err *e;
	int failed;
	/* The type whose statics are listed. */
	uint64_t type, module;
	struct buf types; /* of the module: addresses */
};

static bool is_full(const struct listing *l)
{
	return l->count == DAC_ROOTS_EACH;
}

static int add(struct listing *l, const struct dac_wire_root *root)
{
	if (l->leave_out) {
		l->leave_out--;
		return 0;
	}
	if (is_full(l)) return 0;
	l->count++;
	return buf_append(l->ret, root, sizeof(*root), l->e);
}

/* --- handles and the finalizer
 * -------------------------------------------------------------------- */

static int add_handle(struct listing *l, const struct dac_handle *h)
{
	struct dac_wire_root root = {.slot = h->handle, .handle = (uint8_t)h->type};
	switch (h->type) {
	case DAC_HANDLE_DEPENDENT:
		root.kind = DAC_ROOT_DEPENDENT;
		root.object = h->secondary;
		return add(l, &root);
	case DAC_HANDLE_COUNTED:
		if (!h->strong) return 0;
		break;
	case DAC_HANDLE_STRONG:
	case DAC_HANDLE_PINNED:
	case DAC_HANDLE_VARIABLE:
	case DAC_HANDLE_ASYNC_PINNED:
	case DAC_HANDLE_SIZED:
		break;
	default:
		return 0; /* weak ones keep nothing alive */
	}
	root.kind = DAC_ROOT_HANDLE;
	return add(l, &root);
}

static int list_handles(struct listing *l, hresult *ret_hr)
{
	struct dac_handle some[AT_A_TIME];
	void *list = NULL;
	uint32_t got = 0;
	int r = 0;
	hresult hr = DAC_CALL(l->dac->sos, SOS_HANDLES, void **)(l->dac->sos, &list);
	if (hr < 0 || !list) return dac_refused(hr, "no list of handles", ret_hr, l->e);
	do {
		hr = DAC_CALL(list, ENUM_NEXT, uint32_t, struct dac_handle *,
			      uint32_t *)(list, AT_A_TIME, some, &got);
		if (hr < 0) {
			r = dac_refused(hr, "no more handles", ret_hr, l->e);
			break;
		}
		for (uint32_t i = 0; !r && i < MIN(got, (uint32_t)AT_A_TIME); i++)
			r = add_handle(l, &some[i]);
	} while (!r && got == AT_A_TIME && !is_full(l));
	DAC_CALL(list, ENUM_RELEASE)(list);
	return r;
}

/* The parts of the queue: one for each generation, then what is to be finalized, critical ones
 * first (gcpriv.h, CFinalize). */
static int list_queue(struct listing *l, uint64_t heap, const struct dac_heap *details)
{
	uint64_t end[QUEUE_PARTS_MAX];
	uint32_t count;
	int r = 0;
	if (!dac_finalizer_queue(l->dac, heap, details, end, &count) || count < 3) return 0;
	for (uint64_t at = end[count - 3]; !r && at < end[count - 1] && !is_full(l); at += 8) {
		const struct dac_wire_root root = {.slot = at, .kind = DAC_ROOT_FINALIZER};
		r = add(l, &root);
	}
	return r;
}

static int list_queues(struct listing *l)
{
	struct dac_heap_kind kind = {0};
	struct dac_heap heap = {0};
	uint64_t addresses[HEAPS_MAX];
	uint32_t needed = 0;
	void *sos = l->dac->sos;
	int r = 0;
	if (DAC_CALL(sos, SOS_HEAP, struct dac_heap_kind *)(sos, &kind) < 0) return 0;
	if (!kind.server) {
		if (DAC_CALL(sos, SOS_HEAP_STATIC, struct dac_heap *)(sos, &heap) < 0) return 0;
		return list_queue(l, 0, &heap);
	}
	if (kind.count > HEAPS_MAX || DAC_CALL(sos, SOS_HEAP_LIST, uint32_t, uint64_t *,
					       uint32_t *)(sos, kind.count, addresses, &needed) < 0)
		return 0;
	for (uint32_t i = 0; !r && i < kind.count; i++) {
		heap = (struct dac_heap){0};
		if (DAC_CALL(sos, SOS_HEAP_DETAILS, uint64_t, struct dac_heap *)(sos, addresses[i],
										 &heap) >= 0)
			r = list_queue(l, addresses[i], &heap);
	}
	return r;
}

/* --- statics
 * ---------------------------------------------------------------------------------------- */

static int add_of_threads(struct listing *l, const struct dac_wire_field *field)
{
	struct dac_thread_store store = {0};
	struct dac_thread thread;
	struct dac *dac = l->dac;
	int r = 0;
	if (!dac->sos14 ||
	    DAC_CALL(dac->sos, SOS_THREAD_STORE, struct dac_thread_store *)(dac->sos, &store) < 0)
		return 0;
	uint64_t at = store.first;
	for (int i = 0; !r && at && i < DAC_THREADS_MAX; i++, at = thread.next) {
		uint64_t base = 0, numbers = 0;
		thread = (struct dac_thread){0};
		if (DAC_CALL(dac->sos, SOS_THREAD, uint64_t, struct dac_thread *)(dac->sos, at,
										  &thread) < 0)
			break;
		DAC_CALL(dac->sos14, SOS14_THREAD_STATIC_BASE, uint64_t, uint64_t, uint64_t *,
			 uint64_t *)
		(dac->sos14, l->type, at, &numbers, &base);
		if (!base || !thread.os_id) continue;
		const struct dac_wire_root root = {.slot = base + field->offset,
						   .source = l->type,
						   .module = l->module,
						   .token = field->token,
						   .thread = thread.os_id,
						   .kind = DAC_ROOT_THREAD_STATIC};
		r = add(l, &root);
	}
	return r;
}

/* Structs are boxed there. */
static int add_static(void *ctx, const struct dac_wire_field *field, struct err *e)
{
	enum { KIND_VALUE_TYPE = 0x11, KIND_CLASS = 0x12 };
	struct listing *l = ctx;
	if (!field->is_static || (field->kind != KIND_VALUE_TYPE && field->kind != KIND_CLASS))
		return 0;
	if (field->is_thread_static) return add_of_threads(l, field);
	if (!field->address) return 0;
	const struct dac_wire_root root = {.slot = field->address,
					   .source = l->type,
					   .module = l->module,
					   .token = field->token,
					   .kind = DAC_ROOT_STATIC};
	return add(l, &root);
}

/* What the library cannot tell of a type has no statics. */
static void list_type(struct listing *l, uint64_t type)
{
	struct dac_type data = {0};
	hresult ignored;
	struct err why = {0};
	if (l->failed || is_full(l) ||
	    DAC_CALL(l->dac->sos, SOS_TYPE, uint64_t, struct dac_type *)(l->dac->sos, type, &data) <
		0)
		return;
	/* What can be unloaded has its statics in an array of its loader's. */
	if (dac_loader_handle(l->dac, type)) return;
	l->type = type;
	l->module = data.module;
	int r = dac_each_field(l->dac, type, &data, add_static, l, &ignored, &why);
	if (r && r != -ERR_CORRUPT) l->failed = r;
}

/* A list of addresses: (of what, room, addresses, how many there are); without `of` of all. */
static uint32_t list_of(struct dac *dac, int slot, const uint64_t *of, uint64_t **ret)
{
	uint32_t count = 0;
	hresult hr;
	*ret = calloc(LIST_MAX, sizeof(**ret));
	if (!*ret) return 0;
	if (of && slot == SOS_ASSEMBLIES)
		hr = DAC_CALL(dac->sos, slot, uint64_t, int32_t, uint64_t *,
			      int32_t *)(dac->sos, *of, LIST_MAX, *ret, (int32_t *)&count);
	else if (of)
		hr = DAC_CALL(dac->sos, slot, uint64_t, uint32_t, uint64_t *,
			      uint32_t *)(dac->sos, *of, LIST_MAX, *ret, &count);
	else
		hr = DAC_CALL(dac->sos, slot, uint32_t, uint64_t *, uint32_t *)(dac->sos, LIST_MAX,
										*ret, &count);
	return hr < 0 ? 0 : MIN(count, (uint32_t)LIST_MAX);
}

/* Called by the library, which is not asked anything until it is through. */
static void keep_type(uint32_t index, uint64_t type, void *ctx)
{
	struct listing *l = ctx;
	int r = buf_append(&l->types, &type, sizeof(type), NULL);
	if (r) l->failed = r;
}

static void list_module(struct listing *l, uint64_t module)
{
	l->types = BUF_INIT((size_t)TYPES_MAX * sizeof(uint64_t));
	DAC_CALL(l->dac->sos, SOS_MODULE_TYPES, int32_t, uint64_t,
		 void (*)(uint32_t, uint64_t, void *), void *)
	(l->dac->sos, 0, module, keep_type, l);
	for (size_t i = 0; i + sizeof(uint64_t) <= l->types.len; i += sizeof(uint64_t)) {
		uint64_t type;
		memcpy(&type, l->types.data + i, sizeof(type));
		list_type(l, type);
	}
	buf_done(&l->types);
}

static void list_assembly(struct listing *l, uint64_t assembly)
{
	_cleanup_free_ uint64_t *modules = NULL;
	uint32_t count = list_of(l->dac, SOS_MODULES, &assembly, &modules);
	for (uint32_t i = 0; i < count; i++)
		list_module(l, modules[i]);
}

static int end_statics(struct listing *l)
{
	return l->failed
		   ? err_set(l->e, (enum err_code) - l->failed, "the statics cannot be listed")
		   : 0;
}

static int list_statics(struct listing *l)
{
	_cleanup_free_ uint64_t *domains = NULL;
	uint32_t domain_count = list_of(l->dac, SOS_DOMAINS, NULL, &domains);
	for (uint32_t i = 0; i < domain_count; i++) {
		_cleanup_free_ uint64_t *assemblies = NULL;
		uint32_t count = list_of(l->dac, SOS_ASSEMBLIES, &domains[i], &assemblies);
		for (uint32_t k = 0; k < count; k++)
			list_assembly(l, assemblies[k]);
	}
	return end_statics(l);
}

/* --- stacks
 * ------------------------------------------------------------------------------------------ */

static int add_reference(struct listing *l, const struct dac_stack_reference *s, uint32_t thread)
{
	const struct dac_wire_root root = {.slot = s->address,
					   .object = s->object,
					   .source = s->source,
					   .thread = thread,
					   .kind = DAC_ROOT_STACK,
					   .in_frame = s->source_kind != 0,
					   .interior = (s->flags & DAC_REFERENCE_INTERIOR) != 0};
	return s->object ? add(l, &root) : 0;
}

static int list_stack(struct listing *l, uint32_t thread, hresult *ret_hr)
{
	struct dac_stack_reference some[AT_A_TIME];
	void *list = NULL;
	uint32_t got = 0;
	int r = 0;
	hresult hr = DAC_CALL(l->dac->sos, SOS_STACK_REFERENCES, uint32_t, void **)(l->dac->sos,
										    thread, &list);
	if (hr < 0 || !list) return dac_refused(hr, "the stack cannot be read", ret_hr, l->e);
	do {
		hr = DAC_CALL(list, ENUM_NEXT, uint32_t, struct dac_stack_reference *,
			      uint32_t *)(list, AT_A_TIME, some, &got);
		if (hr < 0) {
			r = dac_refused(hr, "the stack cannot be read", ret_hr, l->e);
			break;
		}
		for (uint32_t i = 0; !r && i < MIN(got, (uint32_t)AT_A_TIME); i++)
			r = add_reference(l, &some[i], thread);
	} while (!r && got == AT_A_TIME && !is_full(l));
	DAC_CALL(list, ENUM_RELEASE)(list);
	return r;
}

int dac_answer_roots(struct dac *dac, const struct dac_header *q, struct buf *ret, hresult *ret_hr,
		     struct err *e)
{
	struct listing l = {.dac = dac, .ret = ret, .e = e};
	int r;
	if (q->message == DAC_ASK_STACK) {
		if (q->argument > UINT32_MAX) return err_set(e, ERR_PROTOCOL, "no such thread");
		return list_stack(&l, (uint32_t)q->argument, ret_hr);
	}
	if (q->message == DAC_ASK_STATICS_OF) {
		list_type(&l, q->argument);
		return end_statics(&l);
	}
	l.leave_out = q->argument;
	if (q->message == DAC_ASK_STATICS) return list_statics(&l);
	r = list_handles(&l, ret_hr);
	return r ? r : list_queues(&l);
}
