/* The texts of the PODSNAP notes, written and read by the same code, and read from others. */
#include "dumpers/snapshot/memory.h"
#include "dumpers/snapshot/podsnap_note.h"
#include "tests/unit/base/unit.h"

static struct snapshot *snapshot_of(const struct snapshot_thread *threads, size_t count)
{
	struct snapshot *s = NULL;

	assert_int_equal(snapshot_open_memory("", NULL, 0, threads, count, &s, NULL), 0);
	return s;
}

static void test_threads(void **state)
{
	struct snapshot_thread threads[] = {
	    {.tid = 5,
	     .name = "q\"uo\\te",
	     .state = 'D',
	     .wchan = "nfs_wait",
	     .pc = 0xffff800000001234,
	     .sp = 0x7ffdead,
	     .in_syscall = true,
	     .syscall_nr = 58,
	     .utime_ticks = 7,
	     .stime_ticks = UINT64_MAX},
	    {.tid = 9, .name = "\xc2\x85\x7f\t\n", .state = 'S', .gregs_len = 216},
	    {.tid = 10, .name = "", .state = '?', .gregs_len = 216},
	};
	_cleanup_snapshot_ struct snapshot *a = snapshot_of(threads, 3), *b = NULL;
	struct buf text = BUF_INIT(1 << 16);

	assert_int_equal(podsnap_note_threads(a, &text, NULL), 0);
	b = snapshot_of((struct snapshot_thread[]){{.tid = 5, .gregs_len = 216},
						   {.tid = 9, .gregs_len = 216},
						   {.tid = 10, .gregs_len = 216}},
			3);
	assert_int_equal(podsnap_parse_threads(b, text.data, text.len, NULL), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(b->threads[i].name, threads[i].name);
		assert_string_equal(b->threads[i].wchan, threads[i].wchan);
		assert_int_equal(b->threads[i].state, threads[i].state);
		assert_int_equal(b->threads[i].utime_ticks, threads[i].utime_ticks);
		assert_int_equal(b->threads[i].stime_ticks, threads[i].stime_ticks);
		assert_int_equal(b->threads[i].gregs_len, threads[i].gregs_len);
	}
	assert_int_equal(b->threads[0].pc, threads[0].pc);
	assert_int_equal(b->threads[0].sp, threads[0].sp);
	assert_true(b->threads[0].in_syscall);
	assert_int_equal(b->threads[0].syscall_nr, 58);
	buf_done(&text);
}

/* A later version may say more, in another order of threads. */
static void test_unknown(void **state)
{
	static const char text[] =
	    " {\"tid\":9,\"cpu\":3,\"name\":\"nine\",\"x\":\"\\u00e9\\u4e2d\"}\n"
	    "{\"tid\":77,\"name\":\"of another\"}\r\n"
	    "{\"tid\":5 , \"name\" : \"a name longer than the kernel's\"}";
	_cleanup_snapshot_ struct snapshot *s =
	    snapshot_of((struct snapshot_thread[]){{.tid = 5}, {.tid = 9}}, 2);

	assert_int_equal(podsnap_parse_threads(s, text, sizeof(text) - 1, NULL), 0);
	assert_string_equal(s->threads[0].name, "a name longer t");
	assert_string_equal(s->threads[1].name, "nine");
}

static void test_malformed(void **state)
{
	static const char *const texts[] = {
	    "{",
	    "x",
	    "{}x",
	    "{\"tid\"",
	    "{\"tid\":}",
	    "{\"tid\":1",
	    "{\"tid\":1,}",
	    "{\"name\":\"no tid first\"}",
	    "{\"tid\":1 \"name\":\"x\"}",
	    "{\"tid\":1,\"name\":\"x}",
	    "{\"tid\":1,\"name\":\"\\",
	    "{\"tid\":1,\"name\":\"\\u12",
	    "{\"tid\":1,\"name\":\"\\q\"}",
	    "{\"tid\":1,\"name\":{}}",
	    "{\"tid\":1,\"name\":[1]}",
	    "{\"tid\":1}\n{",
	};
	_cleanup_snapshot_ struct snapshot *s =
	    snapshot_of((struct snapshot_thread[]){{.tid = 1}}, 1);

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct err e = {0};
		/* In a block of its own size, so that a read past the end is seen. */
		size_t len = strlen(texts[i]);
		char *exact = malloc(len);

		memcpy(exact, texts[i], len);
		if (podsnap_parse_threads(s, exact, len, &e) != -ERR_CORRUPT)
			fail_msg("accepted: %s", texts[i]);
		assert_contains(e.text, "line");
		free(exact);
	}
}

static void test_info(void **state)
{
	_cleanup_snapshot_ struct snapshot *a =
	    snapshot_of((struct snapshot_thread[]){{.tid = 1}}, 1);
	_cleanup_snapshot_ struct snapshot *b =
	    snapshot_of((struct snapshot_thread[]){{.tid = 1}}, 1);
	struct buf text = BUF_INIT(1 << 16);

	a->taken_ns = 0xfedcba9876543210;
	a->consistency = CONSISTENCY_RUNNING;
	snprintf(a->id.exe, sizeof(a->id.exe), "/opt/\"x\"/y");
	b->consistency = CONSISTENCY_CORE;
	assert_int_equal(podsnap_note_info(a, "1.2", &text, NULL), 0);
	assert_int_equal(podsnap_parse_info(b, text.data, text.len, NULL), 0);
	assert_int_equal(b->taken_ns, a->taken_ns);
	assert_string_equal(b->id.exe, a->id.exe);
	assert_int_equal(b->consistency, CONSISTENCY_RUNNING);
	for (size_t len = 0; len + 2 < text.len; len++)
		assert_int_equal(podsnap_parse_info(b, text.data, len, NULL), -ERR_CORRUPT);
	buf_done(&text);
}

static void test_ranges(void **state)
{
	const uint64_t good[] = {1, 5, 9, 10, 10, 12}, crossing[] = {5, 9, 8, 10},
		       inverted[] = {9, 5};
	struct range_list list = RANGE_LIST_INIT(100);

	assert_int_equal(podsnap_parse_ranges(good, sizeof(good), &list, NULL), 0);
	assert_int_equal(range_list_bytes(&list), 7);
	assert_int_equal(podsnap_parse_ranges(good, 24, &list, NULL), -ERR_CORRUPT);
	assert_int_equal(podsnap_parse_ranges(crossing, sizeof(crossing), &list, NULL),
			 -ERR_CORRUPT);
	assert_int_equal(podsnap_parse_ranges(inverted, sizeof(inverted), &list, NULL),
			 -ERR_CORRUPT);
	range_list_done(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_threads),   cmocka_unit_test(test_unknown),
	    cmocka_unit_test(test_malformed), cmocka_unit_test(test_info),
	    cmocka_unit_test(test_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
