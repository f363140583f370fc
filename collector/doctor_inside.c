#include "base/human.h"
#include "collector/doctor.h"
#include "collector/probe_work.h"
#include "dumpers/proc/capability.h"
#include "dumpers/proc/capturable.h"
#include "exec/container.h"
#include "exec/json_doc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PUSH_ROOM = 4 << 20 }; /* what it takes until the probe looks */

/* --- pushing the probe --- */

static void judge_push(struct doctor *d, size_t probe_bytes)
{
	char why[500];
	const struct inside *in = &d->inside;

	if (in->machine[0] && strcmp(in->machine, "x86_64") != 0) {
		doctor_block(d, ON_EXEC, "cpu", "the node's CPU is %s, but the probe is for x86_64",
			     in->machine);
		return;
	}
	if (!in->tool[0]) {
		doctor_block(d, ON_EXEC, "tool", "the image has neither head -c nor dd");
		doctor_fix(d, ON_EXEC, "enter by an ephemeral container: --probe-image=IMAGE");
	}
	if (inside_find_place(in, probe_bytes, why, sizeof why)) return;
	doctor_block(d, ON_EXEC, "place", "no place to run the probe from: %s", why);
	doctor_fix(d, ON_EXEC,
		   "enter by an ephemeral container (--probe-image=IMAGE), or make the pod with\n"
		   "spec:\n"
		   "  containers:\n"
		   "  - name: %s\n"
		   "    volumeMounts:\n"
		   "    - {name: podsnap, mountPath: /tmp}\n"
		   "  volumes:\n"
		   "  - {name: podsnap, emptyDir: {}}",
		   d->target.container);
}

/* --- memory --- */

static void judge_memory(struct doctor *d, size_t probe_bytes)
{
	uint64_t room = inside_memory_room(&d->inside),
		 need = PROBE_ROOM_MIN + PUSH_ROOM + probe_bytes;
	char left[HUMAN_MAX], needed[HUMAN_MAX];
	const struct inside *in = &d->inside;

	if (room == INSIDE_UNKNOWN) {
		doctor_note(d, ON_TARGET,
			    "not checked: how much memory the container may still use");
		return;
	}
	if (room >= need) return;
	doctor_block(d, ON_TARGET, "memory",
		     "the container's memory limit leaves %s, and the probe may need %s: the "
		     "process could be killed for it",
		     human_size(room, left), human_size(need, needed));
	if (in->limit == INSIDE_UNKNOWN || in->available <= room) return;
	/* What is used goes up and down: as much again, so that it helps for longer than now. */
	uint64_t better_mib = (in->limit + 2 * need - room) / MIB + 1;
	doctor_fix(d, ON_TARGET,
		   "make the pod with\n"
		   "spec:\n"
		   "  containers:\n"
		   "  - name: %s\n"
		   "    resources:\n"
		   "      limits: {memory: %" PRIu64 "Mi}",
		   d->target.container, better_mib);
}

/* --- the right to trace --- */

/* The smaller change, where it is one. */
static void fix_beside(struct doctor *d)
{
	doctor_fix(d, d->as_target & ON_EPHEMERAL,
		   "--ptrace: the ephemeral container is root with SYS_PTRACE and DAC_OVERRIDE");
}

static void fix_by_sys_ptrace(struct doctor *d)
{
	doctor_fix(d, d->as_target,
		   "make the pod with\n"
		   "spec:\n"
		   "  containers:\n"
		   "  - name: %s\n"
		   "    securityContext:\n"
		   "      runAsUser: 0\n"
		   "      capabilities:\n"
		   "        add: [SYS_PTRACE]",
		   d->target.container);
	fix_beside(d);
}

static void judge_user(struct doctor *d, const struct ptrace_facts *f)
{
	doctor_block(d, d->as_target, "uid",
		     "the process runs as uid %u, gid %u; what is run in the container as uid %u, "
		     "gid %u without CAP_SYS_PTRACE",
		     f->theirs.uid[ID_EFFECTIVE], f->theirs.gid[ID_EFFECTIVE], f->ours.uid[ID_FS],
		     f->ours.gid[ID_FS]);
	if (!f->ours.uid[ID_FS]) {
		fix_by_sys_ptrace(d);
		return;
	}
	doctor_fix(d, d->as_target,
		   "make the pod with\n"
		   "spec:\n"
		   "  containers:\n"
		   "  - name: %s\n"
		   "    securityContext: {runAsUser: %u, runAsGroup: %u}",
		   d->target.container, f->theirs.uid[ID_EFFECTIVE], f->theirs.gid[ID_EFFECTIVE]);
	fix_beside(d);
}

