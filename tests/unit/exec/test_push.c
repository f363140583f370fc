/* The push script in several shells, and the client's side of the talk with it. */
#include "exec/push.h"
#include "shells.h"
#include "tests/unit/base/unit.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char dir[64];

/* The script under way. */
struct child {
	pid_t pid;
	int in, out, err;
	struct push push;
	char text[4096]; /* what came on stdout */
	size_t len;
};

/* The rest of it is a comment, so that it takes many writes. */
static char probe[256 << 10] = "#!/bin/sh\necho \"$1 from $(dirname \"$0\")\"\nread -r x\n"
			       "echo \"got $x\"\nexit 3\n#";

static void start(struct child *c, const char *const shell[SHELL_WORDS], const char *watchdog_s)
{
	int in[2], out[2], err[2], n = 0;
	const char *argv[16];
	struct err e;

	memset(c, 0, sizeof(*c));
	assert_int_equal(push_init(&c->push, probe, sizeof(probe), &e), 0);
	for (int i = 0; i < SHELL_WORDS && shell[i]; i++)
		argv[n++] = shell[i];
	for (int i = 1; i < PUSH_ARGUMENTS; i++)
		argv[n++] = c->push.command[i];
	if (watchdog_s) argv[n - 1] = watchdog_s;
	argv[n] = NULL;
	assert_int_equal(pipe(in) | pipe(out) | pipe(err), 0);
	c->pid = fork();
	if (c->pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		for (int fd = 3; fd < 64; fd++)
			close(fd);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	assert_true(c->pid > 0);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	c->in = in[1];
	c->out = out[0];
	c->err = err[0];
}

/* Reads what comes until the script's state is at least that, or its outputs end. */
static void run_until(struct child *c, enum push_state state)
{
	char data[512];

	while (c->push.state < state && (c->out >= 0 || c->err >= 0)) {
		struct pollfd fds[] = {{c->out, POLLIN, 0}, {c->err, POLLIN, 0}};
		ssize_t n;

		assert_true(poll(fds, 2, 60000) > 0);
		if (fds[0].revents) {
			n = read(c->out, data, sizeof(data));
			if (n <= 0) close(steal_fd(&c->out));
			assert_true(n <= 0 || c->len + (size_t)n < sizeof(c->text));
			if (n > 0) memcpy(c->text + c->len, data, (size_t)n);
			c->len += n > 0 ? (size_t)n : 0;
		}
		if (fds[1].revents) {
			n = read(c->err, data, sizeof(data));
			if (n <= 0) close(steal_fd(&c->err));
			if (n > 0) push_stderr(&c->push, data, (size_t)n);
		}
	}
}

static void give(struct child *c, size_t max)
{
	const void *data;
	size_t len = MIN(push_output(&c->push, &data), max);

	assert_int_equal(write(c->in, data, len), (ssize_t)len);
	push_written(&c->push, len);
}

/* Ends the talk: the exit status. */
static int finish(struct child *c)
{
	int status;

	run_until(c, PUSH_EXITED + 1);
	if (c->in >= 0) close(c->in);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void assert_nothing_is_left(void)
{
	struct dirent *entry;
	DIR *d = opendir(dir);

	assert_non_null(d);
	while ((entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			fail_msg("%s is left", entry->d_name);
	closedir(d);
}

static void the_probe_runs_and_gets_what_follows(void **state)
{
	for (size_t i = 0; i < shell_count; i++) {
		struct child c;
		char expected[200];

		start(&c, shells[i], NULL);
		run_until(&c, PUSH_SENDING);
		assert_int_equal(c.push.state, PUSH_SENDING);
		assert_int_equal(c.len, 0);
		give(&c, 10);
		assert_int_equal(c.push.state, PUSH_SENDING);
		give(&c, SIZE_MAX);
		assert_int_equal(c.push.state, PUSH_SENT);
		snprintf(expected, sizeof(expected), "serve from %s\n", dir);
		while (c.len < strlen(expected)) {
			ssize_t n = read(c.out, c.text + c.len, sizeof(c.text) - c.len);

			assert_true(n > 0);
			c.len += (size_t)n;
		}
		assert_string_equal(c.text, expected);
		assert_int_equal(write(c.in, "hello\n", 6), 6);
		assert_int_equal(finish(&c), 3);
		assert_contains(c.text, "got hello\n");
		assert_int_equal(c.push.state, PUSH_EXITED);
		assert_int_equal(c.push.exit_code, 3);
		assert_string_equal(c.push.text, "");
		assert_nothing_is_left();
	}
}

static void a_short_push_fails(void **state)
{
	for (size_t i = 0; i < shell_count; i++) {
		struct child c;
		struct err e;

		start(&c, shells[i], NULL);
		run_until(&c, PUSH_SENDING);
		give(&c, 10);
		close(steal_fd(&c.in));
		assert_int_equal(finish(&c), 125);
		assert_int_equal(c.push.state, PUSH_FAILED);
		assert_int_equal(push_error(&c.push, &e), -ERR_TRUNCATED);
		assert_contains(e.text, "only 10 of the probe's");
		assert_int_equal(c.len, 0);
		assert_nothing_is_left();
	}
}

/* A runtime that dies leaves stdin open for ever. */
static void a_push_that_stands_ends_itself(void **state)
{
	for (size_t i = 0; i < shell_count; i++) {
		struct child c;

		start(&c, shells[i], "1");
		run_until(&c, PUSH_SENDING);
		give(&c, 10);
		assert_int_equal(finish(&c), 143);
		assert_int_equal(c.len, 0);
		assert_nothing_is_left();
	}
}

static void a_slow_push_is_left_alone(void **state)
{
	for (size_t i = 0; i < shell_count; i++) {
		struct child c;

		start(&c, shells[i], "1");
		run_until(&c, PUSH_SENDING);
		/* Longer than two looks of the watchdog, but never without bytes between: more than
		 * `head` keeps for itself. */
		for (int n = 0; n < 12; n++) {
			give(&c, 16 << 10);
			poll(NULL, 0, 250);
		}
		give(&c, SIZE_MAX);
		assert_int_equal(write(c.in, "x\n", 2), 2);
		assert_int_equal(finish(&c), 3);
		assert_contains(c.text, "got x\n");
		assert_nothing_is_left();
	}
}

static void a_signal_ends_a_push(void **state)
{
	for (size_t i = 0; i < shell_count; i++) {
		struct child c;

		start(&c, shells[i], NULL);
		run_until(&c, PUSH_SENDING);
		give(&c, 10);
		assert_int_equal(kill(c.pid, SIGTERM), 0);
		assert_int_equal(finish(&c), 143);
		assert_nothing_is_left();
	}
}

/* Nobody is left to remove the file but the watchdog. */
static void a_killed_shell_leaves_no_file(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(shells); i++) {
		uint64_t until = now_ns() + 60 * (uint64_t)NS_PER_S;
		struct child c;

		start(&c, shells[i], "1");
		run_until(&c, PUSH_SENDING);
		give(&c, 10);
		assert_int_equal(kill(c.pid, SIGKILL), 0);
		while (rmdir(dir) < 0 && now_ns() < until)
			poll(NULL, 0, 10);
		assert_int_equal(mkdir(dir, 0700), 0);
		assert_int_equal(finish(&c), -1);
	}
}

static void lines_are_told_apart_from_other_text(void **state)
{
	static const char text[] = "sh: warning\npodsnap-push: ready\npodsnap-push: exit 9\n"
				   "some\x1b[31m text\npodsnap-push: error nothing \x07works\n"
				   "podsnap-push: ready\n";
	struct err e;

	/* In pieces of every size. */
	for (size_t piece = 1; piece < sizeof(text); piece++) {
		struct push p;

		assert_int_equal(push_init(&p, probe, sizeof(probe), &e), 0);
		for (size_t at = 0; at < sizeof(text) - 1; at += piece)
			push_stderr(&p, text + at, MIN(piece, sizeof(text) - 1 - at));
		assert_int_equal(p.state, PUSH_FAILED);
		assert_string_equal(p.reason, "nothing  works");
		assert_string_equal(p.text, "sh: warning\nsome [31m text\n");
		assert_int_equal(push_error(&p, &e), -ERR_UNSUPPORTED);
	}
}

static void endless_text_is_cut(void **state)
{
	static char text[100000];
	struct push p;
	struct err e;

	memset(text, 'x', sizeof(text));
	assert_int_equal(push_init(&p, probe, sizeof(probe), &e), 0);
	for (int i = 0; i < 10; i++)
		push_stderr(&p, text, sizeof(text));
	assert_int_equal(strlen(p.text), PUSH_TEXT_MAX);
	push_stderr(&p, "\npodsnap-push: ready\n", 21);
	assert_int_equal(p.state, PUSH_SENDING);
}

static void the_machine_is_read_from_the_elf_header(void **state)
{
	uint8_t elf[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
	struct push p;
	struct err e;

	elf[18] = 183;
	assert_int_equal(push_init(&p, elf, sizeof(elf), &e), 0);
	assert_int_equal(push_e_machine(&p), 183);
	assert_string_equal(p.command[6], "aarch64");
	assert_int_equal(push_init(&p, elf, 19, &e), 0);
	assert_int_equal(push_e_machine(&p), 0);
}

static int set_up(void **state)
{
	choose_shells();
	snprintf(dir, sizeof(dir), "/tmp/podsnap-unit-XXXXXX");
	signal(SIGPIPE, SIG_IGN);
	memset(probe + strlen(probe), '#', sizeof(probe) - strlen(probe));
	return mkdtemp(dir) ? setenv("TMPDIR", dir, 1) : -1;
}

static int tear_down(void **state)
{
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_probe_runs_and_gets_what_follows),
	    cmocka_unit_test(a_short_push_fails),
	    cmocka_unit_test(a_push_that_stands_ends_itself),
	    cmocka_unit_test(a_slow_push_is_left_alone),
	    cmocka_unit_test(a_signal_ends_a_push),
	    cmocka_unit_test(a_killed_shell_leaves_no_file),
	    cmocka_unit_test(lines_are_told_apart_from_other_text),
	    cmocka_unit_test(endless_text_is_cut),
	    cmocka_unit_test(the_machine_is_read_from_the_elf_header),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
