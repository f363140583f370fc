#include "base/io.h"
#include "dumpers/proc/maps.h"
#include "tests/unit/base/unit.h"

#include <fcntl.h>

static const char sample[] =
    "00400000-00401000 r--p 00000000 08:02 173521                             "
    "/usr/bin/dbus-daemon\n"
    "00401000-0040b000 r-xp 00001000 08:02 173521                             "
    "/usr/bin/dbus-daemon\n"
    "7f2c00000000-7f2c00021000 rw-p 00000000 00:00 0 \n"
    "7f2c10000000-7f2c10001000 rw-s 00002000 fe:1f 18446744073709551615       /dev/zero (deleted)\n"
    "7f2c20000000-7f2c20001000 ---p 00000000 00:00 0                          [anon:a name]\n"
    "7ffc0f8b4000-7ffc0f8d5000 rw-p 00000000 00:00 0                          [stack]\n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

static void fields_of_real_lines(void **state)
{
	_cleanup_maps_ struct maps maps = {0};
	struct err e;

	assert_int_equal(maps_parse(sample, strlen(sample), &maps, &e), 0);
	assert_int_equal(maps.count, 7);
	assert_int_equal(maps.v[1].start, 0x401000);
	assert_int_equal(maps.v[1].end, 0x40b000);
	assert_int_equal(maps.v[1].offset, 0x1000);
	assert_int_equal(maps.v[1].prot, PROT_READ | PROT_EXEC);
	assert_int_equal(maps.v[1].dev_major, 8);
	assert_int_equal(maps.v[1].dev_minor, 2);
	assert_int_equal(maps.v[1].inode, 173521);
	assert_string_equal(maps.v[1].name, "/usr/bin/dbus-daemon");
	assert_false(maps.v[1].shared);
	assert_string_equal(maps.v[2].name, "");
	assert_true(maps.v[3].shared);
	assert_true(maps.v[3].deleted);
	assert_string_equal(maps.v[3].name, "/dev/zero");
	assert_true(maps.v[3].inode == UINT64_MAX);
	assert_int_equal(maps.v[4].prot, 0);
	assert_string_equal(maps.v[4].name, "[anon:a name]");
	assert_true(maps.v[6].start == 0xffffffffff600000);
}

static void find_is_half_open(void **state)
{
	_cleanup_maps_ struct maps maps = {0};
	struct maps none = {0};

	assert_int_equal(maps_parse(sample, strlen(sample), &maps, NULL), 0);
	assert_ptr_equal(maps_find(&maps, 0x400000), &maps.v[0]);
	assert_ptr_equal(maps_find(&maps, 0x401000), &maps.v[1]);
	assert_ptr_equal(maps_find(&maps, 0x40afff), &maps.v[1]);
	assert_null(maps_find(&maps, 0x40b000));
	assert_null(maps_find(&maps, 0));
	assert_null(maps_find(&maps, UINT64_MAX));
	assert_ptr_equal(maps_find(&maps, 0xffffffffff600fff), &maps.v[6]);
	assert_null(maps_find(&none, 0));
}

static void format_gives_the_text_back(void **state)
{
	_cleanup_buf_ struct buf own = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
	_cleanup_maps_ struct maps maps = {0}, own_maps = {0};

	assert_int_equal(maps_parse(sample, strlen(sample), &maps, NULL), 0);
	assert_int_equal(maps_format(&maps, &again, NULL), 0);
	assert_string_equal(again.data, sample);

	assert_int_equal(io_read_file(AT_FDCWD, "/proc/self/maps", &own, NULL), 0);
	assert_int_equal(maps_parse(own.data, own.len, &own_maps, NULL), 0);
	assert_non_null(maps_find(&own_maps, (uintptr_t)&sample));
	buf_clear(&again);
	assert_int_equal(maps_format(&own_maps, &again, NULL), 0);
	assert_string_equal(again.data, own.data);
}

static void odd_names_survive(void **state)
{
	static const char text[] =
	    "1000-2000 r--p 00000000 00:01 5 /tmp/with  two spaces\\012and (deleted) (deleted)\n"
	    "3000-4000 r--p 00000000 00:01 6 /tmp/(deleted)";
	_cleanup_maps_ struct maps maps = {0};

	assert_int_equal(maps_parse(text, strlen(text), &maps, NULL), 0);
	assert_int_equal(maps.count, 2);
	assert_string_equal(maps.v[0].name, "/tmp/with  two spaces\\012and (deleted)");
	assert_true(maps.v[0].deleted);
	assert_string_equal(maps.v[1].name, "/tmp/(deleted)");
	assert_false(maps.v[1].deleted);
}

static void empty_is_no_mapping(void **state)
{
	_cleanup_maps_ struct maps maps = {0};

	assert_int_equal(maps_parse(NULL, 0, &maps, NULL), 0);
	assert_int_equal(maps.count, 0);
}

static void broken_lines_are_named(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
	    {"hello\n", "line 1"},
	    {"\n", "line 1"},
	    {"1000-2000 r--p 00000000 00:00 0 \n1000-3000 r--p 00000000 00:00 0 \n", "line 2"},
	    {"2000-1000 r--p 00000000 00:00 0 \n", "empty range"},
	    {"1000-1000 r--p 00000000 00:00 0 \n", "empty range"},
	    {"1000-2000 r--q 00000000 00:00 0 \n", "not a mapping"},
	    {"1000-2000 r-\n", "not a mapping"},
	    {"1000-10000000000000000 r--p 00000000 00:00 0 \n", "not a mapping"},
	    {"1000-2000 r--p 00000000 00:100000000 0 \n", "not a mapping"},
	    {"1000-2000 r--p 00000000 00:00 18446744073709551616 \n", "not a mapping"},
	    {"1000-2000 r--p 00000000 00:00 12x \n", "not a mapping"},
	    {"1000-2000 r--p 00000000 00:00 ", "not a mapping"},
	};
	struct maps maps;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(maps_parse(cases[i].text, strlen(cases[i].text), &maps, &e),
				 -ERR_CORRUPT);
		assert_contains(e.text, cases[i].says);
	}
	assert_int_equal(maps_parse("1000-2000 r--p 00000000 00:00 0 a\0b\n", 35, &maps, &e),
			 -ERR_CORRUPT);
	assert_contains(e.text, "NUL");
}

static void caps_hold(void **state)
{
	static const char line[] = "1000-2000 r--p 00000000 00:00 0 \n";
	size_t size = (size_t)(MAPS_COUNT_MAX + 1);
	_cleanup_free_ char *newlines = malloc(size);
	struct maps maps;
	struct err e;

	assert_non_null(newlines);
	memset(newlines, '\n', size);
	assert_int_equal(maps_parse(newlines, size, &maps, &e), -ERR_LIMIT);
	assert_int_equal(maps_parse(line, (size_t)MAPS_TEXT_MAX + 1, &maps, &e), -ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields_of_real_lines),
	    cmocka_unit_test(find_is_half_open),
	    cmocka_unit_test(format_gives_the_text_back),
	    cmocka_unit_test(odd_names_survive),
	    cmocka_unit_test(empty_is_no_mapping),
	    cmocka_unit_test(broken_lines_are_named),
	    cmocka_unit_test(caps_hold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
