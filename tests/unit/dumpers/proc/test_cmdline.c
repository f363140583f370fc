#include "base/secret.h"
#include "dumpers/proc/cmdline.h"
#include "tests/unit/base/unit.h"

#include <errno.h>

static void expect_args(const char *text, size_t len, bool redact, const char *joined)
{
	_cleanup_string_list_ struct string_list argv = {0};
	_cleanup_buf_ struct buf line = BUF_INIT(4096);

	assert_int_equal(cmdline_split(text, len, redact, &argv, NULL), 0);
	assert_int_equal(cmdline_join(&argv, 0, &line, NULL), 0);
	assert_string_equal(line.data ? line.data : "", joined);
}
#define ARGS(text, redact, joined) expect_args(text, sizeof(text) - 1, redact, joined)

static void arguments(void **state)
{
	ARGS("", true, "");
	ARGS("redis-server *:6379\0\0\0\0", true, "redis-server *:6379");
	ARGS("it's a title", true, "it's a title");
	ARGS("\0\0", true, "");
	ARGS("a\0\0b\0", true, "a '' b");
	ARGS("a\0b c\0it's\0\0", false, "a 'b c' 'it'\\''s'");
	ARGS("no terminator", true, "no terminator");
	ARGS("a\nb\033[31m\0", false, "a?b?[31m");
	ARGS("app\0--password=x\0--port=1\0", true, "app --password=" SECRET_MASK " --port=1");
	ARGS("app\0--token\0abc\0--v\0x\0", true, "app --token " SECRET_MASK " --v x");
	ARGS("app\0--token\0--verbose\0x\0", true, "app --token --verbose x");
	ARGS("app\0--token\0abc\0", false, "app --token abc");
	ARGS("java\0-Ddb.password=x\0-jar\0a.jar\0", true,
	     "java -Ddb.password=" SECRET_MASK " -jar a.jar");
	ARGS("curl\0https://u:p@h/\0", true, "curl https://u:" SECRET_MASK "@h/");
	ARGS("x\0--url=https://u:p@h/\0", true, "x --url=https://u:" SECRET_MASK "@h/");
}

static void a_long_line_is_cut(void **state)
{
	static const char text[] = "aaaa\0bbbb\0cccc\0";
	static const char utf8[] = "aa\u00e9\u00e9bbb";
	_cleanup_string_list_ struct string_list argv = {0}, wide = {0};
	_cleanup_buf_ struct buf line = BUF_INIT(4096);

	assert_int_equal(cmdline_split(text, sizeof(text) - 1, false, &argv, NULL), 0);
	assert_int_equal(argv.count, 3);
	assert_int_equal(cmdline_join(&argv, 9, &line, NULL), 0);
	assert_string_equal(line.data, "aaaa b...");
	buf_clear(&line);
	assert_int_equal(cmdline_join(&argv, 14, &line, NULL), 0);
	assert_string_equal(line.data, "aaaa bbbb cccc");
	buf_clear(&line);
	assert_int_equal(cmdline_split(utf8, sizeof(utf8) - 1, false, &wide, NULL), 0);
	assert_int_equal(cmdline_join(&wide, 8, &line, NULL), 0);
	assert_string_equal(line.data, "aa\u00e9...");
}

static void count_is_capped(void **state)
{
	char text[2 * (CMDLINE_COUNT_MAX + 5)];
	_cleanup_string_list_ struct string_list argv = {0}, env = {0};

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 2 ? '\0' : 'a';
	assert_int_equal(cmdline_split(text, sizeof(text), true, &argv, NULL), 0);
	assert_int_equal(argv.count, CMDLINE_COUNT_MAX);
	assert_true(argv.cut);
	assert_int_equal(environ_split(text, sizeof(text), false, &env, NULL), 0);
	assert_int_equal(env.count, 0);
}

static void environment(void **state)
{
	static const char text[] = "PATH=/bin\0DB_PASSWORD=hunter2\0junk\0=x\0EMPTY=\0"
				   "URL=http://u:p@h\0TOKEN=\0A=b=c";
	_cleanup_string_list_ struct string_list hidden = {0}, shown = {0};

	assert_int_equal(environ_split(text, sizeof(text) - 1, false, &hidden, NULL), 0);
	assert_int_equal(hidden.count, 6);
	assert_string_equal(hidden.v[0], "PATH=/bin");
	assert_string_equal(hidden.v[1], "DB_PASSWORD=" SECRET_MASK);
	assert_string_equal(hidden.v[2], "EMPTY=");
	assert_string_equal(hidden.v[3], "URL=http://u:" SECRET_MASK "@h");
	assert_string_equal(hidden.v[4], "TOKEN=");
	assert_string_equal(hidden.v[5], "A=b=c");
	assert_int_equal(environ_split(text, sizeof(text) - 1, true, &shown, NULL), 0);
	assert_string_equal(shown.v[1], "DB_PASSWORD=hunter2");
}

static void own_command_line(void **state)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	_cleanup_string_list_ struct string_list argv = {0}, env = {0};

	assert_int_equal(process_open(getpid(), &p, NULL), 0);
	assert_int_equal(process_cmdline(&p, true, &argv, NULL), 0);
	assert_int_equal(argv.count, 1);
	assert_contains(argv.v[0], program_invocation_short_name);
	assert_int_equal(process_environ(&p, false, &env, NULL), 0);
	assert_true(env.count > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(arguments),        cmocka_unit_test(a_long_line_is_cut),
	    cmocka_unit_test(count_is_capped),  cmocka_unit_test(environment),
	    cmocka_unit_test(own_command_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
