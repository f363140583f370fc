#include "dumpers/runtime/pick.h"

#include "dumpers/proc/cgroup.h"
#include "dumpers/proc/cmdline.h"
#include "dumpers/runtime/pids.h"

#include <inttypes.h>
#include <limits.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	ANCESTORS_MAX = 1024,
	SHIMS_MAX = 8,             /* one above the other */
	MATCH_TEXT_MAX = 64 << 10, /* of a command line, for a regular expression */
};

/* --- who comes into question --- */

/* This program and all above it that the pid namespace shows. */
static int list_own_line(struct pids *ret, struct err *e)
{
	pid_t pid = getpid();

	for (int i = 0; i < ANCESTORS_MAX && pid > 0; i++) {
		int r = pids_add(ret, pid, e);

		if (r < 0) return r;
		pid = process_parent(pid);
	}
	return 0;
}

static bool holds(const struct pids *pids, pid_t pid)
{
	for (size_t i = 0; i < pids->count; i++) {
		if (pids->v[i] == pid) return true;
	}
	return false;
}

static bool runs_program(pid_t pid, const struct stat *program)
{
	char path[32];
	struct stat its;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return stat(path, &its) == 0 && its.st_dev == program->st_dev &&
	       its.st_ino == program->st_ino;
}

static bool same_bytes(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && a->len > 0 && memcmp(a->data, b->data, a->len) == 0;
}

static void read_text(pid_t pid, const char *name, struct buf *ret)
{
	_cleanup_process_ struct process p = PROCESS_INIT;

	if (process_open(pid, &p, NULL) == 0) process_read(&p, name, ret, NULL);
}

static bool same_command(pid_t a, pid_t b)
{
	_cleanup_buf_ struct buf line_a = BUF_INIT(CMDLINE_TEXT_MAX);
	_cleanup_buf_ struct buf line_b = BUF_INIT(CMDLINE_TEXT_MAX);

	read_text(a, "cmdline", &line_a);
	read_text(b, "cmdline", &line_b);
	return same_bytes(&line_a, &line_b);
}

/* What the script that started us still runs beside us: a copy of its shell, and what that started.
 * helpers: those of lower pids. */
static bool is_helper(pid_t pid, const struct pids *own, const struct pids *helpers)
{
	pid_t parent = process_parent(pid);

	return holds(helpers, parent) || (holds(own, parent) && same_command(pid, parent));
}

/* The probes of other clients, and the shells that wait for them. */
static int list_probes(const struct pids *all, struct pids *ret, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < all->count && r == 0; i++) {
		pid_t parent;

		if (!task_is_podsnaps(all->v[i])) continue;
		r = pids_add(ret, all->v[i], e);
		parent = process_parent(all->v[i]);
		if (r == 0 && parent > 0 && process_is_pushing_shell(parent))
			r = pids_add(ret, parent, e);
	}
	return r;
}

/* All processes in sight but those of list_own_line, their helpers, other probes, and others of
 * this very program: one that idles in its container, another capture. */
static int list_others(struct pids *ret, struct err *e)
{
	_cleanup_pids_ struct pids own = {0}, helpers = {0}, probes = {0};
	struct stat program = {0};
	size_t count = 0;
	int r = pids_list(ret, e);

	if (r == 0) r = list_own_line(&own, e);
	if (r == 0) r = list_probes(ret, &probes, e);
	if (r < 0) return r;
	/* If it cannot be had, none is like it. */
	(void)stat("/proc/self/exe", &program);
	for (size_t i = 0; i < ret->count && r == 0; i++) {
		pid_t pid = ret->v[i];

		if (holds(&own, pid) || holds(&probes, pid) || runs_program(pid, &program))
			continue;
		if (is_helper(pid, &own, &helpers))
			r = pids_add(&helpers, pid, e);
		else
			ret->v[count++] = pid;
	}
	ret->count = count;
	return r;
}

static bool is_own_thread(uint64_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%" PRIu64, tid);
	return access(path, F_OK) == 0;
}

/* Can pid be meant at all? Its control groups are in *ret_group then. */
static bool is_candidate(pid_t pid, struct buf *ret_group)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct proc_status status = {0};

	if (process_open(pid, &p, NULL) < 0 || process_check(&p, NULL) < 0 ||
	    process_status(&p, &status, NULL) < 0 || process_is_kernel_thread(&p, &status))
		return false;
	/* A copy-on-write child of ours, or of another probe that holds it. */
	if (is_own_thread(status.tracer_pid) || process_is_copy(&p, &status)) return false;
	process_read(&p, "cgroup", ret_group, NULL);
	return true;
}

static bool names(const struct buf *group, const char *container)
{
	return group->len && cgroup_names_container(group->data, group->len, container);
}

/* Those that can be meant, ascending: of the container; of this one without a name, else of all in
 * sight. */
