/* The common part of snapshots, on the origin that tests use. */
#include "dumpers/snapshot/memory.h"
#include "tests/unit/base/unit.h"

static const char maps_text[] = "1000-5000 rw-p 00000000 00:00 0\n"
				"5000-6000 r--p 00000000 08:01 7 /lib/x.so\n"
				"9000-a000 rw-p 00000000 00:00 0\n";

static struct snapshot *open_example(void)
{
	static const uint8_t bytes[0x1000] = {1, 2, 3, [0xfff] = 9};
	const struct memory_range ranges[] = {
	    {0x1000, 0x2000, MEM_BYTES, bytes},
	    {0x2000, 0x3000, MEM_ZERO, NULL},
	    {0x5000, 0x6000, MEM_FILE, NULL},
	    {0x9000, 0x9800, MEM_ERROR, NULL},
	};
	const struct snapshot_thread threads[] = {{.tid = 20}, {.tid = 7}, {.tid = 30}, {.tid = 9}};
	struct snapshot *s = NULL;
	struct err e = {0};

	if (snapshot_open_memory(maps_text, ranges, ARRAY_SIZE(ranges), threads,
				 ARRAY_SIZE(threads), &s, &e))
		fail_msg("%s", e.text);
	return s;
}

static void test_read(void **state)
{
	_cleanup_snapshot_ struct snapshot *s = open_example();
	static const struct {
		uint64_t addr;
		size_t len, want;
		enum mem_state state;
	} cases[] = {
	    {0x1000, 3, 3, MEM_BYTES},
	    {0x1ff0, 0x100, 0x10, MEM_BYTES},
	    {0x2000, 0x2000, 0x1000, MEM_ZERO},
	    {0x2800, 1, 1, MEM_ZERO},
	    {0x3000, 0x10000, 0x2000, MEM_NOT_CAPTURED},
	    {0x5000, 0x1001, 0x1000, MEM_FILE},
	    {0x6000, 0x10000, 0x3000, MEM_UNMAPPED},
	    {0x9000, 0x1000, 0x800, MEM_ERROR},
	    {0x9800, 0x1000, 0x800, MEM_NOT_CAPTURED},
	    {0, 0x2000, 0x1000, MEM_UNMAPPED},
	    {0x1000, 0, 0, MEM_UNMAPPED},
	};
	uint8_t data[0x10000];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum mem_state got = MEM_ERROR;

		assert_int_equal(snapshot_read(s, cases[i].addr, data, cases[i].len, &got),
				 cases[i].want);
		assert_int_equal(got, cases[i].state);
	}
	snapshot_read(s, 0x1001, data, 2, &(enum mem_state){MEM_ERROR});
	assert_memory_equal(data, "\2\3", 2);
}

static void test_read_all(void **state)
{
	_cleanup_snapshot_ struct snapshot *s = open_example();
	struct err e = {0};
	uint8_t data[16];

	assert_int_equal(snapshot_read_all(s, 0x1fff, data, 4, &e), 0);
	assert_memory_equal(data, "\11\0\0\0", 4);
	assert_int_equal(snapshot_read_all(s, 0x2ffe, data, 4, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "not captured at 0x3000");
	assert_int_equal(snapshot_read_all(s, 0x5000, data, 1, &e), -ERR_NOT_FOUND);
	assert_int_equal(snapshot_read_all(s, 0x9000, data, 1, &e), -ERR_IO);
	assert_int_equal(snapshot_read_all(s, UINT64_MAX, data, 16, &e), -ERR_NOT_FOUND);
	assert_int_equal(snapshot_read_all(s, 0, data, 0, &e), 0);
}

static void test_extent(void **state)
{
	static const struct {
		uint64_t end;
		enum mem_state state;
	} want[] = {
	    {0x1000, MEM_UNMAPPED},     {0x2000, MEM_BYTES},        {0x3000, MEM_ZERO},
	    {0x5000, MEM_NOT_CAPTURED}, {0x6000, MEM_FILE},         {0x9000, MEM_UNMAPPED},
	    {0x9800, MEM_ERROR},        {0xa000, MEM_NOT_CAPTURED}, {UINT64_MAX, MEM_UNMAPPED},
	};
	_cleanup_snapshot_ struct snapshot *s = open_example();
	uint64_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		enum mem_state got;

		at = snapshot_extent(s, at, UINT64_MAX, &got);
		assert_int_equal(at, want[i].end);
		assert_int_equal(got, want[i].state);
	}
	assert_int_equal(snapshot_extent(s, 0x1100, 0x1200, &(enum mem_state){0}), 0x1200);
}

static void test_threads(void **state)
{
	static const pid_t order[] = {20, 7, 9, 30};
	_cleanup_snapshot_ struct snapshot *s = open_example();

	assert_int_equal(s->thread_count, ARRAY_SIZE(order));
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		assert_int_equal(s->threads[i].tid, order[i]);
		assert_ptr_equal(snapshot_find_thread(s, order[i]), &s->threads[i]);
	}
	assert_null(snapshot_find_thread(s, 8));
	assert_null(snapshot_find_thread(s, 31));
}

static void test_auxv(void **state)
{
	_cleanup_snapshot_ struct snapshot *s = open_example();
	const uint64_t auxv[] = {AT_PAGESZ, 4096, AT_ENTRY, 5, AT_NULL, 0, AT_UID, 7};

	memcpy(s->auxv, auxv, sizeof(auxv));
	s->auxv_len = sizeof(auxv) - 1;
	assert_int_equal(snapshot_auxv(s, AT_PAGESZ), 4096);
	assert_int_equal(snapshot_auxv(s, AT_ENTRY), 5);
	assert_int_equal(snapshot_auxv(s, AT_UID), 0);
	assert_int_equal(snapshot_auxv(s, AT_PHDR), 0);
}

static void test_bad_input(void **state)
{
	const struct memory_range overlapping[] = {{0x1000, 0x3000, MEM_ZERO, NULL},
						   {0x2000, 0x4000, MEM_ZERO, NULL}};
	struct snapshot *s = NULL;
	struct err e = {0};

	assert_int_equal(snapshot_open_memory(maps_text, overlapping, 2, NULL, 0, &s, &e),
			 -ERR_USAGE);
	assert_int_equal(snapshot_open_memory("nonsense\n", NULL, 0, NULL, 0, &s, &e),
			 -ERR_CORRUPT);
	assert_null(s);
	snapshot_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read),   cmocka_unit_test(test_read_all),
	    cmocka_unit_test(test_extent), cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_auxv),   cmocka_unit_test(test_bad_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
