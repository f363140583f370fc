#include "dumpers/stack/symbols.h"
#include "tests/unit/dumpers/stack/image.h"

static struct symbols *load(const struct image *im)
{
	struct blob *file = image_blob(im);
	struct symbols *s = NULL;
	struct err e = {0};

	if (symbols_new(file, &s, &e)) fail_msg("%s", e.text);
	blob_unref(file);
	return s;
}

static void assert_name(const struct symbols *s, uint64_t vaddr, const char *name, uint64_t offset)
{
	uint64_t got_offset = 0;
	const char *got = symbols_find(s, vaddr, &got_offset);

	if (!name) {
		if (got) fail_msg("0x%llx is \"%s\"", (unsigned long long)vaddr, got);
		return;
	}
	if (!got) fail_msg("0x%llx has no name, not %s", (unsigned long long)vaddr, name);
	assert_string_equal(got, name);
	assert_true(got_offset == offset);
}

static void sizes_are_checked(void **state)
{
	struct symbols *s;
	struct image im;

	memset(&im, 0, sizeof(im));
	im.strings_len = 1;
	image_symbol(&im, "outer", 0x1000, 0x400, STB_LOCAL, STT_FUNC);
	image_symbol(&im, "inner", 0x1100, 0x10, STB_LOCAL, STT_FUNC);
	image_symbol(&im, "ifunc", 0x1800, 0x10, STB_GLOBAL, STT_GNU_IFUNC);
	image_symbol(&im, "label", 0x1900, 0x10, STB_LOCAL, STT_NOTYPE);
	image_symbol(&im, "edge", 0x1a00, 0, STB_LOCAL, STT_NOTYPE);
	image_symbol(&im, "data", 0x1b00, 0x10, STB_GLOBAL, STT_OBJECT);
	image_symbol(&im, "assembly", 0x1c00, 0, STB_GLOBAL, STT_FUNC);
	image_symbol(&im, "next", 0x1c80, 4, STB_GLOBAL, STT_FUNC);
	image_headers(&im);
	s = load(&im);
	assert_name(s, 0xfff, NULL, 0);
	assert_name(s, 0x1000, "outer", 0);
	assert_name(s, 0x1105, "inner", 5);
	assert_name(s, 0x1110, "outer", 0x110);
	assert_name(s, 0x13ff, "outer", 0x3ff);
	assert_name(s, 0x1400, NULL, 0);
	assert_name(s, 0x1801, "ifunc", 1);
	assert_name(s, 0x1901, "label", 1);
	assert_name(s, 0x1a00, NULL, 0);
	assert_name(s, 0x1b00, NULL, 0);
	assert_name(s, 0x1c7f, "assembly", 0x7f);
	assert_name(s, 0x1c84, NULL, 0);
	assert_name(s, UINT64_MAX, NULL, 0);
	symbols_free(s);
}

/* Whatever the order in the table. */
static void the_alias_that_people_write(void **state)
{
	static const struct {
		const char *name;
		uint8_t bind;
	} aliases[] = {{"__GI_poll", STB_LOCAL},
		       {"__poll", STB_GLOBAL},
		       {"poll", STB_WEAK},
		       {"apoll", STB_LOCAL}};

	for (size_t first = 0; first < ARRAY_SIZE(aliases); first++) {
		struct symbols *s;
		struct image im;

		memset(&im, 0, sizeof(im));
		im.strings_len = 1;
		for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
			size_t k = (first + i) % ARRAY_SIZE(aliases);

			image_symbol(&im, aliases[k].name, 0x1000, 8, aliases[k].bind, STT_FUNC);
		}
		image_headers(&im);
		s = load(&im);
		assert_name(s, 0x1004, "poll", 4);
		symbols_free(s);
	}
}

static void put_section(struct image *im, size_t index, const Elf64_Shdr *sh)
{
	image_put(im, IMAGE_SECTIONS + index * sizeof(*sh), sh, sizeof(*sh));
}

static void hostile_tables(void **state)
{
	struct symbols *s = NULL;
	struct blob *file;
	struct image im;
	Elf64_Ehdr eh;
	Elf64_Shdr good, sh;
	uint64_t sizes[] = {UINT64_MAX, UINT64_MAX / 2, (uint64_t)1 << 40, IMAGE_SIZE};

	image_init(&im);
	memcpy(&good, im.bytes + IMAGE_SECTIONS + sizeof(good), sizeof(good));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		sh = good;
		sh.sh_size = sizes[i]; /* passes the end of the file */
		put_section(&im, 1, &sh);
		file = image_blob(&im);
		assert_true(symbols_new(file, &s, NULL) < 0);
		blob_unref(file);
	}
	sh = good;
	sh.sh_link = 77;
	put_section(&im, 1, &sh);
	s = load(&im);
	assert_name(s, IMAGE_FRAMED, NULL, 0);
	symbols_free(s);

	image_init(&im);
	memcpy(&eh, im.bytes, sizeof(eh));
	eh.e_shnum = 65535;
	image_put(&im, 0, &eh, sizeof(eh));
	file = image_blob(&im);
	assert_true(symbols_new(file, &s, NULL) < 0);
	blob_unref(file);

	/* A name behind the strings, and strings without an end. */
	image_init(&im);
	uint32_t far_name = 0xffffffff;
	image_put(&im, IMAGE_SYMTAB, &far_name, sizeof(far_name));
	memcpy(&sh, im.bytes + IMAGE_SECTIONS + 2 * sizeof(sh), sizeof(sh));
	sh.sh_size = 11; /* "\0framed\0bar" */
	put_section(&im, 2, &sh);
	s = load(&im);
	assert_name(s, IMAGE_FRAMED, NULL, 0);
	assert_name(s, IMAGE_BARE, "bar", 0);
	symbols_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes_are_checked),
	    cmocka_unit_test(the_alias_that_people_write),
	    cmocka_unit_test(hostile_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
