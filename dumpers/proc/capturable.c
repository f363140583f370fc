#include "dumpers/proc/capturable.h"

#include "dumpers/proc/capability.h"
#include "dumpers/proc/exe.h"
#include "dumpers/proc/namespaces.h"
#include "dumpers/proc/scan.h"
#include "dumpers/proc/stat.h"

#include <elf.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/stat.h>

enum { SMALL_TEXT_MAX = 64, ANCESTORS_MAX = 1024 };

static const char *const names[BLOCKER_COUNT] = {
    [BLOCKER_NONE] = "",
    [BLOCKER_SELF] = "self",
    [BLOCKER_KERNEL_THREAD] = "kernel",
    [BLOCKER_ZOMBIE] = "zombie",
    [BLOCKER_TRACED] = "traced",
    [BLOCKER_BITS] = "32-bit",
    [BLOCKER_MACHINE] = "cpu",
    [BLOCKER_UID] = "uid",
    [BLOCKER_USERNS] = "userns",
    [BLOCKER_DUMPABLE] = "dumpable",
    [BLOCKER_CAPS] = "caps",
    [BLOCKER_YAMA] = "yama",
    [BLOCKER_SECURITY] = "security",
    [BLOCKER_GONE] = "gone",
};

const char *blocker_name(enum blocker blocker)
{
	return (unsigned)blocker < BLOCKER_COUNT ? names[blocker] : "unknown";
}

bool blocker_is_of_rights(enum blocker blocker)
{
	return blocker >= BLOCKER_UID && blocker <= BLOCKER_SECURITY;
}

/* __ptrace_may_access: the caller's fs ids against all three of the target's. */
static bool same_user(const struct proc_status *ours, const struct proc_status *theirs)
{
	for (int i = ID_REAL; i <= ID_SAVED; i++) {
		if (theirs->uid[i] != ours->uid[ID_FS] || theirs->gid[i] != ours->gid[ID_FS])
			return false;
	}
	return true;
}

enum blocker ptrace_blocker(const struct ptrace_facts *f)
{
	bool capable = f->same_userns && (f->ours.cap_eff >> CAPABILITY_SYS_PTRACE & 1);

	/* kernel.yama.ptrace_scope 3 binds everybody. */
	if (f->yama_scope == 3) return BLOCKER_YAMA;
	if (capable) return BLOCKER_SECURITY;
	if (!f->same_userns) return BLOCKER_USERNS;
	if (!same_user(&f->ours, &f->theirs)) return BLOCKER_UID;
	if (!f->dumpable) return BLOCKER_DUMPABLE;
	/* cap_ptrace_access_check: a subset of what the caller has in effect. */
	if (f->theirs.cap_prm & ~f->ours.cap_eff) return BLOCKER_CAPS;
	if (f->yama_scope == 2 || (f->yama_scope == 1 && !f->is_descendant)) return BLOCKER_YAMA;
	return BLOCKER_SECURITY;
}

bool ptrace_dumpable(const struct ptrace_facts *facts, bool readable)
{
	struct ptrace_facts f = *facts;

	f.yama_scope = 0;
	return f.dumpable && (readable || ptrace_blocker(&f) != BLOCKER_SECURITY ||
			      (f.ours.cap_eff >> CAPABILITY_SYS_PTRACE & 1));
}

/* Needs PTRACE_MODE_READ_FSCREDS (fs/proc/base.c). */
static bool is_readable(const struct process *p)
{
	_cleanup_buf_ struct buf text = BUF_INIT(STATUS_TEXT_MAX);

	return process_read(p, "auxv", &text, NULL) != -ERR_PERMISSION;
}

static int read_yama_scope(void)
{
	_cleanup_buf_ struct buf text = BUF_INIT(SMALL_TEXT_MAX);
	struct scan s;
	uint64_t scope;

	if (io_read_file(AT_FDCWD, "/proc/sys/kernel/yama/ptrace_scope", &text, NULL) < 0) return 0;
	s = scan_of(text.data, text.len);
	return scan_u64(&s, 10, &scope) && scope <= 3 ? (int)scope : 0;
}

