/*
 * threads COUNT [DEPTH]: COUNT threads, each blocked in one of several calls below a stack of known
 * depth: thread_main, descend DEPTH..., wait_in_CALL. Names are w0, w1, ... Prints "ready PID".
 */
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, cond_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int pipe_fds[2], epoll_fd, depth = 20;
static sem_t semaphore;
static uint32_t word;
static atomic_int blocked;

static NOINLINE void wait_in_mutex(void)
{
	pthread_mutex_lock(&mutex);
}

static NOINLINE void wait_in_condition(void)
{
	pthread_mutex_lock(&cond_mutex);
	for (;;)
		pthread_cond_wait(&cond, &cond_mutex);
}

static NOINLINE void wait_in_sleep(void)
{
	for (;;)
		nanosleep(&(struct timespec){.tv_sec = 100000}, NULL);
}

static NOINLINE void wait_in_read(void)
{
	char c;

	while (read(pipe_fds[0], &c, 1) != 1)
		continue;
}

static NOINLINE void wait_in_epoll(void)
{
	struct epoll_event event;

	for (;;)
		epoll_wait(epoll_fd, &event, 1, -1);
}

static NOINLINE void wait_in_poll(void)
{
	struct pollfd p = {.fd = pipe_fds[0], .events = POLLIN};

	for (;;)
		poll(&p, 1, -1);
}

static NOINLINE void wait_in_semaphore(void)
{
	for (;;)
		sem_wait(&semaphore);
}

static NOINLINE void wait_in_futex(void)
{
	for (;;)
		syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void (*const waits[])(void) = {
    wait_in_mutex, wait_in_condition, wait_in_sleep,     wait_in_read,
    wait_in_epoll, wait_in_poll,      wait_in_semaphore, wait_in_futex,
};

/* The sum keeps the calls from becoming a loop. */
static NOINLINE int descend(int levels, long kind)
{
	volatile int here = levels;

	if (levels > 0) return descend(levels - 1, kind) + here;
	atomic_fetch_add(&blocked, 1);
	waits[kind]();
	return here;
}

static void *thread_main(void *arg)
{
	long number = (long)(intptr_t)arg;
	char name[16];

	snprintf(name, sizeof(name), "w%ld", number);
	pthread_setname_np(pthread_self(), name);
	descend(depth, number % (long)(sizeof(waits) / sizeof(waits[0])));
	return NULL;
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
	pthread_attr_t attr;

	if (argc > 2) depth = atoi(argv[2]);
	if (count < 1 || depth < 0 || pipe(pipe_fds) < 0) {
		fprintf(stderr, "usage: threads COUNT [DEPTH]\n");
		return 2;
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	sem_init(&semaphore, 0, 0);
	pthread_mutex_lock(&mutex);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024 + (size_t)depth * 128);
	for (long i = 0; i < count; i++) {
		pthread_t t;

		if (pthread_create(&t, &attr, thread_main, (void *)(intptr_t)i)) {
			perror("pthread_create");
			return 1;
		}
	}
	while (atomic_load(&blocked) < count)
		sched_yield();
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	for (;;)
		pause();
}
