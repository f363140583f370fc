/*
 * Calls of signal(7), "Interruption of system calls and library functions by stop signals": a stop
 * makes each return EINTR, unless it is set to restart. Each blocks in a thread of its own, and
 * none may ever return.
 */
#include "tests/unit/dumpers/snapshot/live_child.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

static struct child_shared *in_child;

static int timed_socket(int option)
{
	const struct timeval t = {.tv_sec = 100000};
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0) _exit(1);
	setsockopt(fds[0], SOL_SOCKET, option, &t, sizeof(t));
	return fds[0];
}

static void block_epoll_wait(void)
{
	struct epoll_event event;

	epoll_wait(epoll_create1(0), &event, 1, 100000000);
}

static void block_epoll_pwait(void)
{
	struct epoll_event event;
	sigset_t none;

	sigfillset(&none);
	epoll_pwait(epoll_create1(0), &event, 1, -1, &none);
}

static void block_sigtimedwait(void)
{
	const struct timespec t = {.tv_sec = 100000};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigtimedwait(&set, NULL, &t);
}

static void block_semop(void)
{
	struct sembuf take = {.sem_op = -1};

	/* glibc makes semop of semtimedop. */
	syscall(SYS_semop, semget(IPC_PRIVATE, 1, 0600), &take, 1);
}

static void block_semtimedop(void)
{
	const struct timespec t = {.tv_sec = 100000};
	struct sembuf take = {.sem_op = -1};

	semtimedop(semget(IPC_PRIVATE, 1, 0600), &take, 1, &t);
}

static void block_msgrcv(void)
{
	long message[4];

	msgrcv(msgget(IPC_PRIVATE, 0600), message, 8, 0, 0);
}

static void block_recv(void)
{
	char c;

	recv(timed_socket(SO_RCVTIMEO), &c, 1, 0);
}

static void block_recvmsg(void)
{
	char c;
	struct iovec v = {&c, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

	recvmsg(timed_socket(SO_RCVTIMEO), &m, 0);
}

static void block_read(void)
{
	char c;

	if (read(timed_socket(SO_RCVTIMEO), &c, 1) == 1) _exit(1);
}

static void block_readv(void)
{
	char c;
	struct iovec v = {&c, 1};

	if (readv(timed_socket(SO_RCVTIMEO), &v, 1) == 1) _exit(1);
}

static void block_send(void)
{
	static char bytes[1 << 16];
	int fd = timed_socket(SO_SNDTIMEO);

	while (send(fd, bytes, sizeof(bytes), 0) > 0)
		continue;
}

static void block_accept(void)
{
	const struct timeval t = {.tv_sec = 100000};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&address, sizeof(address.sun_family)) || listen(fd, 1))
		_exit(1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	accept(fd, NULL, NULL);
}

static void block_inotify(void)
{
	char event[4096];

	if (read(inotify_init1(0), event, sizeof(event)) > 0) _exit(1);
}

/* These restart by themselves, with their remaining time. */
static void block_nanosleep(void)
{
	const struct timespec t = {.tv_sec = 100000};

	nanosleep(&t, NULL);
}

static void block_poll(void)
{
	poll(NULL, 0, 100000000);
}

static const struct kind {
	const char *name;
	void (*block)(void);
	long syscall_nr;
} kinds[] = {
    {"epoll_wait", block_epoll_wait, SYS_epoll_wait},
    {"epoll_pwait", block_epoll_pwait, SYS_epoll_pwait},
    {"sigtimedwait", block_sigtimedwait, SYS_rt_sigtimedwait},
    {"semop", block_semop, SYS_semop},
    {"semtimedop", block_semtimedop, SYS_semtimedop},
    {"msgrcv", block_msgrcv, SYS_msgrcv},
    {"recv", block_recv, SYS_recvfrom},
    {"recvmsg", block_recvmsg, SYS_recvmsg},
    {"read", block_read, SYS_read},
    {"readv", block_readv, SYS_readv},
    {"send", block_send, SYS_sendto},
    {"accept", block_accept, SYS_accept},
    {"inotify", block_inotify, SYS_read},
    {"nanosleep", block_nanosleep, SYS_clock_nanosleep},
    {"poll", block_poll, SYS_poll},
};
enum { KINDS = ARRAY_SIZE(kinds) };

static void *block(void *arg)
{
	int index = (int)(intptr_t)arg;

	in_child->threads[index].tid = (pid_t)syscall(SYS_gettid);
	atomic_fetch_add(&in_child->ready, 1);
	kinds[index].block();
	in_child->threads[index].syscall_nr = errno;
	atomic_fetch_add(&in_child->returned, 1);
	for (;;)
		pause();
	return NULL;
}

