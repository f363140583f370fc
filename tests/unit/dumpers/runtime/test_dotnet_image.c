#include "dumpers/runtime/dotnet_image.h"

#include "dumpers/proc/elf_search.h"
#include "tests/unit/dumpers/runtime/dotnet_elf.h"

/* --- versions --- */

static void the_version_that_is_compiled_in(void **state)
{
	_cleanup_blob_ struct blob *file =
	    lib_blob(lib_new("@(#)Version 9.0.124.61010 @Commit: c8acea22626e", 1));
	struct dotnet_version v;

	assert_int_equal(dotnet_version_read(file, &v, NULL), 0);
	assert_string_equal(v.file, "9.0.124.61010");
	assert_string_equal(v.commit, "c8acea22626e");
}

static void the_version_among_read_only_data(void **state)
{
	struct lib *lib = lib_new("", 1);
	struct dotnet_version v;

	strcpy((char *)lib->bytes + LIB_RODATA, "@(#)Version 8.0.11.5 @Commit: ab");
	_cleanup_blob_ struct blob *file = lib_blob(lib);
	assert_int_equal(dotnet_version_read(file, &v, NULL), 0);
	assert_string_equal(v.file, "8.0.11.5");
}

/* What is searched is read in pieces of 64 KiB. */
static void the_version_wherever_it_lies(void **state)
{
	static const char text[] = "@(#)Version 6.0.36.1 @Commit: 0123abcd";
	uint64_t seed = unit_seed();

	for (int i = 0; i < 60; i++) {
		struct lib *lib = lib_new("", 1);
		size_t at = i < 40 ? (64u << 10) - (size_t)i
				   : unit_random(&seed) % (LIB_DATA_SIZE - sizeof(text));
		struct dotnet_version v;

		memcpy(lib->bytes + LIB_DATA + at, text, sizeof(text));
		_cleanup_blob_ struct blob *file = lib_blob(lib);
		if (dotnet_version_read(file, &v, NULL) != 0) fail_msg("not found at %zu", at);
		assert_string_equal(v.file, "6.0.36.1");
		assert_string_equal(v.commit, "0123abcd");
	}
}

static void what_is_no_version(void **state)
{
	static const char *const texts[] = {
	    "",
	    "@(#)Version N/A @Commit: N/A",
	    "@(#)Version ",
	    "@(#)Version 9.0.1234567890123456789012345678901234567890123456789 @Commit: a",
	    "@(#)version 9.0.124.61010 @Commit: a",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_blob_ struct blob *file = lib_blob(lib_new(texts[i], 1));
		struct dotnet_version v;
		struct err e = {0};

		assert_int_equal(dotnet_version_read(file, &v, &e), -ERR_NOT_FOUND);
		assert_true(e.text[0] != '\0');
	}
}

static void a_commit_that_is_none_is_left_out(void **state)
{
	_cleanup_blob_ struct blob *file = lib_blob(lib_new("@(#)Version 9.0.1.2 @Commit: N/A", 1));
	struct dotnet_version v;

	assert_int_equal(dotnet_version_read(file, &v, NULL), 0);
	assert_string_equal(v.file, "9.0.1.2");
	assert_string_equal(v.commit, "");
}

