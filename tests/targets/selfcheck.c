/*
 * selfcheck: notices whatever a debugger or dumper does to it. Each thread makes one kind of call
 * over and over and checks its result: a system call that ends with EINTR or too early, a signal
 * lost or doubled, a child that is not its own, a timer that misses ticks, damaged registers.
 *
 * Prints "ready", a line "FAIL ..." for each violation, and on SIGTERM "ok CHECKS" or "failed N";
 * exit status 0 or 1. "gap N us" tells how long the process stood still at most.
 */
#include "fail.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull

enum { WAIT_MS = 20, SIG_TICK = 0, SIG_COUNT, SIG_WAKE };

static atomic_ulong checks, gap_ns;
static atomic_int began;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* A call that waits WAIT_MS for nothing must return want (with that errno) and not before. */
static void expect(const char *what, uint64_t start, long got, long want, int want_errno)
{
	int error = errno;
	uint64_t elapsed = now() - start;

	if (got != want || (want < 0 && error != want_errno))
		fail("%s returned %ld, errno %s", what, got, got < 0 ? strerror(error) : "0");
	/* Time-outs of sockets count ticks, 10 ms each at the longest, and the first one is not
	 * whole. */
	else if (elapsed < WAIT_MS * NS_PER_MS / 2)
		fail("%s returned after %llu us", what, (unsigned long long)elapsed / 1000);
	atomic_fetch_add(&checks, 1);
}

static const struct timespec wait_time = {.tv_nsec = WAIT_MS * 1000000};

static void *check_nanosleep(void *arg)
{
	for (;;) {
		uint64_t start = now();

		expect("nanosleep", start, nanosleep(&wait_time, NULL), 0, 0);
	}
	return arg;
}

static void *check_condition(void *arg)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_condattr_t attr;
	pthread_cond_t cond;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&cond, &attr);
	pthread_mutex_lock(&mutex);
	for (;;) {
		uint64_t start = now(), end = start + WAIT_MS * NS_PER_MS;
		struct timespec until = {.tv_sec = (time_t)(end / NS_PER_S),
					 .tv_nsec = (long)(end % NS_PER_S)};
		int r;

		/* A wake-up without cause is allowed. */
		do {
			r = pthread_cond_timedwait(&cond, &mutex, &until);
		} while (r == 0);
		expect("pthread_cond_timedwait", start, r, ETIMEDOUT, 0);
	}
	return arg;
}

static void *check_poll(void *arg)
{
	struct pollfd p = {.events = POLLIN};
	int fds[2];

	if (pipe(fds) < 0) fail("pipe");
	p.fd = fds[0];
	for (;;) {
		uint64_t start = now();

		expect("poll", start, poll(&p, 1, WAIT_MS), 0, 0);
	}
	return arg;
}

static void *check_epoll(void *arg)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event;

	for (;;) {
		uint64_t start = now();

		expect("epoll_wait", start, epoll_wait(fd, &event, 1, WAIT_MS), 0, 0);
	}
	return arg;
}

static void *check_select(void *arg)
{
	for (;;) {
		struct timeval t = {.tv_usec = WAIT_MS * 1000};
		uint64_t start = now();

		expect("select", start, select(0, NULL, NULL, NULL, &t), 0, 0);
	}
	return arg;
}

static void *check_recv(void *arg)
{
	struct timeval t = {.tv_usec = WAIT_MS * 1000};
	int fds[2];
	char c;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0) fail("socketpair");
	setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	for (;;) {
		uint64_t start = now();

		expect("recv", start, recv(fds[0], &c, 1, 0), -1, EAGAIN);
	}
	return arg;
}

static void *check_accept(void *arg)
{
	struct timeval t = {.tv_usec = WAIT_MS * 1000};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	/* The kernel picks a free abstract name. */
	if (bind(fd, (struct sockaddr *)&address, sizeof(address.sun_family)) < 0) fail("bind");
	if (listen(fd, 1) < 0) fail("listen");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	for (;;) {
		uint64_t start = now();

		expect("accept", start, accept(fd, NULL, NULL), -1, EAGAIN);
	}
	return arg;
}

