/* Holds this program to a share of the CPUs in the mean, by sleeping where it used more. */
#ifndef BASE_CPU_LIMIT_H
#define BASE_CPU_LIMIT_H

#include "base/err.h"

struct cpu_limit {
	uint64_t thousandths; /* of a CPU; 0: no limit */
	uint64_t start_ns, start_cpu_ns;
};
/* Counts from now on. */
void cpu_limit_start(struct cpu_limit *limit, uint64_t thousandths);
/* Starts the time anew: what was used so far is neither owed nor saved up. */
void cpu_limit_forgive(struct cpu_limit *limit);
/* Sleeps until all threads together are within the limit, but at most a tenth of a second. True if
 * it is to be called again. */
bool cpu_limit_wait(const struct cpu_limit *limit);

#endif
