/*
 * Stacks of real processes against gdb: the same frames, and symbols that start at the same place
 * (of aliases gdb takes any). The programs are built here, with the system's compiler.
 */
#include "dumpers/snapshot/corefile.h"
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
	build("tests/unit/dumpers/stack/unwound.c", "unwound", "");
	build("tests/unit/dumpers/stack/unwound.c", "unwound-static", "-static");
	return 0;
}

static int remove_all(void **state)
{
	char command[256], out[256];

	snprintf(command, sizeof(command), "rm -r %s", folder);
	run(command, out, sizeof(out));
	return 0;
}

/* --- the target ----------------------------------------------------------------------------------
 */

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

/* --- ours ----------------------------------------------------------------------------------------
 */

struct report {
	struct process process;
	struct snapshot *snapshot;
	struct modules *modules;
	struct stacks *stacks;
	struct blob *core;
};

static void collect(struct report *r, find_module_fn find, void *ctx)
{
	struct err e = {0};

	if (modules_new(r->snapshot, find, ctx, &r->modules, &e) ||
	    stacks_collect(r->modules, &r->stacks, &e))
		fail_msg("%s", e.text);
}

static void collect_live(pid_t pid, struct report *r)
{
	struct live_config config = {.mode = SNAPSHOT_STOP,
				     .max_pause_ns = (uint64_t)60 * NS_PER_S};
	struct err e = {0};

	*r = (struct report){.process = PROCESS_INIT};
	if (process_open(pid, &r->process, &e) ||
	    snapshot_open_live(&r->process, &config, &r->snapshot, &e))
		fail_msg("%s", e.text);
	collect(r, find_module_in_process, &r->process);
	snapshot_live_release(r->snapshot);
}

static void collect_core(const char *path, struct report *r)
{
	struct err e = {0};

	*r = (struct report){.process = PROCESS_INIT};
	if (blob_open_file(path, &r->core, &e) ||
	    snapshot_open_core(r->core, NULL, 0, &r->snapshot, &e))
		fail_msg("%s", e.text);
	collect(r, find_module_in_sysroot, NULL);
}

static void done(struct report *r)
{
	stacks_free(r->stacks);
	modules_free(r->modules);
	snapshot_free(r->snapshot);
	blob_unref(r->core);
	process_done(&r->process);
}

/* --- gdb's ---------------------------------------------------------------------------------------
 */

enum { GDB_TEXT_MAX = 4 << 20 };

/* Lines "FRAME tid index pc name info-symbol", and a core of the process as folder/core. */
static const char gdb_script[] =
    "set backtrace past-main on\n"
    "set backtrace limit 10000\n"
    "gcore %s/core\n"
    "python\n"
    "for t in gdb.selected_inferior().threads():\n"
    "  t.switch()\n"
    "  frame, below, index = gdb.newest_frame(), None, 0\n"
    "  while frame:\n"
    "    if frame.type() != gdb.INLINE_FRAME:\n"
    "      signal = (below and below.type() == gdb.SIGTRAMP_FRAME) or \\\n"
    "               frame.type() == gdb.SIGTRAMP_FRAME\n"
    "      back = 1 if below and not signal else 0\n"
    "      info = gdb.execute('info symbol %%d' %% (frame.pc() - back), to_string=True)\n"
    "      info = ' '.join(info.split()[:3]) if ' in section' in info else '?'\n"
    "      if ' + ' not in info: info = info.split()[0]\n"
    "      print('FRAME %%d %%d 0x%%x %%d %%s' %% (t.ptid[1], index, frame.pc(), back, info))\n"
    "      below, index = frame, index + 1\n"
    "    frame = frame.older()\n"
    "end\n";

static char *run_gdb(pid_t pid)
{
	char path[128], command[512];
	char *text = malloc(GDB_TEXT_MAX);
	FILE *script;

	assert_non_null(text);
	snprintf(path, sizeof(path), "%s/script", folder);
	script = fopen(path, "we");
	assert_non_null(script);
	fprintf(script, gdb_script, folder);
	fclose(script);
	/* No separate debug files: they name what the modules themselves do not. */
	snprintf(command, sizeof(command),
		 "gdb -nx -batch -iex 'set debug-file-directory /nonexistent' -iex 'set auto-load "
		 "off' -p %d -x %s 2>&1",
		 pid, path);
	run(command, text, GDB_TEXT_MAX);
	return text;
}

static const struct stack *find_stack(const struct report *r, int tid)
{
	for (size_t i = 0; i < r->stacks->count; i++)
		if (r->stacks->v[i].thread->tid == tid) return &r->stacks->v[i];
	fail_msg("no thread %d", tid);
	return NULL;
}

/* info: "name + 12", "name" or "?". */
static void compare_symbol(const struct stack_frame *f, unsigned back, const char *info)
{
	const char *plus = strstr(info, " + ");
	uint64_t offset = plus ? strtoull(plus + 3, NULL, 10) : 0;

	if (!strcmp(info, "?")) {
		if (f->symbol)
			fail_msg("0x%llx: %s, none for gdb", (unsigned long long)f->pc, f->symbol);
		return;
	}
	if (!f->symbol) fail_msg("0x%llx: no symbol, gdb: %s", (unsigned long long)f->pc, info);
	if (f->symbol_offset != offset + back)
		fail_msg("0x%llx: %s+%llu, gdb: %s", (unsigned long long)f->pc, f->symbol,
			 (unsigned long long)f->symbol_offset, info);
}

/* Every frame of gdb is ours, and ours are as many. */
static void compare(const struct report *r, const char *gdb)
{
	size_t frames = 0, ours = 0;

	for (const char *at = gdb; (at = strstr(at, "FRAME ")); at++) {
		int tid, name_at = 0;
		unsigned index, back;
		unsigned long long pc;
		char info[1024];
		const struct stack *stack;

		if (at != gdb && at[-1] != '\n') continue;
		assert_int_equal(
		    sscanf(at, "FRAME %d %u 0x%llx %u %n", &tid, &index, &pc, &back, &name_at), 4);
		snprintf(info, sizeof(info), "%.*s", (int)strcspn(at + name_at, "\n"),
			 at + name_at);
		stack = find_stack(r, tid);
		if (index >= stack->frame_count || stack->frames[index].pc != pc)
			fail_msg("thread %d, frame %u: gdb 0x%llx %s, ours %zu frames, 0x%llx, %s",
				 tid, index, pc, info, stack->frame_count,
				 index < stack->frame_count
				     ? (unsigned long long)stack->frames[index].pc
				     : 0,
				 stack->end ? stack->end : "whole");
		compare_symbol(&stack->frames[index], back, info);
		frames++;
	}
	for (size_t i = 0; i < r->stacks->count; i++) {
		assert_null(r->stacks->v[i].end);
		ours += r->stacks->v[i].frame_count;
	}
	assert_int_equal(ours, frames);
	assert_true(frames > 0);
}

/* The process live and its core by gdb: both as gdb sees it, so that both are the same. */
static void check(const char *name, const char *argument, size_t threads, struct report *ret)
{
	pid_t pid = start(name, argument, threads);
	struct report core;
	char path[128];
	char *gdb;

	collect_live(pid, ret);
	gdb = run_gdb(pid);
	snprintf(path, sizeof(path), "%s/core", folder);
	compare(ret, gdb);
	collect_core(path, &core);
	compare(&core, gdb);
	done(&core);
	unlink(path);
	free(gdb);
	stop(pid);
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
	assert_int_equal(r.stacks->count, 7);
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
