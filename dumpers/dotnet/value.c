#include "dumpers/dotnet/metadata.h"
#include "dumpers/dotnet/object_internal.h"
#include "dumpers/dotnet/utf16.h"

#include <math.h>
#include <stdio.h>

enum { STRING_LENGTH = 8, STRING_TEXT = 12, ENUM_LITERALS_MAX = 1 << 14, ENUM_NAMES_MAX = 64 };

static uint8_t size_of_kind(uint8_t kind)
{
	static const uint8_t sizes[] = {
	    [KIND_BOOL] = 1, [KIND_CHAR] = 2, [KIND_I1] = 1, [KIND_U1] = 1,
	    [KIND_I2] = 2,   [KIND_U2] = 2,   [KIND_I4] = 4, [KIND_U4] = 4,
	    [KIND_I8] = 8,   [KIND_U8] = 8,   [KIND_R4] = 4, [KIND_R8] = 8};
	return kind < sizeof(sizes) ? sizes[kind] : 0;
}

bool kind_is_number(uint8_t kind)
{
	return size_of_kind(kind) != 0;
}

int read_number(struct dotnet *d, uint8_t kind, uint64_t address, int64_t *ret, struct err *e)
{
	uint64_t bits = 0;
	size_t size = size_of_kind(kind);
	int r = dotnet_read(d, address, &bits, size, e);
	if (r) return r;
	bool has_sign = kind == KIND_I1 || kind == KIND_I2 || kind == KIND_I4;
	if (has_sign && bits >> (size * 8 - 1)) bits |= UINT64_MAX << (size * 8);
	*ret = (int64_t)bits;
	return 0;
}

/* The fewest digits that read back as the same number. */
static int show_double(double value, int digits, int digits_max, struct node *n, struct err *e)
{
	char text[64];
	if (!isfinite(value)) {
		const char *name = isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity";
		return node_set_text(n, NODE_TEXT, name, strlen(name), e);
	}
	for (; digits <= digits_max; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		double back = digits_max < 10 ? (double)strtof(text, NULL) : strtod(text, NULL);
		if (back == value) break;
	}
	return node_set_text(n, NODE_NUMBER, text, strlen(text), e);
}

static int show_float(uint8_t kind, int64_t bits, struct node *n, struct err *e)
{
	float single;
	double wide;
	memcpy(&wide, &bits, sizeof(wide));
	if (kind == KIND_R8) return show_double(wide, 15, 17, n, e);
	const uint32_t low = (uint32_t)bits;
	memcpy(&single, &low, sizeof(single));
	return show_double(single, 6, 9, n, e);
}

static int show_char(uint16_t unit, struct node *n, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(16);
	int r = utf16_append(&unit, 1, &text, e);
	return r ? r : node_set_text(n, NODE_CHAR, text.data, text.len, e);
}

int show_number(struct dotnet *d, uint8_t kind, uint64_t address, struct node *n, struct err *e)
{
	int64_t value;
	int r = read_number(d, kind, address, &value, e);
	if (r) return r;
	n->number = value;
	switch (kind) {
	case KIND_BOOL:
		n->kind = NODE_BOOL;
		return 0;
	case KIND_CHAR:
		return show_char((uint16_t)value, n, e);
	case KIND_R4:
	case KIND_R8:
		return show_float(kind, value, n, e);
	case KIND_I8:
		return node_set_printf(n, NODE_TEXT, e, "%lld", (long long)value);
	case KIND_U8:
		return node_set_printf(n, NODE_TEXT, e, "%llu", (unsigned long long)value);
	default:
		return node_set_printf(n, NODE_NUMBER, e, "%lld", (long long)value);
	}
}

int show_string(struct dotnet *d, uint64_t object, struct node *n, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(4 * OBJECT_STRING_MAX);
	uint32_t len;
	int r = dotnet_read(d, object + STRING_LENGTH, &len, sizeof(len), e);
	if (r) return r;
	if (len > INT32_MAX) return err_set(e, ERR_CORRUPT, "a string of %u characters", len);
	uint32_t shown = MIN(len, (uint32_t)OBJECT_STRING_MAX);
	_cleanup_free_ uint16_t *units = calloc(shown + 1, sizeof(*units));
	if (!units) return err_set(e, ERR_NO_MEMORY, "no memory");
	r = dotnet_read(d, object + STRING_TEXT, units, shown * sizeof(*units), e);
	if (!r) r = utf16_append(units, shown, &text, e);
	if (!r) r = node_set_text(n, NODE_STRING, text.data, text.len, e);
	n->cut = shown < len;
	return r;
}

/* Numbers whose bits a value of flags is made of, and their names. */
struct flag_names {
	struct metadata_literal v[ENUM_NAMES_MAX];
	size_t count;
	uint64_t left; /* bits of the value without a name so far */
};

static int compare_literals(const void *a, const void *b)
{
	const struct metadata_literal *x = a, *y = b;
	return x->value < y->value ? -1 : x->value > y->value;
}

static int join_flags(struct flag_names *f, struct buf *ret, struct err *e)
{
	int r = 0;
	qsort(f->v, f->count, sizeof(f->v[0]), compare_literals);
	for (size_t i = 0; !r && i < f->count; i++)
		r = buf_printf(ret, e, "%s%s", i ? ", " : "", f->v[i].name);
	return r;
}

/* The name of exactly that number; else those of single numbers that it is the sum of. */
static const char *find_names(const struct metadata *m, uint32_t row, uint64_t value,
			      struct flag_names *ret)
{
	struct metadata_literal literal;
	uint32_t at = 0;
	*ret = (struct flag_names){.left = value};
	while (at < ENUM_LITERALS_MAX && metadata_next_literal(m, row, &at, &literal)) {
		if (literal.value == value) return literal.name;
		bool inside = literal.value && !(literal.value & ~ret->left);
		if (!inside || ret->count == ENUM_NAMES_MAX) continue;
		ret->v[ret->count++] = literal;
		ret->left &= ~literal.value;
	}
	return NULL;
}

int show_enum(struct dotnet *d, uint64_t module, uint32_t token, int64_t value, struct node *n,
	      struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(ENUM_NAMES_MAX * (METADATA_NAME_MAX + 2));
	const struct metadata *m = token >> 24 == 0x02 ? dotnet_metadata(d, module) : NULL;
	struct flag_names flags = {.left = 1};
	const char *exact = m ? find_names(m, token & 0xffffff, (uint64_t)value, &flags) : NULL;
	n->number = value;
	if (exact) return node_set_text(n, NODE_ENUM, exact, strlen(exact), e);
	if (flags.left || !flags.count)
		return node_set_printf(n, NODE_ENUM, e, "%lld", (long long)value);
	int r = join_flags(&flags, &text, e);
	return r ? r : node_set_text(n, NODE_ENUM, text.data, text.len, e);
}
