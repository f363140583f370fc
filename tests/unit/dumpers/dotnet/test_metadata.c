#include "dumpers/dotnet/metadata.h"
#include "dumpers/dotnet/type_name.h"
#include "dumpers/dotnet/utf16.h"

#include "tests/unit/base/unit.h"

/* --- metadata made by hand: one module, one type Shop.Color with four fields -------------------
 */

enum { TABLES_AT = 0x100, STRINGS_AT = 0x200, BLOBS_AT = 0x300, IMAGE_LEN = 0x400 };
enum { S_COLOR = 1, S_SHOP = 7, S_VALUE = 12, S_RED = 20, S_BLUE = 24, S_PAINT = 29 };
static const char strings[] = "\0Color\0Shop\0value__\0Red\0Blue\0Paint";
/* Signed bytes -1 and 2, each behind its length. */
static const uint8_t blobs[] = {0, 1, 0xff, 1, 2};

struct image {
	uint8_t bytes[IMAGE_LEN];
	size_t at;
};
static void put(struct image *i, uint64_t value, size_t size)
{
	assert_true(i->at + size <= IMAGE_LEN);
	for (size_t k = 0; k < size; k++)
		i->bytes[i->at++] = k < 8 ? (uint8_t)(value >> (8 * k)) : 0;
}
static void put_stream(struct image *i, uint32_t offset, uint32_t len, const char *name)
{
	put(i, offset, 4);
	put(i, len, 4);
	size_t padded = (strlen(name) + 4) & ~(size_t)3;
	memcpy(i->bytes + i->at, name, strlen(name));
	i->at += padded;
}
static void put_field(struct image *i, uint16_t flags, uint16_t name)
{
	put(i, flags, 2);
	put(i, name, 2);
	put(i, 0, 2);
}
static void put_constant(struct image *i, uint16_t field, uint16_t blob)
{
	put(i, 4, 2); /* of sbyte */
	put(i, (uint16_t)(field << 2), 2);
	put(i, blob, 2);
}
static void put_tables(struct image *i)
{
	i->at = TABLES_AT + 8;
	put(i, 1 << 0 | 1 << 2 | 1 << 4 | 1 << 11, 8);
	put(i, 0, 8);
	put(i, 1, 4); /* modules */
	put(i, 1, 4); /* types */
	put(i, 4, 4); /* fields */
	put(i, 2, 4); /* constants */
	put(i, 0, 10);
	put(i, 0, 4); /* the type: flags, name, namespace, base, first field, first method */
	put(i, S_COLOR, 2);
	put(i, S_SHOP, 2);
	put(i, 0, 2);
	put(i, 1, 2);
	put(i, 1, 2);
	put_field(i, 0x0606, S_VALUE);
	put_field(i, 0x8056, S_RED);
	put_field(i, 0x8056, S_BLUE);
	put_field(i, 0x0016, S_PAINT);
	put_constant(i, 2, 1);
	put_constant(i, 3, 3);
}
static struct image make_image(void)
{
	struct image i = {.at = 0};
	put(&i, 0x424a5342, 4);
	put(&i, 0x00010001, 4);
	put(&i, 0, 4);
	put(&i, 4, 4);
	put(&i, 0x3976, 4); /* the version's text */
	put(&i, 0, 2);
	put(&i, 3, 2);
	put_stream(&i, TABLES_AT, STRINGS_AT - TABLES_AT, "#~");
	put_stream(&i, STRINGS_AT, sizeof(strings), "#Strings");
	put_stream(&i, BLOBS_AT, sizeof(blobs), "#Blob");
	memcpy(i.bytes + STRINGS_AT, strings, sizeof(strings));
	memcpy(i.bytes + BLOBS_AT, blobs, sizeof(blobs));
	put_tables(&i);
	return i;
}

static int open_bytes(const uint8_t *bytes, size_t len, struct metadata **ret, struct err *e)
{
	uint8_t *copy = malloc(len ? len : 1);
	assert_non_null(copy);
	if (len) memcpy(copy, bytes, len);
	return metadata_new(copy, len, ret, e);
}
static struct metadata *open_image(const struct image *i)
{
	struct metadata *m = NULL;
	struct err e = {0};
	assert_int_equal(open_bytes(i->bytes, sizeof(i->bytes), &m, &e), 0);
	return m;
}

