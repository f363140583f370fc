#include "dumpers/runtime/describe.h"
#include "dumpers/runtime/pick.h"
#include "dumpers/runtime/ps.h"
#include "tests/unit/dumpers/proc/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>

/* --- tables of a list made by hand ------------------------------------------------------------ */

static struct process_item items[] = {
    {.pid = 1,
     .ns_pid = 1,
     .uid = 1000,
     .threads = 42,
     .rss_bytes = 512 << 20,
     .start_ns = 1767322645000000000,
     .state = 'S',
     .comm = "dotnet",
     .command = (char[]){"dotnet /app/web.dll"},
     .container_id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
     .guess = {.runtime = &runtime_dotnet,
	       .confidence = RUNTIME_PROGRAM,
	       .version = "8.0.1",
	       .evidence = "maps /x/libcoreclr.so"}},
    {.pid = 12345,
     .ns_pid = 7,
     .ppid = 1,
     .threads = 1,
     .state = 'R',
     .comm = "x",
     .command = (char[]){"./caf\u00e9"},
     .guess = {.runtime = &runtime_go,
	       .confidence = RUNTIME_PROGRAM,
	       .version = "go1.22",
	       .evidence = "/a\033[31mb has the section"},
     .verdict = {.blocker = BLOCKER_YAMA, .reason = "because", .hint = "do this"}},
};
static const struct process_list made = {.v = items, .count = ARRAY_SIZE(items)};

static void narrow_table(void **state)
{
	static const char expected[] =
	    "PID    PPID  UID   THREADS  RSS        RUNTIME       CAPTURE    COMMAND\n"
	    "1      0     1000  42       512.0 MiB  dotnet 8.0.1  yes        dotnet /app/web.dll\n"
	    "12345  1     0     1        0 B        go 1.22       no (yama)  ./caf\u00e9\n";
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 16);

	assert_int_equal(ps_print_text(&made, false, &out, NULL), 0);
	assert_string_equal(out.data, expected);
}

static void wide_table(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 16);

	assert_int_equal(ps_print_text(&made, true, &out, NULL), 0);
	assert_contains(out.data, "2026-01-02T02:57:25Z  0123456789ab  maps /x/libcoreclr.so");
	assert_contains(out.data, "/a?[31mb has the section");
	assert_contains(out.data, "12345 cannot be captured: because; do this\n");
}

static void long_commands_are_cut(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 16), whole = BUF_INIT(1 << 16);
	struct process_item item = items[0];
	struct process_list list = {.v = &item, .count = 1, .cut = true};
	char command[201];

	memset(command, 'c', 200);
	command[200] = '\0';
	item.command = command;
	assert_int_equal(ps_print_text(&list, false, &out, NULL), 0);
	command[77] = '\0';
	assert_contains(out.data, command);
	assert_contains(out.data, "c...\nonly the first 1 processes are shown\n");
	command[77] = 'c';
	assert_int_equal(ps_print_text(&list, true, &whole, NULL), 0);
	assert_contains(whole.data, command);
}

static void json_of_a_list(void **state)
{
	static const char *const parts[] = {
	    "\"schema\": \"podsnap.ps/1\"",
	    "\"pid\": 12345",
	    "\"ns_pid\": 7",
	    "\"rss_bytes\": 536870912",
	    "\"name\": \"dotnet\"",
	    "\"version\": \"8.0.1\"",
	    "\"confidence\": \"program\"",
	    "\"possible\": false",
	    "\"blocker\": \"yama\"",
	    "\"reason\": \"because\"",
	    "\"evidence\": \"/a\\u001b[31mb",
	    "\"container_id\": null",
	};
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 16);

	assert_int_equal(ps_print_json(&made, &out, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		assert_contains(out.data, parts[i]);
}

/* --- this machine ----------------------------------------------------------------------------- */

static void rename_child(void)
{
	prctl(PR_SET_NAME, "a child)");
}

static const struct process_item *find(const struct process_list *list, pid_t pid)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->v[i].pid == pid) return &list->v[i];
	}
	return NULL;
}

