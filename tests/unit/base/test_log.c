#include "base/io.h"
#include "base/log.h"
#include "tests/unit/base/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- stderr into a file, line by line or by records of a packet socket --- */

struct capture {
	int saved, file;
};

static void capture_start(struct capture *c)
{
	fflush(stderr);
	c->saved = dup(STDERR_FILENO);
	c->file = memfd_create("stderr", MFD_CLOEXEC);
	assert_true(c->saved >= 0 && c->file >= 0);
	assert_int_equal(dup2(c->file, STDERR_FILENO), STDERR_FILENO);
}

static void capture_end(struct capture *c, struct buf *ret)
{
	struct err e;
	char path[64];

	assert_int_equal(dup2(c->saved, STDERR_FILENO), STDERR_FILENO);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", c->file);
	assert_int_equal(io_read_file(AT_FDCWD, path, ret, &e), 0);
	close(c->file);
	close(c->saved);
}

static int reset(void **state)
{
	log_set_level(LOG_INFO);
	log_set_sink(NULL, NULL);
	return 0;
}

static void lines_have_the_prefix_of_their_level(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(4096);
	struct capture c;

	log_set_level(LOG_TRACE);
	capture_start(&c);
	log_error("a %d", 1);
	log_warn("b");
	log_info("c");
	log_debug("d");
	log_trace("e");
	capture_end(&c, &out);
	assert_string_equal(out.data, "podsnap: error: a 1\npodsnap: warning: b\npodsnap: c\n"
				      "podsnap: d\npodsnap: e\n");
}

static void count_line(void *ctx, enum log_level level, const char *line)
{
	((int *)ctx)[level]++;
}

static void the_level_filters(void **state)
{
	for (int level = LOG_ERROR; level <= LOG_TRACE; level++) {
		int counts[5] = {0};

		log_set_sink(count_line, counts);
		log_set_level((enum log_level)level);
		assert_int_equal(log_get_level(), level);
		log_error("x");
		log_warn("x");
		log_info("x");
		log_debug("x");
		log_trace("x");
		for (int i = LOG_ERROR; i <= LOG_TRACE; i++)
			assert_int_equal(counts[i], i <= level);
	}
}

static void keep_line(void *ctx, enum log_level level, const char *line)
{
	assert_int_equal(buf_printf(ctx, NULL, "%d|%s\n", (int)level, line), 0);
}

static void a_sink_gets_the_text_alone(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(4096);

	log_set_sink(keep_line, &out);
	log_warn("%s", "disk slow");
	assert_string_equal(out.data, "1|disk slow\n");
}

static void control_characters_are_replaced(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(4096);

	log_set_sink(keep_line, &out);
	log_info("%s", "a\x1b[31mb\nc\td\x7f"
		       "e\xc2\x9b"
		       "f\xc3\xa9\xe2\x82\xac");
	assert_string_equal(out.data, "2|a?[31mb?c?d?e??f\xc3\xa9\xe2\x82\xac\n");
}

static void a_long_line_is_cut_and_whole(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 16);
	char text[8192];
	struct capture c;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	capture_start(&c);
	log_info("%s", text);
	log_info("next");
	capture_end(&c, &out);
	assert_true(out.len > 1000 && out.len < sizeof(text));
	assert_string_equal(strchr(out.data, '\n'), "\npodsnap: next\n");
}

static void errno_survives(void **state)
{
	int counts[5] = {0};
	struct err e;

	err_set(&e, ERR_IO, "x");
	log_set_sink(count_line, counts);
	errno = ENOSPC;
	log_info("x");
	log_err(&e);
	assert_int_equal(errno, ENOSPC);
}