/* --- names --------------------------------------------------------------------------------------
 */

static void names_of_types_and_fields(void **state)
{
	const struct image i = make_image();
	struct metadata *m = open_image(&i);
	const char *space, *name;
	assert_true(metadata_type(m, 1, &space, &name));
	assert_string_equal(space, "Shop");
	assert_string_equal(name, "Color");
	assert_string_equal(metadata_field(m, 1), "value__");
	assert_string_equal(metadata_field(m, 4), "Paint");
	metadata_free(m);
}

static void rows_that_are_not_there(void **state)
{
	const struct image i = make_image();
	struct metadata *m = open_image(&i);
	struct metadata_literal literal;
	const char *space, *name;
	uint32_t at = 0;
	assert_null(metadata_field(m, 0));
	assert_null(metadata_field(m, 5));
	assert_null(metadata_field(m, UINT32_MAX));
	assert_false(metadata_type(m, 0, &space, &name));
	assert_false(metadata_type(m, 2, &space, &name));
	assert_false(metadata_next_literal(m, 0, &at, &literal));
	assert_false(metadata_next_literal(m, 2, &at, &literal));
	assert_false(metadata_next_literal(m, UINT32_MAX, &at, &literal));
	metadata_free(m);
}

static void constants_have_their_sign(void **state)
{
	const struct image i = make_image();
	struct metadata *m = open_image(&i);
	struct metadata_literal literal;
	uint32_t at = 0;
	assert_true(metadata_next_literal(m, 1, &at, &literal));
	assert_string_equal(literal.name, "Red");
	assert_int_equal(literal.value, UINT64_MAX);
	assert_true(metadata_next_literal(m, 1, &at, &literal));
	assert_string_equal(literal.name, "Blue");
	assert_int_equal(literal.value, 2);
	assert_false(metadata_next_literal(m, 1, &at, &literal));
	metadata_free(m);
}

static void a_constant_longer_than_its_blob_is_left_out(void **state)
{
	struct image i = make_image();
	struct metadata_literal literal;
	uint32_t at = 0;
	i.bytes[BLOBS_AT + 1] = 2; /* the number's length is not that of its kind */
	struct metadata *m = open_image(&i);
	assert_true(metadata_next_literal(m, 1, &at, &literal));
	assert_string_equal(literal.name, "Blue");
	metadata_free(m);
}

/* --- hostile -------------------------------------------------------------------------------------
 */

static void every_cut_is_refused_or_harmless(void **state)
{
	const struct image i = make_image();
	size_t refused = 0;
	for (size_t len = 0; len < sizeof(i.bytes); len++) {
		struct metadata *m = NULL;
		if (open_bytes(i.bytes, len, &m, NULL)) {
			refused++;
			continue;
		}
		metadata_field(m, 4);
		metadata_free(m);
	}
	/* The last stream ends at BLOBS_AT + its length: all that is shorter lacks something. */
	assert_int_equal(refused, BLOBS_AT + sizeof(blobs));
}

static void a_table_beyond_the_end_is_refused(void **state)
{
	struct image i = make_image();
	struct metadata *m = NULL;
	struct err e = {0};
	i.bytes[TABLES_AT + 24 + 8] = 0xff; /* fields: 255 */
	i.bytes[TABLES_AT + 24 + 9] = 0xff;
	assert_int_equal(open_bytes(i.bytes, sizeof(i.bytes), &m, &e), -ERR_CORRUPT);
	assert_non_null(strstr(e.text, "outside"));
	i.bytes[TABLES_AT + 24 + 11] = 0xff; /* 4 thousand million */
	assert_int_equal(open_bytes(i.bytes, sizeof(i.bytes), &m, &e), -ERR_CORRUPT);
	assert_non_null(strstr(e.text, "rows"));
}

static void a_name_beyond_the_strings_is_none(void **state)
{
	struct image i = make_image();
	const char *space, *name;
	size_t type = TABLES_AT + 24 + 16 + 10;
	assert_int_equal(i.bytes[type + 4], S_COLOR);
	i.bytes[type + 5] = 0x40;
	struct metadata *m = open_image(&i);
	assert_false(metadata_type(m, 1, &space, &name));
	metadata_free(m);
}