static void all_but_this_program(void **state)
{
	_cleanup_process_list_ struct process_list list = {0};
	const struct process_item *item;
	pid_t child = start_child(rename_child);
	struct err e;

	assert_int_equal(process_list_read(NULL, 0, &list, &e), 0);
	end_child(child);
	assert_null(find(&list, getpid()));
	item = find(&list, child);
	assert_non_null(item);
	assert_int_equal(item->ppid, getpid());
	assert_int_equal(item->uid, geteuid());
	assert_int_equal(item->threads, 1);
	assert_string_equal(item->comm, "a child)");
	assert_contains(item->command, program_invocation_short_name);
	assert_int_equal(item->guess.runtime->kind, RUNTIME_NATIVE);
	assert_int_equal(item->verdict.blocker, BLOCKER_NONE);
	for (size_t i = 1; i < list.count; i++)
		assert_true(list.v[i - 1].pid < list.v[i].pid);
}

static void a_named_process(void **state)
{
	_cleanup_process_list_ struct process_list list = {0}, none = {0};
	struct err e;

	assert_int_equal(process_list_read(NULL, getpid(), &list, &e), 0);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.v[0].verdict.blocker, BLOCKER_SELF);
	assert_int_equal(process_list_read(NULL, 2000000000, &none, &e), -ERR_NOT_FOUND);
	assert_int_equal(none.count, 0);
}

/* In a process group of its own, with a child. */
static pid_t start_script(char *zero, char *one)
{
	char sh[] = "sh", c[] = "-c", script[] = "sleep 600 & echo; wait";
	char *argv[] = {sh, c, script, zero, one, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int to_us[2];
	char byte;
	pid_t child;

	assert_return_code(pipe(to_us), errno);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, to_us[1], STDOUT_FILENO);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
	assert_int_equal(posix_spawnp(&child, sh, &actions, &attributes, argv, environ), 0);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	assert_int_equal(read(to_us[0], &byte, 1), 1);
	close(to_us[0]);
	close(to_us[1]);
	return child;
}

static void end_script(pid_t shell)
{
	kill(-shell, SIGKILL);
	waitpid(shell, NULL, 0);
}

/* The shell that pushes a probe is no process of the container; one that merely knows the word is.
 */
static void pushing_shells_are_not_listed(void **state)
{
	_cleanup_process_list_ struct process_list list = {0};
	char ours[] = "podsnap", other[] = "other";
	pid_t push = start_script(ours, other), script = start_script(other, ours);
	struct err e;
	int r = process_list_read(NULL, 0, &list, &e);

	end_script(push);
	end_script(script);
	assert_int_equal(r, 0);
	assert_null(find(&list, push));
	assert_non_null(find(&list, script));
	for (size_t i = 0; i < list.count; i++)
		assert_int_not_equal(list.v[i].ppid, push);
	(void)state;
}

static pid_t start_sleep(void)
{
	char name[] = "sleep", seconds[] = "600", *argv[] = {name, seconds, NULL};
	pid_t child;

	return posix_spawnp(&child, "sleep", NULL, NULL, argv, environ) == 0 ? child : -1;
}

static void pick_is_none_of_ours(void **state)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	pid_t child = start_child(rename_child), other = start_sleep(), picked = 0;
	struct proc_status status;

	assert_true(other > 0);
	assert_int_equal(process_pick(NULL, &picked, NULL, NULL), 0);
	end_child(child);
	end_child(other);
	/* It is the sleep, or what ran here before it. */
	assert_true(picked > 0 && picked <= other && picked != child);
	for (pid_t pid = getpid(); pid > 0; pid = (pid_t)status.ppid) {
		assert_int_not_equal(picked, pid);
		process_done(&p);
		assert_int_equal(process_open(pid, &p, NULL), 0);
		assert_int_equal(process_status(&p, &status, NULL), 0);
	}
}

/* A shell that is called `name` and runs a script. */
static pid_t start_shell(char *name, char *script)
{
	char option[] = "-c", *argv[] = {name, option, script, NULL};
	pid_t child;

	return posix_spawn(&child, "/bin/sh", NULL, NULL, argv, environ) == 0 ? child : -1;
}

static bool comm_is(pid_t pid, const char *name)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct proc_status status = {0};

	return process_open(pid, &p, NULL) == 0 && process_status(&p, &status, NULL) == 0 &&
	       strcmp(status.name, name) == 0;
}

