#include "dumpers/proc/capability.h"
#include "dumpers/proc/capturable.h"
#include "tests/unit/dumpers/proc/child.h"

#include <errno.h>
#include <grp.h>
#include <sys/ptrace.h>

#define PTRACE_BIT ((uint64_t)1 << CAPABILITY_SYS_PTRACE)

static struct ptrace_facts allowed(void)
{
	return (struct ptrace_facts){.ours.uid = {7, 7, 7, 7},
				     .ours.gid = {8, 8, 8, 8},
				     .theirs.uid = {7, 7, 7, 7},
				     .theirs.gid = {8, 8, 8, 8},
				     .dumpable = true,
				     .same_userns = true};
}

static void rules(void **state)
{
	struct ptrace_facts f = allowed();

	assert_int_equal(ptrace_blocker(&f), BLOCKER_SECURITY);
	f.theirs.uid[ID_SAVED] = 0;
	assert_int_equal(ptrace_blocker(&f), BLOCKER_UID);
	f.ours.cap_eff = PTRACE_BIT;
	assert_int_equal(ptrace_blocker(&f), BLOCKER_SECURITY);
	f = allowed();
	f.theirs.gid[ID_REAL] = 9;
	assert_int_equal(ptrace_blocker(&f), BLOCKER_UID);
	f = allowed();
	f.dumpable = false;
	assert_int_equal(ptrace_blocker(&f), BLOCKER_DUMPABLE);
	f = allowed();
	f.theirs.cap_prm = 6;
	f.ours.cap_eff = 2;
	assert_int_equal(ptrace_blocker(&f), BLOCKER_CAPS);
	f.ours.cap_eff = 7;
	assert_int_equal(ptrace_blocker(&f), BLOCKER_SECURITY);
	f = allowed();
	f.same_userns = false;
	f.ours.cap_eff = PTRACE_BIT;
	assert_int_equal(ptrace_blocker(&f), BLOCKER_USERNS);
}

static void dumpable_by_the_right_to_read(void **state)
{
	struct ptrace_facts f = allowed();

	assert_true(ptrace_dumpable(&f, true));
	assert_false(ptrace_dumpable(&f, false));
	/* Yama has no say in it; users, capabilities and SYS_PTRACE have. */
	f.yama_scope = 2;
	assert_true(ptrace_dumpable(&f, true));
	assert_false(ptrace_dumpable(&f, false));
	f.theirs.cap_prm = 6;
	assert_true(ptrace_dumpable(&f, false));
	f = allowed();
	f.theirs.uid[ID_SAVED]++;
	assert_true(ptrace_dumpable(&f, false));
	f = allowed();
	f.ours.cap_eff = PTRACE_BIT;
	assert_true(ptrace_dumpable(&f, false));
	f.dumpable = false;
	assert_false(ptrace_dumpable(&f, true));
}

static void yama(void **state)
{
	struct ptrace_facts f = allowed();

	f.yama_scope = 1;
	assert_int_equal(ptrace_blocker(&f), BLOCKER_YAMA);
	f.is_descendant = true;
	assert_int_equal(ptrace_blocker(&f), BLOCKER_SECURITY);
	f.yama_scope = 2;
	assert_int_equal(ptrace_blocker(&f), BLOCKER_YAMA);
	f.ours.cap_eff = PTRACE_BIT;
	assert_int_equal(ptrace_blocker(&f), BLOCKER_SECURITY);
	f.yama_scope = 3;
	assert_int_equal(ptrace_blocker(&f), BLOCKER_YAMA);
}

static struct capture_verdict judge(pid_t pid)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct capture_verdict v;
	struct proc_status status;

	assert_int_equal(process_open(pid, &p, NULL), 0);
	assert_int_equal(process_status(&p, &status, NULL), 0);
	process_capturable(&p, &status, &v);
	return v;
}

static void own_child_and_self(void **state)
{
	pid_t child = start_child(NULL);
	struct capture_verdict v = judge(child);

	assert_int_equal(v.blocker, BLOCKER_NONE);
	assert_string_equal(v.reason, "");
	assert_int_equal(judge(getpid()).blocker, BLOCKER_SELF);
	end_child(child);
}

static void traced_child(void **state)
{
	pid_t child = start_child(NULL);
	struct capture_verdict v;

	assert_int_equal(ptrace(PTRACE_SEIZE, child, NULL, NULL), 0);
	v = judge(child);
	assert_int_equal(v.blocker, BLOCKER_TRACED);
	assert_contains(v.reason, program_invocation_short_name);
	end_child(child);
}

static void zombie(void **state)
{
	pid_t child = start_child(NULL);
	siginfo_t info;

	kill(child, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(judge(child).blocker, BLOCKER_ZOMBIE);
	end_child(child);
}

/* Judges as another user, in a child of ours; exits with the blocker. */
static int judge_as(uid_t uid, pid_t target, bool want_reason, const char *part)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct capture_verdict v;

		if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
		    setresuid(uid, uid, uid) < 0)
			_exit(100);
		v = judge(target);
		if (want_reason && !strstr(v.reason, part)) {
			fprintf(stderr, "\"%s\" is not in \"%s\"\n", part, v.reason);
			_exit(101);
		}
		_exit((int)v.blocker);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void become_1001(void)
{
	if (setgroups(0, NULL) < 0 || setresgid(1001, 1001, 1001) < 0 ||
	    setresuid(1001, 1001, 1001) < 0)
		_exit(1);
	/* The change of the user took it away. */
	prctl(PR_SET_DUMPABLE, 1);
}
static void become_1001_not_dumpable(void)
{
	become_1001();
	prctl(PR_SET_DUMPABLE, 0);
}

/* As root the refusals of other users are real; as a user, root's own processes refuse. */
static void refusals_of_the_kernel(void **state)
{
	if (geteuid() != 0) {
		struct capture_verdict v = judge(1);

		assert_int_not_equal(v.blocker, BLOCKER_NONE);
		return;
	}

	pid_t root = start_child(NULL), user = start_child(become_1001);
	pid_t hidden = start_child(become_1001_not_dumpable);

	assert_int_equal(judge_as(1001, root, true, "it runs as uid 0, podsnap as uid 1001"),
			 BLOCKER_UID);
	assert_int_equal(judge_as(1001, hidden, true, "not dumpable"), BLOCKER_DUMPABLE);
	assert_int_equal(judge_as(1002, user, true, "uid 1001"), BLOCKER_UID);
	assert_int_equal(judge_as(1001, user, false, NULL), BLOCKER_NONE);
	assert_int_equal(judge(user).blocker, BLOCKER_NONE);
	assert_int_equal(judge(hidden).blocker, BLOCKER_NONE);
	end_child(root);
	end_child(user);
	end_child(hidden);
}

static void capability_names(void **state)
{
	_cleanup_buf_ struct buf list = BUF_INIT(100);

	assert_string_equal(capability_name(19), "SYS_PTRACE");
	assert_string_equal(capability_name(40), "CHECKPOINT_RESTORE");
	assert_null(capability_name(41));
	assert_int_equal(capability_list(1 | PTRACE_BIT | (uint64_t)1 << 63, &list, NULL), 0);
	assert_string_equal(list.data, "CHOWN, SYS_PTRACE, #63");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rules),
	    cmocka_unit_test(dumpable_by_the_right_to_read),
	    cmocka_unit_test(yama),
	    cmocka_unit_test(own_child_and_self),
	    cmocka_unit_test(traced_child),
	    cmocka_unit_test(zombie),
	    cmocka_unit_test(refusals_of_the_kernel),
	    cmocka_unit_test(capability_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
