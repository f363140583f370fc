#include "dumpers/dotnet/references.h"

#include "dumpers/dotnet/gc_desc.h"

enum { CHUNK = 32 << 10, NAME_DEPTH_MAX = 16, RANK_MAX = 32, STRUCT_OVERHEAD = 16 };

static int load_desc(struct dotnet *d, struct dotnet_type *type, struct err *e)
{
	int64_t count;
	size_t len;
	if (type->references_known) {
		return type->references
			   ? 0
			   : err_set(e, ERR_CORRUPT, "where %s refers to others is not known",
				     type->name);
	}
	type->references_known = true;
	int r = dotnet_read(d, type->address - sizeof(count), &count, sizeof(count), e);
	if (!r) r = gc_desc_size(count, &len, e);
	if (r) return r;
	_cleanup_free_ uint8_t *data = malloc(len);
	if (!data) return err_set(e, ERR_NO_MEMORY, "no memory");
	r = dotnet_read(d, type->address - len, data, len, e);
	return r ? r : gc_desc_parse(data, len, &type->references, e);
}

static int give(const uint8_t *bytes, uint64_t offset, size_t len, reference_fn fn, void *ctx,
		struct err *e)
{
	for (size_t i = 0; i + sizeof(uint64_t) <= len; i += sizeof(uint64_t)) {
		uint64_t value;
		memcpy(&value, bytes + i, sizeof(value));
		int r = value ? fn(ctx, offset + i, value, e) : 0;
		if (r) return r;
	}
	return 0;
}

static int read_run(struct dotnet *d, const struct dotnet_object *object, const struct gc_run *run,
		    reference_fn fn, void *ctx, struct err *e)
{
	uint8_t chunk[CHUNK];
	if (run->end <= object->bytes_len)
		return give(object->bytes + run->start, run->start, run->end - run->start, fn, ctx,
			    e);
	for (uint64_t at = run->start; at < run->end; at += CHUNK) {
		size_t len = (size_t)MIN((uint64_t)CHUNK, run->end - at);
		int r = dotnet_read(d, object->address + at, chunk, len, e);
		if (!r) r = give(chunk, at, len, fn, ctx, e);
		if (r) return r;
	}
	return 0;
}

int references_read(struct dotnet *d, const struct dotnet_object *object, reference_fn fn,
		    void *ctx, struct err *e)
{
	struct gc_run run = {0};
	if (!object->type->has_references) return 0;
	int r = load_desc(d, object->type, e);
	while (!r && gc_desc_next(object->type->references, object->size, &run))
		r = read_run(d, object, &run, fn, ctx, e);
	return r;
}

static bool is_reference(uint8_t kind)
{
	return kind == KIND_STRING || kind == KIND_CLASS || kind == KIND_OBJECT ||
	       kind == KIND_ARRAY || kind == KIND_VECTOR;
}

static int no_name(uint64_t offset, struct buf *ret, struct err *e)
{
	return buf_printf(ret, e, ".+0x%llx", (unsigned long long)offset);
}

/* The field of the type, which lies at base, that has the byte at offset. */
static const struct dotnet_field *field_with(struct dotnet *d, const struct dotnet_type *type,
					     uint64_t offset, struct dotnet_type **ret_inner)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const struct dotnet_field *f = &type->fields[i];
		struct dotnet_type *inner;
		*ret_inner = NULL;
		if (f->is.is_static || f->is.offset > offset) continue;
		if (is_reference(f->is.kind) && f->is.offset == offset) return f;
		if (f->is.kind != KIND_STRUCT || !f->is.type ||
		    dotnet_type_at(d, f->is.type, &inner, NULL))
			continue;
		uint64_t size = MAX(inner->base_size, (uint32_t)STRUCT_OVERHEAD) - STRUCT_OVERHEAD;
		if (offset - f->is.offset >= size) continue;
		*ret_inner = inner;
		return f;
	}
	return NULL;
}

/* offset: from the first field on; structs have structs in them. */
static int name_field(struct dotnet *d, struct dotnet_type *type, uint64_t offset, struct buf *ret,
		      struct err *e)
{
	for (int depth = 0; depth < NAME_DEPTH_MAX && type; depth++) {
		struct dotnet_type *at = type, *inner = NULL;
		const struct dotnet_field *f = NULL;
		for (int i = 0; !f && at && i < DOTNET_DEPTH_MAX; i++) {
			int r = dotnet_load_fields(d, at, e);
			if (r) return r;
			f = field_with(d, at, offset, &inner);
			if (!at->parent || dotnet_type_at(d, at->parent, &at, NULL)) at = NULL;
		}
		if (!f || !f->name) break;
		int r = buf_printf(ret, e, ".%s", f->name);
		if (r || !inner) return r;
		offset -= f->is.offset;
		type = inner;
	}
	return no_name(offset, ret, e);
}

/* The lengths of an array's dimensions stand before their lower bounds, in front of the elements.
 */
static int name_indices(struct dotnet *d, uint64_t object, const struct dotnet_type *type,
			uint64_t index, struct buf *ret, struct err *e)
{
	uint32_t lengths[RANK_MAX], indices[RANK_MAX], rank = type->element.rank;
	if (rank <= 1 || rank > RANK_MAX)
		return buf_printf(ret, e, "[%llu]", (unsigned long long)index);
	int r = dotnet_read(d, object + 2 * OBJECT_HEADER, lengths, rank * sizeof(lengths[0]), e);
	if (r) return r;
	for (uint32_t i = rank; i-- > 0;) {
		uint32_t length = MAX(lengths[i], 1u);
		indices[i] = (uint32_t)(index % length);
		index /= length;
	}
	for (uint32_t i = 0; !r && i < rank; i++)
		r = buf_printf(ret, e, "%c%u", i ? ',' : '[', indices[i]);
	return r ? r : buf_puts(ret, "]", e);
}

static int name_element(struct dotnet *d, uint64_t object, struct dotnet_type *type,
			uint64_t offset, struct buf *ret, struct err *e)
{
	struct dotnet_type *element;
	int r = dotnet_load_element(d, type, object, e);
	if (r) return r;
	if (offset < type->element_offset) return no_name(offset, ret, e);
	uint64_t at = offset - type->element_offset;
	r = name_indices(d, object, type, at / type->component_size, ret, e);
	if (r || type->element.element_kind != KIND_STRUCT) return r;
	if (dotnet_type_at(d, type->element.element_type, &element, NULL))
		return no_name(at % type->component_size, ret, e);
	return name_field(d, element, at % type->component_size, ret, e);
}

/* What the library or the metadata do not tell has no name; the reference is there all the same. */
int reference_name(struct dotnet *d, uint64_t object, struct dotnet_type *type, uint64_t offset,
		   struct buf *ret, struct err *e)
{
	size_t before = ret->len;
	int r = dotnet_is_array(type) ? name_element(d, object, type, offset, ret, e)
				      : name_field(d, type, offset - OBJECT_HEADER, ret, e);
	if (r != -ERR_CORRUPT && r != -ERR_NOT_FOUND && r != -ERR_IO) return r;
	ret->len = before;
	return no_name(offset, ret, e);
}
