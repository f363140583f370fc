#include "tests/unit/dumpers/stack/image.h"

static struct modules *open_modules(struct snapshot *s, struct blob *file)
{
	struct modules *m = NULL;
	struct err e = {0};

	if (modules_new(s, image_find, file, &m, &e)) fail_msg("%s", e.text);
	return m;
}

static struct snapshot *open_snapshot(const char *maps, const struct memory_range *ranges,
				      size_t count)
{
	struct snapshot *s = NULL;
	struct err e = {0};

	if (snapshot_open_memory(maps, ranges, count, NULL, 0, &s, &e)) fail_msg("%s", e.text);
	return s;
}

/* As ld lays a library out: header, code, data; a bss behind; then a font, and the same library
 * again. */
static void groups_maps_by_file(void **state)
{
	static const char maps[] =
	    "7f0000000000-7f0000001000 r--p 00000000 08:01 77 /lib/libimage.so\n"
	    "7f0000001000-7f0000003000 r-xp 00001000 08:01 77 /lib/libimage.so\n"
	    "7f0000003000-7f0000004000 rw-p 00003000 08:01 77 /lib/libimage.so\n"
	    "7f0000004000-7f0000005000 rw-p 00000000 00:00 0 \n"
	    "7f0000005000-7f0000006000 rw-p 00000000 00:00 0 \n"
	    "7f0000006000-7f0000007000 r--p 00000000 08:01 78 /font\n"
	    "7f0000100000-7f0000104000 r-xp 00000000 08:01 77 /lib/libimage.so\n"
	    "7f0000200000-7f0000201000 r-xp 00000000 08:01 79 /tmp/gone (deleted)\n"
	    "7fff00000000-7fff00001000 r-xp 00000000 00:00 0 [vdso]\n";
	struct image im;
	Elf64_Phdr ph;

	image_init(&im);
	memcpy(&ph, im.bytes + sizeof(Elf64_Ehdr), sizeof(ph));
	ph.p_memsz = IMAGE_SIZE + 0x800;
	image_put(&im, sizeof(Elf64_Ehdr), &ph, sizeof(ph));
	struct memory_range ranges[] = {
	    {0x7f0000000000, 0x7f0000004000, MEM_BYTES, im.bytes},
	    {0x7f0000006000, 0x7f0000007000, MEM_BYTES, im.bytes + IMAGE_TEXT},
	    {0x7f0000100000, 0x7f0000104000, MEM_BYTES, im.bytes},
	    {0x7f0000200000, 0x7f0000201000, MEM_BYTES, im.bytes},
	    {0x7fff00000000, 0x7fff00001000, MEM_BYTES, im.bytes},
	};
	struct snapshot *s = open_snapshot(maps, ranges, ARRAY_SIZE(ranges));
	struct modules *m = open_modules(s, NULL);
	const struct module *module;

	assert_int_equal(modules_count(m), 4);
	module = modules_at(m, 0);
	assert_string_equal(module->name, "libimage.so");
	assert_true(module->start == IMAGE_BASE && module->header == IMAGE_BASE);
	assert_true(module->header_end == IMAGE_BASE + 0x1000);
	assert_true(module->end == IMAGE_BASE + 0x5000); /* with the bss, not what follows it */
	assert_true(module->bias == IMAGE_BASE);
	assert_int_equal(module->build_id_len, IMAGE_BUILD_ID);
	assert_int_equal(module->build_id[0], 0xab);
	assert_true(modules_at(m, 1)->bias == 0x7f0000100000);
	assert_string_equal(modules_at(m, 2)->path, "/tmp/gone");
	assert_string_equal(modules_at(m, 3)->name, "[vdso]");
	assert_ptr_equal(modules_find(m, IMAGE_BASE + 0x2fff), module);
	assert_ptr_equal(modules_find(m, IMAGE_BASE + 0x4fff), module);
	assert_null(modules_find(m, IMAGE_BASE + 0x5000));
	assert_null(modules_find(m, IMAGE_BASE - 1));
	for (size_t i = 0; i < modules_count(m); i++)
		assert_int_equal(modules_at(m, i)->index, i);
	modules_free(m);
	snapshot_free(s);
}

