/* The live origin on real processes: threads, registers, the pause, and that nobody is harmed. */
#include "tests/unit/dumpers/snapshot/live_child.h"

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/user.h>

/* --- threads and registers ---------------------------------------------------------------------
 */

enum { BLOCKED = 8 };

static struct child_shared *in_child;
static int child_pipe[2];

static void block_here(int index)
{
	char c;

	in_child->threads[index].tid = (pid_t)syscall(SYS_gettid);
	in_child->threads[index].sp = (uint64_t)(uintptr_t)&c;
	in_child->threads[index].syscall_nr = index % 2 ? SYS_read : SYS_pause;
	atomic_fetch_add(&in_child->ready, 1);
	if (index % 2)
		while (read(child_pipe[0], &c, 1) != 1)
			continue;
	for (;;)
		pause();
}

static void *blocked_thread(void *arg)
{
	char name[32];

	snprintf(name, sizeof(name), "blocked %d", (int)(intptr_t)arg);
	pthread_setname_np(pthread_self(), name);
	block_here((int)(intptr_t)arg);
	return NULL;
}

static void run_threads(struct child_shared *s)
{
	pthread_t t;

	in_child = s;
	if (pipe(child_pipe) < 0) _exit(1);
	for (intptr_t i = 0; i < BLOCKED; i++)
		pthread_create(&t, NULL, blocked_thread, (void *)i);
	child_beat_forever(s);
}

static void await_blocked(const struct child *c)
{
	for (int i = 0; i < BLOCKED; i++)
		await(child_sleeps_in(c, c->shared->threads[i].tid,
				      c->shared->threads[i].syscall_nr));
}

static void check_blocked_thread(const struct child *c, const struct snapshot *s, int i)
{
	const struct snapshot_thread *t = snapshot_find_thread(s, c->shared->threads[i].tid);
	struct user_regs_struct regs;
	const struct map *map;
	char name[32];

	snprintf(name, sizeof(name), "blocked %d", i);
	assert_non_null(t);
	assert_string_equal(t->name, name);
	assert_int_equal(t->state, 'S');
	assert_true(t->in_syscall);
	assert_int_equal(t->syscall_nr, c->shared->threads[i].syscall_nr);
	/* Just below the variable of the function that called. */
	assert_true(t->sp < c->shared->threads[i].sp);
	assert_true(c->shared->threads[i].sp - t->sp < 4096);
	map = maps_find(&s->maps, t->pc);
	assert_non_null(map);
	assert_true(map->prot & PROT_EXEC);
	assert_int_equal(t->gregs_len, sizeof(regs));
	memcpy(&regs, t->gregs, sizeof(regs));
	assert_int_equal(regs.rip, t->pc);
	/* ERESTARTSYS or ERESTARTNOHAND: as a debugger sees a blocked call, before any restart. */
	assert_true((int64_t)regs.rax == -512 || (int64_t)regs.rax == -514);
	assert_int_equal(t->fpregs_len, 512);
	assert_true(t->xstate_len > 512);
	assert_memory_equal(t->xstate, t->fpregs, 512);
}

static void test_threads(void **state)
{
	struct child c;
	struct snapshot *s;
	uint8_t code[2];

	child_start(&c, run_threads, BLOCKED);
	await_blocked(&c);
	s = child_snapshot(&c);
	assert_int_equal(s->thread_count, BLOCKED + 1);
	assert_int_equal(s->threads[0].tid, c.pid);
	assert_int_equal(s->id.pid, c.pid);
	assert_int_equal(s->id.ppid, getpid());
	assert_int_equal(s->id.uid, getuid());
	assert_int_equal(s->consistency, CONSISTENCY_STOPPED);
	for (size_t i = 2; i < s->thread_count; i++)
		assert_true(s->threads[i].tid > s->threads[i - 1].tid);
	for (int i = 0; i < BLOCKED; i++) {
		const struct snapshot_thread *t = snapshot_find_thread(s, c.shared->threads[i].tid);

		check_blocked_thread(&c, s, i);
		assert_int_equal(snapshot_read_all(s, t->pc - 2, code, 2, NULL), 0);
		assert_memory_equal(code, "\x0f\x05", 2);
	}
	assert_int_equal(snapshot_auxv(s, AT_PAGESZ), 4096);
	assert_int_equal(child_state(&c, c.pid), 't');
	snapshot_free(s);
	child_beats(&c);
	child_end(&c);
}