/* --- names of types, UTF-16 ----------------------------------------------------------------------
 */

static void assert_type_name(const char *name, const char *expected)
{
	_cleanup_buf_ struct buf text = BUF_INIT(4096);
	assert_int_equal(type_name_append(name, strlen(name), &text, NULL), 0);
	assert_string_equal(text.data, expected);
}

static void type_names_lose_their_assemblies(void **state)
{
	assert_type_name("Shop.Order", "Shop.Order");
	assert_type_name("Shop.Order[]", "Shop.Order[]");
	assert_type_name("Shop.Order[,]", "Shop.Order[,]");
	assert_type_name("Crate`1[[Shop.Order, Shop]]", "Crate`1[Shop.Order]");
	assert_type_name("Crate`1[[Shop.Order, Shop]][]", "Crate`1[Shop.Order][]");
	assert_type_name("Pair`2[[System.String, Lib],[System.Int32[], Lib]]",
			 "Pair`2[System.String,System.Int32[]]");
	assert_type_name("A`1[[B`2[[C, c],[D[,], d]], b]]", "A`1[B`2[C,D[,]]]");
	assert_type_name("Odd\nname]", "Odd?name]");
}

static void utf16_is_utf8_afterwards(void **state)
{
	static const uint16_t text[] = {'a', 0xe9, 0x20ac, 0xd83d, 0xde9a, 0xd83d, 'b', 0xde9a};
	_cleanup_buf_ struct buf out = BUF_INIT(64);
	assert_int_equal(utf16_append(text, ARRAY_SIZE(text), &out, NULL), 0);
	assert_string_equal(out.data, "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\x9a\xef\xbf\xbd"
				      "b\xef\xbf\xbd");
}

static void methods_have_types_as_others_write_them(void **state)
{
	static const char *const pairs[][2] = {
	    {"Shop.Till.Open()", "Shop.Till.Open()"},
	    {"Shop.Till.Sell(Int32, System.String, UInt16[], Byte*)",
	     "Shop.Till.Sell(System.Int32, System.String, System.UInt16[], System.Byte*)"},
	    {"Shop.Till.Fill(System.Collections.Generic.Dictionary`2<Int64,Shop.Box`1<Char>[]> "
	     "ByRef, Boolean ByRef)",
	     "Shop.Till.Fill(System.Collections.Generic.Dictionary`2[System.Int64,Shop.Box`1["
	     "System.Char][]]&, System.Boolean&)"},
	    {"Shop.Box`1[[System.Int32, System.Private.CoreLib]].Put(Int32)",
	     "Shop.Box`1[System.Int32].Put(System.Int32)"},
	    {"Shop.Till+<>c__DisplayClass2_0.<Count>b__0(<>f__AnonymousType0`1<Int32>, Shop.Int32)",
	     "Shop.Till+<>c__DisplayClass2_0.<Count>b__0(<>f__AnonymousType0`1[System.Int32], "
	     "Shop.Int32)"},
	    {"Shop.Till.Cut(Int32", "Shop.Till.Cut(System.Int32"},
	    {"(", "("},
	    {"", ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		_cleanup_buf_ struct buf out = BUF_INIT(4096);
		assert_int_equal(method_name_append(pairs[i][0], strlen(pairs[i][0]), &out, NULL),
				 0);
		assert_string_equal(out.len ? out.data : "", pairs[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_of_types_and_fields),
	    cmocka_unit_test(rows_that_are_not_there),
	    cmocka_unit_test(constants_have_their_sign),
	    cmocka_unit_test(a_constant_longer_than_its_blob_is_left_out),
	    cmocka_unit_test(every_cut_is_refused_or_harmless),
	    cmocka_unit_test(a_table_beyond_the_end_is_refused),
	    cmocka_unit_test(a_name_beyond_the_strings_is_none),
	    cmocka_unit_test(type_names_lose_their_assemblies),
	    cmocka_unit_test(methods_have_types_as_others_write_them),
	    cmocka_unit_test(utf16_is_utf8_afterwards),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
