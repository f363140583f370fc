#include "dumpers/proc/coredump_filter.h"
#include "tests/unit/base/unit.h"

#include <sys/mman.h>

static void masks(void **state)
{
	static const char *const bad[] = {"\n", "x\n", "33 \n", "100000000\n", "-1\n", "33\n33\n"};
	uint32_t mask = 0;
	struct err e;

	assert_int_equal(coredump_filter_parse_mask("00000033\n", 9, &mask, NULL), 0);
	assert_int_equal(mask, 0x33);
	assert_int_equal(coredump_filter_parse_mask("1ff", 3, &mask, NULL), 0);
	assert_int_equal(mask, 0x1ff);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(coredump_filter_parse_mask(bad[i], strlen(bad[i]), &mask, &e),
				 -ERR_CORRUPT);
	/* What the kernel says of a zombie. */
	assert_int_equal(coredump_filter_parse_mask(NULL, 0, &mask, &e), -ERR_GONE);
}

static const char smaps[] =
    "00400000-00500000 r--p 00000000 08:01 9                          /bin/a ht dd\n"
    "Size:               1024 kB\n"
    "VmFlags: rd mr mw me \n"
    "7f0000000000-7f0000200000 rw-s 00000000 00:0f 5                  /memfd:huge (deleted)\n"
    "KernelPageSize:     2048 kB\n"
    "VmFlags: rd wr sh mr mw me ms de ht sd \n"
    "7f0000200000-7f0000201000 rw-p 00000000 00:00 0 \n"
    "VmFlags: rd wr mr mw me ac dd sd \n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0          [vsyscall]\n"
    "VmFlags: ex \n";

static void check_smaps(const struct coredump_filter *f)
{
	assert_int_equal(f->huge.count, 1);
	assert_true(f->huge.ranges[0].start == 0x7f0000000000);
	assert_true(f->huge.ranges[0].end == 0x7f0000200000);
	assert_int_equal(f->dontdump.count, 1);
	assert_true(f->dontdump.ranges[0].start == 0x7f0000200000);
	assert_true(f->dontdump.ranges[0].end == 0x7f0000201000);
}

static void flags(void **state)
{
	/* Whole, and with the head of a map in another piece than its flags. */
	for (const char *cut = smaps; cut; cut = strchr(cut, '\n') ? strchr(cut, '\n') + 1 : NULL) {
		struct coredump_filter f = {.huge = RANGE_LIST_INIT(9),
					    .dontdump = RANGE_LIST_INIT(9)};
		struct range at = {0};
		size_t first = (size_t)(cut - smaps), rest = strlen(cut);

		assert_int_equal(coredump_filter_parse_smaps(smaps, first, &at, &f, NULL), 0);
		assert_int_equal(coredump_filter_parse_smaps(cut, rest, &at, &f, NULL), 0);
		check_smaps(&f);
		coredump_filter_done(&f);
	}
}

/* Flags without a map, maps that end before they begin: nothing comes of them. */
static void hostile_flags(void **state)
{
	static const char text[] = "VmFlags: ht dd\n2000-1000 rw-p\nVmFlags: ht dd\n"
				   "fffffffffffffffff-1 \nVmFlags: ht\n";
	struct coredump_filter f = {.huge = RANGE_LIST_INIT(1), .dontdump = RANGE_LIST_INIT(1)};
	struct range at = {0};

	assert_int_equal(coredump_filter_parse_smaps(text, strlen(text), &at, &f, NULL), 0);
	assert_int_equal(f.huge.count, 0);
	assert_int_equal(f.dontdump.count, 0);
	coredump_filter_done(&f);
}

/* Of this very process, with more maps than one piece of smaps holds. */
static void own(void **state)
{
	enum { PAGE = 4096, MAPS = 800 };
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct coredump_filter f;
	uint8_t *maps = mmap(NULL, MAPS * 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(maps != MAP_FAILED);
	for (size_t i = 0; i < MAPS; i++) {
		assert_int_equal(mprotect(maps + 2 * i * PAGE, PAGE, PROT_READ), 0);
		if (i % 2) madvise(maps + 2 * i * PAGE, PAGE, MADV_DONTDUMP);
	}
	assert_int_equal(process_open(getpid(), &p, NULL), 0);
	assert_int_equal(process_coredump_filter(&p, &f, NULL), 0);
	for (size_t i = 0; i < MAPS; i++) {
		uint64_t at = (uint64_t)(uintptr_t)maps + 2 * i * PAGE;

		assert_int_equal(range_list_find(&f.dontdump, at) != NULL, i % 2);
	}
	assert_int_equal(f.huge.count, 0);
	coredump_filter_done(&f);
	munmap(maps, MAPS * 2 * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(masks),
	    cmocka_unit_test(flags),
	    cmocka_unit_test(hostile_flags),
	    cmocka_unit_test(own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
