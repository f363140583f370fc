/* ptrace(2), "Ptrace access mode checking", says who may look at whom; here each rule is asked. */
#include "dumpers/snapshot/live_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { CAP_SYS_PTRACE_BIT = 19 };

struct permission_facts {
	uint64_t tracer_pid, uid, our_uid;
	uint64_t our_caps, target_caps, our_permitted;
	bool same_user, same_user_ns, not_dumpable;
	bool seccomp;
	int yama;
};

static bool read_text(int dir_fd, const char *path, char *ret, size_t ret_size)
{
	struct buf b = BUF_INIT(ret_size - 1);
	int r = io_read_file(dir_fd, path, &b, NULL);

	ret[0] = '\0';
	if (!r && b.data) memcpy(ret, b.data, b.len + 1);
	buf_done(&b);
	return !r;
}

static uint64_t status_number(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* The first three of "Uid:\treal\teffective\tsaved\tfs" must all be our real one. */
static bool ids_match(const char *status, const char *key, unsigned long ours)
{
	const char *at = strstr(status, key);
	char *end;

	if (!at) return false;
	at += strlen(key);
	for (int i = 0; i < 3; i++, at = end) {
		if (strtoul(at, &end, 10) != ours || end == at) return false;
	}
	return true;
}

static void gather(struct live *l, struct permission_facts *f)
{
	char status[8192], ours[8192], text[32], ns_ours[64] = "", ns_target[64] = "";
	struct stat st;

	memset(f, 0, sizeof(*f));
	read_text(l->proc_fd, "status", status, sizeof(status));
	read_text(AT_FDCWD, "/proc/self/status", ours, sizeof(ours));
	f->tracer_pid = status_number(status, "TracerPid:");
	f->uid = status_number(status, "\nUid:");
	f->our_uid = getuid();
	f->our_caps = live_status_hex(ours, "CapEff:");
	f->our_permitted = live_status_hex(ours, "CapPrm:");
	f->target_caps = live_status_hex(status, "CapPrm:");
	f->same_user =
	    ids_match(status, "\nUid:", getuid()) && ids_match(status, "\nGid:", getgid());
	f->seccomp = status_number(ours, "\nSeccomp:") == 2;
	if (readlinkat(l->proc_fd, "ns/user", ns_target, sizeof(ns_target) - 1) > 0 &&
	    readlink("/proc/self/ns/user", ns_ours, sizeof(ns_ours) - 1) > 0)
		f->same_user_ns = strcmp(ns_ours, ns_target) == 0;
	else
		f->same_user_ns = true;
	/* proc(5): the files of a process that is not dumpable belong to root. */
	f->not_dumpable = fstatat(l->proc_fd, "status", &st, 0) == 0 && st.st_uid != f->uid;
	if (read_text(AT_FDCWD, "/proc/sys/kernel/yama/ptrace_scope", text, sizeof(text)))
		f->yama = (int)strtol(text, NULL, 10);
}

/* Sets the hint from the first rule that forbids. */
static void explain(const struct live *l, const struct permission_facts *f, struct err *e)
{
	bool capable = (f->our_caps & (uint64_t)1 << CAP_SYS_PTRACE_BIT) != 0;
	unsigned long long uid = f->uid, our_uid = f->our_uid;

	if (f->tracer_pid)
		err_hint(
		    e,
		    "process %d is already traced by process %llu: end that debugger or tracer "
		    "first (ps -p %llu)",
		    l->pid, (unsigned long long)f->tracer_pid, (unsigned long long)f->tracer_pid);
	else if (!capable && !f->same_user)
		err_hint(e,
			 "process %d runs as uid %llu, this program as uid %llu without "
			 "CAP_SYS_PTRACE: run as root or as uid %llu, or add the capability "
			 "SYS_PTRACE",
			 l->pid, uid, our_uid, uid);
	else if (!capable && f->not_dumpable)
		err_hint(e,
			 "process %d is not dumpable (it changed its user, or its program file is "
			 "not readable): run as root with CAP_SYS_PTRACE",
			 l->pid);
	else if (!f->same_user_ns && !capable)
		err_hint(e, "process %d is in another user namespace: run in its parent", l->pid);
	else if (!capable && f->yama >= 1)
		err_hint(e,
			 "Yama allows tracing of own children only "
			 "(kernel.yama.ptrace_scope = %d): run as root with CAP_SYS_PTRACE, or "
			 "'sysctl kernel.yama.ptrace_scope=0'",
			 f->yama);
	else if (f->yama == 3)
		err_hint(e, "kernel.yama.ptrace_scope = 3 forbids tracing until the next boot");
	else if (!capable && (f->target_caps & ~f->our_permitted))
		err_hint(e,
			 "process %d holds capabilities this program lacks: give it the same ones, "
			 "or SYS_PTRACE",
			 l->pid);
	else if (f->seccomp)
		err_hint(e, "a seccomp filter on this program may forbid ptrace: use the profile "
			    "RuntimeDefault of a newer runtime, or Unconfined");
	else
		err_hint(e, "a security module (AppArmor, SELinux) or a user namespace forbids it: "
			    "see 'dmesg | tail' on the node");
}

int live_denied(struct live *l, const char *what, struct err *e)
{
	struct permission_facts f;
	int error = errno;

	if (!e) return error == ESRCH || error == ENOENT ? -ERR_GONE : -ERR_PERMISSION;
	if (error == ESRCH || error == ENOENT)
		return err_set(e, ERR_GONE, "process %d ended", l->pid);
	errno = error;
	err_errno(e, "process %d: %s", l->pid, what);
	if (error == ENOSYS) e->code = ERR_PERMISSION;
	if (e->code != ERR_PERMISSION) return -e->code;
	gather(l, &f);
	explain(l, &f, e);
	return -e->code;
}
