/* Small questions, each a call or a few of the library. */
#include "dumpers/dotnet/dac_host_internal.h"
#include "dumpers/dotnet/utf16.h"

#include <string.h>

/* A name: (address, room in characters, characters, characters that it takes). */
int dac_append_name(struct dac *dac, int slot, uint64_t address, struct buf *ret, struct err *e)
{
	uint16_t text[DAC_NAME_MAX / 4];
	uint32_t needed = 0;
	text[0] = 0;
	hresult hr = DAC_CALL(dac->sos, slot, uint64_t, uint32_t, uint16_t *,
			      uint32_t *)(dac->sos, address, ARRAY_SIZE(text) - 1, text, &needed);
	if (hr < 0) return 0; /* no name is no failure */
	text[ARRAY_SIZE(text) - 1] = 0;
	size_t len = 0;
	while (text[len])
		len++;
	return utf16_append(text, len, ret, e);
}

static int answer_threads(struct dac *dac, struct buf *ret, hresult *ret_hr, struct err *e)
{
	struct dac_thread_store store = {0};
	struct dac_thread thread;
	hresult hr =
	    DAC_CALL(dac->sos, SOS_THREAD_STORE, struct dac_thread_store *)(dac->sos, &store);
	if (hr < 0) return dac_refused(hr, "no list of threads", ret_hr, e);
	uint64_t at = store.first;
	for (int i = 0; at && i < DAC_THREADS_MAX; i++, at = thread.next) {
		thread = (struct dac_thread){0};
		hr = DAC_CALL(dac->sos, SOS_THREAD, uint64_t, struct dac_thread *)(dac->sos, at,
										   &thread);
		if (hr < 0) return dac_refused(hr, "no such thread", ret_hr, e);
		const struct dac_wire_thread record = {.id = thread.id,
						       .os_id = thread.os_id,
						       .address = at,
						       .exception_handle = thread.last_thrown};
		int r = buf_append(ret, &record, sizeof(record), e);
		if (r) return r;
	}
	return 0;
}

static int get_type(struct dac *dac, uint64_t address, struct dac_type *ret, hresult *ret_hr,
		    struct err *e)
{
	*ret = (struct dac_type){0};
	hresult hr =
	    DAC_CALL(dac->sos, SOS_TYPE, uint64_t, struct dac_type *)(dac->sos, address, ret);
	return hr < 0 ? dac_refused(hr, "no such type", ret_hr, e) : 0;
}

/* An object of a type that can be unloaded keeps all of its assembly alive, by no field of its. */
uint64_t dac_loader_handle(struct dac *dac, uint64_t type)
{
	struct dac_collectible data = {0};
	if (!dac->sos6 || DAC_CALL(dac->sos6, SOS6_COLLECTIBLE, uint64_t,
				   struct dac_collectible *)(dac->sos6, type, &data) < 0)
		return 0;
	return data.is_collectible ? data.loader_handle : 0;
}

static int answer_type(struct dac *dac, uint64_t address, struct buf *ret, hresult *ret_hr,
		       struct err *e)
{
	struct dac_type type;
	int r = get_type(dac, address, &type, ret_hr, e);
	if (r) return r;
	const struct dac_wire_type record = {.module = type.module,
					     .parent = type.parent,
					     .base_size = type.base_size,
					     .component_size = type.component_size,
					     .token = type.token,
					     .is_free = type.is_free != 0,
					     .loader_handle = dac_loader_handle(dac, address),
					     .has_references = type.has_pointers != 0};
	r = buf_append(ret, &record, sizeof(record), e);
	return r ? r : dac_append_name(dac, SOS_TYPE_NAME, address, ret, e);
}

/* Where statics lie: references and boxed values in one array, plain numbers in another. */
struct static_bases {
	uint64_t references, numbers;
};
/* Before .NET 9 those of a type with arguments are elsewhere, and not told. */
static struct static_bases find_statics(struct dac *dac, uint64_t address,
					const struct dac_type *type)
{
	struct static_bases bases = {0};
	struct dac_domain_module domain = {0};
	if (dac->sos14) {
		DAC_CALL(dac->sos14, SOS14_STATIC_BASE, uint64_t, uint64_t *, uint64_t *)
		(dac->sos14, address, &bases.numbers, NULL);
		DAC_CALL(dac->sos14, SOS14_STATIC_BASE, uint64_t, uint64_t *, uint64_t *)
		(dac->sos14, address, NULL, &bases.references);
	} else if (!type->dynamic &&
		   DAC_CALL(dac->sos, SOS_DOMAIN_MODULE, uint64_t,
			    struct dac_domain_module *)(dac->sos, type->module, &domain) >= 0) {
		bases.references = domain.gc_statics;
		bases.numbers = domain.other_statics;
	}
	return bases;
}

enum { KIND_VALUE_TYPE = 0x11, KIND_CLASS = 0x12 };
static struct dac_wire_field wire_field(const struct dac_field *f, const struct static_bases *bases)
{
	struct dac_wire_field record = {.type = f->type,
					.type_module = f->type_module,
					.type_token = f->type_token,
					.token = f->token & 0xffffff,
					.offset = f->offset,
					.kind = (uint8_t)f->kind,
					.is_static = f->is_static != 0,
					.is_thread_static = f->is_thread_static != 0};
	bool reference = f->kind == KIND_VALUE_TYPE || f->kind == KIND_CLASS;
	uint64_t base = reference ? bases->references : bases->numbers;
	if (f->is_static && !f->is_thread_static && base) record.address = base + f->offset;
	return record;
}

