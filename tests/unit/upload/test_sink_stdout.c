#include "tests/unit/upload/temp_dir.h"
#include "upload/sink.h"

#include <pty.h>
#include <signal.h>

static const struct sink_config config = {.name = "n"};
static int saved_stdout;

/* cmocka reports on stdout: it is put back before anything is asserted. */
static void stdout_becomes(int fd)
{
	fflush(stdout);
	saved_stdout = dup(STDOUT_FILENO);
	dup2(fd, STDOUT_FILENO);
}

static void stdout_returns(void)
{
	dup2(saved_stdout, STDOUT_FILENO);
	close(saved_stdout);
}

static void bytes_reach_a_pipe(void **state)
{
	int fds[2], opened, written, committed;
	char got[16] = {0};
	struct sink *s = NULL;
	struct err e = {0};

	assert_int_equal(pipe(fds), 0);
	stdout_becomes(fds[1]);
	opened = sink_open("-", &config, &s, &e);
	written = opened == 0 ? sink_write(s, "abc", 3, &e) : -1;
	committed = written == 0 ? sink_commit(s, &e) : -1;
	stdout_returns();
	sink_free(s);
	assert_int_equal(committed, 0);
	assert_int_equal(read(fds[0], got, sizeof(got)), 3);
	assert_string_equal(got, "abc");
	close(fds[0]);
	close(fds[1]);
}

static void terminal_is_refused(void **state)
{
	int master, slave, opened;
	struct sink *s = NULL;
	struct err e = {0};

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	stdout_becomes(slave);
	opened = sink_open("-", &config, &s, &e);
	stdout_returns();
	assert_int_equal(opened, -ERR_USAGE);
	assert_contains(e.text, "terminal");
	assert_contains(e.hint, "-o FILE");
	close(master);
	close(slave);
}

static volatile sig_atomic_t sigpipes;

static void count_sigpipe(int sig)
{
	sigpipes++;
}

static void closed_pipe_is_cancelled_without_a_signal(void **state)
{
	struct sigaction count = {.sa_handler = count_sigpipe}, old;
	int fds[2], written;
	struct sink *s = NULL;
	struct err e = {0};

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(sigaction(SIGPIPE, &count, &old), 0);
	stdout_becomes(fds[1]);
	close(fds[1]);
	close(fds[0]);
	written = sink_open("-", &config, &s, &e);
	if (written == 0) written = sink_write(s, "abc", 3, &e);
	stdout_returns();
	sink_free(s);
	assert_int_equal(written, -ERR_CANCELLED);
	assert_contains(e.text, "reader went away");
	assert_int_equal(sigpipes, 0);
	/* The handler works as before. */
	raise(SIGPIPE);
	assert_int_equal(sigpipes, 1);
	sigaction(SIGPIPE, &old, NULL);
}

static void full_device_is_no_space(void **state)
{
	int fd = open("/dev/full", O_WRONLY), written;
	struct sink *s = NULL;
	struct err e = {0};

	assert_true(fd >= 0);
	stdout_becomes(fd);
	written = sink_open("-", &config, &s, &e);
	if (written == 0) written = sink_write(s, "abc", 3, &e);
	stdout_returns();
	sink_free(s);
	close(fd);
	assert_int_equal(written, -ERR_NO_SPACE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_reach_a_pipe),
	    cmocka_unit_test(terminal_is_refused),
	    cmocka_unit_test(closed_pipe_is_cancelled_without_a_signal),
	    cmocka_unit_test(full_device_is_no_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
