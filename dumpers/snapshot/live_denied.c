#include "dumpers/proc/capturable.h"
#include "dumpers/snapshot/live_internal.h"

#include <errno.h>
#include <string.h>

static bool is_refusal(int error)
{
	/* A seccomp filter may pretend that there is no such call. */
	return error == EPERM || error == EACCES || error == ENOSYS;
}

int live_denied(struct live *l, const char *what, struct err *e)
{
	const struct process target = {.pid = l->pid, .proc_fd = l->proc_fd, .pidfd = -1};
	struct capture_verdict verdict;
	struct proc_status status;
	int error = errno;

	if (error == ESRCH || error == ENOENT)
		return err_set(e, ERR_GONE, "process %d ended", l->pid);
	if (!is_refusal(error)) return err_errno(e, "process %d: %s", l->pid, what);
	if (process_status(&target, &status, NULL) < 0)
		return err_set(e, ERR_PERMISSION, "process %d: %s: not permitted", l->pid, what);
	process_refusal(&target, &status, &verdict);
	err_set(e, ERR_PERMISSION, "process %d cannot be captured: %s (%s: %s)", l->pid,
		verdict.reason, what, strerror(error));
	if (e) e->sys_errno = error;
	err_hint(e, "%s", verdict.hint);
	return -ERR_PERMISSION;
}