static void *check_sigtimedwait(void *arg)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	for (;;) {
		uint64_t start = now();

		expect("sigtimedwait", start, sigtimedwait(&set, NULL, &wait_time), -1, EAGAIN);
	}
	return arg;
}

static void *check_semaphore(void *arg)
{
	int id = semget(IPC_PRIVATE, 1, 0600);
	struct sembuf take = {.sem_op = -1};

	if (id < 0) fail("semget: %s", strerror(errno));
	for (;;) {
		uint64_t start = now();

		expect("semtimedop", start, semtimedop(id, &take, 1, &wait_time), -1, EAGAIN);
	}
	return arg;
}

static void *check_futex(void *arg)
{
	uint32_t word = 0;

	for (;;) {
		uint64_t start = now();

		expect("futex", start,
		       syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &wait_time, NULL, 0), -1,
		       ETIMEDOUT);
	}
	return arg;
}

/* --- io_uring: the wait for one completion, a time-out ------------------------------------------
 */

struct ring {
	int fd;
	uint32_t *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

static bool open_ring(struct ring *r)
{
	struct io_uring_params p = {0};
	size_t len;
	char *map;

	r->fd = (int)syscall(SYS_io_uring_setup, 4, &p);
	if (r->fd < 0 || !(p.features & IORING_FEAT_SINGLE_MMAP)) return false;
	len = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	r->sqes = mmap(NULL, p.sq_entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE, MAP_SHARED,
		       r->fd, IORING_OFF_SQES);
	if (map == MAP_FAILED || r->sqes == MAP_FAILED) return false;
	r->sq_tail = (uint32_t *)(map + p.sq_off.tail);
	r->sq_mask = (uint32_t *)(map + p.sq_off.ring_mask);
	r->sq_array = (uint32_t *)(map + p.sq_off.array);
	r->cq_head = (uint32_t *)(map + p.cq_off.head);
	r->cq_tail = (uint32_t *)(map + p.cq_off.tail);
	r->cq_mask = (uint32_t *)(map + p.cq_off.ring_mask);
	r->cqes = (struct io_uring_cqe *)(map + p.cq_off.cqes);
	return true;
}

static void *check_io_uring(void *arg)
{
	struct __kernel_timespec wait = {.tv_nsec = WAIT_MS * 1000000};
	struct ring r;

	/* Containers forbid it more often than not. */
	if (!open_ring(&r)) return NULL;
	for (;;) {
		uint64_t start = now();
		uint32_t at = *r.sq_tail & *r.sq_mask;
		const struct io_uring_cqe *done;
		long n;

		r.sqes[at] = (struct io_uring_sqe){.opcode = IORING_OP_TIMEOUT,
						   .addr = (uintptr_t)&wait,
						   .len = 1,
						   .user_data = start};
		r.sq_array[at] = at;
		__atomic_store_n(r.sq_tail, *r.sq_tail + 1, __ATOMIC_RELEASE);
		n = syscall(SYS_io_uring_enter, r.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
		/* Cut short after it took the request, it says so: the wait goes on. */
		while (n == 1 && __atomic_load_n(r.cq_tail, __ATOMIC_ACQUIRE) == *r.cq_head)
			n = syscall(SYS_io_uring_enter, r.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL,
				    0) == 0
				? 1
				: -1;
		expect("io_uring_enter", start, n, 1, 0);
		if (n != 1) continue;
		done = &r.cqes[*r.cq_head & *r.cq_mask];
		if (done->user_data != start || done->res != -ETIME)
			fail("io_uring: result %d", done->res);
		__atomic_store_n(r.cq_head, *r.cq_head + 1, __ATOMIC_RELEASE);
	}
	return arg;
}

/* --- messages between two threads --------------------------------------------------------------
 */

struct message {
	long type;
	uint64_t number;
};

static void *send_messages(void *arg)
{
	struct message m = {.type = 1};

	for (;;) {
		nanosleep(&wait_time, NULL);
		m.number++;
		if (msgsnd(*(int *)arg, &m, sizeof(m.number), 0) < 0)
			fail("msgsnd: %s", strerror(errno));
	}
	return arg;
}

static void *check_messages(void *arg)
{
	static int queue;
	struct message m;
	pthread_t t;

	queue = msgget(IPC_PRIVATE, 0600);
	if (queue < 0) fail("msgget: %s", strerror(errno));
	pthread_create(&t, NULL, send_messages, &queue);
	for (uint64_t want = 1;; want++) {
		ssize_t n = msgrcv(queue, &m, sizeof(m.number), 0, 0);

		if (n != sizeof(m.number))
			fail("msgrcv returned %zd: %s", n, strerror(errno));
		else if (m.number != want)
			fail("msgrcv: message %llu, not %llu", (unsigned long long)m.number,
			     (unsigned long long)want);
		want = m.number;
		atomic_fetch_add(&checks, 1);
	}
	return arg;
}

/* --- children ----------------------------------------------------------------------------------
 */

static void *check_children(void *arg)
{
	for (;;) {
		pid_t pid = fork(), got;
		int status;

		if (pid == 0) {
			nanosleep(&wait_time, NULL);
			_exit(3);
		}
		got = waitpid(pid, &status, 0);
		if (got != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 3)
			fail("waitpid(%d) returned %d, status %x: %s", pid, got, status,
			     got < 0 ? strerror(errno) : "");
		/* A copy-on-write child is one of clone(2), which only __WALL or __WCLONE show. */
		got = waitpid(-1, &status, WNOHANG | __WNOTHREAD);
		if (got != -1 || errno != ECHILD) fail("waitpid(-1) returned %d: a child", got);
		atomic_fetch_add(&checks, 1);
	}
	return arg;
}

/* Programs that start and end, by vfork: the thread that waits for them stands in the kernel. */
static void *check_exec(void *arg)
{
	static char name[] = "selfcheck", what[] = "exit";
	static char *const argv[] = {name, what, NULL};

	for (;;) {
		int status = 0;
		pid_t pid = vfork();

		if (pid == 0) {
			execv("/proc/self/exe", argv);
			_exit(4);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != 3)
			fail("a program ended with status %x", status);
		nanosleep(&wait_time, NULL);
		atomic_fetch_add(&checks, 1);
	}
	return arg;
}

static void *add_one(void *arg)
{
	++*(uint64_t *)arg;
	return arg;
}

/* Threads that come and go. */
static void *check_threads(void *arg)
{
	for (uint64_t sum = 0, want = 1;; want++) {
		pthread_t t;
		void *result = NULL;

		if (pthread_create(&t, NULL, add_one, &sum) || pthread_join(t, &result))
			fail("a thread");
		if (result != &sum || sum != want) fail("a thread did not do its work");
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		atomic_fetch_add(&checks, 1);
	}
	return arg;
}

static void *check_pipe(void *arg)
{
	int fds[2];

	if (pipe(fds) < 0) fail("pipe");
	for (;;) {
		pid_t pid = fork();
		ssize_t n;
		char c = 0;

		if (pid == 0) {
			nanosleep(&wait_time, NULL);
			_exit(write(fds[1], "x", 1) != 1);
		}
		n = read(fds[0], &c, 1);
		if (n != 1 || c != 'x') fail("read returned %zd: %s", n, strerror(errno));
		if (waitpid(pid, NULL, 0) != pid) fail("waitpid: %s", strerror(errno));
		atomic_fetch_add(&checks, 1);
	}
	return arg;
}

/* --- registers ---------------------------------------------------------------------------------
 */

static void *check_registers(void *arg)
{
	for (uint64_t round = 1;; round++) {
		uint64_t start = now(), turns = 0, a = round, b = round;
		double x = 1, y = 1;

		for (; now() - start < WAIT_MS * NS_PER_MS / 4; turns++)
			for (int i = 0; i < 1000; i++) {
				a = a * 6364136223846793005u + 1;
				x = x * 1.0000001 + (double)(a >> 60);
				if (x > 1e9) x = 1;
			}
		for (uint64_t turn = 0; turn < turns; turn++)
			for (int i = 0; i < 1000; i++) {
				b = b * 6364136223846793005u + 1;
				y = y * 1.0000001 + (double)(b >> 60);
				if (y > 1e9) y = 1;
			}
		if (a != b || memcmp(&x, &y, sizeof(x)) != 0) fail("arithmetic went wrong");
		atomic_fetch_add(&checks, 1);
		nanosleep(&wait_time, NULL);
	}
	return arg;
}

/* --- signals -----------------------------------------------------------------------------------
 */

static void *check_timer(void *arg)
{
	const uint64_t interval = 10 * NS_PER_MS;
	const struct itimerspec every = {.it_interval.tv_nsec = (long)interval,
					 .it_value.tv_nsec = (long)interval};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + SIG_TICK};
	uint64_t start, ticks = 0;
	timer_t timer;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + SIG_TICK);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0) fail("timer_create");
	start = now();
	timer_settime(timer, 0, &every, NULL);
	for (;;) {
		siginfo_t info;
		uint64_t before = (now() - start) / interval, after;

		if (sigwaitinfo(&set, &info) < 0) {
			fail("sigwaitinfo: %s", strerror(errno));
			continue;
		}
		ticks += 1 + (uint64_t)info.si_overrun;
		after = (now() - start) / interval;
		/* At least what had passed before the wait, at most what has passed now. */
		if (ticks + 1 < before || ticks > after)
			fail("a timer ticked %llu times, not %llu to %llu",
			     (unsigned long long)ticks, (unsigned long long)before,
			     (unsigned long long)after);
		atomic_fetch_add(&checks, 1);
	}
	return arg;
}

