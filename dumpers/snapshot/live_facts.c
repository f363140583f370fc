#include "dumpers/snapshot/live_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

enum {
	TID_MAX = 1 << 22, /* PID_MAX_LIMIT, linux/threads.h */
};

static size_t read_at(int dir_fd, const char *path, char *ret, size_t ret_size)
{
	_cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;

	ret[0] = '\0';
	if (fd < 0) return 0;
	while (len + 1 < ret_size) {
		ssize_t n = read(fd, ret + len, ret_size - 1 - len);

		if (n < 0 && errno == EINTR) continue;
		if (n <= 0) break;
		len += (size_t)n;
	}
	ret[len] = '\0';
	return len;
}

size_t live_read_task(struct live *l, pid_t tid, const char *name, char *ret, size_t ret_size)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/%s", tid, name);
	return read_at(l->task_fd, path, ret, ret_size);
}

size_t live_read_proc(struct live *l, const char *name, char *ret, size_t ret_size)
{
	return read_at(l->proc_fd, name, ret, ret_size);
}

int live_read_maps_of(struct live *l, pid_t pid, struct maps *ret, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(MAPS_TEXT_MAX);
	char path[64];
	int r;

	/* A zombie leader has none; its other threads do. */
	snprintf(path, sizeof(path), pid == l->pid ? "task/%d/maps" : "../%d/maps",
		 pid == l->pid ? l->live_tid : pid);
	r = io_read_file(l->proc_fd, path, &text, e);
	return r ? r : maps_parse(text.data ? text.data : "", text.len, ret, e);
}

int live_read_maps(struct live *l, struct maps *ret, struct err *e)
{
	return live_read_maps_of(l, l->pid, ret, e);
}

bool live_read_stat(struct live *l, pid_t tid, struct proc_stat *ret)
{
	char text[STAT_TEXT_MAX];
	size_t len = live_read_task(l, tid, "stat", text, sizeof(text));

	return len && proc_stat_parse(text, len, ret, NULL) == 0;
}

char live_thread_state(struct live *l, pid_t tid)
{
	struct proc_stat stat;

	return live_read_stat(l, tid, &stat) ? stat.state : 'X';
}

static const char *status_value(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	if (!at || (at != status && at[-1] != '\n')) return NULL;
	return at + strlen(key);
}

uint64_t live_status_hex(const char *status, const char *key)
{
	const char *value = status_value(status, key);

	return value ? strtoull(value, NULL, 16) : 0;
}

/* The last number of a line like "NSpid:\t1234\t1"; *ret_count numbers in all. */
static pid_t last_number(const char *status, const char *key, unsigned *ret_count)
{
	const char *at = status_value(status, key);
	long last = 0;

	*ret_count = 0;
	if (!at) return 0;
	while (*at && *at != '\n') {
		char *end;
		long n = strtol(at, &end, 10);

		if (end == at) break;
		last = n;
		(*ret_count)++;
		at = end;
		while (*at == '\t' || *at == ' ')
			at++;
	}
	return (pid_t)last;
}

/* A program without a user half, or without one that we can describe. */
static int check_auxv(struct live *l, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "task/%d/auxv", l->live_tid);
	errno = 0;
	l->base.auxv_len = read_at(l->proc_fd, path, (char *)l->base.auxv, SNAPSHOT_AUXV_MAX);
	l->base.auxv_len -= l->base.auxv_len % 16;
	if (l->base.auxv_len == 0 && errno == 0)
		return err_set(e, ERR_GONE, "process %d ended", l->pid);
	if (l->base.auxv_len == 0) return live_denied(l, "reading /proc/PID/auxv", e);
	/* A 32-bit vector has pairs of 4 bytes, in which no 8-byte AT_PHENT is found. */
	if (snapshot_auxv(&l->base, AT_PHENT) != sizeof(Elf64_Phdr))
		return err_set(e, ERR_UNSUPPORTED,
			       "process %d is a 32-bit program: only 64-bit ones can be captured",
			       l->pid);
	return 0;
}

size_t live_list_threads(struct live *l, pid_t *ret, size_t max)
{
	_cleanup_close_ int fd = openat(l->task_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	size_t count = 0;

	if (!dir) return 0;
	steal_fd(&fd);
	while (count < max && (entry = readdir(dir))) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (tid > 0 && !strchr("ZX", live_thread_state(l, tid))) ret[count++] = tid;
	}
	closedir(dir);
	return count;
}

