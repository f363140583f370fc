#include "dumpers/proc/limits.h"

#include "dumpers/proc/scan.h"

/* fs/proc/base.c, lnames[]. */
static const struct {
	const char *label, *name;
} limits[LIMIT_COUNT] = {
    [RLIMIT_CPU] = {"Max cpu time", "cpu"},
    [RLIMIT_FSIZE] = {"Max file size", "fsize"},
    [RLIMIT_DATA] = {"Max data size", "data"},
    [RLIMIT_STACK] = {"Max stack size", "stack"},
    [RLIMIT_CORE] = {"Max core file size", "core"},
    [RLIMIT_RSS] = {"Max resident set", "rss"},
    [RLIMIT_NPROC] = {"Max processes", "nproc"},
    [RLIMIT_NOFILE] = {"Max open files", "nofile"},
    [RLIMIT_MEMLOCK] = {"Max locked memory", "memlock"},
    [RLIMIT_AS] = {"Max address space", "as"},
    [RLIMIT_LOCKS] = {"Max file locks", "locks"},
    [RLIMIT_SIGPENDING] = {"Max pending signals", "sigpending"},
    [RLIMIT_MSGQUEUE] = {"Max msgqueue size", "msgqueue"},
    [RLIMIT_NICE] = {"Max nice priority", "nice"},
    [RLIMIT_RTPRIO] = {"Max realtime priority", "rtprio"},
    [RLIMIT_RTTIME] = {"Max realtime timeout", "rttime"},
};

const char *proc_limit_name(size_t resource)
{
	return resource < LIMIT_COUNT ? limits[resource].name : "unknown";
}

static bool take_limit(struct scan *line, uint64_t *ret)
{
	scan_blanks(line);
	if (scan_literal(line, "unlimited")) {
		*ret = LIMIT_UNLIMITED;
		return true;
	}
	return scan_u64(line, 10, ret);
}

static int take_line(struct scan line, struct proc_limits *ret, struct err *e)
{
	for (size_t i = 0; i < LIMIT_COUNT; i++) {
		struct proc_limit *limit = &ret->v[i];
		struct scan rest = line;

		if (!scan_literal(&rest, limits[i].label) || !scan_char(&rest, ' ')) continue;
		if (!take_limit(&rest, &limit->soft) || !take_limit(&rest, &limit->hard))
			return err_set(e, ERR_CORRUPT, "limits: the line \"%s\" is malformed",
				       limits[i].label);
		limit->present = true;
		return 0;
	}
	return 0;
}

int proc_limits_parse(const char *text, size_t len, struct proc_limits *ret, struct err *e)
{
	struct scan s = scan_of(text, len), line;
	struct proc_limits parsed = {0};

	while (scan_line(&s, &line)) {
		int r = take_line(line, &parsed, e);

		if (r < 0) return r;
	}
	*ret = parsed;
	return 0;
}

int process_limits(const struct process *p, struct proc_limits *ret, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(LIMITS_TEXT_MAX);
	int r = process_read(p, "limits", &text, e);

	if (r < 0) return r;
	return proc_limits_parse(text.data, text.len, ret, e);
}