static atomic_int last_value;

static void count_signal(int sig, siginfo_t *info, void *context)
{
	int want = atomic_fetch_add(&last_value, 1) + 1;

	/* fail() is not for signal handlers: the sender sees the difference. */
	if (info->si_value.sival_int != want) atomic_store(&last_value, -1000000);
	(void)sig;
	(void)context;
}

static void *send_signals(void *arg)
{
	for (int value = 1;; value++) {
		union sigval v = {.sival_int = value};
		uint64_t start = now();

		if (pthread_sigqueue(*(pthread_t *)arg, SIGRTMIN + SIG_COUNT, v))
			fail("pthread_sigqueue");
		while (atomic_load(&last_value) != value && now() - start < 30 * NS_PER_S)
			nanosleep(&wait_time, NULL);
		if (atomic_load(&last_value) != value) {
			fail("signal %d did not arrive once and in order", value);
			value = 0;
			atomic_store(&last_value, 0);
		}
		atomic_fetch_add(&checks, 1);
	}
	return arg;
}

/* pause() ends with the handler's EINTR and with nothing else. */
static void *check_signals(void *arg)
{
	static pthread_t self;
	struct sigaction action = {.sa_sigaction = count_signal, .sa_flags = SA_SIGINFO};
	pthread_t sender;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + SIG_COUNT);
	sigaction(SIGRTMIN + SIG_COUNT, &action, NULL);
	self = pthread_self();
	pthread_create(&sender, NULL, send_signals, &self);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	for (;;) {
		if (pause() != -1 || errno != EINTR) fail("pause");
	}
	return arg;
}

