#include "dumpers/snapshot/live_plan.h"

#include "base/human.h"
#include "dumpers/proc/cgroup.h"
#include "dumpers/proc/namespaces.h"
#include "dumpers/proc/status.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { CAPABILITY_SYS_ADMIN = 21 };

/* What a child may cost before it is worth the risk: its page tables, and room for the pages that
 * the target writes until the guard has taken notice. */
enum { PAGE_TABLE_SHARE = 256, ROOM_MIN = 24 << 20, ROOM_SHARE = 8, ROOM_SHARE_MAX = 256 << 20 };

/* Costs of a pause, as measured: see `make bench`. */
#define PAUSE_BASE_NS (2 * (uint64_t)NS_PER_MS)
#define PAUSE_THREAD_NS ((uint64_t)25000)
#define PAUSE_GIB_NS (40 * (uint64_t)NS_PER_MS)
#define PAUSE_PINNED_MIB_NS ((uint64_t)1500000)
#define PAUSE_SHARED_MIB_NS ((uint64_t)500000)
#define PAUSE_BALLAST_MIB_NS ((uint64_t)400000) /* and to end the child while the target stands */
#define STOP_MIB_NS ((uint64_t)3000000)         /* compressed and sent while it stands */

/* --- looking --- */

static bool has_userfaultfd(const struct process *target)
{
	int fd = openat(target->proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	bool found = false;

	if (!dir) {
		close_fd(&fd);
		return false;
	}
	while (!found && (entry = readdir(dir))) {
		char link[64] = "";

		if (readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1) < 0) continue;
		found = strcmp(link, "anon_inode:[userfaultfd]") == 0;
	}
	closedir(dir);
	return found;
}

/* "Key:    123 kB" in bytes, of a text in /proc. */
static uint64_t kib_line(const char *text, const char *key)
{
	const char *at = text ? strstr(text, key) : NULL;

	return at ? strtoull(at + strlen(key), NULL, 10) * KIB : 0;
}

/* Those fields of status that struct proc_status has not. */
static void look_at_status(const struct process *target, struct plan_facts *f)
{
	_cleanup_buf_ struct buf text = BUF_INIT(STATUS_TEXT_MAX);
	const char *features;

	if (process_read(target, "status", &text, NULL) || !text.data) return;
	f->hugetlb_bytes = kib_line(text.data, "\nHugetlbPages:");
	features = strstr(text.data, "\nx86_Thread_features:");
	f->shadow_stack = features && strncmp(features + 21, "\tshstk", 6) == 0;
}

static void look_at_seccomp(const struct process *target, const struct proc_status *theirs,
			    struct plan_facts *f)
{
	_cleanup_process_ struct process self = PROCESS_INIT;
	struct namespaces ns;
	struct proc_status ours;

	f->seccomp = theirs->seccomp;
	f->seccomp_filters = theirs->seccomp_filters;
	if (process_open(getpid(), &self, NULL) || process_status(&self, &ours, NULL)) return;
	/* ptrace(2), PTRACE_O_SUSPEND_SECCOMP: not from within a filter. */
	f->may_suspend_seccomp = (ours.cap_eff >> CAPABILITY_SYS_ADMIN & 1) && ours.seccomp == 0;
	process_namespaces(target, &ns);
	f->same_filters = ours.seccomp == 2 && ns.v[NS_MNT].same &&
			  proc_status_has(theirs, STATUS_SECCOMP_FILTERS) &&
			  ours.seccomp_filters == theirs->seccomp_filters;
}

static void look_at_cgroup(const struct process *target, struct plan_facts *f)
{
	_cleanup_free_ struct cgroup_info *info = calloc(1, sizeof(*info));

	f->has_task_room = true;
	if (!info) return;
	process_cgroup(target, info);
	f->oom_group = info->oom_group;
	if (info->pids.limit < CGROUP_UNKNOWN && info->pids.usage < CGROUP_UNKNOWN)
		f->has_task_room = info->pids.usage < info->pids.limit;
}

void plan_look(const struct process *target, uint64_t room_bytes, struct plan_facts *ret)
{
	struct proc_status status;

	*ret = (struct plan_facts){.room_bytes = room_bytes, .seccomp = 2};
	look_at_cgroup(target, ret);
	ret->userfaultfd = has_userfaultfd(target);
	if (process_status(target, &status, NULL)) return;
	ret->threads = status.threads;
	ret->anon_bytes = status.rss_anon_bytes;
	ret->pinned_bytes = status.vm_pin_bytes;
	ret->shared_bytes = status.rss_shmem_bytes;
	ret->tracer = (pid_t)status.tracer_pid;
	look_at_status(target, ret);
	look_at_seccomp(target, &status, ret);
}

/* --- choosing --- */

static uint64_t per(uint64_t bytes, uint64_t unit, uint64_t ns)
{
	return (uint64_t)((double)bytes / (double)unit * (double)ns);
}

static uint64_t predict_cow(const struct plan_facts *f)
{
	return PAUSE_BASE_NS + f->threads * PAUSE_THREAD_NS +
	       per(f->anon_bytes, GIB, PAUSE_GIB_NS) +
	       per(f->pinned_bytes, MIB, PAUSE_PINNED_MIB_NS) +
	       per(f->shared_bytes, MIB, PAUSE_SHARED_MIB_NS) +
	       per(f->ballast_bytes, MIB, PAUSE_BALLAST_MIB_NS);
}

