#include "base/err.h"
#include "tests/unit/base/unit.h"

#include <errno.h>

static void every_code_has_a_name_and_a_status(void **state)
{
	for (int code = 0; code < ERR_CODE_COUNT; code++) {
		const struct err_info *info = err_info(code);

		assert_non_null(info->name);
		assert_true(info->exit_status >= 0 && info->exit_status <= 3);
		assert_int_equal(info->exit_status == 0, code == ERR_OK);
		for (int other = 0; other < code; other++)
			assert_string_not_equal(info->name, err_info(other)->name);
	}
	assert_int_equal(err_info(ERR_USAGE)->exit_status, 2);
	assert_int_equal(err_info(ERR_PARTIAL)->exit_status, 3);
	assert_string_equal(err_info(ERR_NOT_FOUND)->name, "not_found");
}

static void an_unknown_code_is_internal(void **state)
{
	assert_string_equal(err_info(-1)->name, "internal");
	assert_string_equal(err_info(ERR_CODE_COUNT)->name, "internal");
}

static void set_clears_errno_and_hint(void **state)
{
	struct err e = {.sys_errno = EIO, .hint = "old"};

	assert_int_equal(err_set(&e, ERR_LIMIT, "%s: %d", "core", 7), -ERR_LIMIT);
	assert_int_equal(e.code, ERR_LIMIT);
	assert_int_equal(e.sys_errno, 0);
	assert_string_equal(e.text, "core: 7");
	assert_string_equal(e.hint, "");
}

static void arguments_may_point_into_the_err(void **state)
{
	struct err e;

	err_set(&e, ERR_IO, "first");
	err_set(&e, ERR_CORRUPT, "second after %s", e.text);
	assert_string_equal(e.text, "second after first");
	err_hint(&e, "a");
	err_hint(&e, "%s and b", e.hint);
	assert_string_equal(e.hint, "a and b");
	err_wrap(&e, "%s", e.text);
	assert_string_equal(e.text, "second after first: second after first");
}

static void errno_becomes_a_code(void **state)
{
	static const struct {
		int sys_errno, code;
	} rows[] = {
	    {ENOENT, ERR_NOT_FOUND}, {EPERM, ERR_PERMISSION},  {EACCES, ERR_PERMISSION},
	    {ENOSPC, ERR_NO_SPACE},  {EDQUOT, ERR_NO_SPACE},   {ENOMEM, ERR_NO_MEMORY},
	    {ESRCH, ERR_GONE},       {ETIMEDOUT, ERR_TIMEOUT}, {EEXIST, ERR_EXISTS},
	    {EIO, ERR_IO},           {EPIPE, ERR_IO},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = {.hint = "old"};

		errno = rows[i].sys_errno;
		assert_int_equal(err_errno(&e, "open %s", "x"), -rows[i].code);
		assert_int_equal(errno, rows[i].sys_errno);
		assert_int_equal(e.code, rows[i].code);
		assert_int_equal(e.sys_errno, rows[i].sys_errno);
		assert_string_equal(e.hint, "");
		assert_contains(e.text, "open x: ");
		assert_contains(e.text, strerror(rows[i].sys_errno));
	}
}

static void an_unknown_errno_is_printed(void **state)
{
	struct err e;

	errno = 9999;
	assert_int_equal(err_errno(&e, "x"), -ERR_IO);
	assert_string_equal(e.text, "x: errno 9999");
}

static void long_texts_are_cut_at_a_character(void **state)
{
	char longer[2 * ERR_HINT_MAX];
	struct err e;

	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	err_set(&e, ERR_IO, "%s", longer);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	err_hint(&e, "%s", longer);
	assert_int_equal(strlen(e.hint), ERR_HINT_MAX - 1);
	err_wrap(&e, "%s", longer);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);

	errno = ENOENT;
	err_errno(&e, "%s", longer);
	assert_string_equal(e.text + strlen(e.text) - strlen(": No such file or directory"),
			    ": No such file or directory");

	/* A three-byte character over the end goes as a whole; one that just fits stays. */
	for (int before = 1; before <= 5; before++) {
		int room = ERR_TEXT_MAX - 1 - before;

		err_set(&e, ERR_IO, "%.*s\xe2\x82\xac%s", room, longer,
			longer + sizeof(longer) - 9);
		assert_int_equal(strlen(e.text), before >= 3 ? ERR_TEXT_MAX - 1 : room);
	}
}

static void wrap_keeps_code_and_hint(void **state)
{
	struct err e;

	errno = ENOENT;
	err_errno(&e, "maps");
	assert_int_equal(err_hint(&e, "do that"), -ERR_NOT_FOUND);
	assert_int_equal(err_wrap(&e, "pid %d", 7), -ERR_NOT_FOUND);
	assert_string_equal(e.text, "pid 7: maps: No such file or directory");
	assert_string_equal(e.hint, "do that");
	assert_int_equal(e.sys_errno, ENOENT);
}

static void wrapping_no_error_is_no_success(void **state)
{
	struct err e = {0};

	assert_int_equal(err_wrap(&e, "x"), -ERR_INTERNAL);
}

static void null_err_returns_the_code(void **state)
{
	assert_int_equal(err_set(NULL, ERR_LIMIT, "x"), -ERR_LIMIT);
	errno = ENOENT;
	assert_int_equal(err_errno(NULL, "x"), -ERR_NOT_FOUND);
	assert_int_equal(err_wrap(NULL, "x"), -ERR_IO);
	assert_true(err_hint(NULL, "x") < 0);
	assert_null(err_advice(NULL));
}

static void the_hint_wins_over_general_advice(void **state)
{
	struct err e;

	err_set(&e, ERR_INTERNAL, "x");
	assert_string_equal(err_advice(&e), err_info(ERR_INTERNAL)->advice);
	err_hint(&e, "one\ntwo");
	assert_string_equal(err_advice(&e), "one\ntwo");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_code_has_a_name_and_a_status),
	    cmocka_unit_test(an_unknown_code_is_internal),
	    cmocka_unit_test(set_clears_errno_and_hint),
	    cmocka_unit_test(arguments_may_point_into_the_err),
	    cmocka_unit_test(errno_becomes_a_code),
	    cmocka_unit_test(an_unknown_errno_is_printed),
	    cmocka_unit_test(long_texts_are_cut_at_a_character),
	    cmocka_unit_test(wrap_keeps_code_and_hint),
	    cmocka_unit_test(wrapping_no_error_is_no_success),
	    cmocka_unit_test(null_err_returns_the_code),
	    cmocka_unit_test(the_hint_wins_over_general_advice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