bool live_has_children(struct live *l, pid_t tid)
{
	char text[32];

	return live_read_task(l, tid, "children", text, sizeof(text)) > 0;
}

static int find_live_thread(struct live *l, struct err *e)
{
	if (live_list_threads(l, &l->live_tid, 1)) return 0;
	return err_set(e, ERR_GONE, "process %d has ended", l->pid);
}

int live_check_target(struct live *l, struct err *e)
{
	char status[LIVE_STATUS_MAX];
	int r = find_live_thread(l, e);

	if (r) return r;
	live_read_task(l, l->live_tid, "status", status, sizeof(status));
	if (!status_value(status, "VmSize:"))
		return err_set(e, ERR_UNSUPPORTED, "process %d is a kernel thread", l->pid);
	return check_auxv(l, e);
}

pid_t live_own_pid(struct live *l, pid_t pid)
{
	char path[64], status[LIVE_STATUS_MAX];
	unsigned count;
	pid_t own;

	if (l->pid_depth == 0) return pid;
	snprintf(path, sizeof(path), "../%d/status", pid);
	if (pid <= 0 || !read_at(l->proc_fd, path, status, sizeof(status))) return 0;
	own = last_number(status, "NSpid:", &count);
	return count == l->pid_depth + 1 ? own : 0;
}

static void read_command(struct live *l)
{
	struct snapshot_identity *id = &l->base.id;
	size_t len = read_at(l->proc_fd, "cmdline", id->args, sizeof(id->args));
	ssize_t exe_len = readlinkat(l->proc_fd, "exe", id->exe, sizeof(id->exe) - 1);
	const char *deleted = " (deleted)";

	while (len && id->args[len - 1] == '\0')
		len--;
	for (size_t i = 0; i < len; i++)
		if (id->args[i] == '\0') id->args[i] = ' ';
	if (exe_len < 0) exe_len = 0;
	id->exe[exe_len] = '\0';
	if ((size_t)exe_len > strlen(deleted) &&
	    strcmp(id->exe + exe_len - strlen(deleted), deleted) == 0)
		id->exe[(size_t)exe_len - strlen(deleted)] = '\0';
}

int live_read_identity(struct live *l, struct err *e)
{
	struct snapshot_identity *id = &l->base.id;
	struct proc_stat stat;
	char status[LIVE_STATUS_MAX];
	const char *value;
	unsigned count;

	if (!live_read_stat(l, l->pid, &stat) ||
	    !read_at(l->proc_fd, "status", status, sizeof(status)))
		return err_set(e, ERR_GONE, "process %d ended", l->pid);
	snprintf(id->comm, sizeof(id->comm), "%.15s", stat.comm);
	id->state = stat.state;
	id->nice = (int8_t)stat.nice;
	id->pid = last_number(status, "NSpid:", &count);
	l->pid_depth = count ? count - 1 : 0;
	if (!count) id->pid = l->pid;
	id->ppid = live_own_pid(l, stat.ppid);
	id->pgrp = last_number(status, "NSpgid:", &count);
	id->sid = last_number(status, "NSsid:", &count);
	value = status_value(status, "Uid:");
	id->uid = value ? (uint32_t)strtoul(value, NULL, 10) : 0;
	value = status_value(status, "Gid:");
	id->gid = value ? (uint32_t)strtoul(value, NULL, 10) : 0;
	read_command(l);
	return 0;
}

void live_read_thread(struct live *l, pid_t tid, struct snapshot_thread *t)
{
	struct proc_stat stat;
	char status[LIVE_STATUS_MAX];
	unsigned count;

	t->tid = tid;
	t->state = '?';
	if (live_read_stat(l, tid, &stat)) {
		snprintf(t->name, sizeof(t->name), "%.15s", stat.comm);
		t->state = stat.state;
		t->utime_ticks = stat.utime_ticks;
		t->stime_ticks = stat.stime_ticks;
	}
	live_read_task(l, tid, "wchan", t->wchan, sizeof(t->wchan));
	if (strcmp(t->wchan, "0") == 0) t->wchan[0] = '\0';
	if (l->pid_depth == 0) return;
	live_read_task(l, tid, "status", status, sizeof(status));
	t->tid = last_number(status, "NSpid:", &count);
	if (count != l->pid_depth + 1) t->tid = tid;
}