/* Opens one image that is mapped twice with a heap between; returns how many modules it makes. */
static size_t count_modules(const struct image *im, uint64_t *ret_end)
{
	static const char maps[] =
	    "7f0000000000-7f0000004000 r-xp 00000000 08:01 77 /lib/libimage.so\n"
	    "7f0000010000-7f0000020000 rw-p 00000000 00:00 0 [heap]\n"
	    "7f0000100000-7f0000104000 r-xp 00000000 08:01 77 /lib/libimage.so\n";
	struct memory_range ranges[] = {
	    {0x7f0000000000, 0x7f0000004000, MEM_BYTES, im->bytes},
	    {0x7f0000100000, 0x7f0000104000, MEM_BYTES, im->bytes},
	};
	struct snapshot *s = open_snapshot(maps, ranges, ARRAY_SIZE(ranges));
	struct modules *m = open_modules(s, NULL);
	size_t count = modules_count(m);

	if (count) *ret_end = modules_at(m, 0)->end;
	modules_free(m);
	snapshot_free(s);
	return count;
}

static void hostile_headers(void **state)
{
	struct image im;
	uint64_t end = 0;
	Elf64_Ehdr eh;
	Elf64_Phdr ph;

	image_init(&im);
	assert_int_equal(count_modules(&im, &end), 2);
	assert_true(end == IMAGE_BASE + IMAGE_SIZE);

	/* A segment as long as the address space does not swallow the neighbours. */
	memcpy(&ph, im.bytes + sizeof(eh), sizeof(ph));
	ph.p_memsz = 0x7000000000000000;
	image_put(&im, sizeof(eh), &ph, sizeof(ph));
	assert_int_equal(count_modules(&im, &end), 2);
	assert_true(end == IMAGE_BASE + IMAGE_SIZE);
	/* One that wraps does not count, and then nothing maps the header. */
	ph.p_vaddr = 0x1000;
	ph.p_memsz = UINT64_MAX;
	image_put(&im, sizeof(eh), &ph, sizeof(ph));
	assert_int_equal(count_modules(&im, &end), 0);

	image_init(&im);
	memcpy(&eh, im.bytes, sizeof(eh));
	eh.e_phnum = 65535;
	image_put(&im, 0, &eh, sizeof(eh));
	assert_int_equal(count_modules(&im, &end), 0);
	eh.e_phnum = IMAGE_PHDRS;
	eh.e_phoff = UINT64_MAX - 8;
	image_put(&im, 0, &eh, sizeof(eh));
	assert_int_equal(count_modules(&im, &end), 0);
	eh.e_phoff = sizeof(eh);
	eh.e_phentsize = 1;
	image_put(&im, 0, &eh, sizeof(eh));
	assert_int_equal(count_modules(&im, &end), 0);
	eh.e_phentsize = sizeof(ph);
	eh.e_machine = EM_AARCH64;
	image_put(&im, 0, &eh, sizeof(eh));
	assert_int_equal(count_modules(&im, &end), 0);
}

/* Whatever a header says, modules stay within the maps and apart. */
static void random_headers(void **state)
{
	uint64_t seed = unit_seed();
	size_t found = 0;

	for (int round = 0; round < 3000; round++) {
		struct image im;
		uint64_t end = 0;

		image_init(&im);
		for (int i = 0; i < 4; i++) {
			size_t at = unit_random(&seed) % IMAGE_NOTE;

			im.bytes[at < 16 ? at + 16 : at] = (uint8_t)unit_random(&seed);
		}
		if (count_modules(&im, &end) == 0) continue;
		found++;
		assert_true(end >= IMAGE_BASE + IMAGE_SIZE && end <= IMAGE_BASE + 0x104000);
	}
	assert_true(found > 0);
}

/* Memory of which the first two pages are here, the third a file's, the fourth lost. */
static struct snapshot *open_holes(const struct image *im, const char *prot, size_t first)
{
	char maps[128];
	struct memory_range ranges[] = {
	    {IMAGE_BASE, IMAGE_BASE + 0x1000, MEM_BYTES, im->bytes + first},
	    {IMAGE_BASE + 0x1000, IMAGE_BASE + 0x2000, MEM_ZERO, NULL},
	    {IMAGE_BASE + 0x2000, IMAGE_BASE + 0x3000, MEM_FILE, NULL},
	};

	snprintf(maps, sizeof(maps),
		 "7f0000000000-7f0000006000 %s 00000000 08:01 77 /lib/libimage.so\n", prot);
	return open_snapshot(maps, ranges, ARRAY_SIZE(ranges));
}