/* Without a stop, sleeping threads show the very pc and sp that the stop shows. */
static void test_running(void **state)
{
	const struct live_config no_stop = {0};
	struct snapshot *stopped, *running = NULL;
	struct child c;

	child_start(&c, run_threads, BLOCKED);
	await_blocked(&c);
	assert_int_equal(snapshot_open_live(&c.process, &no_stop, &running, NULL), 0);
	assert_int_equal(running->consistency, CONSISTENCY_RUNNING);
	assert_true(snapshot_live_torn(running, 0));
	child_beats(&c);
	stopped = child_snapshot(&c);
	assert_false(snapshot_live_torn(stopped, 0));
	for (int i = 0; i < BLOCKED; i++) {
		pid_t tid = c.shared->threads[i].tid;
		const struct snapshot_thread *a = snapshot_find_thread(running, tid);
		const struct snapshot_thread *b = snapshot_find_thread(stopped, tid);

		assert_non_null(a);
		assert_int_equal(a->gregs_len, 0);
		assert_int_equal(a->pc, b->pc);
		assert_int_equal(a->sp, b->sp);
		assert_true(a->in_syscall);
		assert_int_equal(a->syscall_nr, b->syscall_nr);
		assert_string_equal(a->name, b->name);
	}
	snapshot_free(running);
	snapshot_free(stopped);
	child_end(&c);
}

/* --- threads that come and go ------------------------------------------------------------------
 */

static void *nothing(void *arg)
{
	atomic_fetch_add(&in_child->beats, 1);
	return arg;
}

