#include "dumpers/runtime/pids.h"

#include "dumpers/proc/capturable.h"
#include "dumpers/proc/cgroup.h"
#include "dumpers/proc/cmdline.h"
#include "dumpers/proc/scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIDS_MAX = 1 << 17 };
/* Of the file's name, as the script that pushes a probe makes it (exec/push.h). */
#define PUSHED_PREFIX ".podsnap-"

void pids_done(struct pids *pids)
{
	free(pids->v);
}

static int compare_pid(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

int pids_add(struct pids *pids, pid_t pid, struct err *e)
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

int pids_list(struct pids *ret, struct err *e)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int r = 0;

	if (!dir) return err_errno(e, "/proc");
	while (r == 0 && ret->count < PIDS_MAX && (entry = readdir(dir))) {
		struct scan s = scan_of(entry->d_name, strlen(entry->d_name));
		uint64_t pid;

		if (!scan_u64(&s, 10, &pid) || s.at != s.end || pid > INT_MAX) continue;
		r = pids_add(ret, (pid_t)pid, e);
	}
	closedir(dir);
	if (ret->count > 1) qsort(ret->v, ret->count, sizeof(*ret->v), compare_pid);
	return r;
}

pid_t process_parent(pid_t pid)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct proc_status status = {0};

	if (process_open(pid, &p, NULL) < 0 || process_status(&p, &status, NULL) < 0) return 0;
	return status.ppid <= INT_MAX ? (pid_t)status.ppid : 0;
}

/* `sh -c SCRIPT podsnap ...` */
bool process_is_pushing_shell(pid_t pid)
{
	static const char start[] = "sh\0-c", name[] = "podsnap";
	_cleanup_process_ struct process p = PROCESS_INIT;
	_cleanup_buf_ struct buf line = BUF_INIT(CMDLINE_TEXT_MAX);
	const char *script, *end;

	if (process_open(pid, &p, NULL) < 0 || process_read(&p, "cmdline", &line, NULL) < 0)
		return false;
	if (line.len < sizeof(start) || memcmp(line.data, start, sizeof(start)) != 0) return false;
	script = (const char *)line.data + sizeof(start);
	end = memchr(script, '\0', line.len - sizeof(start));
	return end && (size_t)((const char *)line.data + line.len - (end + 1)) >= sizeof(name) &&
	       memcmp(end + 1, name, sizeof(name)) == 0;
}

bool process_is_kernel_thread(const struct process *p, const struct proc_status *status)
{
	struct capture_verdict verdict;

	if (proc_status_has(status, STATUS_KTHREAD)) return status->kthread != 0;
	if (proc_status_has(status, STATUS_VM_SIZE)) return false;
	process_capturable(p, status, &verdict);
	return verdict.blocker == BLOCKER_KERNEL_THREAD;
}

bool task_is_podsnaps(pid_t tid)
{
	char path[64], name[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return false;
	if (read(fd, name, sizeof(name) - 1) < 0) name[0] = '\0';
	close(fd);
	name[strcspn(name, "\n")] = '\0';
	/* A pushed probe, one of an image, and podsnap itself. */
	return strncmp(name, PUSHED_PREFIX, strlen(PUSHED_PREFIX)) == 0 ||
	       strcmp(name, "podsnap-probe") == 0 || strcmp(name, "podsnap") == 0;
}

static bool same_program(const struct process *p, pid_t other)
{
	char path[64];
	struct stat a, b;

	snprintf(path, sizeof(path), "/proc/%d/exe", other);
	return fstatat(p->proc_fd, "exe", &a, 0) == 0 && stat(path, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

bool process_is_copy(const struct process *p, const struct proc_status *status)
{
	return status->tracer_pid > 0 && status->tracer_pid <= INT_MAX && status->threads == 1 &&
	       status->ppid > 0 && status->ppid <= INT_MAX &&
	       task_is_podsnaps((pid_t)status->tracer_pid) && same_program(p, (pid_t)status->ppid);
}

pid_t process_own_pid(pid_t pid, const struct proc_status *status)
{
	return status->nspid_count ? (pid_t)status->nspid[status->nspid_count - 1] : pid;
}

uint64_t process_own_ppid(const struct proc_status *child)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct proc_status parent = {0};

	if (!child->ppid || process_open((pid_t)child->ppid, &p, NULL) < 0 ||
	    process_status(&p, &parent, NULL) < 0 || parent.nspid_count != child->nspid_count)
		return 0;
	return (uint64_t)process_own_pid(p.pid, &parent);
}

bool process_is_of_container(const struct process *p, const char *id)
{
	_cleanup_buf_ struct buf group = BUF_INIT(CGROUP_TEXT_MAX);

	return process_read(p, "cgroup", &group, NULL) == 0 && group.len > 0 &&
	       cgroup_names_container(group.data, group.len, id);
}