/* The pairs are of real releases. */
static void the_products_version(void **state)
{
	static const struct {
		const char *file, *product;
	} cases[] = {
	    {"9.0.124.61010", "9.0.1"},
	    {"10.0.926.27113", "10.0.9"},
	    {"6.0.3624.51421", "6.0.36"},
	    {"8.0.23.53103", "8.0.0"},
	    {"5.0.1722.21314", "5.0.17"},
	    {"4.700.20.6602", "3"},
	    {"4.6.26725.06", ""},
	    {"9.0", ""},
	    {"", ""},
	    {"99999999999.0.124.1", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char product[DOTNET_VERSION_MAX];

		dotnet_product_version(cases[i].file, product, sizeof(product));
		assert_string_equal(product, cases[i].product);
	}
}

/* --- names --- */

static void a_dynamic_name_is_found_whole(void **state)
{
	struct lib *lib = lib_new("", 1);

	lib_name(lib, "CLRDataCreateInstance");
	_cleanup_blob_ struct blob *file = lib_blob(lib);
	assert_true(elf_has_dynamic_name(file, "CLRDataCreateInstance"));
	assert_false(elf_has_dynamic_name(file, "CLRDataCreate"));
	assert_false(elf_has_dynamic_name(file, "DataCreateInstance"));
}

/* --- what a single-file program names --- */

static void put_info(struct lib *lib, uint8_t version, uint8_t len)
{
	uint8_t *info = lib->bytes + LIB_DATA + 0x1230;

	memcpy(info, "DotNetRuntimeInfo", 18);
	info[20] = version;
	info[24] = 20;
	memset(info + 25, 0xee, 20);
	info[48] = len;
	for (uint8_t i = 0; i < 20; i++)
		info[49 + i] = (uint8_t)(7 + i);
}

static void the_library_that_a_program_names(void **state)
{
	struct lib *lib = lib_new("", 1);
	struct dotnet_build_id id;

	put_info(lib, 2, 20);
	_cleanup_blob_ struct blob *file = lib_blob(lib);
	assert_int_equal(dotnet_wanted_dac(file, &id, NULL), 0);
	assert_int_equal(id.len, 20);
	assert_int_equal(id.bytes[0], 7);
	assert_int_equal(id.bytes[19], 26);
}

static void a_program_that_names_none(void **state)
{
	static const struct {
		uint8_t version, len;
	} cases[] = {{0, 20}, {1, 0}, {1, 24}, {1, 255}};
	struct dotnet_build_id id;
	_cleanup_blob_ struct blob *without = lib_blob(lib_new("", 1));

	assert_int_equal(dotnet_wanted_dac(without, &id, NULL), -ERR_NOT_FOUND);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lib *lib = lib_new("", 1);

		put_info(lib, cases[i].version, cases[i].len);
		_cleanup_blob_ struct blob *file = lib_blob(lib);
		assert_int_equal(dotnet_wanted_dac(file, &id, NULL), -ERR_NOT_FOUND);
	}
}

/* --- assemblies --- */

enum { PE_SIZE = 0x400, PE_AT = 0x80, OPTIONAL_AT = PE_AT + 24 };

static void make_pe(uint8_t *pe, uint16_t magic)
{
	size_t directories = OPTIONAL_AT + (magic == 0x20b ? 112 : 96);

	memset(pe, 0, PE_SIZE);
	memcpy(pe, "MZ", 2);
	pe[0x3c] = PE_AT;
	memcpy(pe + PE_AT, "PE\0\0", 4);
	pe[PE_AT + 20] = magic == 0x20b ? 0xf0 : 0xe0;
	memcpy(pe + OPTIONAL_AT, &magic, 2);
	pe[directories + 14 * 8] = 0x08;
	pe[directories + 14 * 8 + 1] = 0x20;
	pe[directories + 14 * 8 + 4] = 0x48;
}

static bool is_assembly(const uint8_t *bytes, size_t len)
{
	_cleanup_blob_ struct blob *file = NULL;

	assert_int_equal(blob_from_memory(bytes, len, &file, NULL), 0);
	return dotnet_is_assembly(elf_read_blob, file);
}

static void assemblies_of_both_widths(void **state)
{
	uint8_t pe[PE_SIZE];

	make_pe(pe, 0x10b);
	assert_true(is_assembly(pe, sizeof(pe)));
	make_pe(pe, 0x20b);
	assert_true(is_assembly(pe, sizeof(pe)));
	/* The last byte that is looked at, and one less. */
	assert_true(is_assembly(pe, OPTIONAL_AT + 112 + 15 * 8));
	assert_false(is_assembly(pe, OPTIONAL_AT + 112 + 15 * 8 - 1));
}

static void what_is_no_assembly(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
	} spoiled[] = {
	    {0, 'N'},
	    {0x3f, 0x7f}, /* where the headers are: far behind the end */
	    {PE_AT + 1, 'F'},
	    {PE_AT + 20, 0x10}, /* an optional header too short for the directory */
	    {OPTIONAL_AT, 0x07},
	    {OPTIONAL_AT + 96 + 14 * 8 + 4, 0}, /* a native library: no CLI header */
	};

	for (size_t i = 0; i < ARRAY_SIZE(spoiled); i++) {
		uint8_t pe[PE_SIZE];

		make_pe(pe, 0x10b);
		pe[spoiled[i].at] = spoiled[i].byte;
		if (is_assembly(pe, sizeof(pe))) fail_msg("case %zu is an assembly", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_version_that_is_compiled_in),
	    cmocka_unit_test(the_version_among_read_only_data),
	    cmocka_unit_test(the_version_wherever_it_lies),
	    cmocka_unit_test(what_is_no_version),
	    cmocka_unit_test(a_commit_that_is_none_is_left_out),
	    cmocka_unit_test(the_products_version),
	    cmocka_unit_test(a_dynamic_name_is_found_whole),
	    cmocka_unit_test(the_library_that_a_program_names),
	    cmocka_unit_test(a_program_that_names_none),
	    cmocka_unit_test(assemblies_of_both_widths),
	    cmocka_unit_test(what_is_no_assembly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