static void *make_threads(void *arg)
{
	pthread_attr_t small;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	atomic_fetch_add(&in_child->ready, 1);
	for (;;) {
		pthread_t t[4];

		for (int i = 0; i < 4; i++)
			if (pthread_create(&t[i], &small, nothing, NULL)) _exit(1);
		for (int i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
	}
	return arg;
}

static void run_churn(struct child_shared *s)
{
	pthread_t t;

	in_child = s;
	for (int i = 0; i < 4; i++)
		if (pthread_create(&t, NULL, make_threads, NULL)) _exit(1);
	for (;;)
		pause();
}

/* While it stands, /proc lists exactly the threads of the snapshot, all of them in a trace stop. */
static void test_churn(void **state)
{
	struct child c;

	child_start(&c, run_churn, 4);
	for (int round = 0; round < 200; round++) {
		struct snapshot *s = child_snapshot(&c);
		unsigned long beats = atomic_load(&c.shared->beats);
		char text[4096], *at;

		child_read(&c, c.pid, "status", text, sizeof(text));
		at = strstr(text, "Threads:");
		assert_non_null(at);
		assert_int_equal(strtoul(at + 8, NULL, 10), s->thread_count);
		for (size_t i = 0; i < s->thread_count; i++) {
			assert_int_equal(child_state(&c, s->threads[i].tid), 't');
			assert_true(s->threads[i].pc != 0);
		}
		assert_int_equal(atomic_load(&c.shared->beats), beats);
		snapshot_free(s);
		child_beats(&c);
	}
	child_end(&c);
}

/* --- letting go --------------------------------------------------------------------------------
 */

static void run_beat(struct child_shared *s)
{
	atomic_fetch_add(&s->ready, 1);
	child_beat_forever(s);
}

static void test_release(void **state)
{
	struct live_pause pause_seen;
	struct snapshot *s;
	struct child c;
	uint8_t byte;

	child_start(&c, run_beat, 1);
	s = child_snapshot(&c);
	assert_false(snapshot_live_torn(s, 0));
	snapshot_live_release(s);
	snapshot_live_release(s);
	assert_true(snapshot_live_torn(s, 0));
	child_beats(&c);
	snapshot_live_pause(s, &pause_seen);
	assert_true(pause_seen.pause_ns > 0);
	assert_false(pause_seen.released_early);
	assert_null(pause_seen.why);
	assert_int_equal(snapshot_read_all(s, s->threads[0].sp, &byte, 1, NULL), 0);
	snapshot_free(s);
	child_end(&c);
}

static void test_max_pause(void **state)
{
	const struct live_config config = {.mode = SNAPSHOT_STOP,
					   .max_pause_ns = 300 * (uint64_t)NS_PER_MS,
					   .stall_ns = 600 * (uint64_t)NS_PER_S};
	struct live_pause pause_seen;
	struct snapshot *s = NULL;
	struct child c;

	child_start(&c, run_beat, 1);
	assert_int_equal(snapshot_open_live(&c.process, &config, &s, NULL), 0);
	/* This reader stalls, and the target runs nevertheless. */
	child_beats(&c);
	assert_true(snapshot_live_torn(s, 0));
	snapshot_live_pause(s, &pause_seen);
	assert_true(pause_seen.released_early);
	assert_string_equal(pause_seen.why, "max-pause");
	snapshot_free(s);
	child_end(&c);
}

static void test_stall(void **state)
{
	const struct live_config config = {.mode = SNAPSHOT_STOP,
					   .max_pause_ns = 600 * (uint64_t)NS_PER_S,
					   .stall_ns = 200 * (uint64_t)NS_PER_MS};
	struct live_pause pause_seen;
	struct snapshot *s = NULL;
	struct child c;

	child_start(&c, run_beat, 1);
	assert_int_equal(snapshot_open_live(&c.process, &config, &s, NULL), 0);
	child_beats(&c);
	snapshot_live_pause(s, &pause_seen);
	assert_true(pause_seen.released_early);
	assert_string_equal(pause_seen.why, "no progress for 0.2 s");
	snapshot_free(s);
	child_end(&c);
}

/* The tracer dies at any moment: the kernel lets the target go. */
static void test_killed_tracer(void **state)
{
	uint64_t seed = unit_seed();
	struct child c;

	child_start(&c, run_threads, BLOCKED);
	for (int round = 0; round < 20; round++) {
		pid_t tracer;

		atomic_store(&c.shared->go, 0);
		tracer = fork();
		assert_true(tracer >= 0);
		if (tracer == 0) {
			atomic_store(&c.shared->go, 1);
			child_snapshot(&c);
			atomic_store(&c.shared->go, 2);
			for (;;)
				pause();
		}
		/* Half of them while it stands still, half on the way there. */
		await(atomic_load(&c.shared->go) >= 1 + round % 2);
		if (round % 2)
			assert_int_equal(child_state(&c, c.pid), 't');
		else
			usleep((useconds_t)(unit_random(&seed) % 2000));
		kill(tracer, SIGKILL);
		assert_int_equal(waitpid(tracer, NULL, 0), tracer);
		child_beats(&c);
		await_blocked(&c);
	}
	child_end(&c);
}

/* --- signals and job control -------------------------------------------------------------------
 */

static void count(int sig)
{
	atomic_fetch_add(&in_child->signals, 1);
	(void)sig;
}

static void run_signals(struct child_shared *s)
{
	struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};

	in_child = s;
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGRTMIN, &action, NULL);
	atomic_fetch_add(&s->ready, 1);
	child_beat_forever(s);
}

static void test_signals(void **state)
{
	struct snapshot *s;
	struct child c;

	child_start(&c, run_signals, 1);
	s = child_snapshot(&c);
	kill(c.pid, SIGUSR1);
	assert_int_equal(atomic_load(&c.shared->signals), 0);
	snapshot_free(s);
	await(atomic_load(&c.shared->signals) == 1);
	child_end(&c);
}

enum { CROWD = 300 };