/* The library tells how many instance fields there are with those of the base types. */
static int count_fields(struct dac *dac, uint64_t address, struct dac_type_fields *ret)
{
	*ret = (struct dac_type_fields){0};
	if (!address) return 0;
	return DAC_CALL(dac->sos, SOS_TYPE_FIELDS, uint64_t,
			struct dac_type_fields *)(dac->sos, address, ret);
}

int dac_each_field(struct dac *dac, uint64_t address, const struct dac_type *type, dac_field_fn fn,
		   void *ctx, hresult *ret_hr, struct err *e)
{
	struct dac_type_fields own, inherited;
	hresult hr = count_fields(dac, address, &own);
	if (hr >= 0) hr = count_fields(dac, type->parent, &inherited);
	if (hr < 0) return dac_refused(hr, "no fields", ret_hr, e);
	struct static_bases bases = {0};
	if (own.statics) bases = find_statics(dac, address, type);
	int count = own.instance - inherited.instance + own.statics, r = 0;
	uint64_t at = own.first;
	for (int i = 0; at && i < MIN(count, DAC_FIELDS_MAX) && !r; i++) {
		struct dac_field field = {0};
		hr = DAC_CALL(dac->sos, SOS_FIELD, uint64_t, struct dac_field *)(dac->sos, at,
										 &field);
		if (hr < 0) return dac_refused(hr, "no such field", ret_hr, e);
		const struct dac_wire_field record = wire_field(&field, &bases);
		r = fn(ctx, &record, e);
		at = field.next;
	}
	return r;
}

static int append_field(void *ctx, const struct dac_wire_field *field, struct err *e)
{
	return buf_append(ctx, field, sizeof(*field), e);
}

static int answer_fields(struct dac *dac, uint64_t address, struct buf *ret, hresult *ret_hr,
			 struct err *e)
{
	struct dac_type type;
	int r = get_type(dac, address, &type, ret_hr, e);
	return r ? r : dac_each_field(dac, address, &type, append_field, ret, ret_hr, e);
}

static int answer_module(struct dac *dac, uint64_t address, struct buf *ret, hresult *ret_hr,
			 struct err *e)
{
	struct dac_module module = {0};
	hresult hr = DAC_CALL(dac->sos, SOS_MODULE_DATA, uint64_t,
			      struct dac_module *)(dac->sos, address, &module);
	if (hr < 0) return dac_refused(hr, "no such module", ret_hr, e);
	const struct dac_wire_module record = {module.metadata, module.metadata_size};
	int r = buf_append(ret, &record, sizeof(record), e);
	return r ? r : dac_append_name(dac, SOS_PE_FILE_NAME, module.file, ret, e);
}

static int answer_array(struct dac *dac, uint64_t address, struct buf *ret, hresult *ret_hr,
			struct err *e)
{
	struct dac_object object = {0};
	hresult hr = DAC_CALL(dac->sos, SOS_OBJECT, uint64_t,
			      struct dac_object *)(dac->sos, address, &object);
	if (hr < 0) return dac_refused(hr, "no such object", ret_hr, e);
	if (object.kind != DAC_OBJECT_ARRAY) return dac_refused(HR_FAIL, "not an array", ret_hr, e);
	const struct dac_wire_array record = {.element_type = object.element_type,
					      .data = object.data,
					      .count = object.count,
					      .element_size = (uint32_t)object.element_size,
					      .rank = object.rank,
					      .element_kind = (uint32_t)object.element_kind};
	return buf_append(ret, &record, sizeof(record), e);
}

static int answer_method(struct dac *dac, uint64_t code, struct buf *ret, hresult *ret_hr,
			 struct err *e)
{
	uint64_t method = 0;
	hresult hr =
	    DAC_CALL(dac->sos, SOS_METHOD_AT, uint64_t, uint64_t *)(dac->sos, code, &method);
	if (hr < 0) return dac_refused(hr, "no such method", ret_hr, e);
	return dac_append_name(dac, SOS_METHOD_NAME, method, ret, e);
}

int dac_answer(struct dac *dac, const struct dac_header *q, struct buf *ret, hresult *ret_hr,
	       struct err *e)
{
	switch (q->message) {
	case DAC_ASK_THREADS:
		return answer_threads(dac, ret, ret_hr, e);
	case DAC_ASK_HEAP:
		return dac_answer_heap(dac, ret, ret_hr, e);
	case DAC_ASK_TYPE:
		return answer_type(dac, q->argument, ret, ret_hr, e);
	case DAC_ASK_FIELDS:
		return answer_fields(dac, q->argument, ret, ret_hr, e);
	case DAC_ASK_MODULE:
		return answer_module(dac, q->argument, ret, ret_hr, e);
	case DAC_ASK_ARRAY:
		return answer_array(dac, q->argument, ret, ret_hr, e);
	case DAC_ASK_HANDLES:
	case DAC_ASK_STATICS:
	case DAC_ASK_STATICS_OF:
	case DAC_ASK_STACK:
		return dac_answer_roots(dac, q, ret, ret_hr, e);
	case DAC_ASK_METHOD:
		return answer_method(dac, q->argument, ret, ret_hr, e);
	case DAC_ASK_FRAMES:
		return dac_answer_stack(dac, q->argument, ret, ret_hr, e);
	case DAC_ASK_METHOD_NAME:
		return dac_append_name(dac, SOS_METHOD_NAME, q->argument, ret, e);
	case DAC_ASK_SYNC_BLOCKS:
		return dac_answer_sync_blocks(dac, ret, ret_hr, e);
	case DAC_ASK_THREAD_OBJECTS:
		return dac_answer_thread_objects(dac, ret, ret_hr, e);
	default:
		return err_set(e, ERR_PROTOCOL, "no such question");
	}
}
