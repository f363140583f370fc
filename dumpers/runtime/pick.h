/*
 * Which process is meant, among those that this program's pid namespace shows. Never meant: this
 * program and those above it, copies of the shell that started it, others of the same program,
 * kernel threads, zombies.
 *
 * container: the id of the container to look in, from another one that has its processes in sight
 * (a shared pid namespace, the node's); NULL: the one that this program is in. Pids that are given
 * are those of that container's own namespace; those that come out are as this program's numbers
 * them.
 */
#ifndef DUMPERS_RUNTIME_PICK_H
#define DUMPERS_RUNTIME_PICK_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

/*
 * The main process: the lowest pid of those in the container, which for this program's own are
 * those in its control groups (with a shared pid namespace pid 1 is another container's), else all.
 * An init that
 * only starts and reaps (tini, dumb-init, docker-init, catatonit) or a shell is looked through to
 * its only child, if that runs about as long as it: *ret_above is then the first of them, else 0
 * (NULL: not wanted). -ERR_NOT_FOUND when there is none.
 */
int process_pick(const char *container, pid_t *ret, pid_t *ret_above, struct err *e);
/*
 * By a pid, else a name (of the thread or of the program file, as in its command line), else an
 * extended regular expression (regex(7)) that is found in the command line. The container's own
 * come first, as for process_pick. -ERR_NOT_FOUND; -ERR_USAGE for no expression, or when several
 * match, with their pids and names.
 */
int process_pick_named(const char *container, const char *text, pid_t *ret, struct err *e);
/* The process that its container numbers so. -ERR_NOT_FOUND; without a container it is not looked
 * for. */
int process_pick_pid(const char *container, pid_t pid, pid_t *ret, struct err *e);
/*
 * All processes of a container, ascending: those in the very control groups of pid. Owned by the
 * caller. -ERR_GONE where pid is none any more, -ERR_LIMIT for more than max.
 */
int process_pick_container(pid_t pid, size_t max, pid_t **ret, size_t *ret_count, struct err *e);

#endif