static void end_all(void)
{
	kill(-1, SIGKILL);
	while (wait(NULL) > 0)
		;
}

/* In the init of a new pid namespace, too: what runs under a shell or an init is meant, as long as
 * it is one. */
static int pick_under_a_shim(void)
{
	char tini[] = "/sbin/tini", sh[] = "sh", other[] = "service";
	char one[] = "sleep 600; :", two[] = "sleep 600 & sleep 601; :";
	char loop[] = "while :; do sleep 0.05; done";
	pid_t shell, picked = 0, above = 0;
	struct err e = {0};

	shell = start_shell(tini, one);
	/* At first its child is a copy of it. */
	for (int i = 0; i < 500 && !comm_is(picked, "sleep"); i++, usleep(10000))
		if (process_pick(NULL, &picked, &above, NULL) < 0) return 20;
	if (!comm_is(picked, "sleep") || above != shell) return 21;
	if (process_pick_named(NULL, "sleep", &picked, NULL) || !comm_is(picked, "sleep"))
		return 22;
	if (process_pick_named(NULL, "^sleep [0-9]+$", &picked, NULL) || !comm_is(picked, "sleep"))
		return 23;
	if (process_pick_named(NULL, "tini", &picked, NULL) || picked != shell) return 24;
	if (process_pick_named(NULL, "17", &picked, NULL) || picked != 17) return 25;
	if (process_pick_named(NULL, "nosuch", &picked, NULL) != -ERR_NOT_FOUND) return 26;
	if (process_pick_named(NULL, "slee(p", &picked, NULL) != -ERR_USAGE) return 27;
	end_all();
	shell = start_shell(sh, two);
	/* Until both are what they shall be; before, they are the shell's copies, and the shell
	 * itself has no command line yet. */
	for (int i = 0; i < 500 && !strstr(e.text, "2 processes: "); i++, usleep(10000)) {
		if (process_pick_named(NULL, "sleep", &picked, &e) == 0) continue;
		if (e.code != ERR_USAGE && e.code != ERR_NOT_FOUND) return 28;
		if (strstr(e.text, " sh")) e.text[0] = '\0';
	}
	if (!strstr(e.text, " sleep, ")) return 32;
	if (process_pick(NULL, &picked, &above, NULL) || picked != shell || above) return 29;
	end_all();
	/* The same under another name is no shim. */
	shell = start_shell(other, one);
	while (process_pick_named(NULL, "sleep", &picked, NULL) || !comm_is(picked, "sleep"))
		usleep(10000);
	usleep(100000);
	if (process_pick(NULL, &picked, &above, NULL) || picked != shell || above) return 30;
	end_all();
	/* What a script runs just now is not meant. */
	shell = start_shell(sh, loop);
	usleep(1500000);
	for (int i = 0; i < 50; i++, usleep(3000))
		if (process_pick(NULL, &picked, &above, NULL) || picked != shell) return 31;
	end_all();
	return 0;
}

/* In the init of a new pid namespace: 0 when the picks are right, else a number that says which. */
static int pick_in_namespace(void)
{
	pid_t child, picked = 0;

	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", 0, NULL) < 0)
		return 10;
	if (process_pick(NULL, &picked, NULL, NULL) != -ERR_NOT_FOUND) return 11;
	/* This very program, as one that idles in a container for others. */
	child = start_child(rename_child);
	if (process_pick(NULL, &picked, NULL, NULL) != -ERR_NOT_FOUND) return 12;
	end_child(child);
	if ((child = start_sleep()) < 0) return 13;
	if (process_pick(NULL, &picked, NULL, NULL) != 0 || picked != child) return 14;
	kill(child, SIGKILL);
	waitid(P_PID, (id_t)child, &(siginfo_t){0}, WEXITED | WNOWAIT);
	if (process_pick(NULL, &picked, NULL, NULL) != -ERR_NOT_FOUND) return 15;
	waitpid(child, NULL, 0);
	return pick_under_a_shim();
}