/* Is pid below us? Follows parents; a parent outside the pid namespace is 0. */
static bool is_descendant(uint64_t parent)
{
	for (int i = 0; i < ANCESTORS_MAX && parent > 1; i++) {
		_cleanup_process_ struct process p = PROCESS_INIT;
		struct proc_status status;

		if (parent == (uint64_t)getpid()) return true;
		if (process_open((pid_t)parent, &p, NULL) < 0 ||
		    process_status(&p, &status, NULL) < 0)
			return false;
		parent = status.ppid;
	}
	return false;
}

static int read_own_status(struct proc_status *ret)
{
	_cleanup_process_ struct process self = PROCESS_INIT;
	int r = process_open(getpid(), &self, NULL);

	return r < 0 ? r : process_status(&self, ret, NULL);
}

static enum blocker find_rule(const struct process *p, const struct proc_status *status,
			      struct ptrace_facts *f)
{
	struct namespaces ns;
	struct stat st;

	*f = (struct ptrace_facts){.theirs = *status, .dumpable = true, .same_userns = true};
	if (read_own_status(&f->ours) < 0) return BLOCKER_SECURITY;
	/* proc_pid(5): the files of a process that is not dumpable belong to root. */
	if (fstatat(p->proc_fd, "status", &st, 0) == 0)
		f->dumpable = st.st_uid == status->uid[ID_EFFECTIVE];
	process_namespaces(p, &ns);
	if (ns.v[NS_USER].inode != 0) f->same_userns = ns.v[NS_USER].same;
	f->yama_scope = read_yama_scope();
	f->is_descendant = is_descendant(status->ppid);
	f->dumpable = ptrace_dumpable(f, is_readable(p));
	return ptrace_blocker(f);
}

#define SAY(field, ...) snprintf((field), sizeof(field), __VA_ARGS__)

static void explain_caps(const struct ptrace_facts *f, struct capture_verdict *v)
{
	_cleanup_buf_ struct buf list = BUF_INIT(VERDICT_TEXT_MAX);

	capability_list(f->theirs.cap_prm & ~f->ours.cap_eff, &list, NULL);
	SAY(v->reason, "it has capabilities that podsnap lacks: %.180s",
	    list.data ? list.data : "");
	SAY(v->hint, "give podsnap the same ones, or SYS_PTRACE");
}

static void explain_rule(const struct ptrace_facts *f, struct capture_verdict *v)
{
	unsigned theirs = f->theirs.uid[ID_EFFECTIVE], ours = f->ours.uid[ID_FS];

	switch (v->blocker) {
	case BLOCKER_UID:
		if (theirs == ours)
			SAY(v->reason,
			    "its user and group ids differ from podsnap's, which runs as uid %u, "
			    "gid %u without CAP_SYS_PTRACE",
			    ours, f->ours.gid[ID_FS]);
		else
			SAY(v->reason,
			    "it runs as uid %u, podsnap as uid %u without CAP_SYS_PTRACE", theirs,
			    ours);
		SAY(v->hint, "run podsnap as uid %u, gid %u, or with the capability SYS_PTRACE",
		    theirs, f->theirs.gid[ID_EFFECTIVE]);
		break;
	case BLOCKER_USERNS:
		SAY(v->reason, "it is in another user namespace");
		SAY(v->hint, "run podsnap in the same or a parent user namespace, with SYS_PTRACE");
		break;
	case BLOCKER_DUMPABLE:
		SAY(v->reason, "it is not dumpable: it changed its user or asked for it, or its "
			       "program file is not readable");
		SAY(v->hint, "run podsnap as root with the capability SYS_PTRACE");
		break;
	case BLOCKER_CAPS:
		explain_caps(f, v);
		break;
	case BLOCKER_YAMA:
		SAY(v->reason, "kernel.yama.ptrace_scope is %d", f->yama_scope);
		if (f->yama_scope == 3)
			SAY(v->hint, "it forbids tracing until the next boot");
		else
			SAY(v->hint, "run podsnap with the capability SYS_PTRACE%s",
			    f->yama_scope == 1 ? ", or: sysctl kernel.yama.ptrace_scope=0" : "");
		break;
	default:
		SAY(v->reason, "a security module or a rule of the container runtime forbids it");
		SAY(v->hint, "look for AppArmor or SELinux denials in the node's log: dmesg%s",
		    f->ours.seccomp == SECCOMP_MODE_FILTER ? "; podsnap's own seccomp profile may "
							     "forbid ptrace: use RuntimeDefault of "
							     "a newer runtime, or Unconfined"
							   : "");
		break;
	}
}

