#include "base/buf.h"
#include "tests/unit/base/unit.h"

/* An allocation that cannot be must fail as malloc does, not end the test. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void it_starts_empty(void **state)
{
	_cleanup_buf_ struct buf b = {.len = 7};

	buf_init(&b, 10);
	assert_null(b.data);
	assert_int_equal(b.len, 0);
	assert_int_equal(b.max, 10);
}

static void appends_add_up_and_end_in_nul(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
	struct err e;

	for (int i = 0; i < 1000; i++) {
		assert_int_equal(buf_append(&b, "ab\0c", 4, &e), 0);
		assert_int_equal(b.len, 4 * ((size_t)i + 1));
		assert_int_equal(b.data[b.len], '\0');
	}
	for (size_t i = 0; i < b.len; i += 4)
		assert_memory_equal(b.data + i, "ab\0c", 4);
	assert_int_equal(buf_puts(&b, "end", &e), 0);
	assert_int_equal(buf_printf(&b, &e, "%s%d", "x", 5), 0);
	assert_string_equal(b.data + 4000, "endx5");
}

static void appending_nothing_needs_no_data(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(0);
	struct err e;

	assert_int_equal(buf_append(&b, NULL, 0, &e), 0);
	assert_int_equal(buf_puts(&b, "", &e), 0);
	assert_int_equal(buf_printf(&b, &e, "%s", ""), 0);
	assert_int_equal(b.len, 0);
}

static void the_cap_is_exact_and_leaves_the_content(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(100);
	char bytes[101] = {0}, *at;
	struct err e;

	assert_int_equal(buf_append(&b, bytes, 101, &e), -ERR_LIMIT);
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_append(&b, bytes, 99, &e), 0);
	assert_int_equal(buf_puts(&b, "ab", &e), -ERR_LIMIT);
	assert_int_equal(e.code, ERR_LIMIT);
	assert_int_equal(buf_printf(&b, &e, "%d", 10), -ERR_LIMIT);
	assert_int_equal(buf_reserve(&b, 2, &at, &e), -ERR_LIMIT);
	assert_int_equal(b.len, 99);
	assert_int_equal(buf_puts(&b, "a", &e), 0);
	assert_int_equal(b.len, 100);
	assert_int_equal(b.data[100], '\0');
	assert_int_equal(buf_append(&b, "", 1, &e), -ERR_LIMIT);
	assert_true(b.cap <= 101);
}

static void huge_lengths_do_not_wrap(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(SIZE_MAX);
	char *at = NULL;
	struct err e;

	assert_int_equal(buf_puts(&b, "abc", &e), 0);
	assert_int_equal(buf_reserve(&b, SIZE_MAX, &at, &e), -ERR_LIMIT);
	assert_int_equal(buf_reserve(&b, SIZE_MAX - 3, &at, &e), -ERR_LIMIT);
	assert_int_equal(buf_reserve(&b, SIZE_MAX - 4, &at, NULL), -ERR_NO_MEMORY);
	assert_null(at);
	assert_string_equal(b.data, "abc");
}

static void a_reserve_ends_in_nul_wherever_it_is_used_up_to(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1000);
	struct err e;
	char *at;

	for (size_t used = 0; used <= 8; used++) {
		assert_int_equal(buf_reserve(&b, 8, &at, &e), 0);
		assert_ptr_equal(at, b.data + b.len);
		memset(at, 'x', used);
		b.len += used;
		assert_int_equal(strlen(b.data), b.len);
	}
}

static void consume_drops_the_front(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(100);
	struct err e;

	buf_consume(&b, 0);
	assert_int_equal(buf_puts(&b, "abcdef", &e), 0);
	buf_consume(&b, 2);
	assert_string_equal(b.data, "cdef");
	assert_int_equal(b.len, 4);
	buf_consume(&b, 4);
	assert_string_equal(b.data, "");
	assert_int_equal(b.len, 0);
}

static void clear_keeps_the_allocation(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(100);
	struct err e;
	char *data;

	buf_clear(&b);
	assert_int_equal(buf_puts(&b, "abc", &e), 0);
	data = b.data;
	buf_clear(&b);
	assert_ptr_equal(b.data, data);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
}

static void steal_hands_over_and_empties(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(100);
	_cleanup_free_ char *empty = buf_steal(&b), *text = NULL;
	struct err e;

	assert_string_equal(empty, "");
	assert_int_equal(buf_puts(&b, "abc", &e), 0);
	text = buf_steal(&b);
	assert_string_equal(text, "abc");
	assert_null(b.data);
	assert_int_equal(buf_puts(&b, "again", &e), 0);
	assert_string_equal(b.data, "again");
	buf_done(&b);
	buf_done(&b);
	buf_done(NULL);
}

static void what_is_wiped_is_gone_from_memory(void **state)
{
	struct buf b = BUF_INIT(100);
	static const char zeros[7];

	buf_wipe(&b);
	assert_int_equal(buf_puts(&b, "secret", NULL), 0);
	buf_wipe(&b);
	assert_int_equal(b.len, 0);
	assert_memory_equal(b.data, zeros, sizeof(zeros));
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_starts_empty),
	    cmocka_unit_test(appends_add_up_and_end_in_nul),
	    cmocka_unit_test(appending_nothing_needs_no_data),
	    cmocka_unit_test(the_cap_is_exact_and_leaves_the_content),
	    cmocka_unit_test(huge_lengths_do_not_wrap),
	    cmocka_unit_test(a_reserve_ends_in_nul_wherever_it_is_used_up_to),
	    cmocka_unit_test(consume_drops_the_front),
	    cmocka_unit_test(clear_keeps_the_allocation),
	    cmocka_unit_test(steal_hands_over_and_empties),
	    cmocka_unit_test(what_is_wiped_is_gone_from_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
