/*
 * Stacks of real processes, whose programs are built here with the system's compiler.
 * tests/component/test_stacks_gdb.py compares every frame of the same programs with gdb's.
 */
#include "dumpers/snapshot/live.h"
#include "dumpers/stack/stacks.h"
#include "tests/unit/base/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <sys/wait.h>

static char folder[] = "/tmp/test_stacks_live.XXXXXX";
static char root[4096]; /* of the sources */

/* Runs a shell command; its output up to size bytes. */
static void run(const char *command, char *ret, size_t size)
{
	FILE *out = popen(command, "re");
	size_t len;
	int status;

	assert_non_null(out);
	len = fread(ret, 1, size - 1, out);
	ret[len] = '\0';
	status = pclose(out);
	if (status) fail_msg("%s: status %d: %s", command, status, ret);
}

static void build(const char *source, const char *name, const char *flags)
{
	char command[12 << 10], out[4096];

	snprintf(command, sizeof(command),
		 "${CC:-cc} -std=gnu17 -D_GNU_SOURCE -O1 -g -fno-optimize-sibling-calls -pthread "
		 "%s %s/%s -o %s/%s 2>&1",
		 flags, root, source, folder, name);
	run(command, out, sizeof(out));
}

static int build_all(void **state)
{
	snprintf(root, sizeof(root), "%s", __FILE__);
	dirname(root); /* .../tests/unit/dumpers/stack */
	strcat(root, "/../../../..");
	assert_non_null(mkdtemp(folder));
	build("tests/targets/deadlock.c", "deadlock", "");
	build("tests/targets/deadlock.c", "deadlock-static", "-static");
	build("tests/targets/unwound.c", "unwound", "");
	build("tests/targets/unwound.c", "unwound-static", "-static");
	return 0;
}

static int remove_all(void **state)
{
	char command[256], out[256];

	snprintf(command, sizeof(command), "rm -r %s", folder);
	run(command, out, sizeof(out));
	return 0;
}

/* --- the target --- */

/* How many threads stand in futex (202) or pause (34); the rest in *ret_others. */
static size_t count_blocked(pid_t pid, size_t *ret_others)
{
	char path[512], text[64];
	struct dirent *entry;
	size_t blocked = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	assert_non_null(dir);
	*ret_others = 0;
	while ((entry = readdir(dir))) {
		ssize_t n;
		int fd;

		if (entry->d_name[0] == '.') continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/syscall", pid, entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
		if (fd >= 0) close(fd);
		text[MAX(n, 0)] = '\0';
		if (!strncmp(text, "202 ", 4) || !strncmp(text, "34 ", 3))
			blocked++;
		else
			++*ret_others;
	}
	closedir(dir);
	return blocked;
}

/* Starts it and waits until all its threads stand where they will stay. */
static pid_t start(const char *name, const char *argument, size_t threads)
{
	char path[128], line[16] = {0};
	size_t others;
	int fds[2];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execl(path, name, argument, NULL);
		_exit(127);
	}
	close(fds[1]);
	if (read(fds[0], line, sizeof(line) - 1) <= 0)
		fail_msg("%s ended before it was ready", path);
	close(fds[0]);
	assert_string_equal(line, "ready\n");
	while (count_blocked(pid, &others) != threads || others)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* --- its stacks --- */

struct report {
	struct process process;
	struct snapshot *snapshot;
	struct modules *modules;
	struct stacks *stacks;
};

static void collect_live(pid_t pid, struct report *r)
{
	struct live_config config = {.mode = SNAPSHOT_STOP,
				     .max_pause_ns = (uint64_t)60 * NS_PER_S};
	struct err e = {0};

	*r = (struct report){.process = PROCESS_INIT};
	if (process_open(pid, &r->process, &e) ||
	    snapshot_open_live(&r->process, &config, &r->snapshot, &e) ||
	    modules_new(r->snapshot, find_module_in_process, &r->process, &r->modules, &e) ||
	    stacks_collect(r->modules, &r->stacks, &e))
		fail_msg("%s", e.text);
	snapshot_live_release(r->snapshot);
}

static void done(struct report *r)
{
	stacks_free(r->stacks);
	modules_free(r->modules);
	snapshot_free(r->snapshot);
	process_done(&r->process);
}

/* The stacks of a program; each reaches its end. */
static void check(const char *name, const char *argument, size_t threads, struct report *ret)
{
	pid_t pid = start(name, argument, threads);

	collect_live(pid, ret);
	stop(pid);
	assert_int_equal(ret->stacks->count, threads);
	for (size_t i = 0; i < threads; i++)
		assert_null(ret->stacks->v[i].end);
}

static bool has_frame(const struct stack *s, const char *symbol)
{
	for (size_t i = 0; i < s->frame_count; i++)
		if (s->frames[i].symbol && !strcmp(s->frames[i].symbol, symbol)) return true;
	return false;
}

static size_t count_with(const struct report *r, const char *symbol)
{
	size_t count = 0;

	for (size_t i = 0; i < r->stacks->count; i++)
		count += has_frame(&r->stacks->v[i], symbol);
	return count;
}

static void check_deadlock(const char *name)
{
	struct report r;

	check(name, "4", 7, &r);
	assert_int_equal(count_with(&r, "wait_for_work"), 4);
	assert_int_equal(count_with(&r, "transfer_stock"), 1);
	assert_int_equal(count_with(&r, "charge_card"), 1);
	assert_int_equal(count_with(&r, "main"), 1);
	done(&r);
}

static void deadlock(void **state)
{
	check_deadlock("deadlock");
}

static void deadlock_static(void **state)
{
	check_deadlock("deadlock-static");
}

static void check_unwound(const char *mode, const char *frame, size_t min_frames)
{
	static const char *const names[] = {"unwound", "unwound-static"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct report r;

		check(names[i], mode, 1, &r);
		assert_true(r.stacks->v[0].frame_count >= min_frames);
		assert_true(has_frame(&r.stacks->v[0], frame));
		assert_true(has_frame(&r.stacks->v[0], "main"));
		done(&r);
	}
}

static void deep_recursion(void **state)
{
	check_unwound("deep", "descend", 300);
}

static void signal_on_another_stack(void **state)
{
	check_unwound("altstack", "fault", 7);
}

static void code_without_tables(void **state)
{
	check_unwound("no-cfi", "no_cfi", 5);
}

static void call_of_a_bad_pointer(void **state)
{
	check_unwound("bad-call", "on_signal", 7);
}

/* A program that was removed while it ran still has its names. */
static void deleted_program(void **state)
{
	char copy[256], out[16];
	struct report r;
	pid_t pid;

	snprintf(copy, sizeof(copy), "cp %s/deadlock %s/removed", folder, folder);
	run(copy, out, sizeof(out));
	pid = start("removed", "1", 4);
	snprintf(copy, sizeof(copy), "%s/removed", folder);
	assert_int_equal(unlink(copy), 0);
	collect_live(pid, &r);
	assert_int_equal(count_with(&r, "transfer_stock"), 1);
	done(&r);
	stop(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(deadlock),
	    cmocka_unit_test(deadlock_static),
	    cmocka_unit_test(deep_recursion),
	    cmocka_unit_test(signal_on_another_stack),
	    cmocka_unit_test(code_without_tables),
	    cmocka_unit_test(call_of_a_bad_pointer),
	    cmocka_unit_test(deleted_program),
	};

	return cmocka_run_group_tests(tests, build_all, remove_all);
}
