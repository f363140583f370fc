#include "dumpers/dotnet/metadata.h"

enum table {
	T_MODULE,
	T_TYPE_REF,
	T_TYPE_DEF,
	T_FIELD_PTR,
	T_FIELD,
	T_METHOD_PTR,
	T_METHOD,
	T_PARAM_PTR,
	T_PARAM,
	T_INTERFACE,
	T_MEMBER_REF,
	T_CONSTANT,
	TABLES_READ,
	T_PROPERTY = 0x17,
	T_MODULE_REF = 0x1a,
	T_TYPE_SPEC = 0x1b,
	T_ASSEMBLY_REF = 0x23,
	TABLES = 64,
};
enum {
	SIGNATURE = 0x424a5342,
	FIELD_LITERAL = 0x40,
	FIELD_IN_FILE = 0x100,
	STREAMS_MAX = 16,
	ROWS_MAX = 1 << 24,
};

struct span {
	size_t offset, len;
};
struct metadata {
	uint8_t *data; /* owned */
	size_t len;
	struct span strings, blobs;
	uint32_t rows[TABLES];
	size_t table[TABLES_READ]; /* offset of the first row */
	uint32_t row_size[TABLES_READ];
	uint8_t string_size, guid_size, blob_size; /* of an index: 2 or 4 */
};

/* Little-endian number of 1 to 8 bytes; the caller has checked that it is there. */
static uint64_t number(const uint8_t *p, size_t size)
{
	uint64_t n = 0;
	for (size_t i = size; i-- > 0;)
		n = n << 8 | p[i];
	return n;
}

static bool get(const struct metadata *m, size_t offset, size_t size, uint64_t *ret)
{
	if (offset > m->len || size > m->len - offset) return false;
	*ret = number(m->data + offset, size);
	return true;
}

static bool is_named(const struct metadata *m, size_t offset, const char *name)
{
	size_t len = strlen(name) + 1;
	return offset <= m->len && len <= m->len - offset && !memcmp(m->data + offset, name, len);
}

/* The stream's header: offset, size, a name padded to 4 bytes with its NUL. */
static bool next_stream(const struct metadata *m, size_t *at, struct span *ret, size_t *ret_name)
{
	uint64_t offset, len;
	if (!get(m, *at, 4, &offset) || !get(m, *at + 4, 4, &len)) return false;
	if (offset > m->len || len > m->len - offset) return false;
	*ret = (struct span){(size_t)offset, (size_t)len};
	*ret_name = *at + 8;
	if (*ret_name >= m->len) return false;
	size_t name =
	    strnlen((const char *)m->data + *ret_name, MIN(m->len - *ret_name, (size_t)32));
	*at = *ret_name + (size_t)align_up(name + 1, 4);
	return true;
}

static int find_streams(struct metadata *m, struct span *ret_tables, struct err *e)
{
	uint64_t signature, version_len, count;
	if (!get(m, 0, 4, &signature) || signature != SIGNATURE || !get(m, 12, 4, &version_len) ||
	    version_len > 256)
		return err_set(e, ERR_CORRUPT, "no .NET metadata");
	size_t at = 16 + (size_t)align_up(version_len, 4), name;
	if (!get(m, at + 2, 2, &count) || count > STREAMS_MAX)
		return err_set(e, ERR_CORRUPT, ".NET metadata with too many streams");
	at += 4;
	for (uint64_t i = 0; i < count; i++) {
		struct span span;
		if (!next_stream(m, &at, &span, &name))
			return err_set(e, ERR_CORRUPT, ".NET metadata with a stream outside of it");
		if (is_named(m, name, "#~") || is_named(m, name, "#-")) *ret_tables = span;
		if (is_named(m, name, "#Strings")) m->strings = span;
		if (is_named(m, name, "#Blob")) m->blobs = span;
	}
	if (!ret_tables->len || !m->strings.len)
		return err_set(e, ERR_CORRUPT, ".NET metadata without tables");
	return 0;
}

