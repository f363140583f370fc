/* Types by their method tables: asked once, then remembered. */
#include "dumpers/dotnet/dotnet_internal.h"
#include "dumpers/dotnet/type_name.h"

#include <stdio.h>

enum {
	SLOTS_FIRST = 1024,
	STRING_BASE_SIZE = 22,
	FREE_BASE_SIZE = 24,
	MODULES_KNOWN_MAX = 1 << 16
};

static void type_free(struct dotnet_type *t)
{
	if (!t) return;
	free(t->name);
	free(t->fields);
	free(t->references);
	free(t);
}

void dotnet_types_done(struct dotnet *d)
{
	for (size_t i = 0; i < d->slot_count; i++)
		type_free(d->slots[i].type);
	free(d->slots);
	d->slots = NULL;
}

static struct dotnet_slot *find_slot(struct dotnet_slot *slots, size_t count, uint64_t address)
{
	size_t i = (size_t)((address >> 3) * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (count - 1);
	while (slots[i].address && slots[i].address != address)
		i = (i + 1) & (count - 1);
	return &slots[i];
}

static int make_room(struct dotnet *d, struct err *e)
{
	if (d->slots_used * 2 < d->slot_count) return 0;
	if (d->slots_used >= DOTNET_TYPES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d types", DOTNET_TYPES_MAX);
	size_t count = d->slot_count ? d->slot_count * 2 : SLOTS_FIRST;
	struct dotnet_slot *slots = calloc(count, sizeof(*slots));
	if (!slots) return err_set(e, ERR_NO_MEMORY, "no memory");
	for (size_t i = 0; i < d->slot_count; i++) {
		if (d->slots[i].address)
			*find_slot(slots, count, d->slots[i].address) = d->slots[i];
	}
	free(d->slots);
	d->slots = slots;
	d->slot_count = count;
	return 0;
}

static void take_sizes(struct dotnet *d, const struct dac_wire_type *record, struct dotnet_type *t)
{
	t->is_free = record->is_free || t->address == d->start.free_type;
	t->is_string = t->address == d->start.string_type;
	t->base_size = record->base_size;
	t->component_size = record->component_size;
	if (t->is_free) {
		t->base_size = FREE_BASE_SIZE;
		t->component_size = 1;
	} else if (t->is_string) {
		/* The library leaves out the NUL that ends it. */
		t->base_size = STRING_BASE_SIZE;
		t->component_size = 2;
	}
}

static int take_name(const struct buf *answer, struct dotnet_type *t, struct err *e)
{
	_cleanup_buf_ struct buf name = BUF_INIT(DAC_NAME_MAX);
	size_t head = sizeof(struct dac_wire_type);
	int r = type_name_append(answer->data + head, answer->len - head, &name, e);
	if (r) return r;
	t->name = t->is_free ? strdup("Free") : buf_steal(&name);
	return t->name ? 0 : err_set(e, ERR_NO_MEMORY, "no memory");
}

/* Only these two are base types of all others that are values. The base types of a type are looked
 * at one within the other, as far as types can have them. */
static void take_nature(struct dotnet *d, struct dotnet_type *t)
{
	struct dotnet_type *parent = NULL;
	if (!t->parent || t->parent == t->address || !strcmp(t->name, "System.Enum")) return;
	if (d->nesting == DOTNET_DEPTH_MAX) return;
	d->nesting++;
	int r = dotnet_type_at(d, t->parent, &parent, NULL);
	d->nesting--;
	if (r || !parent) return;
	t->is_enum = !strcmp(parent->name, "System.Enum");
	t->is_value = t->is_enum || !strcmp(parent->name, "System.ValueType");
}

static int ask_type(struct dotnet *d, uint64_t address, struct dotnet_type **ret, struct err *e)
{
	struct dac_wire_type record;
	int r = dotnet_ask(d, DAC_ASK_TYPE, address, sizeof(record), e);
	if (r) return r;
	memcpy(&record, d->answer.data, sizeof(record));
	struct dotnet_type *t = calloc(1, sizeof(*t));
	if (!t) return err_set(e, ERR_NO_MEMORY, "no memory");
	t->address = address;
	t->module = record.module;
	t->parent = record.parent;
	t->token = record.token;
	t->has_references = record.has_references != 0;
	t->loader_handle = record.loader_handle;
	take_sizes(d, &record, t);
	r = take_name(&d->answer, t, e);
	if (r)
		type_free(t);
	else
		*ret = t;
	return r;
}

int dotnet_type_at(struct dotnet *d, uint64_t address, struct dotnet_type **ret, struct err *e)
{
	struct dotnet_type *type = NULL;
	int r = make_room(d, e);
	if (r) return r;
	struct dotnet_slot *slot = find_slot(d->slots, d->slot_count, address);
	if (slot->address) {
		*ret = slot->type;
		return slot->type ? 0
				  : err_set(e, ERR_CORRUPT, "no type at 0x%llx",
					    (unsigned long long)address);
	}
	if (!address || address % 8) return err_set(e, ERR_CORRUPT, "no type at an odd address");
	r = ask_type(d, address, &type, e);
	if (r && r != -ERR_CORRUPT) return r;
	*slot = (struct dotnet_slot){address, type};
	d->slots_used++;
	if (!type) return r;
	take_nature(d, type);
	*ret = type;
	return 0;
}

int dotnet_type_of(struct dotnet *d, uint64_t object, struct dotnet_type **ret, struct err *e)
{
	uint64_t table;
	int r = dotnet_read(d, object, &table, sizeof(table), e);
	return r ? r : dotnet_type_at(d, table & ~UINT64_C(7), ret, e);
}

static int read_metadata(struct dotnet *d, uint64_t module, struct metadata **ret)
{
	struct dac_wire_module record;
	int r = dotnet_ask(d, DAC_ASK_MODULE, module, sizeof(record), NULL);
	if (r) return r;
	memcpy(&record, d->answer.data, sizeof(record));
	if (!record.metadata || record.metadata_size > METADATA_MAX) return -ERR_NOT_FOUND;
	size_t len = (size_t)record.metadata_size;
	uint8_t *data = malloc(len ? len : 1);
	if (!data) return -ERR_NO_MEMORY;
	r = dotnet_read(d, record.metadata, data, len, NULL);
	if (!r) return metadata_new(data, len, ret, NULL);
	free(data);
	return r;
}

const struct metadata *dotnet_metadata(struct dotnet *d, uint64_t module)
{
	for (size_t i = 0; i < d->known_module_count; i++) {
		if (d->known_modules[i].address == module) return d->known_modules[i].metadata;
	}
	if (!module || d->known_module_count == MODULES_KNOWN_MAX) return NULL;
	struct dotnet_module *grown =
	    reallocarray(d->known_modules, d->known_module_count + 1, sizeof(*grown));
	if (!grown) return NULL;
	d->known_modules = grown;
	struct dotnet_module *known = &grown[d->known_module_count++];
	*known = (struct dotnet_module){.address = module};
	if (read_metadata(d, module, &known->metadata)) known->metadata = NULL;
	return known->metadata;
}

int dotnet_load_fields(struct dotnet *d, struct dotnet_type *type, struct err *e)
{
	if (type->fields_known) return 0;
	int r = dotnet_ask(d, DAC_ASK_FIELDS, type->address, 0, e);
	if (r) return r;
	size_t count = d->answer.len / sizeof(struct dac_wire_field);
	if (d->answer.len % sizeof(struct dac_wire_field) || count > DAC_FIELDS_MAX)
		return err_set(e, ERR_CORRUPT, "the fields of %s are cut", type->name);
	struct dotnet_field *fields = calloc(count ? count : 1, sizeof(*fields));
	if (!fields) return err_set(e, ERR_NO_MEMORY, "no memory");
	for (size_t i = 0; i < count; i++)
		memcpy(&fields[i].is, d->answer.data + i * sizeof(fields[i].is),
		       sizeof(fields[i].is));
	const struct metadata *metadata = dotnet_metadata(d, type->module);
	for (size_t i = 0; i < count; i++) {
		uint32_t row = fields[i].is.token & 0xffffff;
		fields[i].name = metadata ? metadata_field(metadata, row) : NULL;
	}
	type->fields = fields;
	type->field_count = count;
	type->fields_known = true;
	return 0;
}

int dotnet_find_field(struct dotnet *d, struct dotnet_type *type, const char *name,
		      const struct dotnet_field **ret, struct err *e)
{
	for (int depth = 0; depth < DOTNET_DEPTH_MAX; depth++) {
		int r = dotnet_load_fields(d, type, e);
		if (r) return r;
		for (size_t i = 0; i < type->field_count; i++) {
			const struct dotnet_field *f = &type->fields[i];
			if (!f->name || f->is.is_static || strcmp(f->name, name) != 0) continue;
			*ret = f;
			return 0;
		}
		if (!type->parent) break;
		r = dotnet_type_at(d, type->parent, &type, e);
		if (r) return r;
	}
	return err_set(e, ERR_NOT_FOUND, "no field %s", name);
}

int dotnet_load_element(struct dotnet *d, struct dotnet_type *type, uint64_t object, struct err *e)
{
	struct dac_wire_array a;
	if (type->element_known) return 0;
	int r = dotnet_ask(d, DAC_ASK_ARRAY, object, sizeof(a), e);
	if (r) return r;
	memcpy(&a, d->answer.data, sizeof(a));
	if (a.element_size != type->component_size || a.data < object ||
	    a.data - object > type->base_size || a.element_kind > KIND_VECTOR)
		return err_set(e, ERR_CORRUPT, "the elements of %s contradict", type->name);
	type->element = a;
	type->element_offset = (uint32_t)(a.data - object);
	type->element_known = true;
	return 0;
}

int dotnet_object_size(const struct dotnet_type *type, uint32_t component_count, uint64_t *ret,
		       struct err *e)
{
	uint64_t size = type->base_size + (uint64_t)component_count * type->component_size;
	if (type->base_size < 16 || type->component_size > UINT16_MAX)
		return err_set(e, ERR_CORRUPT, "objects of %s cannot be", type->name);
	*ret = MAX(align_up(size, 8), (uint64_t)24);
	return 0;
}
