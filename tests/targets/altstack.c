/*
 * altstack [DEPTH]: every thread stands in the handler of a signal, which came on a stack of its
 * own, above a stack of known depth: main or thread_main, descend DEPTH..., on_signal,
 * wait_in_handler. Prints "ready PID".
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

enum { THREADS = 3, ALT_STACK = 128 << 10 };

static int depth = 20;
static atomic_int waiting;

static NOINLINE void wait_in_handler(void)
{
	atomic_fetch_add(&waiting, 1);
	if (atomic_load(&waiting) == THREADS + 1) {
		printf("ready %d\n", (int)getpid());
		fflush(stdout);
	}
	for (;;)
		pause();
}

static void on_signal(int sig)
{
	wait_in_handler();
}

/* The sum keeps the calls from becoming a loop. */
static NOINLINE int descend(int levels)
{
	volatile int here = levels;

	if (levels > 0) return descend(levels - 1) + here;
	raise(SIGUSR1);
	return here;
}

static void *thread_main(void *arg)
{
	stack_t stack = {.ss_size = ALT_STACK};

	stack.ss_sp =
	    mmap(NULL, ALT_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) < 0) exit(1);
	/* So that it does not become one with another stack. */
	mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	descend(depth);
	return arg;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};

	if (argc > 1) depth = atoi(argv[1]);
	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < THREADS; i++) {
		pthread_t t;

		if (pthread_create(&t, NULL, thread_main, NULL)) return 1;
	}
	thread_main(NULL);
	return 0;
}
