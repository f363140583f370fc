#include "dumpers/proc/target_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Opening a FIFO or terminal must do no harm, should one take the place of what was looked at. */
enum { OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

/*
 * The file as a process of that root would find it: a symbolic link in it must not lead out
 * (openat2(2)). Kernels before 5.6 and some seccomp profiles lack that; then links to absolute
 * paths are followed here, and whoever asked checks what came.
 */
static int find_in_root(int root_fd, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

	if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return fd;
	while (*path == '/')
		path++;
	return openat(root_fd, path, O_PATH | O_CLOEXEC);
}

/* Opens what an O_PATH descriptor stands for: the very open of a device may do something. */
static int open_regular(int path_fd, const char *what, struct blob **ret, struct err *e)
{
	_cleanup_close_ int fd = -1;
	char link[64];
	struct stat st;
	int r;

	if (fstat(path_fd, &st)) return err_errno(e, "cannot look at %s", what);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_UNSUPPORTED, "%s is not a regular file", what);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	fd = open(link, OPEN_FLAGS);
	if (fd < 0) return err_errno(e, "cannot open %s", what);
	r = blob_from_fd(fd, ret, e);
	if (!r) (void)steal_fd(&fd);
	return r;
}

int process_open_mapped(const struct process *p, uint64_t start, uint64_t end, struct blob **ret,
			struct err *e)
{
	_cleanup_close_ int fd = -1;
	char link[64];

	snprintf(link, sizeof(link), "map_files/%llx-%llx", (unsigned long long)start,
		 (unsigned long long)end);
	fd = openat(p->proc_fd, link, O_PATH | O_CLOEXEC);
	if (fd < 0) return err_errno(e, "cannot open /proc/%d/%s", p->pid, link);
	return open_regular(fd, link, ret, e);
}

int open_path_in_root(int root_fd, const char *path, struct blob **ret, struct err *e)
{
	_cleanup_close_ int fd = -1;

	if (path[0] != '/') return err_set(e, ERR_NOT_FOUND, "%s has no file", path);
	fd = find_in_root(root_fd, path);
	if (fd < 0) return err_errno(e, "cannot open %s", path);
	return open_regular(fd, path, ret, e);
}

int process_open_path(const struct process *p, const char *path, struct blob **ret, struct err *e)
{
	_cleanup_close_ int root_fd = openat(p->proc_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root_fd < 0) return err_errno(e, "cannot open the root of process %d", p->pid);
	return open_path_in_root(root_fd, path, ret, e);
}
