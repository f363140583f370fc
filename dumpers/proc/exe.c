#include "dumpers/proc/exe.h"

#include <fcntl.h>

int process_open_exe(const struct process *p, struct blob **ret, struct err *e)
{
	_cleanup_close_ int fd = openat(p->proc_fd, "exe", O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r;

	if (fd < 0) return err_errno(e, "process %d: its program", p->pid);
	r = blob_from_fd(fd, ret, e);
	if (r == 0) fd = -1;
	return r;
}

int process_exe_id(const struct process *p, struct elf_id *ret, struct err *e)
{
	_cleanup_blob_ struct blob *exe = NULL;
	int r = process_open_exe(p, &exe, e);

	return r < 0 ? r : elf_id_of_blob(exe, ret, e);
}
