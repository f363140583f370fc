/* The pids that this program's pid namespace shows. */
#ifndef DUMPERS_RUNTIME_PIDS_H
#define DUMPERS_RUNTIME_PIDS_H

#include "dumpers/proc/process.h"
#include "dumpers/proc/status.h"

struct pids {     /* all zero: none */
	pid_t *v; /* owned */
	size_t count, cap;
};
void pids_done(struct pids *pids);
#define _cleanup_pids_ _cleanup_(pids_done)

/* -ERR_NO_MEMORY. */
int pids_add(struct pids *pids, pid_t pid, struct err *e);
/* Those in /proc, ascending. -ERR_IO, -ERR_PERMISSION. */
int pids_list(struct pids *ret, struct err *e);

/* 0: none in sight, or it is gone. */
pid_t process_parent(pid_t pid);
/* Is it the shell that pushes a probe and waits for it (exec/push.h), or a copy of that shell? */
bool process_is_pushing_shell(pid_t pid);
bool process_is_kernel_thread(const struct process *p, const struct proc_status *status);
/* Does the process or thread belong to a podsnap, this or another one? Its name tells. */
bool task_is_podsnaps(pid_t tid);
/* Is it the copy that a podsnap made of a process, to read it: a child of that process, of one
 * thread and of the same program, which the podsnap traces? */
bool process_is_copy(const struct process *p, const struct proc_status *status);
/* As its own pid namespace numbers it. */
pid_t process_own_pid(pid_t pid, const struct proc_status *status);
/* Its parent's number in that namespace; 0 where the parent is of another. */
uint64_t process_own_ppid(const struct proc_status *status);
/* Is it of the container of that id? */
bool process_is_of_container(const struct process *p, const char *id);

#endif