static uint64_t predict_stop(const struct plan_facts *f)
{
	return PAUSE_BASE_NS + f->threads * PAUSE_THREAD_NS +
	       per(f->anon_bytes + f->shared_bytes, MIB, STOP_MIB_NS);
}

static uint64_t room_needed(const struct plan_facts *f)
{
	if (f->oom_group) return f->anon_bytes + ROOM_MIN;
	return f->anon_bytes / PAGE_TABLE_SHARE + ROOM_MIN +
	       MIN(f->anon_bytes / ROOM_SHARE, (uint64_t)ROOM_SHARE_MAX);
}

/* Why a copy-on-write child is not to be made; false if it may. */
static bool why_no_child(const struct plan_facts *f, char *ret, size_t size)
{
	char a[HUMAN_MAX], b[HUMAN_MAX];

	if (f->shadow_stack)
		snprintf(ret, size, "it runs with a shadow stack");
	else if (f->seccomp == 1 || (f->seccomp && !f->may_suspend_seccomp && !f->same_filters))
		snprintf(ret, size,
			 "it has a seccomp filter of its own, which may not let it fork (with "
			 "CAP_SYS_ADMIN it could be suspended)");
	else if (f->userfaultfd)
		snprintf(ret, size, "it uses userfaultfd, and a fork may hang");
	else if (f->hugetlb_bytes)
		snprintf(ret, size, "it has %s in huge pages of a pool",
			 human_size(f->hugetlb_bytes, a));
	else if (!f->has_task_room)
		snprintf(ret, size, "its pids limit is reached");
	else if (f->room_bytes < room_needed(f))
		snprintf(ret, size, "its memory limit leaves %s, and a child might need %s",
			 human_size(f->room_bytes, a), human_size(room_needed(f), b));
	else if (f->no_site[0])
		snprintf(ret, size, "%s", f->no_site);
	else if (f->pinned_bytes && predict_cow(f) > predict_stop(f))
		snprintf(ret, size, "it has pinned %s, which a fork would copy",
			 human_size(f->pinned_bytes, a));
	else if (predict_cow(f) > predict_stop(f))
		snprintf(ret, size,
			 "a child would have to be guarded from a memory limit of %s, and that "
			 "takes longer than a copy",
			 human_size(f->ballast_bytes, a));
	else
		return false;
	return true;
}

static int refuse_pause(const struct live_plan *plan, const struct live_config *config,
			struct err *e)
{
	char need[HUMAN_MAX], allowed[HUMAN_MAX];

	err_set(e, ERR_TIMEOUT,
		"the snapshot would pause the process for about %s, and --max-pause is %s",
		human_duration(plan->predicted_ns, need),
		human_duration(config->max_pause_ns, allowed));
	return err_hint(e, "allow a longer one, or take it unstopped, with torn data: "
			   "--snapshot=nostop");
}

static int choose_cow(const struct plan_facts *f, const struct live_config *config,
		      struct live_plan *ret, struct err *e)
{
	ret->mode = SNAPSHOT_COW;
	ret->predicted_ns = predict_cow(f);
	return ret->predicted_ns > config->max_pause_ns ? refuse_pause(ret, config, e) : 0;
}

static void choose(struct live_plan *ret, enum snapshot_mode mode, uint64_t predicted_ns,
		   const char *reason)
{
	ret->mode = mode;
	ret->predicted_ns = predicted_ns;
	snprintf(ret->reason, sizeof(ret->reason), "%s", reason);
}

int plan_choose(const struct plan_facts *f, const struct live_config *config, struct live_plan *ret,
		struct err *e)
{
	char why[sizeof(ret->reason)] = "";
	bool no_child = why_no_child(f, why, sizeof(why));

	memset(ret, 0, sizeof(*ret));
	if (config->mode == SNAPSHOT_NOSTOP || !config->max_pause_ns) {
		choose(ret, SNAPSHOT_NOSTOP, 0, "it was asked for");
		return 0;
	}
	if (f->tracer && config->mode == SNAPSHOT_AUTO) {
		snprintf(why, sizeof(why), "process %d traces it already, so it cannot be stopped",
			 f->tracer);
		choose(ret, SNAPSHOT_NOSTOP, 0, why);
		return 0;
	}
	if (config->mode == SNAPSHOT_STOP) {
		choose(ret, SNAPSHOT_STOP, predict_stop(f), "it was asked for");
		return 0;
	}
	if (config->mode == SNAPSHOT_COW && no_child) {
		err_set(e, ERR_UNSUPPORTED, "no copy-on-write snapshot: %s", why);
		return err_hint(e, "--snapshot=stop copies while the process stands still");
	}
	if (no_child) {
		choose(ret, SNAPSHOT_STOP, predict_stop(f), why);
		return 0;
	}
	snprintf(ret->reason, sizeof(ret->reason), "%s",
		 config->mode == SNAPSHOT_COW ? "it was asked for" : "it pauses the least");
	return choose_cow(f, config, ret, e);
}

void plan_fall_back(struct live_plan *plan, enum snapshot_mode mode, const char *why)
{
	plan->mode = mode;
	if (mode == SNAPSHOT_NOSTOP) plan->predicted_ns = 0;
	snprintf(plan->reason, sizeof(plan->reason), "%s", why);
}
