#include "dumpers/stack/modules.h"

#include <fcntl.h>
#include <stdio.h>

static int open_regular(int dirfd, const char *path, struct blob **ret, struct err *e)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) return err_errno(e, "cannot open %s", path);
	int r = blob_from_fd(fd, ret, e);
	if (!r) (void)steal_fd(&fd);
	return r;
}

int find_module_in_process(void *ctx, const struct module *module, struct blob **ret, struct err *e)
{
	const struct process *process = ctx;
	char path[64 + 4096];
	int n = snprintf(path, sizeof path, "root%s", module->path);
	if (n < 0 || (size_t)n >= sizeof path) return err_set(e, ERR_LIMIT, "path too long");
	return open_regular(process->proc_fd, path, ret, e);
}

int find_module_in_sysroot(void *ctx, const struct module *module, struct blob **ret, struct err *e)
{
	const char *sysroot = ctx;
	char path[8192];
	int n = snprintf(path, sizeof path, "%s%s", sysroot ? sysroot : "", module->path);
	if (n < 0 || (size_t)n >= sizeof path) return err_set(e, ERR_LIMIT, "path too long");
	return open_regular(AT_FDCWD, path, ret, e);
}