/* An index is of 2 bytes where that is enough for every row of every table that it may mean. */
static uint32_t index_size(const struct metadata *m, unsigned int tag_bits, const uint8_t *tables,
			   size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (m->rows[tables[i]] >= (uint32_t)1 << (16 - tag_bits)) return 4;
	}
	return 2;
}
#define INDEX_SIZE(m, bits, ...)                                                                   \
	index_size(m, bits, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static uint32_t list_size(const struct metadata *m, enum table pointers, enum table direct)
{
	return INDEX_SIZE(m, 0, (uint8_t)(m->rows[pointers] ? pointers : direct));
}

static void compute_row_sizes(struct metadata *m)
{
	uint32_t s = m->string_size, g = m->guid_size, b = m->blob_size;
	uint32_t type = INDEX_SIZE(m, 2, T_TYPE_DEF, T_TYPE_REF, T_TYPE_SPEC);
	m->row_size[T_MODULE] = 2 + s + 3 * g;
	m->row_size[T_TYPE_REF] =
	    INDEX_SIZE(m, 2, T_MODULE, T_MODULE_REF, T_ASSEMBLY_REF, T_TYPE_REF) + 2 * s;
	m->row_size[T_TYPE_DEF] = 4 + 2 * s + type + list_size(m, T_FIELD_PTR, T_FIELD) +
				  list_size(m, T_METHOD_PTR, T_METHOD);
	m->row_size[T_FIELD_PTR] = INDEX_SIZE(m, 0, T_FIELD);
	m->row_size[T_FIELD] = 2 + s + b;
	m->row_size[T_METHOD_PTR] = INDEX_SIZE(m, 0, T_METHOD);
	m->row_size[T_METHOD] = 8 + s + b + list_size(m, T_PARAM_PTR, T_PARAM);
	m->row_size[T_PARAM_PTR] = INDEX_SIZE(m, 0, T_PARAM);
	m->row_size[T_PARAM] = 4 + s;
	m->row_size[T_INTERFACE] = INDEX_SIZE(m, 0, T_TYPE_DEF) + type;
	m->row_size[T_MEMBER_REF] =
	    INDEX_SIZE(m, 3, T_TYPE_DEF, T_TYPE_REF, T_MODULE_REF, T_METHOD, T_TYPE_SPEC) + s + b;
	m->row_size[T_CONSTANT] = 2 + INDEX_SIZE(m, 2, T_FIELD, T_PARAM, T_PROPERTY) + b;
}

static int read_row_counts(struct metadata *m, const struct span *tables, size_t *ret_at,
			   struct err *e)
{
	uint64_t heaps, present, rows;
	size_t at = tables->offset;
	if (!get(m, at + 6, 1, &heaps) || !get(m, at + 8, 8, &present))
		return err_set(e, ERR_CORRUPT, ".NET metadata ends early");
	m->string_size = heaps & 1 ? 4 : 2;
	m->guid_size = heaps & 2 ? 4 : 2;
	m->blob_size = heaps & 4 ? 4 : 2;
	at += 24;
	for (size_t i = 0; i < TABLES; i++) {
		if (!(present >> i & 1)) continue;
		if (!get(m, at, 4, &rows) || rows >= ROWS_MAX)
			return err_set(e, ERR_CORRUPT, ".NET metadata with too many rows");
		m->rows[i] = (uint32_t)rows;
		at += 4;
	}
	*ret_at = at + (heaps & 0x40 ? 4 : 0);
	return 0;
}

static int lay_out(struct metadata *m, struct err *e)
{
	struct span tables = {0};
	size_t at;
	int r = find_streams(m, &tables, e);
	if (!r) r = read_row_counts(m, &tables, &at, e);
	if (r) return r;
	compute_row_sizes(m);
	for (size_t i = 0; i < TABLES_READ; i++) {
		size_t len = (size_t)m->rows[i] * m->row_size[i]; /* below 2^24 times a few bytes */
		if (at > m->len || len > m->len - at)
			return err_set(e, ERR_CORRUPT, ".NET metadata with a table outside of it");
		m->table[i] = at;
		at += len;
	}
	return 0;
}

int metadata_new(uint8_t *data, size_t len, struct metadata **ret, struct err *e)
{
	struct metadata *m = len <= METADATA_MAX ? calloc(1, sizeof(*m)) : NULL;
	if (!m) {
		free(data);
		return len > METADATA_MAX ? err_set(e, ERR_LIMIT, ".NET metadata of %zu bytes", len)
					  : err_set(e, ERR_NO_MEMORY, "no memory");
	}
	m->data = data;
	m->len = len;
	int r = lay_out(m, e);
	if (r)
		metadata_free(m);
	else
		*ret = m;
	return r;
}

void metadata_free(struct metadata *m)
{
	if (!m) return;
	free(m->data);
	free(m);
}

/* Row 1 is the first. */
static const uint8_t *row_of(const struct metadata *m, enum table table, uint32_t row)
{
	if (!row || row > m->rows[table]) return NULL;
	return m->data + m->table[table] + (size_t)(row - 1) * m->row_size[table];
}

static const char *string_at(const struct metadata *m, uint64_t index)
{
	if (index >= m->strings.len) return NULL;
	const char *text = (const char *)m->data + m->strings.offset + index;
	size_t left = m->strings.len - (size_t)index;
	return memchr(text, 0, MIN(left, (size_t)METADATA_NAME_MAX)) ? text : NULL;
}

const char *metadata_field(const struct metadata *m, uint32_t row)
{
	const uint8_t *p = row_of(m, T_FIELD, row);
	return p ? string_at(m, number(p + 2, m->string_size)) : NULL;
}

bool metadata_field_in_file(const struct metadata *m, uint32_t row)
{
	const uint8_t *p = row_of(m, T_FIELD, row);
	return p && (number(p, 2) & FIELD_IN_FILE);
}

bool metadata_type(const struct metadata *m, uint32_t row, const char **ret_namespace,
		   const char **ret_name)
{
	const uint8_t *p = row_of(m, T_TYPE_DEF, row);
	if (!p) return false;
	*ret_name = string_at(m, number(p + 4, m->string_size));
	*ret_namespace = string_at(m, number(p + 4 + m->string_size, m->string_size));
	return *ret_name && *ret_namespace;
}

/* A type's fields end where the next type's begin. */
static uint32_t first_field(const struct metadata *m, uint32_t type)
{
	const uint8_t *p = row_of(m, T_TYPE_DEF, type);
	if (!p) return m->rows[T_FIELD] + 1;
	uint32_t methods = list_size(m, T_METHOD_PTR, T_METHOD);
	uint32_t fields = list_size(m, T_FIELD_PTR, T_FIELD);
	return (uint32_t)number(p + m->row_size[T_TYPE_DEF] - methods - fields, fields);
}

/* The table is sorted by what its rows belong to. */
static const uint8_t *find_constant(const struct metadata *m, uint32_t field)
{
	uint32_t parent_size = INDEX_SIZE(m, 2, T_FIELD, T_PARAM, T_PROPERTY);
	uint64_t wanted = (uint64_t)field << 2;
	uint32_t low = 1, high = m->rows[T_CONSTANT];
	while (low <= high) {
		uint32_t middle = low + (high - low) / 2;
		const uint8_t *p = row_of(m, T_CONSTANT, middle);
		uint64_t parent = number(p + 2, parent_size);
		if (parent == wanted) return p;
		if (parent < wanted)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return NULL;
}

/* Kinds of constants are those of elements: 2 bool, 3 char, 4 sbyte, 5 byte, ... 11 ulong. */
static bool read_constant(const struct metadata *m, const uint8_t *constant, uint64_t *ret)
{
	static const uint8_t sizes[] = {0, 0, 1, 2, 1, 1, 2, 2, 4, 4, 8, 8};
	uint8_t kind = constant[0];
	uint64_t at = number(constant + m->row_size[T_CONSTANT] - m->blob_size, m->blob_size);
	if (kind >= sizeof(sizes) || !sizes[kind] || at >= m->blobs.len) return false;
	size_t size = sizes[kind], left = m->blobs.len - (size_t)at;
	const uint8_t *p = m->data + m->blobs.offset + at;
	if (p[0] != size || size > left - 1) return false;
	*ret = number(p + 1, size);
	bool has_sign = kind == 4 || kind == 6 || kind == 8;
	if (has_sign && *ret >> (size * 8 - 1)) *ret |= UINT64_MAX << (size * 8);
	return true;
}

bool metadata_next_literal(const struct metadata *m, uint32_t row, uint32_t *at,
			   struct metadata_literal *ret)
{
	uint32_t start = first_field(m, row), end = first_field(m, row + 1);
	if (m->rows[T_FIELD_PTR] || !row || row > m->rows[T_TYPE_DEF]) return false;
	while (start + *at < end) {
		uint32_t field = start + (*at)++;
		const uint8_t *p = row_of(m, T_FIELD, field);
		if (!p) return false;
		if (!(number(p, 2) & FIELD_LITERAL)) continue;
		const uint8_t *constant = find_constant(m, field);
		ret->name = metadata_field(m, field);
		if (ret->name && constant && read_constant(m, constant, &ret->value)) return true;
	}
	return false;
}