static int list_candidates(const char *container, struct pids *ret, struct err *e)
{
	_cleanup_buf_ struct buf own_group = BUF_INIT(CGROUP_TEXT_MAX);
	_cleanup_pids_ struct pids same = {0};
	size_t count = 0;
	int r = list_others(ret, e);

	read_text(getpid(), "cgroup", &own_group);
	for (size_t i = 0; r == 0 && i < ret->count; i++) {
		_cleanup_buf_ struct buf group = BUF_INIT(CGROUP_TEXT_MAX);

		if (!is_candidate(ret->v[i], &group)) continue;
		if (container ? names(&group, container) : same_bytes(&group, &own_group))
			r = pids_add(&same, ret->v[i], e);
		ret->v[count++] = ret->v[i];
	}
	if (r < 0) return r;
	ret->count = container ? 0 : count;
	if (same.count == 0) return 0;
	pids_done(ret);
	*ret = same;
	same = (struct pids){0};
	return 0;
}

/* --- the main process --- */

/* What ps(1) shows first, without its folder: how the program was called. */
static bool read_name(const struct process *p, char *ret, size_t size)
{
	_cleanup_string_list_ struct string_list argv = {0};
	const char *slash;

	if (process_cmdline(p, false, &argv, NULL) < 0 || argv.count == 0) return false;
	slash = strrchr(argv.v[0], '/');
	snprintf(ret, size, "%s", slash ? slash + 1 : argv.v[0]);
	return true;
}

/* One that is there only for another. */
static bool is_shim(const struct process *p)
{
	static const char *const names[] = {
	    "tini", "tini-static", "dumb-init", "docker-init", "catatonit",
	    "sh",   "ash",         "bash",      "dash",        "busybox",
	};
	char name[64];

	if (!read_name(p, name, sizeof(name))) return false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0) return true;
	return false;
}

static uint64_t now_ticks(void)
{
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * hz + (uint64_t)now.tv_nsec * hz / NS_PER_S;
}

/* Not what a script runs just now. */
static bool is_lasting(const struct process *child, const struct process *above)
{
	uint64_t now = MAX(now_ticks(), child->start_ticks);

	return now - child->start_ticks >= child->start_ticks - above->start_ticks;
}

/* The only child among the candidates, open; 0 if there is none, or more than one. */
static pid_t only_child(pid_t pid, const struct pids *candidates, struct process *ret)
{
	pid_t found = 0;

	for (size_t i = 0; i < candidates->count; i++) {
		_cleanup_process_ struct process p = PROCESS_INIT;
		struct proc_status status = {0};

		if (process_open(candidates->v[i], &p, NULL) < 0 ||
		    process_status(&p, &status, NULL) < 0 || status.ppid != (uint64_t)pid)
			continue;
		if (found) return 0;
		found = p.pid;
		process_done(ret);
		*ret = p;
		p = (struct process)PROCESS_INIT;
	}
	return found;
}

static pid_t look_through(pid_t pid, const struct pids *candidates)
{
	for (int i = 0; i < SHIMS_MAX; i++) {
		_cleanup_process_ struct process p = PROCESS_INIT, child = PROCESS_INIT;

		if (process_open(pid, &p, NULL) < 0 || !is_shim(&p) ||
		    !only_child(pid, candidates, &child) || !is_lasting(&child, &p))
			break;
		pid = child.pid;
	}
	return pid;
}

static int none_visible(const char *container, struct err *e)
{
	if (container) {
		err_set(e, ERR_NOT_FOUND, "no process of container %.20s is visible here",
			container);
		err_hint(e, "it may have been restarted just now: try again");
	} else {
		err_set(e, ERR_NOT_FOUND, "no process but podsnap's own is visible here");
		err_hint(e, "name one with --pid, or another container with -c");
	}
	return -ERR_NOT_FOUND;
}

int process_pick(const char *container, pid_t *ret, pid_t *ret_above, struct err *e)
{
	_cleanup_pids_ struct pids pids = {0};
	int r = list_candidates(container, &pids, e);

	if (r < 0) return r;
	if (pids.count == 0) return none_visible(container, e);
	*ret = look_through(pids.v[0], &pids);
	if (ret_above) *ret_above = *ret == pids.v[0] ? 0 : pids.v[0];
	return 0;
}

/* --- by pid --- */

/* How deep the pid namespace is that numbers it so as its own; 0: its own number is another. */
static size_t depth_of(pid_t pid, pid_t number)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct proc_status status = {0};

	if (process_open(pid, &p, NULL) < 0 || process_status(&p, &status, NULL) < 0 ||
	    process_own_pid(pid, &status) != number)
		return 0;
	return MAX(status.nspid_count, 1u);
}

int process_pick_pid(const char *container, pid_t pid, pid_t *ret, struct err *e)
{
	_cleanup_pids_ struct pids pids = {0};
	size_t shallowest = 0;
	int r;

	*ret = pid;
	if (!container) return 0;
	r = list_candidates(container, &pids, e);
	if (r < 0) return r;
	/* A container may have namespaces of its own below. */
	for (size_t i = 0; i < pids.count; i++) {
		size_t depth = depth_of(pids.v[i], pid);

		if (!depth || (shallowest && depth >= shallowest)) continue;
		shallowest = depth;
		*ret = pids.v[i];
	}
	if (shallowest) return 0;
	err_set(e, ERR_NOT_FOUND, "no process %d in the container", pid);
	err_hint(e, "list the processes with `podsnap ps`");
	return -ERR_NOT_FOUND;
}

