/* What every unit test of base/ includes: cmocka and its prerequisites, and random seeds. */
#ifndef TESTS_UNIT_BASE_UNIT_H
#define TESTS_UNIT_BASE_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The seed of this run: $PODSNAP_TEST_SEED, else the clock; printed, so that a run can be repeated.
 */
static inline uint64_t unit_seed(void)
{
	const char *given = getenv("PODSNAP_TEST_SEED");
	struct timespec t;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &t);
	seed = given ? strtoull(given, NULL, 0) : (uint64_t)t.tv_sec ^ (uint64_t)t.tv_nsec << 20;
	print_message("PODSNAP_TEST_SEED=0x%llx\n", (unsigned long long)seed);
	return seed;
}

/* splitmix64 */
static inline uint64_t unit_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Does text hold part? Prints both if not. */
#define assert_contains(text, part)                                                                \
	do {                                                                                       \
		if (!strstr((text), (part))) fail_msg("\"%s\" is not in \"%s\"", (part), (text));  \
	} while (0)

#endif