static bool is_kernel_thread(const struct process *p, const struct proc_status *status)
{
	char exe[SMALL_TEXT_MAX];

	if (proc_status_has(status, STATUS_KTHREAD)) return status->kthread != 0;
	/* Before Linux 6.8: no memory lines, while alive. A zombie has none either. */
	return !proc_status_has(status, STATUS_VM_SIZE) && status->state != 'Z' &&
	       process_readlink(p, "exe", exe, sizeof(exe), NULL) == -ERR_NOT_FOUND;
}

static bool is_dead(const struct proc_status *status)
{
	return (status->state == 'Z' && status->threads <= 1) || status->state == 'X';
}

static void explain_tracer(uint64_t tracer, struct capture_verdict *v)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct proc_status status = {0};

	if (process_open((pid_t)tracer, &p, NULL) == 0) process_status(&p, &status, NULL);
	SAY(v->reason, "it is already traced by process %llu%s%.64s%s", (unsigned long long)tracer,
	    status.name[0] ? " (" : "", status.name, status.name[0] ? ")" : "");
	SAY(v->hint, "end that debugger or tracer first");
}

static enum blocker find_tracer(const struct proc_status *status, struct capture_verdict *v)
{
	if (status->tracer_pid == 0) return BLOCKER_NONE;
	explain_tracer(status->tracer_pid, v);
	return BLOCKER_TRACED;
}

void process_refusal(const struct process *p, const struct proc_status *status,
		     struct capture_verdict *ret)
{
	struct ptrace_facts facts;

	*ret = (struct capture_verdict){0};
	ret->blocker = find_tracer(status, ret);
	if (ret->blocker != BLOCKER_NONE) return;
	ret->blocker = find_rule(p, status, &facts);
	explain_rule(&facts, ret);
}

/* What no right can change. */
static enum blocker find_state(const struct process *p, const struct proc_status *status,
			       struct capture_verdict *v)
{
	if (p->pid == getpid()) {
		SAY(v->reason, "it is podsnap itself");
		return BLOCKER_SELF;
	}
	if (is_dead(status)) {
		SAY(v->reason, "it ended, and its parent %llu has not reaped it",
		    (unsigned long long)status->ppid);
		return BLOCKER_ZOMBIE;
	}
	if (is_kernel_thread(p, status)) {
		SAY(v->reason, "it is a kernel thread");
		return BLOCKER_KERNEL_THREAD;
	}
	return find_tracer(status, v);
}

static enum blocker find_image(const struct process *p, struct capture_verdict *v)
{
	struct elf_id id;

	/* Unreadable is not a reason of its own: the right to trace comes next. */
	if (process_exe_id(p, &id, NULL) < 0) return BLOCKER_NONE;
	if (id.elf_class == ELFCLASS32) {
		SAY(v->reason, "it is a 32-bit program, which podsnap does not support");
		return BLOCKER_BITS;
	}
	if (id.e_machine != EM_X86_64) {
		SAY(v->reason, "it is a program for another CPU (ELF machine %u)", id.e_machine);
		return BLOCKER_MACHINE;
	}
	return BLOCKER_NONE;
}

void process_capturable(const struct process *p, const struct proc_status *status,
			struct capture_verdict *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT(SMALL_TEXT_MAX);
	int r;

	*ret = (struct capture_verdict){0};
	ret->blocker = find_state(p, status, ret);
	if (ret->blocker == BLOCKER_NONE) ret->blocker = find_image(p, ret);
	if (ret->blocker != BLOCKER_NONE) return;
	r = process_read(p, "personality", &text, NULL);
	if (r == 0) return;
	if (process_check(p, NULL) == -ERR_GONE) {
		ret->blocker = BLOCKER_GONE;
		SAY(ret->reason, "it ended");
		return;
	}
	process_refusal(p, status, ret);
	/* No such file here (some sandboxes): only a rule that is seen to forbid counts. */
	if (r != -ERR_PERMISSION && ret->blocker == BLOCKER_SECURITY)
		*ret = (struct capture_verdict){0};
}
