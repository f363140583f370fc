#include "dumpers/runtime/list.h"

#include "dumpers/proc/scan.h"
#include "dumpers/proc/stat.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PIDS_MAX = 1 << 17, ANCESTORS_MAX = 1024 };

/* --- all pids --------------------------------------------------------------------------------- */

struct pids {
	pid_t *v;
	size_t count, cap;
};

static void pids_done(struct pids *pids)
{
	free(pids->v);
}

static int compare_pid(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

static int add_pid(struct pids *pids, pid_t pid, struct err *e)
{
	if (pids->count == pids->cap) {
		size_t cap = MAX(pids->cap * 2, (size_t)256);
		pid_t *v = realloc(pids->v, cap * sizeof(*v));

		if (!v) return err_set(e, ERR_NO_MEMORY, "no memory for %zu pids", cap);
		pids->v = v;
		pids->cap = cap;
	}
	pids->v[pids->count++] = pid;
	return 0;
}

static int list_pids(struct pids *ret, struct err *e)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int r = 0;

	if (!dir) return err_errno(e, "/proc");
	while (r == 0 && ret->count < PIDS_MAX && (entry = readdir(dir))) {
		struct scan s = scan_of(entry->d_name, strlen(entry->d_name));
		uint64_t pid;

		if (!scan_u64(&s, 10, &pid) || s.at != s.end || pid > INT_MAX) continue;
		r = add_pid(ret, (pid_t)pid, e);
	}
	closedir(dir);
	if (ret->count > 1) qsort(ret->v, ret->count, sizeof(*ret->v), compare_pid);
	return r;
}

/* --- one process ------------------------------------------------------------------------------ */

static int take_command(const struct runtime_facts *facts, struct process_item *item, struct err *e)
{
	_cleanup_buf_ struct buf line = BUF_INIT(2 * (size_t)CMDLINE_TEXT_MAX);
	int r = cmdline_join(&facts->argv, PROCESS_COMMAND_MAX, &line, e);

	/* As ps(1) shows what has no command line. */
	if (r == 0 && line.len == 0) r = buf_printf(&line, e, "[%s]", item->comm);
	if (r < 0) return r;
	item->command = buf_steal(&line);
	return item->command ? 0 : err_set(e, ERR_NO_MEMORY, "no memory for a command line");
}

static void take_status(const struct proc_status *s, struct process_item *item)
{
	item->ns_pid = s->nspid_count ? s->nspid[s->nspid_count - 1] : (uint64_t)item->pid;
	item->ppid = s->ppid;
	item->uid = s->uid[ID_EFFECTIVE];
	item->threads = s->threads;
	item->rss_bytes = s->vm_rss_bytes;
	item->state = s->state;
	memcpy(item->comm, s->name, sizeof(item->comm));
}

/* status is already read. */
static int read_item(const struct process *p, const struct proc_status *status,
		     struct process_item *ret, struct err *e)
{
	_cleanup_facts_ struct runtime_facts facts;
	struct process_item item = {.pid = p->pid};
	struct cgroup_info cgroup;
	int r;

	take_status(status, &item);
	item.start_ns = proc_stat_start_ns(p->start_ticks);
	facts_read(p, &facts);
	runtime_detect_facts(&facts, &item.guess);
	process_capturable(p, status, &item.verdict);
	process_cgroup(p, &cgroup);
	memcpy(item.container_id, cgroup.container_id, sizeof(item.container_id));
	r = take_command(&facts, &item, e);
	if (r < 0) return r;
	*ret = item;
	return 0;
}

static bool is_kernel_thread(const struct process *p, const struct proc_status *status)
{
	struct capture_verdict verdict;

	if (proc_status_has(status, STATUS_KTHREAD)) return status->kthread != 0;
	if (proc_status_has(status, STATUS_VM_SIZE)) return false;
	process_capturable(p, status, &verdict);
	return verdict.blocker == BLOCKER_KERNEL_THREAD;
}

/* Reads one of many: 1 when it is to be left out. */
static int read_listed(pid_t pid, struct process_item *ret, struct err *e)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct proc_status status = {0};

	if (pid == getpid()) return 1;
	if (process_open(pid, &p, NULL) < 0 || process_status(&p, &status, NULL) < 0) return 1;
	if (is_kernel_thread(&p, &status)) return 1;
	return read_item(&p, &status, ret, e);
}

static int read_named(pid_t pid, struct process_item *ret, struct err *e)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct proc_status status = {0};
	int r = process_open(pid, &p, e);

	if (r == 0) r = process_status(&p, &status, e);
	return r < 0 ? r : read_item(&p, &status, ret, e);
}

void process_list_done(struct process_list *list)
{
	if (!list) return;
	for (size_t i = 0; i < list->count; i++)
		free(list->v[i].command);
	free(list->v);
	*list = (struct process_list){0};
}

static int read_all(const struct pids *pids, struct process_list *list, struct err *e)
{
	for (size_t i = 0; i < pids->count; i++) {
		int r;

		if (list->count == PROCESS_LIST_MAX) {
			list->cut = true;
			break;
		}
		r = read_listed(pids->v[i], &list->v[list->count], e);
		if (r < 0) return r;
		if (r == 0) list->count++;
	}
	return 0;
}