static void *crowd_thread(void *arg)
{
	atomic_fetch_add(&in_child->ready, 1);
	for (;;)
		pause();
	return arg;
}

/* Comes before the tracer, which hurries too, and before whatever else this machine does. */
static void run_first(void)
{
	const struct sched_param param = {.sched_priority = 2};

	sched_setscheduler(0, SCHED_FIFO, &param);
}

/* Between the first seize and the first interrupt all the threads are seized and looked at: time
 * enough for a signal to stop the main thread, which is seized first. */
static void run_signals_in_crowd(struct child_shared *s)
{
	pthread_attr_t small;
	pthread_t t;

	in_child = s;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (int i = 0; i < CROWD; i++)
		if (pthread_create(&t, &small, crowd_thread, NULL)) _exit(1);
	run_first();
	run_signals(s);
}

/* Sends several signals in the time of one stop, until it is told to end. */
static pid_t start_sender(const struct child *c)
{
	union sigval value = {0};
	pid_t pid = fork();
	int sent = 0;

	assert_true(pid >= 0);
	if (pid) return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run_first();
	while (!atomic_load(&c->shared->go)) {
		if (sigqueue(c->pid, SIGRTMIN, value) == 0) sent++;
		usleep(200);
	}
	c->shared->address[0] = (uint64_t)sent;
	_exit(0);
}

/* While signals pour in some threads stop before the delivery of one, which must not be lost, and
 * must not come twice. */
static void test_signal_deliveries(void **state)
{
	struct child c;
	pid_t sender;
	int caught = 0;

	child_start(&c, run_signals_in_crowd, CROWD + 1);
	sender = start_sender(&c);
	for (int round = 0; round < 100 && caught < 10; round++) {
		struct snapshot *s = child_snapshot(&c);

		if (s->threads[0].cursig) {
			siginfo_t info;

			assert_int_equal(s->threads[0].cursig, SIGRTMIN);
			memcpy(&info, s->threads[0].siginfo, sizeof(info));
			assert_int_equal(info.si_signo, SIGRTMIN);
			caught++;
		}
		snapshot_free(s);
		child_beats(&c);
	}
	assert_int_equal(caught, 10);
	atomic_store(&c.shared->go, 1);
	assert_int_equal(waitpid(sender, NULL, 0), sender);
	await(atomic_load(&c.shared->signals) >= (int)c.shared->address[0]);
	child_beats(&c);
	assert_int_equal(atomic_load(&c.shared->signals), c.shared->address[0]);
	child_end(&c);
}

static void test_stopped_target(void **state)
{
	struct snapshot *s;
	struct child c;

	child_start(&c, run_beat, 1);
	kill(c.pid, SIGSTOP);
	await(child_state(&c, c.pid) == 'T');
	s = child_snapshot(&c);
	assert_int_equal(s->threads[0].state, 'T');
	assert_true(s->threads[0].pc != 0);
	snapshot_free(s);
	await(child_state(&c, c.pid) == 'T');
	kill(c.pid, SIGCONT);
	child_beats(&c);
	child_end(&c);
}

/* --- odd targets -------------------------------------------------------------------------------
 */

static void *beat_thread(void *arg)
{
	in_child->threads[0].tid = (pid_t)syscall(SYS_gettid);
	atomic_fetch_add(&in_child->ready, 1);
	child_beat_forever(arg);
	return NULL;
}

static void run_without_leader(struct child_shared *s)
{
	pthread_t t;

	in_child = s;
	pthread_create(&t, NULL, beat_thread, s);
	/* Not pthread_exit: it would unwind into the test. */
	syscall(SYS_exit, 0);
}