static atomic_ulong handled, returned;

static void wake_up(int sig)
{
	atomic_fetch_add(&handled, 1);
	(void)sig;
}

/* Each signal must end the wait of the other thread, also one that comes while it stands still. */
static void *send_wake_ups(void *arg)
{
	for (unsigned long n = 1;; n++) {
		uint64_t start = now();

		pthread_kill(*(pthread_t *)arg, SIGRTMIN + SIG_WAKE);
		while (atomic_load(&returned) < n && now() - start < 30 * NS_PER_S)
			nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
		if (atomic_load(&returned) != n || atomic_load(&handled) != n) {
			fail("epoll_pwait: %lu signals, %lu handled, %lu times EINTR", n,
			     atomic_load(&handled), atomic_load(&returned));
			n = atomic_load(&returned);
			atomic_store(&handled, n);
		}
		atomic_fetch_add(&checks, 1);
	}
	return arg;
}

static void *check_wake_ups(void *arg)
{
	static pthread_t self;
	struct sigaction action = {.sa_handler = wake_up};
	int fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event;
	pthread_t sender;
	sigset_t during;

	pthread_sigmask(SIG_SETMASK, NULL, &during);
	sigdelset(&during, SIGRTMIN + SIG_WAKE);
	sigaction(SIGRTMIN + SIG_WAKE, &action, NULL);
	self = pthread_self();
	pthread_create(&sender, NULL, send_wake_ups, &self);
	for (;;) {
		unsigned long before = atomic_load(&handled);
		int n = epoll_pwait(fd, &event, 1, -1, &during);

		if (n != -1 || errno != EINTR)
			fail("epoll_pwait returned %d: %s", n, strerror(errno));
		else if (atomic_load(&handled) == before)
			fail("epoll_pwait: Interrupted system call, but no signal came");
		else
			atomic_fetch_add(&returned, 1);
	}
	return arg;
}