void live_read_syscall(struct live *l, pid_t tid, struct snapshot_thread *t)
{
	/* proc(5): "NR ARG1..ARG6 SP PC", "-1 SP PC" outside a system call, or "running". */
	uint64_t values[8];
	size_t count = 0;
	char text[512], *at, *end;
	long long nr;

	t->in_syscall = false;
	if (!live_read_task(l, tid, "syscall", text, sizeof(text))) return;
	nr = strtoll(text, &at, 10);
	if (at == text) return;
	for (; count < ARRAY_SIZE(values); count++, at = end) {
		values[count] = strtoull(at, &end, 16);
		if (end == at) break;
	}
	if (count != (nr < 0 ? 2 : ARRAY_SIZE(values))) return;
	t->in_syscall = nr >= 0;
	t->syscall_nr = nr >= 0 ? (uint64_t)nr : 0;
	t->sp = values[count - 2];
	t->pc = values[count - 1];
}

static int make_xstate_room(struct snapshot_thread *t, struct err *e)
{
	t->xstate = malloc(live_xstate_room());
	if (!t->xstate) return err_set(e, ERR_NO_MEMORY, "registers of a thread");
	/* So that the pause does not wait for the pages. */
	memset(t->xstate, 0, live_xstate_room());
	return 0;
}

static int add_thread(struct live *l, pid_t tid, struct err *e)
{
	struct tracee *t;
	int r;

	if (l->tracee_count == SNAPSHOT_THREADS_MAX)
		return err_set(e, ERR_LIMIT, "process %d has more than %d threads", l->pid,
			       SNAPSHOT_THREADS_MAX);
	if (l->tracee_count == l->tracee_cap) {
		size_t cap = l->tracee_cap ? l->tracee_cap * 2 : 64;
		struct tracee *grown = realloc(l->tracees, cap * sizeof(*grown));

		if (!grown) return err_set(e, ERR_NO_MEMORY, "%zu threads", cap);
		l->tracees = grown;
		l->tracee_cap = cap;
	}
	t = &l->tracees[l->tracee_count];
	memset(t, 0, sizeof(*t));
	t->tid = tid;
	r = make_xstate_room(&t->facts, e);
	if (r) return r;
	live_read_thread(l, tid, &t->facts);
	l->known[tid / 8] |= (uint8_t)(1u << tid % 8);
	l->tracee_count++;
	return 0;
}

void live_forget_threads(struct live *l)
{
	for (size_t i = 0; i < l->tracee_count; i++)
		free(l->tracees[i].facts.xstate);
	free(l->tracees);
	free(l->known);
	l->tracees = NULL;
	l->known = NULL;
	l->tracee_count = l->tracee_cap = l->completed = 0;
}

/* As getdents64(2) fills it; glibc's readdir allocates, which a loop in the pause need not. */
struct dirent64_raw {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

int live_scan_threads(struct live *l, size_t *ret_new, struct err *e)
{
	uint64_t buf[4096];
	size_t before = l->tracee_count;
	long len;

	if (!l->known && !(l->known = calloc(TID_MAX / 8, 1)))
		return err_set(e, ERR_NO_MEMORY, "the list of threads");
	if (lseek(l->task_fd, 0, SEEK_SET) < 0) return err_errno(e, "/proc/%d/task", l->pid);
	while ((len = syscall(SYS_getdents64, l->task_fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < len;) {
			const struct dirent64_raw *d =
			    (const struct dirent64_raw *)((const char *)buf + at);
			long tid = strtol(d->name, NULL, 10);
			int r;

			at += d->reclen;
			if (tid <= 0 || tid >= TID_MAX) continue;
			if (l->known[tid / 8] & 1u << tid % 8) continue;
			r = add_thread(l, (pid_t)tid, e);
			if (r) return r;
		}
	}
	if (len < 0 && errno != ENOENT && errno != ESRCH)
		return err_errno(e, "/proc/%d/task", l->pid);
	*ret_new = l->tracee_count - before;
	return 0;
}
