/*
 * Files as a process sees them: what it has mapped, and paths in its own root. The root is hostile:
 * a path may lead to a device, a FIFO, or out by a symbolic link; only regular files are opened,
 * and nothing is done to what is none.
 */
#ifndef DUMPERS_PROC_TARGET_FILE_H
#define DUMPERS_PROC_TARGET_FILE_H

#include "base/blob.h"
#include "dumpers/proc/process.h"

/*
 * The file that is mapped at [start, end), exactly a range of /proc/PID/maps, also when it was
 * deleted or replaced since. Takes CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE (proc(5), map_files):
 * else -ERR_PERMISSION. -ERR_NOT_FOUND where no such range is mapped any more, -ERR_UNSUPPORTED for
 * what is not a regular file.
 */
int process_open_mapped(const struct process *p, uint64_t start, uint64_t end, struct blob **ret,
			struct err *e);
/* The file at an absolute path of its root. -ERR_NOT_FOUND, -ERR_PERMISSION; -ERR_UNSUPPORTED for
 * what is not a regular file. */
int process_open_path(const struct process *p, const char *path, struct blob **ret, struct err *e);
/* The same below any directory. */
int open_path_in_root(int root_fd, const char *path, struct blob **ret, struct err *e);

#endif