static void run_kinds(struct child_shared *s)
{
	sigset_t usr2;
	pthread_t t;

	in_child = s;
	/* What System V calls make goes with this namespace; without the right to it, it stays. */
	if (unshare(CLONE_NEWIPC) < 0) errno = 0;
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &usr2, NULL);
	for (intptr_t i = 0; i < KINDS; i++)
		pthread_create(&t, NULL, block, (void *)i);
	child_beat_forever(s);
}

static void fail_if_returned(const struct child *c)
{
	for (int i = 0; i < KINDS && atomic_load(&c->shared->returned); i++)
		if (c->shared->threads[i].syscall_nr)
			fail_msg("%s: %s", kinds[i].name,
				 strerror((int)c->shared->threads[i].syscall_nr));
}

static bool blocked(const struct child *c, int i)
{
	pid_t tid = c->shared->threads[i].tid;

	/* Calls with remaining time go on as restart_syscall(2). */
	return child_sleeps_in(c, tid, kinds[i].syscall_nr) ||
	       child_sleeps_in(c, tid, SYS_restart_syscall);
}

static void await_all_blocked(const struct child *c)
{
	for (int i = 0; i < KINDS; i++) {
		uint64_t until = now_ns() + AWAIT_S * (uint64_t)NS_PER_S;

		while (!blocked(c, i)) {
			fail_if_returned(c);
			if (now_ns() > until) fail_msg("%s does not block", kinds[i].name);
			usleep(200);
		}
	}
}

static void test_no_call_returns(void **state)
{
	struct child c;

	child_start(&c, run_kinds, KINDS);
	await_all_blocked(&c);
	for (int round = 0; round < 30; round++) {
		snapshot_free(child_snapshot(&c));
		child_beats(&c);
		await_all_blocked(&c);
	}
	assert_int_equal(atomic_load(&c.shared->returned), 0);
	child_end(&c);
}

/* A signal that the target ignores wakes a traced thread too; that is not the target's doing. */
static void test_ignored_signal(void **state)
{
	struct child c;

	child_start(&c, run_kinds, KINDS);
	await_all_blocked(&c);
	for (int round = 0; round < 10; round++) {
		struct snapshot *s = child_snapshot(&c);

		for (int i = 0; i < KINDS; i++)
			syscall(SYS_tgkill, c.pid, c.shared->threads[i].tid, SIGCHLD);
		snapshot_free(s);
		child_beats(&c);
		await_all_blocked(&c);
	}
	child_end(&c);
}

/* --- a handler's EINTR is the target's own ------------------------------------------------------
 */

static void count(int sig)
{
	atomic_fetch_add(&in_child->signals, 1);
	(void)sig;
}

static void run_handler(struct child_shared *s)
{
	struct sigaction action = {.sa_handler = count};
	int fd = epoll_create1(0);
	struct epoll_event event;

	in_child = s;
	sigaction(SIGUSR1, &action, NULL);
	atomic_fetch_add(&s->ready, 1);
	for (;;)
		if (epoll_wait(fd, &event, 1, -1) < 0 && errno == EINTR)
			atomic_fetch_add(&s->returned, 1);
}

static void test_handled_signal(void **state)
{
	struct child c;

	child_start(&c, run_handler, 1);
	for (int round = 1; round <= 20; round++) {
		struct snapshot *s;

		await(child_sleeps_in(&c, c.pid, SYS_epoll_wait));
		s = child_snapshot(&c);
		assert_int_equal(s->threads[0].syscall_nr, SYS_epoll_wait);
		/* Now the call is set to restart; the signal must still end it. */
		kill(c.pid, SIGUSR1);
		snapshot_free(s);
		await(atomic_load(&c.shared->returned) == round);
		assert_int_equal(atomic_load(&c.shared->signals), round);
	}
	child_end(&c);
}

/* What the core shows is the state before the repair, as gdb shows it. */
static void test_registers_unrepaired(void **state)
{
	struct snapshot *s;
	struct child c;
	uint64_t rax;

	child_start(&c, run_handler, 1);
	await(child_sleeps_in(&c, c.pid, SYS_epoll_wait));
	s = child_snapshot(&c);
	memcpy(&rax, s->threads[0].gregs + 80, sizeof(rax));
	assert_int_equal((int64_t)rax, -EINTR);
	assert_true(s->threads[0].in_syscall);
	snapshot_free(s);
	child_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_call_returns),
	    cmocka_unit_test(test_ignored_signal),
	    cmocka_unit_test(test_handled_signal),
	    cmocka_unit_test(test_registers_unrepaired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