/* --- by name --- */

static bool has_name(const struct process *p, const void *text)
{
	struct proc_status status = {0};
	char name[PATH_MAX];

	if (process_status(p, &status, NULL) == 0 && strcmp(status.name, text) == 0) return true;
	return read_name(p, name, sizeof(name)) && strcmp(name, text) == 0;
}

static bool is_matched(const struct process *p, const void *expression)
{
	_cleanup_buf_ struct buf line = BUF_INIT(CMDLINE_TEXT_MAX);

	if (process_read(p, "cmdline", &line, NULL) < 0 || line.len == 0) return false;
	line.len = MIN(line.len, (size_t)MATCH_TEXT_MAX);
	line.data[line.len] = '\0';
	for (size_t i = 0; i + 1 < line.len; i++)
		if (line.data[i] == '\0') line.data[i] = ' ';
	return regexec(expression, line.data, 0, NULL, 0) == 0;
}

/* Appends those for which matches holds. */
static int filter(const struct pids *pids,
		  bool (*matches)(const struct process *p, const void *ctx), const void *ctx,
		  struct pids *ret, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < pids->count; i++) {
		_cleanup_process_ struct process p = PROCESS_INIT;

		if (process_open(pids->v[i], &p, NULL) == 0 && matches(&p, ctx))
			r = pids_add(ret, pids->v[i], e);
	}
	return r;
}

static int match(const char *container, const char *text, struct pids *ret, struct err *e)
{
	_cleanup_pids_ struct pids candidates = {0};
	regex_t expression;
	char why[100];
	int r = list_candidates(container, &candidates, e);

	if (r == 0) r = filter(&candidates, has_name, text, ret, e);
	if (r < 0 || ret->count > 0) return r;
	r = regcomp(&expression, text, REG_EXTENDED | REG_NOSUB);
	if (r != 0) {
		regerror(r, &expression, why, sizeof(why));
		return err_set(e, ERR_USAGE,
			       "--process: no process has the name \"%s\", and it is no regular "
			       "expression: %s",
			       text, why);
	}
	r = filter(&candidates, is_matched, &expression, ret, e);
	regfree(&expression);
	return r;
}

static int several(const char *text, const struct pids *pids, struct err *e)
{
	char list[400] = "";
	pid_t first = 0;

	for (size_t i = 0, len = 0; i < pids->count && len + 80 < sizeof(list); i++) {
		_cleanup_process_ struct process p = PROCESS_INIT;
		struct proc_status status = {0};

		if (process_open(pids->v[i], &p, NULL) < 0) continue;
		process_status(&p, &status, NULL);
		if (!first) first = process_own_pid(p.pid, &status);
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%d %s", len ? ", " : "",
					process_own_pid(p.pid, &status), status.name);
	}
	err_set(e, ERR_USAGE, "--process: \"%s\" is meant by %zu processes: %s", text, pids->count,
		list);
	err_hint(e, "name one by its pid: --process %d", first);
	return -ERR_USAGE;
}

int process_pick_named(const char *container, const char *text, pid_t *ret, struct err *e)
{
	_cleanup_pids_ struct pids pids = {0};
	char *end;
	long pid = strtol(text, &end, 10);
	int r;

	if (end != text && *end == '\0' && pid > 0 && pid <= INT_MAX)
		return process_pick_pid(container, (pid_t)pid, ret, e);
	r = match(container, text, &pids, e);
	if (r < 0) return r;
	if (pids.count > 1) return several(text, &pids, e);
	if (pids.count == 0) {
		err_set(e, ERR_NOT_FOUND, "--process: no process here is \"%s\"", text);
		err_hint(e, "see what runs: podsnap ps");
		return -ERR_NOT_FOUND;
	}
	*ret = pids.v[0];
	return 0;
}

/* --- a container --- */

int process_pick_container(pid_t pid, size_t max, pid_t **ret, size_t *ret_count, struct err *e)
{
	_cleanup_pids_ struct pids pids = {0};
	_cleanup_buf_ struct buf group = BUF_INIT(CGROUP_TEXT_MAX);
	size_t count = 0;
	int r = list_others(&pids, e);

	if (r < 0) return r;
	read_text(pid, "cgroup", &group);
	for (size_t i = 0; i < pids.count; i++) {
		_cleanup_buf_ struct buf its = BUF_INIT(CGROUP_TEXT_MAX);

		/* In place: count never passes i. */
		if (is_candidate(pids.v[i], &its) && same_bytes(&its, &group))
			pids.v[count++] = pids.v[i];
	}
	if (count == 0) return err_set(e, ERR_GONE, "process %d ended", pid);
	if (count > max) {
		err_set(e, ERR_LIMIT, "%zu processes, more than %zu at one instant", count, max);
		return err_hint(e, "take one of them: --pid N");
	}
	*ret = pids.v;
	*ret_count = count;
	pids = (struct pids){0};
	return 0;
}
