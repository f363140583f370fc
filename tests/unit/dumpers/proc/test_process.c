#include "dumpers/proc/process.h"
#include "dumpers/proc/stat.h"
#include "tests/unit/dumpers/proc/child.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>

static void own_identity(void **state)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT(STAT_TEXT_MAX);
	char exe[4096], small[2] = "x";
	struct proc_stat stat;
	struct err e;

	assert_int_equal(process_open(getpid(), &p, &e), 0);
	assert_int_equal(p.pid, getpid());
	assert_int_equal(process_check(&p, &e), 0);

	assert_int_equal(process_read(&p, "stat", &text, &e), 0);
	assert_int_equal(proc_stat_parse(text.data, text.len, &stat, &e), 0);
	assert_int_equal(stat.pid, getpid());
	assert_int_equal(stat.ppid, getppid());
	assert_true(stat.start_ticks == p.start_ticks);

	assert_int_equal(process_readlink(&p, "exe", exe, sizeof(exe), &e), 0);
	assert_contains(exe, program_invocation_short_name);
	assert_int_equal(process_readlink(&p, "exe", small, sizeof(small), &e), -ERR_LIMIT);
	assert_string_equal(small, "x");
	assert_int_equal(process_readlink(&p, "no", exe, sizeof(exe), &e), -ERR_NOT_FOUND);
	assert_int_equal(process_read(&p, "no/such", &text, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "no/such");
}

static void no_such_process(void **state)
{
	struct process p = PROCESS_INIT;
	struct err e;

	assert_int_equal(process_open(0, &p, &e), -ERR_NOT_FOUND);
	assert_int_equal(process_open(-1, &p, &e), -ERR_NOT_FOUND);
	/* Above any pid_max (4194304, include/linux/threads.h). */
	assert_int_equal(process_open(2000000000, &p, &e), -ERR_NOT_FOUND);
	assert_string_equal(e.text, "no process 2000000000");
	assert_int_equal(p.proc_fd, -1);
	process_done(&p);
	process_done(NULL);
}

static pid_t thread_id;
static pthread_barrier_t barrier;

static void *thread_main(void *arg)
{
	thread_id = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void a_thread_is_no_process(void **state)
{
	struct process p = PROCESS_INIT;
	pthread_t t;
	struct err e;

	pthread_barrier_init(&barrier, NULL, 2);
	assert_int_equal(pthread_create(&t, NULL, thread_main, NULL), 0);
	pthread_barrier_wait(&barrier);
	assert_int_equal(process_open(thread_id, &p, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "a thread of process");
	pthread_barrier_wait(&barrier);
	pthread_join(t, NULL);
}

static void zombie_and_reaped_are_gone(void **state)
{
	_cleanup_process_ struct process p = PROCESS_INIT, zombie = PROCESS_INIT;
	pid_t child = start_child(NULL);
	siginfo_t info;
	struct err e;

	assert_int_equal(process_open(child, &p, &e), 0);
	assert_int_equal(process_check(&p, &e), 0);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(process_check(&p, &e), -ERR_GONE);
	assert_contains(e.text, "not reaped");
	assert_int_equal(process_open(child, &zombie, &e), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(process_check(&p, &e), -ERR_GONE);
	assert_int_equal(process_open(child, &p, &e), -ERR_NOT_FOUND);
}

/* The leader's own exit: the process lives as long as one thread does. */
static void *outlive_leader(void *arg)
{
	for (;;)
		pause();
	return NULL;
}

static void a_process_without_its_leader_lives(void **state)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT(STAT_TEXT_MAX);
	struct proc_stat stat = {0};
	pid_t child = fork();
	struct err e;

	if (child == 0) {
		pthread_t t;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (pthread_create(&t, NULL, outlive_leader, NULL) != 0) _exit(1);
		syscall(SYS_exit, 0);
	}
	assert_int_equal(process_open(child, &p, &e), 0);
	while (stat.state != 'Z') {
		buf_clear(&text);
		assert_int_equal(process_read(&p, "stat", &text, &e), 0);
		assert_int_equal(proc_stat_parse(text.data, text.len, &stat, &e), 0);
		sched_yield();
	}
	assert_int_equal(stat.num_threads, 2);
	assert_int_equal(process_check(&p, &e), 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(own_identity),
	    cmocka_unit_test(no_such_process),
	    cmocka_unit_test(a_thread_is_no_process),
	    cmocka_unit_test(zombie_and_reaped_are_gone),
	    cmocka_unit_test(a_process_without_its_leader_lives),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
