/* /proc/PID/stat and /proc/PID/task/TID/stat (proc_pid_stat(5), fs/proc/array.c). */
#ifndef DUMPERS_PROC_STAT_H
#define DUMPERS_PROC_STAT_H

#include "base/err.h"

#include <sys/types.h>

enum {
	STAT_TEXT_MAX = 4096,
	/* comm is 15 bytes, but kernel threads print up to 64 with their workqueue's name. */
	STAT_COMM_MAX = 64,
};

struct proc_stat {
	pid_t pid;                /* of the process or thread */
	char comm[STAT_COMM_MAX]; /* raw bytes, may hold ')' and newlines; NUL-terminated */
	char state;               /* R, S, D, Z, T, t, X, I */
	pid_t ppid, pgrp, session;
	uint64_t utime_ticks, stime_ticks; /* CPU time, in USER_HZ */
	int64_t nice;
	uint64_t num_threads;
	uint64_t start_ticks; /* after boot, in USER_HZ */
	uint64_t vsize_bytes;
	uint64_t rss_pages;
	/* What these two say is for those who may trace the process; else 0. */
	uint64_t start_stack; /* address: where its main thread's stack began */
	int64_t exit_signal;  /* which its parent gets at its end; 0: none. -1 in a thread's stat */
};

/* len is at most STAT_TEXT_MAX. -ERR_CORRUPT when it is not such a line. */
int proc_stat_parse(const char *text, size_t len, struct proc_stat *ret, struct err *e);
/* The wall clock, ns since the epoch, at start_ticks; as good as the clock was kept since boot. */
uint64_t proc_stat_start_ns(uint64_t start_ticks);

#endif
