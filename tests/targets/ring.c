/*
 * ring N [THREADS]: N processes hand a number around as fast as they can, each one more than it
 * got, and keep the last that they sent in `ring_last`. The first of them has THREADS more threads
 * that wait, and does its part in a thread that is younger than all those. Prints "ready PID" and
 * ends on SIGTERM, all of them; status 1 if one ended otherwise or got a number that was not due.
 *
 * At any one instant the numbers of all are within N of each other.
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RING_MAX = 64 };

volatile uint64_t ring_last;

static void pass(int from, int to, uint64_t size, uint64_t first)
{
	uint64_t number, due = first;

	while (read(from, &number, sizeof(number)) == sizeof(number)) {
		if (number != due) _exit(1);
		due += size;
		ring_last = number + 1;
		number = ring_last;
		if (write(to, &number, sizeof(number)) != sizeof(number)) break;
	}
	_exit(1);
}

/* In a call that podsnap stops threads in one by one. */
static void *wait_for_ever(void *arg)
{
	struct epoll_event event;
	int none = epoll_create1(EPOLL_CLOEXEC);

	for (;;)
		epoll_wait(none, &event, 1, -1);
	return arg;
}

struct part {
	int from, to;
	uint64_t size;
};

static void *pass_first(void *arg)
{
	struct part *part = arg;

	pass(part->from, part->to, part->size, 0);
	return NULL;
}

static void pass_behind_threads(struct part part, int threads)
{
	pthread_t thread;

	for (int i = 0; i < threads; i++)
		if (pthread_create(&thread, NULL, wait_for_ever, NULL)) _exit(2);
	if (pthread_create(&thread, NULL, pass_first, &part)) _exit(2);
	wait_for_ever(NULL);
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 3, threads = argc > 2 ? atoi(argv[2]) : 0;
	int pipes[RING_MAX][2], sig, status = 0;
	pid_t children[RING_MAX];
	uint64_t number = 0;
	sigset_t term;

	if (count < 2 || count > RING_MAX) return 2;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	for (int i = 0; i < count; i++)
		if (pipe(pipes[i]) < 0) return 2;
	/* The parent only waits: the ring is its children. */
	for (int i = 0; i < count; i++) {
		children[i] = fork();
		if (children[i] < 0) return 2;
		if (children[i] > 0) continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (i == 0)
			pass_behind_threads(
			    (struct part){pipes[0][0], pipes[1][1], (uint64_t)count}, threads);
		pass(pipes[i][0], pipes[(i + 1) % count][1], (uint64_t)count, (uint64_t)i);
	}
	if (write(pipes[0][1], &number, sizeof(number)) != sizeof(number)) return 2;
	printf("ready %d\n", getpid());
	fflush(stdout);
	sigwait(&term, &sig);
	for (int i = 0; i < count; i++) {
		int how;
		if (waitpid(children[i], &how, WNOHANG) != 0) status = 1;
	}
	for (int i = 0; i < count; i++)
		kill(children[i], SIGKILL);
	while (wait(NULL) > 0)
		continue;
	return status;
}