/* --- how long it stood still -------------------------------------------------------------------
 */

static void *heartbeat(void *arg)
{
	const struct timespec beat = {.tv_nsec = 200000};
	uint64_t last = now();

	prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
	for (;;) {
		uint64_t at;

		nanosleep(&beat, NULL);
		at = now();
		if (at - last > atomic_load(&gap_ns)) atomic_store(&gap_ns, at - last);
		last = at;
	}
	return arg;
}

static const struct check {
	const char *name;
	void *(*run)(void *);
} all_checks[] = {
    {"nanosleep", check_nanosleep}, {"condition", check_condition},
    {"poll", check_poll},           {"epoll", check_epoll},
    {"select", check_select},       {"recv", check_recv},
    {"accept", check_accept},       {"sigtimedwait", check_sigtimedwait},
    {"semaphore", check_semaphore}, {"futex", check_futex},
    {"messages", check_messages},   {"children", check_children},
    {"exec", check_exec},           {"threads", check_threads},
    {"io_uring", check_io_uring},   {"pipe", check_pipe},
    {"registers", check_registers}, {"timer", check_timer},
    {"signals", check_signals},     {"wake-ups", check_wake_ups},
    {"heartbeat", heartbeat},
};
enum { CHECK_COUNT = sizeof(all_checks) / sizeof(all_checks[0]) };

static void *run_check(void *arg)
{
	const struct check *check = arg;

	pthread_setname_np(pthread_self(), check->name);
	atomic_fetch_add(&began, 1);
	return check->run(NULL);
}

int main(int argc, char **argv)
{
	sigset_t term, all;
	int sig;

	/* What check_exec starts. */
	if (argc == 2 && strcmp(argv[1], "exit") == 0) return 3;
	/* System V queues would outlive a killed process, but not its own namespace. */
	if (unshare(CLONE_NEWIPC) < 0) errno = 0;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	for (size_t i = 0; i < CHECK_COUNT; i++) {
		pthread_t t;

		if (pthread_create(&t, NULL, run_check, (void *)(uintptr_t)&all_checks[i])) {
			perror("pthread_create");
			return 1;
		}
	}
	while (atomic_load(&began) < CHECK_COUNT)
		sched_yield();
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	if (sigwait(&term, &sig)) fail("sigwait");
	printf("gap %lu us\n", atomic_load(&gap_ns) / 1000);
	if (atomic_load(&failures))
		printf("failed %lu\n", atomic_load(&failures));
	else
		printf("ok %lu\n", atomic_load(&checks));
	fflush(stdout);
	_exit(atomic_load(&failures) ? 1 : 0);
}
