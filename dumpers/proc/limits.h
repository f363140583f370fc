/* /proc/PID/limits (proc_pid_limits(5), getrlimit(2)). */
#ifndef DUMPERS_PROC_LIMITS_H
#define DUMPERS_PROC_LIMITS_H

#include "dumpers/proc/process.h"

#include <sys/resource.h>

enum { LIMIT_COUNT = 16, LIMITS_TEXT_MAX = 16 << 10 };
#define LIMIT_UNLIMITED UINT64_MAX

struct proc_limit {
	bool present;
	uint64_t soft, hard; /* or LIMIT_UNLIMITED; bytes, seconds, microseconds or counts */
};
struct proc_limits {
	struct proc_limit v[LIMIT_COUNT]; /* by RLIMIT_ number */
};

/* "nofile" for RLIMIT_NOFILE: getrlimit(2)'s names in lower case. */
const char *proc_limit_name(size_t resource);
/* -ERR_CORRUPT when a line that it knows is malformed. */
int proc_limits_parse(const char *text, size_t len, struct proc_limits *ret, struct err *e);
int process_limits(const struct process *p, struct proc_limits *ret, struct err *e);

#endif