static void reads_are_completed_from_the_file(void **state)
{
	uint8_t data[0x3000] = {0}, zeros[0x1000] = {0};
	struct image im, other;
	struct blob *file, *other_file;
	struct snapshot *s;
	struct modules *m;
	struct err e = {0};

	image_init(&im);
	file = image_blob(&im);
	s = open_holes(&im, "r-xp", 0);
	m = open_modules(s, file);
	/* Across all four states, and what is here comes first. */
	assert_int_equal(modules_read(m, IMAGE_BASE + 0xf00, data, 0x2200, &e), 0);
	assert_memory_equal(data, im.bytes + 0xf00, 0x100);
	assert_memory_equal(data + 0x100, zeros, 0x1000);
	assert_memory_equal(data + 0x1100, im.bytes + 0x2000, 0x1000);
	assert_memory_equal(data + 0x2100, im.bytes + 0x3000, 0x100);
	/* The file has no page there. */
	assert_int_equal(modules_read(m, IMAGE_BASE + 0x4000, data, 1, &e), -ERR_NOT_FOUND);
	assert_int_equal(modules_read(m, UINT64_MAX - 3, data, 8, &e), -ERR_NOT_FOUND);
	assert_int_equal(modules_read(m, 0x1000, data, 8, &e), -ERR_NOT_FOUND);
	modules_free(m);
	snapshot_free(s);

	/* A lost page of a map that can be written was perhaps written. */
	s = open_holes(&im, "rwxp", 0);
	m = open_modules(s, file);
	assert_int_equal(modules_read(m, IMAGE_BASE + 0x2000, data, 8, &e), 0);
	assert_int_equal(modules_read(m, IMAGE_BASE + 0x3000, data, 8, &e), -ERR_NOT_FOUND);
	modules_free(m);
	snapshot_free(s);

	other = im;
	other.bytes[IMAGE_NOTE + 16] ^= 1;
	other_file = image_blob(&other);
	s = open_holes(&im, "r-xp", 0);
	m = open_modules(s, other_file);
	assert_null(modules_file(m, modules_at(m, 0), &e));
	assert_contains(e.text, "build-id");
	assert_int_equal(modules_read(m, IMAGE_BASE + 0x2000, data, 8, &e), -ERR_NOT_FOUND);
	modules_free(m);
	snapshot_free(s);
	blob_unref(other_file);
	blob_unref(file);
}

static void without_build_id_the_headers_decide(void **state)
{
	struct image im, other;
	struct blob *file;
	struct snapshot *s;
	struct modules *m;
	struct err e = {0};
	Elf64_Ehdr eh;

	image_init(&im);
	memset(im.bytes + IMAGE_NOTE, 0, 16);
	other = im;
	for (int same = 1; same >= 0; same--) {
		memcpy(&eh, other.bytes, sizeof(eh));
		eh.e_entry = same ? 0 : 0x1234;
		image_put(&other, 0, &eh, sizeof(eh));
		file = image_blob(&other);
		s = open_holes(&im, "r-xp", 0);
		m = open_modules(s, file);
		assert_int_equal(modules_at(m, 0)->build_id_len, 0);
		if (same)
			assert_ptr_equal(modules_file(m, modules_at(m, 0), &e), file);
		else
			assert_null(modules_file(m, modules_at(m, 0), &e));
		modules_free(m);
		snapshot_free(s);
		blob_unref(file);
	}
	assert_contains(e.text, "program headers");
}

/* A core of the kernel may lack even the header: then the file of that name is all there is. */
static void header_from_the_file(void **state)
{
	static const char maps[] =
	    "7f0000000000-7f0000004000 r-xp 00000000 08:01 77 /lib/libimage.so\n"
	    "7f0000010000-7f0000014000 r--p 00000000 08:01 78 /data\n";
	struct image im;
	struct blob *file;
	struct snapshot *s;
	struct modules *m;

	image_init(&im);
	file = image_blob(&im);
	s = open_snapshot(maps, NULL, 0);
	m = open_modules(s, file);
	/* Of data the file is not even asked for. */
	assert_int_equal(modules_count(m), 1);
	assert_int_equal(modules_at(m, 0)->build_id_len, IMAGE_BUILD_ID);
	modules_free(m);
	m = open_modules(s, NULL);
	assert_int_equal(modules_count(m), 0);
	modules_free(m);
	snapshot_free(s);
	blob_unref(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(groups_maps_by_file),
	    cmocka_unit_test(hostile_headers),
	    cmocka_unit_test(random_headers),
	    cmocka_unit_test(reads_are_completed_from_the_file),
	    cmocka_unit_test(without_build_id_the_headers_decide),
	    cmocka_unit_test(header_from_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