static void test_zombie_leader(void **state)
{
	struct snapshot *s;
	struct child c;
	uint8_t byte;

	child_start(&c, run_without_leader, 1);
	await(child_state(&c, c.pid) == 'Z');
	s = child_snapshot(&c);
	assert_int_equal(s->thread_count, 2);
	assert_int_equal(s->threads[0].tid, c.pid);
	assert_int_equal(s->threads[0].state, 'Z');
	assert_int_equal(s->threads[0].gregs_len, 0);
	assert_int_equal(s->threads[1].tid, c.shared->threads[0].tid);
	assert_true(s->maps.count > 0);
	assert_int_equal(snapshot_read_all(s, s->threads[1].sp, &byte, 1, NULL), 0);
	snapshot_free(s);
	child_beats(&c);
	child_end(&c);
}

/* A parent in vfork sleeps uninterruptibly until its child ends: it cannot be stopped. */
static void *vfork_thread(void *arg)
{
	in_child->threads[0].tid = (pid_t)syscall(SYS_gettid);
	for (;;) {
		pid_t pid = vfork();

		if (pid == 0) {
			atomic_fetch_add(&in_child->ready, 1);
			while (!atomic_load(&in_child->go))
				usleep(20);
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) != pid) _exit(1);
		atomic_fetch_add(&in_child->returned, 1);
		for (;;)
			pause();
	}
	return arg;
}

static void run_vfork(struct child_shared *s)
{
	pthread_t t;

	in_child = s;
	pthread_create(&t, NULL, vfork_thread, NULL);
	child_beat_forever(s);
}

static void test_uninterruptible(void **state)
{
	const struct snapshot_thread *t;
	struct snapshot *s;
	struct child c;

	child_start(&c, run_vfork, 1);
	await(child_state(&c, c.shared->threads[0].tid) == 'D');
	s = child_snapshot(&c);
	t = snapshot_find_thread(s, c.shared->threads[0].tid);
	assert_non_null(t);
	assert_int_equal(t->state, 'D');
	assert_int_equal(t->gregs_len, 0);
	assert_true(t->pc != 0 && t->sp != 0);
	assert_true(t->in_syscall);
	assert_int_equal(t->syscall_nr, SYS_vfork);
	assert_int_equal(s->threads[0].gregs_len, sizeof(struct user_regs_struct));
	snapshot_free(s);
	atomic_store(&c.shared->go, 1);
	await(atomic_load(&c.shared->returned) == 1);
	child_beats(&c);
	child_end(&c);
}

/* Ends in the middle of the stop: the parent still gets its status, and reads fail. */
static void test_killed_target(void **state)
{
	struct snapshot *s;
	struct child c;
	uint8_t byte;
	int status;

	child_start(&c, run_threads, BLOCKED);
	s = child_snapshot(&c);
	kill(c.pid, SIGKILL);
	await(child_state(&c, c.pid) != 't');
	snapshot_live_release(s);
	assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(snapshot_read_all(s, s->threads[0].sp, &byte, 1, NULL), -ERR_IO);
	snapshot_free(s);
	process_done(&c.process);
	munmap(c.shared, sizeof(*c.shared));
}

