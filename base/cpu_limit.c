#include "base/cpu_limit.h"

#include <time.h>

#define SLEEP_NS_MAX (100 * (uint64_t)NS_PER_MS)

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void cpu_limit_start(struct cpu_limit *limit, uint64_t thousandths)
{
	limit->thousandths = thousandths;
	cpu_limit_forgive(limit);
}

void cpu_limit_forgive(struct cpu_limit *limit)
{
	limit->start_ns = now_ns();
	limit->start_cpu_ns = cpu_ns();
}

bool cpu_limit_wait(const struct cpu_limit *limit)
{
	uint64_t used, due, passed, sleep_ns;

	if (!limit->thousandths) return false;
	used = cpu_ns() - limit->start_cpu_ns;
	passed = now_ns() - limit->start_ns;
	/* When as much as was used may have been used. */
	due = used / limit->thousandths * 1000 +
	      used % limit->thousandths * 1000 / limit->thousandths;
	if (due <= passed) return false;
	sleep_ns = MIN(due - passed, SLEEP_NS_MAX);
	nanosleep(&(struct timespec){.tv_nsec = (long)sleep_ns}, NULL);
	return due - passed > sleep_ns;
}
