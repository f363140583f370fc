/* Where modules' files are: in a live process's own root, or on this machine. */
#include "dumpers/stack/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>

/* What is opened is checked to be a regular file; a FIFO or terminal must do no harm before. */
enum { OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

/*
 * The file as a process of that root would find it: a symbolic link in it must not lead out
 * (openat2(2)). Kernels before 5.6 and some seccomp profiles lack that; then links to absolute
 * paths are followed here, and the check of the build-id has the last word.
 */
static int open_in_root(int root_fd, const char *path)
{
	struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_IN_ROOT};
	int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

	if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return fd;
	while (*path == '/')
		path++;
	return openat(root_fd, path, OPEN_FLAGS);
}

static int take_fd(int fd, struct blob **ret, struct err *e)
{
	_cleanup_close_ int owned = fd;
	int r = blob_from_fd(owned, ret, e);

	if (!r) (void)steal_fd(&owned);
	return r;
}

static int open_path(int root_fd, const struct module *module, struct blob **ret, struct err *e)
{
	int fd;

	if (module->path[0] != '/')
		return err_set(e, ERR_NOT_FOUND, "%s has no file", module->path);
	fd = open_in_root(root_fd, module->path);
	if (fd < 0) return err_errno(e, "cannot open %s", module->path);
	return take_fd(fd, ret, e);
}

int find_module_in_process(void *ctx, const struct module *module, struct blob **ret, struct err *e)
{
	const struct process *p = ctx;
	_cleanup_close_ int root_fd = -1;
	char link[64];
	int fd;

	/* The mapped file itself, also when it was deleted or replaced; needs CAP_SYS_ADMIN or
	 * CAP_CHECKPOINT_RESTORE (proc(5)). */
	snprintf(link, sizeof(link), "map_files/%llx-%llx", (unsigned long long)module->header,
		 (unsigned long long)module->header_end);
	fd = openat(p->proc_fd, link, OPEN_FLAGS);
	if (fd >= 0) return take_fd(fd, ret, e);

	root_fd = openat(p->proc_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0) return err_errno(e, "cannot open the root of process %d", p->pid);
	return open_path(root_fd, module, ret, e);
}

int find_module_in_sysroot(void *ctx, const struct module *module, struct blob **ret, struct err *e)
{
	const char *sysroot = ctx && *(const char *)ctx ? ctx : "/";
	_cleanup_close_ int root_fd = open(sysroot, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root_fd < 0) return err_errno(e, "cannot open the sysroot %s", sysroot);
	return open_path(root_fd, module, ret, e);
}
