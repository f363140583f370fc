/*
 * The identity of a process and small reads of its /proc directory. A pid alone is never an
 * identity: it is reused. All reads go through a descriptor of /proc/PID, and process_check tells
 * whether that is still the process that was opened.
 */
#ifndef DUMPERS_PROC_PROCESS_H
#define DUMPERS_PROC_PROCESS_H

#include "base/io.h"

struct process {
	pid_t pid;            /* as this program's pid namespace numbers it */
	int proc_fd;          /* O_PATH|O_DIRECTORY of /proc/PID */
	int pidfd;            /* pidfd_open(2); -1 where the kernel or seccomp has none */
	uint64_t start_ticks; /* /proc/PID/stat field 22 */
};
/* -ERR_NOT_FOUND "no process N"; a kernel thread or zombie opens too. */
int process_open(pid_t pid, struct process *ret, struct err *e);
void process_done(struct process *p); /* fine on a zeroed-with-fd=-1 or done one */
#define _cleanup_process_ _cleanup_(process_done)
#define PROCESS_INIT                                                                               \
	{                                                                                          \
		.proc_fd = -1, .pidfd = -1                                                         \
	}
/* 0 while it is the same process and not a zombie, else -ERR_GONE. */
int process_check(const struct process *p, struct err *e);
/* Appends the file /proc/PID/<name>, e.g. "status", "task/12/comm". */
int process_read(const struct process *p, const char *name, struct buf *ret, struct err *e);
/* Makes a process the first choice of the OOM killer, as far as oom_score_adj goes: path is that
 * file of it, below dir_fd. -1 with errno. */
int process_offer_to_oom_killer(int dir_fd, const char *path);
/* Target of the link /proc/PID/<name> ("exe", "cwd", "ns/pid"), NUL-terminated. */
int process_readlink(const struct process *p, const char *name, char *ret, size_t ret_size,
		     struct err *e);

#endif