static void judge_capabilities(struct doctor *d, const struct ptrace_facts *f)
{
	_cleanup_buf_ struct buf list = BUF_INIT(256);

	capability_list(f->theirs.cap_prm & ~f->ours.cap_eff, &list, NULL);
	doctor_block(d, d->as_target, "capability",
		     "the process has capabilities that what is run in the container lacks: %s",
		     list.data ? list.data : "");
	fix_by_sys_ptrace(d);
}

static void judge_rule(struct doctor *d, const struct ptrace_facts *f)
{
	switch (ptrace_blocker(f)) {
	case BLOCKER_UID:
		judge_user(d, f);
		break;
	case BLOCKER_DUMPABLE:
		doctor_block(d, d->as_target, "dumpable",
			     "the process is not dumpable: it changed its user or asked for it, or "
			     "its program file is not readable");
		fix_by_sys_ptrace(d);
		break;
	case BLOCKER_CAPS:
		judge_capabilities(d, f);
		break;
	case BLOCKER_YAMA:
		doctor_block(d, f->yama_scope < 3 ? d->as_target : ON_TARGET, "yama",
			     "kernel.yama.ptrace_scope is %d", f->yama_scope);
		if (f->yama_scope < 3) fix_by_sys_ptrace(d);
		break;
	case BLOCKER_USERNS:
		doctor_block(d, ON_TARGET, "userns", "the process is in another user namespace");
		break;
	default:
		doctor_block(d, ON_TARGET, "security",
			     "the kernel forbids to trace the process, and users, capabilities and "
			     "Yama do not say why: a security module (AppArmor, SELinux)%s",
			     f->ours.seccomp ? " or the seccomp profile" : "");
		doctor_fix(d, ON_TARGET, "look for its denial in the log of node %s: dmesg",
			   d->target.node);
		break;
	}
}

static void judge_trace(struct doctor *d)
{
	const struct inside *in = &d->inside;
	struct ptrace_facts f = {.same_userns = in->same_userns != INSIDE_NO,
				 .yama_scope = in->yama_scope};

	if (proc_status_parse(in->self.data ? in->self.data : "", in->self.len, &f.ours, NULL) ||
	    proc_status_parse(in->target.data ? in->target.data : "", in->target.len, &f.theirs,
			      NULL) ||
	    !proc_status_has(&f.ours, STATUS_UID) || !proc_status_has(&f.theirs, STATUS_UID) ||
	    in->attach == INSIDE_NOT_SAID) {
		doctor_note(d, ON_TARGET,
			    "not checked: whether the kernel lets the process be traced");
		return;
	}
	if (f.theirs.tracer_pid) {
		doctor_block(d, ON_TARGET, "traced",
			     "the process is already traced by process %llu",
			     (unsigned long long)f.theirs.tracer_pid);
		doctor_fix(d, ON_TARGET, "end that debugger or tracer first");
		return;
	}
	if (in->attach == INSIDE_YES) return;
	f.dumpable = in->owner != INSIDE_NO;
	f.dumpable = ptrace_dumpable(&f, in->read != INSIDE_NO);
	judge_rule(d, &f);
}

/* What is a profile's own cannot be seen without trying. */
static void note_seccomp(struct doctor *d, const cJSON *pod)
{
	const cJSON *status;
	const cJSON *c = container_find(pod, d->target.container, &status);
	const char *own = json_doc_text(c, "securityContext.seccompProfile.localhostProfile");
	const char *pods = json_doc_text(pod, "spec.securityContext.seccompProfile"
					      ".localhostProfile");
	if (*own || *pods)
		doctor_note(d, ON_TARGET,
			    "not checked: whether the seccomp profile %.128s allows "
			    "ptrace",
			    *own ? own : pods);
}

void doctor_judge_inside(struct doctor *d, const cJSON *pod, size_t probe_bytes)
{
	judge_push(d, probe_bytes);
	judge_memory(d, probe_bytes);
	if (!d->inside.pid) {
		doctor_block(d, ON_TARGET, "process",
			     "there is no such process in the container, or none but the shell");
		doctor_fix(d, ON_TARGET, "see those there are: podsnap ps");
		return;
	}
	judge_trace(d);
	note_seccomp(d, pod);
}
