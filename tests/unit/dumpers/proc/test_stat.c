#include "dumpers/proc/stat.h"
#include "tests/unit/base/unit.h"

#define TAIL                                                                                       \
	" S 1 4242 4200 34816 4242 4194304 1200 0 3 0 150 25 0 0 20 -5 17 0 987654 227684352 "     \
	"1843 18446744073709551615 94 95 140 0 0 0 0 4096 1 0 0 0 17 1 0 0 0 0 0 1 2 3 4 5 6 7 "   \
	"0\n"

static int parse(const char *text, struct proc_stat *ret)
{
	return proc_stat_parse(text, strlen(text), ret, NULL);
}

static void fields(void **state)
{
	struct proc_stat s;

	assert_int_equal(parse("4242 (nginx)" TAIL, &s), 0);
	assert_int_equal(s.pid, 4242);
	assert_string_equal(s.comm, "nginx");
	assert_int_equal(s.state, 'S');
	assert_int_equal(s.ppid, 1);
	assert_int_equal(s.pgrp, 4242);
	assert_int_equal(s.session, 4200);
	assert_int_equal(s.utime_ticks, 150);
	assert_int_equal(s.stime_ticks, 25);
	assert_int_equal(s.nice, -5);
	assert_int_equal(s.num_threads, 17);
	assert_int_equal(s.start_ticks, 987654);
	assert_int_equal(s.vsize_bytes, 227684352);
	assert_int_equal(s.rss_pages, 1843);
}

static void comm_may_hold_anything(void **state)
{
	struct proc_stat s;

	assert_int_equal(parse("1 (a) R 9 9\n(x)" TAIL, &s), 0);
	assert_string_equal(s.comm, "a) R 9 9\n(x");
	assert_int_equal(s.state, 'S');
	assert_int_equal(s.ppid, 1);
	assert_int_equal(parse("1 ()" TAIL, &s), 0);
	assert_string_equal(s.comm, "");
	assert_int_equal(parse("1 ())" TAIL, &s), 0);
	assert_string_equal(s.comm, ")");
}

static void long_comm_is_cut(void **state)
{
	char text[1024], comm[200];
	struct proc_stat s;

	memset(comm, 'c', sizeof(comm));
	comm[sizeof(comm) - 1] = '\0';
	snprintf(text, sizeof(text), "7 (%s)%s", comm, TAIL);
	assert_int_equal(parse(text, &s), 0);
	assert_int_equal(strlen(s.comm), STAT_COMM_MAX - 1);
}

static void hostile(void **state)
{
	static const char *const cases[] = {
	    "",
	    ")",
	    "(",
	    "1",
	    "1 )",
	    "1 (a",
	    "1 (a)",
	    "1 (a) S",
	    "1 (a) SS 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 1 1 1",
	    "1 (a) S x 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 1 1 1",
	    "1 (a) S 99999999999 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 1 1 1",
	    "1 (a) S 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 18446744073709551616 1 1",
	    "99999999999 (a)" TAIL,
	    "-1 (a)" TAIL,
	};
	struct proc_stat s = {.pid = 77};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(parse(cases[i], &s), -ERR_CORRUPT);
	assert_int_equal(proc_stat_parse(NULL, 0, &s, NULL), -ERR_CORRUPT);
	assert_int_equal(proc_stat_parse("1", STAT_TEXT_MAX + 1, &s, NULL), -ERR_LIMIT);
	assert_int_equal(s.pid, 77);
}

static void cut_anywhere_never_reads_past(void **state)
{
	static const char whole[] = "4242 (nginx)" TAIL;

	for (size_t len = 0; len < strlen(whole); len++) {
		char *exact = malloc(len + 1); /* ASan sees a read past len */
		struct proc_stat s;

		memcpy(exact, whole, len);
		exact = realloc(exact, len ? len : 1);
		proc_stat_parse(exact, len, &s, NULL);
		free(exact);
	}
}

static void start_is_before_now_and_after_boot(void **state)
{
	struct timespec real, boot;
	uint64_t booted, ticks = 5 * (uint64_t)sysconf(_SC_CLK_TCK);

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	booted = proc_stat_start_ns(0) / NS_PER_S;
	assert_in_range(booted + (uint64_t)boot.tv_sec, (uint64_t)real.tv_sec - 2,
			(uint64_t)real.tv_sec + 2);
	assert_in_range(proc_stat_start_ns(ticks) / NS_PER_S - booted, 4, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields),
	    cmocka_unit_test(comm_may_hold_anything),
	    cmocka_unit_test(long_comm_is_cut),
	    cmocka_unit_test(hostile),
	    cmocka_unit_test(cut_anywhere_never_reads_past),
	    cmocka_unit_test(start_is_before_now_and_after_boot),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
