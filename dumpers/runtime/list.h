/* The processes that this program's pid namespace shows, each with a runtime guess and whether it
 * can be captured. */
#ifndef DUMPERS_RUNTIME_LIST_H
#define DUMPERS_RUNTIME_LIST_H

#include "dumpers/proc/capturable.h"
#include "dumpers/proc/cgroup.h"
#include "dumpers/runtime/held.h"
#include "dumpers/runtime/runtime.h"

enum {
	PROCESS_LIST_MAX = 8192,
	PROCESS_COMMAND_MAX = 1024, /* bytes of the joined command line; longer ones are cut */
};

struct process_item {
	/* As this program's pid namespace numbers it; in a list of a container, as its own does. */
	pid_t pid;
	uint64_t ns_pid; /* as its own does */
	uint64_t ppid;   /* numbered as pid; 0: outside the namespace */
	uint64_t uid;    /* effective */
	uint64_t threads;
	uint64_t rss_bytes;
	uint64_t start_ns; /* wall clock, ns since the epoch */
	char state;        /* R, S, D, Z, ... */
	char comm[64];
	char *command; /* joined, secrets masked; "[comm]" where there is none; owned */
	char container_id[CGROUP_CONTAINER_ID_SIZE]; /* "" not known */
	struct runtime_guess guess;
	struct capture_verdict verdict;
};

struct process_list {
	struct process_item *v; /* ascending by pid; owned */
	size_t count;
	bool cut; /* there were more than PROCESS_LIST_MAX */
	struct held_list held;
};

/*
 * only > 0: that process, also when it could not be listed (-ERR_NOT_FOUND when there is none).
 * Else all but this program itself, kernel threads, the shells that push probes with all that they
 * started, and copies of processes that a podsnap holds; or of these those of the container
 * (pick.h). A process that ends while it is looked at is left out. -ERR_IO, -ERR_PERMISSION when
 * /proc cannot be listed.
 */
int process_list_read(const char *container, pid_t only, struct process_list *ret, struct err *e);
void process_list_done(struct process_list *list);
#define _cleanup_process_list_ _cleanup_(process_list_done)

#endif
