/* What a bundle says of a process beside its core: process.json, fds.json and copies of small /proc
 * files. */
#ifndef DUMPERS_RUNTIME_DESCRIBE_H
#define DUMPERS_RUNTIME_DESCRIBE_H

#include "dumpers/proc/process.h"

struct process_summary {
	pid_t ns_pid;  /* as its own pid namespace numbers it */
	char comm[64]; /* raw bytes, NUL-terminated */
};
/* Errors of process_read. */
int process_summary_read(const struct process *p, struct process_summary *ret, struct err *e);

/*
 * Appends process.json, schema "podsnap.process/1": identity, start, program, command line,
 * environment, users and capabilities, namespaces, limits, control group, memory, signals, runtime.
 * Its own and its parent's number are those of its own pid namespace, "ns_pids" has those of ours
 * on. What cannot be read is null, and named with its reason under "unreadable". Secrets in command
 * line and environment are masked unless show_secrets. -ERR_GONE when the process ended.
 */
int process_describe_json(const struct process *p, bool show_secrets, struct buf *ret,
			  struct err *e);
/* Appends fds.json, schema "podsnap.fds/1". Errors of process_fds. */
int process_fds_json(const struct process *p, struct buf *ret, struct err *e);

/* A file of /proc/PID that a capture copies as it is. */
struct proc_file {
	const char *name;
	size_t max_bytes; /* larger ones are left out */
};
extern const struct proc_file proc_files[];
extern const size_t proc_file_count;

#endif
