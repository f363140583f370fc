#include "dumpers/runtime/list.h"

#include "dumpers/proc/stat.h"
#include "dumpers/runtime/pids.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

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

/* status is already read; container NULL: as our own pid namespace numbers it. */
static int read_item(const char *container, const struct process *p,
		     const struct proc_status *status, struct process_item *ret, struct err *e)
{
	_cleanup_facts_ struct runtime_facts facts;
	struct process_item item = {.pid = p->pid};
	struct cgroup_info cgroup;
	int r;

	take_status(status, &item);
	if (container) {
		item.pid = process_own_pid(p->pid, status);
		item.ppid = process_own_ppid(status);
	}
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

/* A shell that pushes a probe, what it started for that, and the probe. */
static bool is_of_a_push(pid_t pid, const struct proc_status *status)
{
	return process_is_pushing_shell(pid) ||
	       (status->ppid <= INT_MAX && process_is_pushing_shell((pid_t)status->ppid));
}

/* Reads one of many: 1 when it is to be left out. */
static int read_listed(const char *container, pid_t pid, struct process_item *ret, struct err *e)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct proc_status status = {0};

	if (pid == getpid()) return 1;
	if (process_open(pid, &p, NULL) < 0 || process_status(&p, &status, NULL) < 0) return 1;
	if (is_of_a_push(pid, &status)) return 1;
	if (container && !process_is_of_container(&p, container)) return 1;
	if (process_is_kernel_thread(&p, &status) || process_is_copy(&p, &status)) return 1;
	return read_item(container, &p, &status, ret, e);
}

static int read_named(const char *container, pid_t pid, struct process_item *ret, struct err *e)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct proc_status status = {0};
	int r = process_open(pid, &p, e);

	if (r == 0) r = process_status(&p, &status, e);
	return r < 0 ? r : read_item(container, &p, &status, ret, e);
}

void process_list_done(struct process_list *list)
{
	if (!list) return;
	for (size_t i = 0; i < list->count; i++)
		free(list->v[i].command);
	free(list->v);
	*list = (struct process_list){0};
}

static int read_all(const char *container, const struct pids *pids, struct process_list *list,
		    struct err *e)
{
	for (size_t i = 0; i < pids->count; i++) {
		int r;

		if (list->count == PROCESS_LIST_MAX) {
			list->cut = true;
			break;
		}
		r = read_listed(container, pids->v[i], &list->v[list->count], e);
		if (r < 0) return r;
		if (r == 0) list->count++;
	}
	return 0;
}

static int compare_item(const void *a, const void *b)
{
	const struct process_item *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

int process_list_read(const char *container, pid_t only, struct process_list *ret, struct err *e)
{
	_cleanup_process_list_ struct process_list list = {0};
	_cleanup_(pids_done) struct pids pids = {0};
	size_t room;
	int r = only > 0 ? 0 : pids_list(&pids, e);

	if (r < 0) return r;
	room = MIN(pids.count, (size_t)PROCESS_LIST_MAX) + 1;
	list.v = calloc(room, sizeof(*list.v));
	if (!list.v) return err_set(e, ERR_NO_MEMORY, "no memory for %zu processes", room);
	if (only > 0) {
		r = read_named(container, only, &list.v[0], e);
		list.count = r == 0;
	} else {
		r = read_all(container, &pids, &list, e);
		/* By their own numbers the order may be another. */
		if (list.count > 1) qsort(list.v, list.count, sizeof(*list.v), compare_item);
	}
	if (r < 0) return r;
	held_list_read(&list.held);
	*ret = list;
	list = (struct process_list){0};
	return 0;
}
