#include "dumpers/proc/process.h"

#include "dumpers/proc/stat.h"
#include "dumpers/proc/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

static int pidfd_of(pid_t pid)
{
	/* ENOSYS before Linux 5.3, EPERM by a seccomp filter: both leave us with /proc alone, whose
	 * descriptor also names one process and no successor. */
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int read_stat(const struct process *p, struct proc_stat *ret, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(STAT_TEXT_MAX);
	int r = process_read(p, "stat", &text, e);

	if (r < 0) return r;
	return proc_stat_parse(text.data, text.len, ret, e);
}

/* The kernel opens /proc/TID for every thread, though it does not list it. */
static int refuse_thread(const struct process *p, struct err *e)
{
	struct proc_status status;
	int r = process_status(p, &status, e);

	if (r < 0) return r;
	if (!proc_status_has(&status, STATUS_TGID) || status.tgid == (uint64_t)p->pid) return 0;
	err_set(e, ERR_NOT_FOUND, "%d is not a process but a thread of process %llu", p->pid,
		(unsigned long long)status.tgid);
	err_hint(e, "use --pid %llu", (unsigned long long)status.tgid);
	return -ERR_NOT_FOUND;
}

static int open_proc(pid_t pid, int *ret_fd, struct err *e)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	*ret_fd = pid > 0 ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (*ret_fd >= 0) return 0;
	if (pid > 0 && errno != ENOENT) return err_errno(e, "%s", path);
	err_set(e, ERR_NOT_FOUND, "no process %d", pid);
	if (access("/proc/self", F_OK) != 0)
		err_hint(e, "/proc is not mounted here: mount -t proc proc /proc");
	else
		err_hint(e, "list the processes with `podsnap ps`");
	return -ERR_NOT_FOUND;
}

int process_open(pid_t pid, struct process *ret, struct err *e)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct proc_stat stat;
	int r = open_proc(pid, &p.proc_fd, e);

	if (r < 0) return r;
	p.pid = pid;
	r = refuse_thread(&p, e);
	if (r < 0) return r;
	p.pidfd = pidfd_of(pid);
	/* Read after pidfd_open: that it still succeeds proves that the number was not reused
	 * between the two opens. */
	r = read_stat(&p, &stat, e);
	if (r < 0) return r;
	p.start_ticks = stat.start_ticks;

	*ret = p;
	p = (struct process)PROCESS_INIT;
	return 0;
}

void process_done(struct process *p)
{
	if (!p) return;
	/* 0 is a zeroed struct, never a descriptor of ours: 0 is open in any sane program. */
	if (p->proc_fd > 0) close(p->proc_fd);
	if (p->pidfd > 0) close(p->pidfd);
	*p = (struct process)PROCESS_INIT;
}

int process_check(const struct process *p, struct err *e)
{
	struct proc_stat stat;
	int r = read_stat(p, &stat, e);

	if (r == -ERR_GONE || r == -ERR_NOT_FOUND)
		return err_set(e, ERR_GONE, "process %d ended", p->pid);
	if (r < 0) return r;
	if (stat.start_ticks != p->start_ticks)
		return err_set(e, ERR_GONE, "process %d ended, and its number was reused", p->pid);
	/* A leader that called pthread_exit is a zombie too, while its threads run on. */
	if (stat.state == 'X' || (stat.state == 'Z' && stat.num_threads <= 1))
		return err_set(e, ERR_GONE,
			       "process %d (%s) ended; its parent %d has not reaped it", p->pid,
			       stat.comm, stat.ppid);
	return 0;
}

int process_read(const struct process *p, const char *name, struct buf *ret, struct err *e)
{
	int r = io_read_file(p->proc_fd, name, ret, e);

	if (r < 0 && e) err_wrap(e, "process %d", p->pid);
	return r;
}

int process_readlink(const struct process *p, const char *name, char *ret, size_t ret_size,
		     struct err *e)
{
	char target[4096];
	ssize_t n = readlinkat(p->proc_fd, name, target, sizeof(target));

	if (n < 0) return err_errno(e, "process %d: link %s", p->pid, name);
	/* A full buffer may have been cut. */
	if ((size_t)n >= sizeof(target) || (size_t)n >= ret_size)
		return err_set(e, ERR_LIMIT, "process %d: link %s is longer than %zu bytes", p->pid,
			       name, MIN(sizeof(target), ret_size) - 1);
	memcpy(ret, target, (size_t)n);
	ret[n] = '\0';
	return 0;
}

int process_offer_to_oom_killer(int dir_fd, const char *path)
{
	_cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, "1000", 4) == 4 ? 0 : -1;
}