static void an_err_prints_its_advice_below(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(4096);
	struct capture c;
	struct err e;

	err_set(&e, ERR_FORBIDDEN, "pods \"web\" is forbidden");
	err_hint(&e, "add this rule:\n\nrules:\n- verbs: [get]\n");
	capture_start(&c);
	log_err(&e);
	err_set(&e, ERR_INTERNAL, "odd");
	log_err(&e);
	err_set(&e, ERR_CANCELLED, "stopped");
	log_err(&e);
	capture_end(&c, &out);
	assert_string_equal(out.data, "podsnap: error: pods \"web\" is forbidden\n"
				      "  add this rule:\n"
				      "  \n"
				      "  rules:\n"
				      "  - verbs: [get]\n"
				      "podsnap: error: odd\n"
				      "  this is a bug in podsnap: please report it\n"
				      "podsnap: error: stopped\n");
}

/* --- threads: every write arrives as one whole line --- */

enum { THREADS = 4, LINES = 200 };

static void *write_lines(void *arg)
{
	for (int i = 0; i < LINES; i++)
		log_info("%c%0*d", *(char *)arg, 100, i);
	return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 20);
	char names[THREADS] = {'a', 'b', 'c', 'd'};
	int next[THREADS] = {0};
	pthread_t threads[THREADS];
	struct capture c;
	char *rest, *line;

	capture_start(&c);
	fcntl(c.file, F_SETFL, O_APPEND);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &names[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	capture_end(&c, &out);

	rest = out.data;
	while (*rest && (line = strsep(&rest, "\n"))) {
		char expected[160];
		int who = line[9] - 'a';

		assert_true(strlen(line) > 9 && who >= 0 && who < THREADS);
		snprintf(expected, sizeof(expected), "podsnap: %c%0*d", names[who], 100,
			 next[who]++);
		assert_string_equal(line, expected);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(next[i], LINES);
}

/* --- a terminal --- */

static void print_on_terminal(char *ret, size_t size)
{
	int main_fd = posix_openpt(O_RDWR | O_NOCTTY), side, saved;
	ssize_t n;

	assert_true(main_fd >= 0 && grantpt(main_fd) == 0 && unlockpt(main_fd) == 0);
	side = open(ptsname(main_fd), O_RDWR | O_NOCTTY);
	assert_true(side >= 0);
	saved = dup(STDERR_FILENO);
	dup2(side, STDERR_FILENO);
	log_error("x");
	dup2(saved, STDERR_FILENO);
	n = read(main_fd, ret, size - 1);
	assert_true(n > 0);
	ret[n] = '\0';
	close(saved);
	close(side);
	close(main_fd);
}

static void only_a_terminal_without_no_color_gets_colour(void **state)
{
	char text[128];

	unsetenv("NO_COLOR");
	print_on_terminal(text, sizeof(text));
	assert_string_equal(text, "podsnap: \033[1;31merror:\033[0m x\r\n");
	setenv("NO_COLOR", "1", 1);
	print_on_terminal(text, sizeof(text));
	assert_string_equal(text, "podsnap: error: x\r\n");
	unsetenv("NO_COLOR");
}

static void a_thread_says_what_its_lines_are_about(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(4096);
	struct capture c;
	struct err e;

	err_set(&e, ERR_GONE, "it ended");
	err_hint(&e, "look\nthere");
	capture_start(&c);
	log_set_subject("web-1");
	log_info("a");
	log_err(&e);
	log_set_subject(NULL);
	log_warn("b");
	capture_end(&c, &out);
	assert_string_equal(out.data, "podsnap: web-1: a\npodsnap: error: web-1: it ended\n  look\n"
				      "  there\npodsnap: warning: b\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(lines_have_the_prefix_of_their_level, reset),
	    cmocka_unit_test_teardown(a_thread_says_what_its_lines_are_about, reset),
	    cmocka_unit_test_teardown(the_level_filters, reset),
	    cmocka_unit_test_teardown(a_sink_gets_the_text_alone, reset),
	    cmocka_unit_test_teardown(control_characters_are_replaced, reset),
	    cmocka_unit_test_teardown(a_long_line_is_cut_and_whole, reset),
	    cmocka_unit_test_teardown(errno_survives, reset),
	    cmocka_unit_test_teardown(an_err_prints_its_advice_below, reset),
	    cmocka_unit_test_teardown(lines_of_threads_do_not_mix, reset),
	    cmocka_unit_test_teardown(only_a_terminal_without_no_color_gets_colour, reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
