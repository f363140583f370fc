/* Where modules' files are: in a live process's own root, or on this machine. */
#include "dumpers/stack/modules.h"

#include "dumpers/proc/target_file.h"

#include <fcntl.h>

int find_module_in_process(void *ctx, const struct module *module, struct blob **ret, struct err *e)
{
	const struct process *p = ctx;

	if (process_open_mapped(p, module->header, module->header_end, ret, NULL) == 0) return 0;
	return process_open_path(p, module->path, ret, e);
}

int find_module_in_sysroot(void *ctx, const struct module *module, struct blob **ret, struct err *e)
{
	const char *sysroot = ctx && *(const char *)ctx ? ctx : "/";
	_cleanup_close_ int root_fd = open(sysroot, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root_fd < 0) return err_errno(e, "cannot open the sysroot %s", sysroot);
	return open_path_in_root(root_fd, module->path, ret, e);
}