static void pick_in_a_container(void **state)
{
	int status;
	pid_t outer = fork();

	if (outer == 0) {
		int flags = CLONE_NEWNS | CLONE_NEWPID | (geteuid() ? CLONE_NEWUSER : 0);
		pid_t init;

		if (unshare(flags) < 0) _exit(99);
		init = fork();
		if (init == 0) _exit(pick_in_namespace());
		waitpid(init, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 98);
	}
	assert_int_equal(waitpid(outer, &status, 0), outer);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 99 || WEXITSTATUS(status) == 10) {
		print_message("not possible here: new pid namespaces are forbidden\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- descriptions ----------------------------------------------------------------------------- */

static void describe_masks_secrets(void **state)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	_cleanup_buf_ struct buf masked = BUF_INIT(1 << 20), shown = BUF_INIT(1 << 20);
	char *const argv[] = {(char[]){"/bin/sleep"}, (char[]){"600"}, NULL};
	char *const env[] = {(char[]){"DB_PASSWORD=hunter2"}, (char[]){"PORT=80"}, NULL};
	char exe[256] = "";
	size_t env_count = 0;
	pid_t child = fork();
	struct err e;

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execve(argv[0], argv, env);
		_exit(127);
	}
	assert_int_equal(process_open(child, &p, &e), 0);
	/* Until exec is done it is a copy of this program, then for a moment one without strings.
	 */
	while (!strstr(exe, "sleep") || env_count != ARRAY_SIZE(env) - 1) {
		_cleanup_string_list_ struct string_list list = {0};

		assert_int_equal(process_readlink(&p, "exe", exe, sizeof(exe), &e), 0);
		assert_int_equal(process_environ(&p, false, &list, &e), 0);
		env_count = list.count;
	}
	assert_int_equal(process_describe_json(&p, false, &masked, &e), 0);
	assert_int_equal(process_describe_json(&p, true, &shown, &e), 0);
	end_child(child);
	assert_contains(masked.data, "\"schema\": \"podsnap.process/1\"");
	assert_contains(masked.data, "\"DB_PASSWORD=[redacted]\"");
	assert_contains(masked.data, "\"PORT=80\"");
	assert_contains(masked.data, "\"600\"");
	assert_contains(masked.data, "\"unreadable\": {}");
	assert_null(strstr(masked.data, "hunter2"));
	assert_contains(shown.data, "\"DB_PASSWORD=hunter2\"");
	buf_clear(&masked);
	assert_int_equal(process_describe_json(&p, false, &masked, &e), -ERR_GONE);
}

static void fds_and_summary(void **state)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 20);
	_cleanup_close_ int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct process_summary summary;
	struct err e;

	assert_true(file >= 0);
	assert_int_equal(process_open(getpid(), &p, &e), 0);
	assert_int_equal(process_fds_json(&p, &out, &e), 0);
	assert_contains(out.data, "\"schema\": \"podsnap.fds/1\"");
	assert_contains(out.data, program_invocation_short_name);
	assert_int_equal(process_summary_read(&p, &summary, &e), 0);
	assert_string_equal(summary.comm, program_invocation_short_name);
	assert_true(summary.ns_pid > 0);
}

/* Every file of the table has a cap that this process's own one fits in. */
static void proc_files_are_readable(void **state)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	size_t read = 0;

	assert_int_equal(process_open(getpid(), &p, NULL), 0);
	for (size_t i = 0; i < proc_file_count; i++) {
		_cleanup_buf_ struct buf text = BUF_INIT(proc_files[i].max_bytes);
		int r = process_read(&p, proc_files[i].name, &text, NULL);

		/* Some kernels lack IPv6, schedstat or smaps_rollup. */
		if (r != -ERR_NOT_FOUND) assert_int_equal(r, 0);
		if (r == 0) read++;
		assert_null(strstr(proc_files[i].name, "environ"));
	}
	assert_true(read > proc_file_count / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(narrow_table),
	    cmocka_unit_test(wide_table),
	    cmocka_unit_test(long_commands_are_cut),
	    cmocka_unit_test(json_of_a_list),
	    cmocka_unit_test(all_but_this_program),
	    cmocka_unit_test(a_named_process),
	    cmocka_unit_test(pushing_shells_are_not_listed),
	    cmocka_unit_test(pick_is_none_of_ours),
	    cmocka_unit_test(pick_in_a_container),
	    cmocka_unit_test(describe_masks_secrets),
	    cmocka_unit_test(fds_and_summary),
	    cmocka_unit_test(proc_files_are_readable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
