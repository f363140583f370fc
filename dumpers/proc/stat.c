#include "dumpers/proc/stat.h"

#include "dumpers/proc/scan.h"

#include <limits.h>
#include <string.h>

/* Fields by the numbers of proc_pid_stat(5); those before FIELD_STATE are not blank-separated. */
enum {
	FIELD_STATE = 3,
	FIELD_PPID = 4,
	FIELD_PGRP = 5,
	FIELD_SESSION = 6,
	FIELD_UTIME = 14,
	FIELD_STIME = 15,
	FIELD_NICE = 19,
	FIELD_NUM_THREADS = 20,
	FIELD_STARTTIME = 22,
	FIELD_VSIZE = 23,
	FIELD_RSS = 24,
	FIELD_STARTSTACK = 28,
	FIELD_EXIT_SIGNAL = 38,
};

/* The last ')' ends comm: no field behind it holds one, while comm itself may. */
static bool split_comm(const char *text, size_t len, struct proc_stat *ret, struct scan *ret_rest)
{
	struct scan head = scan_of(text, len), comm;
	const char *close = len ? memrchr(text, ')', len) : NULL;
	uint64_t pid;

	if (!close) return false;
	if (!scan_u64(&head, 10, &pid) || pid > INT_MAX || !scan_literal(&head, " (")) return false;
	if (close < head.at) return false;
	comm = scan_of(head.at, (size_t)(close - head.at));
	scan_copy(&comm, ret->comm, sizeof(ret->comm));
	ret->pid = (pid_t)pid;
	*ret_rest = scan_of(close + 1, len - (size_t)(close + 1 - text));
	return true;
}

static bool take_pid(struct scan *field, pid_t *ret)
{
	int64_t value;

	if (!scan_i64(field, &value) || value > INT_MAX || value < INT_MIN) return false;
	*ret = (pid_t)value;
	return true;
}

/* False when the field is not what its number says. */
static bool take_field(int number, struct scan field, struct proc_stat *ret)
{
	switch (number) {
	case FIELD_STATE:
		ret->state = *field.at;
		return scan_left(&field) == 1;
	case FIELD_PPID:
		return take_pid(&field, &ret->ppid);
	case FIELD_PGRP:
		return take_pid(&field, &ret->pgrp);
	case FIELD_SESSION:
		return take_pid(&field, &ret->session);
	case FIELD_UTIME:
		return scan_u64(&field, 10, &ret->utime_ticks);
	case FIELD_STIME:
		return scan_u64(&field, 10, &ret->stime_ticks);
	case FIELD_NICE:
		return scan_i64(&field, &ret->nice);
	case FIELD_NUM_THREADS:
		return scan_u64(&field, 10, &ret->num_threads);
	case FIELD_STARTTIME:
		return scan_u64(&field, 10, &ret->start_ticks);
	case FIELD_VSIZE:
		return scan_u64(&field, 10, &ret->vsize_bytes);
	case FIELD_RSS:
		return scan_u64(&field, 10, &ret->rss_pages);
	case FIELD_STARTSTACK:
		return scan_u64(&field, 10, &ret->start_stack);
	case FIELD_EXIT_SIGNAL:
		return scan_i64(&field, &ret->exit_signal);
	default:
		return true;
	}
}

int proc_stat_parse(const char *text, size_t len, struct proc_stat *ret, struct err *e)
{
	struct proc_stat stat = {0};
	struct scan rest, field;

	if (len > STAT_TEXT_MAX)
		return err_set(e, ERR_LIMIT, "stat: a line of %zu bytes, %d are allowed", len,
			       STAT_TEXT_MAX);
	if (!split_comm(text, len, &stat, &rest))
		return err_set(e, ERR_CORRUPT, "stat: not \"PID (NAME) ...\"");
	for (int number = FIELD_STATE; number <= FIELD_EXIT_SIGNAL; number++) {
		if (!scan_field(&rest, &field) || !take_field(number, field, &stat))
			return err_set(e, ERR_CORRUPT, "stat: field %d is missing or malformed",
				       number);
	}
	*ret = stat;
	return 0;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) < 0) return 0;
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t proc_stat_start_ns(uint64_t start_ticks)
{
	uint64_t hz = (uint64_t)MAX(sysconf(_SC_CLK_TCK), 1L), boot, since_boot;

	/* Both clocks count suspended time and follow the time namespace that stat follows. */
	boot = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME);
	since_boot = start_ticks / hz * NS_PER_S + start_ticks % hz * (NS_PER_S / hz);
	return boot + since_boot;
}
