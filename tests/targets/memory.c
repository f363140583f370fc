/*
 * memory MIB [PAGES [THREADS]]: fills MIB of memory, every other page with random bytes and the
 * rest with text, and keeps a heartbeat. PAGES is "small" or "huge", what the kernel is asked for;
 * else it chooses. THREADS more threads wait. Prints "ready PID"; on SIGUSR1 "beats N gap M us", M
 * the longest time without a beat since the last such line; on SIGUSR2 "fork N us", what a fork()
 * of its own takes until both go on; on SIGTERM it ends.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, WORDS = PAGE / sizeof(uint64_t) };

static atomic_ulong beats, gap_ns;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void *heartbeat(void *arg)
{
	uint64_t last = now();

	prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
	for (;;) {
		uint64_t at;

		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
		at = now();
		if (at - last > atomic_load(&gap_ns)) atomic_store(&gap_ns, at - last);
		atomic_fetch_add(&beats, 1);
		last = at;
	}
	return arg;
}

/* xorshift64*, Vigna 2016: fast, and no compressor finds anything in it. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717u;
}

static void fill(char *memory, size_t len)
{
	static const char text[] = "a line of text as a log has them, number ";
	uint64_t state = 88172645463325252u;

	for (size_t at = 0; at < len; at += PAGE) {
		if (at / PAGE % 2) {
			for (size_t i = 0; i + 64 <= PAGE; i += 64)
				snprintf(memory + at + i, 64, "%s%zu\n", text, at + i);
		} else {
			uint64_t *words = (uint64_t *)(void *)(memory + at);

			for (size_t i = 0; i < WORDS; i++)
				words[i] = next_random(&state);
		}
	}
}

static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void start_thread(void *(*run)(void *))
{
	pthread_attr_t small;
	pthread_t t;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 128 << 10);
	if (pthread_create(&t, &small, run, NULL)) {
		perror("pthread_create");
		exit(1);
	}
}

static void measure_fork(void)
{
	uint64_t start = now(), took;
	pid_t pid = fork();

	if (pid == 0) _exit(0);
	took = now() - start;
	waitpid(pid, NULL, 0);
	printf("fork %lu us\n", took / 1000);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const char *pages = argc > 2 ? argv[2] : "";
	unsigned long threads = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
	size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, len = mib << 20;
	sigset_t set;
	char *memory;
	int sig;

	if (!mib || mib > 1 << 20) {
		fprintf(stderr, "usage: memory MIB [small|huge [THREADS]]\n");
		return 2;
	}
	memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	if (strcmp(pages, "small") == 0) madvise(memory, len, MADV_NOHUGEPAGE);
	if (strcmp(pages, "huge") == 0) madvise(memory, len, MADV_HUGEPAGE);
	fill(memory, len);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	start_thread(heartbeat);
	while (threads-- > 0)
		start_thread(wait_for_ever);
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	while (sigwait(&set, &sig) == 0 && sig != SIGTERM) {
		if (sig == SIGUSR2) {
			measure_fork();
			continue;
		}
		printf("beats %lu gap %lu us\n", atomic_load(&beats),
		       atomic_exchange(&gap_ns, 0) / 1000);
		fflush(stdout);
	}
	return 0;
}