static void run_in_namespace(struct child_shared *s)
{
	pthread_t t;
	pid_t inner;

	/* As root, or in a user namespace of its own. */
	if (unshare(CLONE_NEWPID) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0) _exit(1);
	inner = fork();
	if (inner > 0) {
		s->threads[0].tid = inner;
		waitpid(inner, NULL, 0);
		_exit(0);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	in_child = s;
	s->threads[1].tid = getpid();
	pthread_create(&t, NULL, blocked_thread, (void *)2);
	child_beat_forever(s);
}

static void test_pid_namespace(void **state)
{
	const struct live_config config = {.mode = SNAPSHOT_STOP,
					   .max_pause_ns = 30 * (uint64_t)NS_PER_S};
	struct process inner = PROCESS_INIT;
	struct snapshot *s = NULL;
	struct err e = {0};
	struct child c;

	child_start(&c, run_in_namespace, 1);
	await(c.shared->threads[0].tid > 0);
	assert_int_equal(c.shared->threads[1].tid, 1);
	assert_int_equal(process_open(c.shared->threads[0].tid, &inner, NULL), 0);
	if (snapshot_open_live(&inner, &config, &s, &e)) fail_msg("%s (%s)", e.text, e.hint);
	assert_int_equal(s->id.pid, 1);
	assert_int_equal(s->id.ppid, 0);
	assert_int_equal(s->thread_count, 2);
	assert_int_equal(s->threads[0].tid, 1);
	assert_int_equal(s->threads[1].tid, c.shared->threads[2].tid);
	snapshot_free(s);
	process_done(&inner);
	child_beats(&c);
	child_end(&c);
}

/* --- refusals ----------------------------------------------------------------------------------
 */

/* What a program with other rights is told; it runs in a process of its own. */
struct refusal {
	int code;
	char text[512], hint[512];
};

static void try_open(const struct process *p, struct refusal *r)
{
	const struct live_config config = {.mode = SNAPSHOT_STOP, .max_pause_ns = NS_PER_S};
	struct snapshot *s = NULL;
	struct err e = {0};

	r->code = snapshot_open_live(p, &config, &s, &e);
	snprintf(r->text, sizeof(r->text), "%.500s", e.text);
	snprintf(r->hint, sizeof(r->hint), "%.500s", e.hint);
	snapshot_free(s);
}

static void test_other_user(void **state)
{
	struct refusal *r =
	    mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct process p = PROCESS_INIT;
	struct child c;
	pid_t pid;

	child_start(&c, run_beat, 1);
	/* Another user's process: this test's child seen by nobody, or init seen by this user. */
	assert_int_equal(process_open(getuid() == 0 ? c.pid : 1, &p, NULL), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (getuid() == 0 && (setgid(65534) || setuid(65534))) _exit(1);
		try_open(&p, r);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	assert_int_equal(r->code, -ERR_PERMISSION);
	assert_contains(r->text, "it runs as uid");
	assert_contains(r->text, "without CAP_SYS_PTRACE (");
	assert_contains(r->hint, "run podsnap as uid");
	process_done(&p);
	child_beats(&c);
	child_end(&c);
	munmap(r, sizeof(*r));
}

static void test_traced_already(void **state)
{
	struct refusal r;
	char want[64];
	struct child c;
	pid_t pid;

	child_start(&c, run_beat, 1);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (ptrace(PTRACE_SEIZE, c.pid, NULL, NULL) == 0) atomic_store(&c.shared->go, 1);
		for (;;)
			pause();
	}
	await(atomic_load(&c.shared->go) == 1);
	try_open(&c.process, &r);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(r.code, -ERR_PERMISSION);
	snprintf(want, sizeof(want), "already traced by process %d", pid);
	assert_contains(r.text, want);
	assert_contains(r.text, program_invocation_short_name);
	assert_contains(r.hint, "end that debugger or tracer first");
	child_beats(&c);
	child_end(&c);
}

static void test_ended(void **state)
{
	struct refusal r;
	struct child c;

	child_start(&c, run_beat, 1);
	kill(c.pid, SIGKILL);
	await(child_state(&c, c.pid) == 'Z');
	try_open(&c.process, &r);
	assert_int_equal(r.code, -ERR_GONE);
	assert_int_equal(waitpid(c.pid, NULL, 0), c.pid);
	try_open(&c.process, &r);
	assert_int_equal(r.code, -ERR_GONE);
	process_done(&c.process);
	munmap(c.shared, sizeof(*c.shared));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_running),
	    cmocka_unit_test(test_churn),
	    cmocka_unit_test(test_release),
	    cmocka_unit_test(test_max_pause),
	    cmocka_unit_test(test_stall),
	    cmocka_unit_test(test_killed_tracer),
	    cmocka_unit_test(test_signals),
	    cmocka_unit_test(test_signal_deliveries),
	    cmocka_unit_test(test_stopped_target),
	    cmocka_unit_test(test_zombie_leader),
	    cmocka_unit_test(test_uninterruptible),
	    cmocka_unit_test(test_killed_target),
	    cmocka_unit_test(test_pid_namespace),
	    cmocka_unit_test(test_other_user),
	    cmocka_unit_test(test_traced_already),
	    cmocka_unit_test(test_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
