/*
 * memory MIB: fills MIB of memory, every other page with random bytes and the rest with text, and
 * keeps a heartbeat. Prints "ready PID"; on SIGUSR1 "beats N gap M us", M the longest time without
 * a beat since the last such line; on SIGTERM it ends.
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

int main(int argc, char **argv)
{
	size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, len = mib << 20;
	sigset_t set;
	pthread_t t;
	char *memory;
	int sig;

	if (!mib || mib > 1 << 20) {
		fprintf(stderr, "usage: memory MIB\n");
		return 2;
	}
	memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	fill(memory, len);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (pthread_create(&t, NULL, heartbeat, NULL)) {
		perror("pthread_create");
		return 1;
	}
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	while (sigwait(&set, &sig) == 0 && sig == SIGUSR1) {
		printf("beats %lu gap %lu us\n", atomic_load(&beats),
		       atomic_exchange(&gap_ns, 0) / 1000);
		fflush(stdout);
	}
	return 0;
}