int process_list_read(pid_t only, struct process_list *ret, struct err *e)
{
	_cleanup_process_list_ struct process_list list = {0};
	_cleanup_(pids_done) struct pids pids = {0};
	size_t room;
	int r = only > 0 ? 0 : list_pids(&pids, e);

	if (r < 0) return r;
	room = MIN(pids.count, (size_t)PROCESS_LIST_MAX) + 1;
	list.v = calloc(room, sizeof(*list.v));
	if (!list.v) return err_set(e, ERR_NO_MEMORY, "no memory for %zu processes", room);
	if (only > 0) {
		r = read_named(only, &list.v[0], e);
		list.count = r == 0;
	} else {
		r = read_all(&pids, &list, e);
	}
	if (r < 0) return r;
	*ret = list;
	list = (struct process_list){0};
	return 0;
}

/* --- the main process ------------------------------------------------------------------------- */

/* This program and all above it that the pid namespace shows. */
static int list_own_line(struct pids *ret, struct err *e)
{
	pid_t pid = getpid();

	for (int i = 0; i < ANCESTORS_MAX && pid > 0; i++) {
		_cleanup_process_ struct process p = PROCESS_INIT;
		struct proc_status status = {0};
		int r = add_pid(ret, pid, e);

		if (r < 0) return r;
		if (process_open(pid, &p, NULL) < 0 || process_status(&p, &status, NULL) < 0) break;
		pid = status.ppid <= INT_MAX ? (pid_t)status.ppid : 0;
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

/* All processes in sight but those of list_own_line and others of this very program: one that idles
 * in its container, another capture. */
static int list_others(struct pids *ret, struct err *e)
{
	_cleanup_(pids_done) struct pids own = {0};
	struct stat program = {0};
	size_t count = 0;
	int r = list_pids(ret, e);

	if (r == 0) r = list_own_line(&own, e);
	if (r < 0) return r;
	/* If it cannot be had, none is like it. */
	(void)stat("/proc/self/exe", &program);
	for (size_t i = 0; i < ret->count; i++)
		if (!holds(&own, ret->v[i]) && !runs_program(ret->v[i], &program))
			ret->v[count++] = ret->v[i];
	ret->count = count;
	return 0;
}

static bool same_bytes(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && a->len > 0 && memcmp(a->data, b->data, a->len) == 0;
}

static bool is_own_thread(uint64_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%" PRIu64, tid);
	return access(path, F_OK) == 0;
}

/* Can pid be meant at all, and is it in the control groups whose text is own_group? */
static bool is_candidate(pid_t pid, const struct buf *own_group, bool *ret_same_group)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	_cleanup_buf_ struct buf group = BUF_INIT(CGROUP_TEXT_MAX);
	struct proc_status status = {0};

	if (process_open(pid, &p, NULL) < 0 || process_check(&p, NULL) < 0 ||
	    process_status(&p, &status, NULL) < 0 || is_kernel_thread(&p, &status))
		return false;
	if (is_own_thread(status.tracer_pid)) return false; /* a copy-on-write child of ours */
	process_read(&p, "cgroup", &group, NULL);
	*ret_same_group = same_bytes(&group, own_group);
	return true;
}

static void read_group(pid_t pid, struct buf *ret)
{
	_cleanup_process_ struct process p = PROCESS_INIT;

	if (process_open(pid, &p, NULL) == 0) process_read(&p, "cgroup", ret, NULL);
}

int process_pick(pid_t *ret, struct err *e)
{
	_cleanup_(pids_done) struct pids pids = {0};
	_cleanup_buf_ struct buf own_group = BUF_INIT(CGROUP_TEXT_MAX);
	pid_t lowest = 0;
	int r = list_others(&pids, e);

	if (r < 0) return r;
	read_group(getpid(), &own_group);
	for (size_t i = 0; i < pids.count; i++) {
		bool same_group;

		if (!is_candidate(pids.v[i], &own_group, &same_group)) continue;
		if (same_group) {
			*ret = pids.v[i];
			return 0;
		}
		if (lowest == 0) lowest = pids.v[i];
	}
	if (lowest == 0) {
		err_set(e, ERR_NOT_FOUND, "no process but podsnap's own is visible here");
		err_hint(e, "name one with --pid, or another container with -c");
		return -ERR_NOT_FOUND;
	}
	*ret = lowest;
	return 0;
}

int process_pick_container(pid_t pid, size_t max, pid_t **ret, size_t *ret_count, struct err *e)
{
	_cleanup_(pids_done) struct pids pids = {0};
	_cleanup_buf_ struct buf group = BUF_INIT(CGROUP_TEXT_MAX);
	size_t count = 0;
	int r = list_others(&pids, e);

	if (r < 0) return r;
	read_group(pid, &group);
	for (size_t i = 0; i < pids.count; i++) {
		bool same_group;

		/* In place: count never passes i. */
		if (is_candidate(pids.v[i], &group, &same_group) && same_group)
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
