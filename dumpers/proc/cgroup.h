/*
 * The control group of a process and what it allows: cgroup v2, v1 and both at once
 * (cgroups(7), Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst).
 *
 * /proc/PID/cgroup gives paths in the hierarchy and mountinfo says where a part of that hierarchy
 * is mounted; both as the reader's cgroup namespace sees them, so a target's mounts and our own can
 * be asked alike. A container usually sees its own group only: limits above it are then not known.
 */
#ifndef DUMPERS_PROC_CGROUP_H
#define DUMPERS_PROC_CGROUP_H

#include "dumpers/proc/process.h"

enum {
	CGROUP_PATH_MAX = 1024,
	CGROUP_CONTAINER_ID_SIZE = 65,
	CGROUP_TEXT_MAX = 64 << 10,
	CGROUP_MOUNTINFO_MAX = 16 << 20, /* nodes with thousands of pods mount a lot */
};
#define CGROUP_UNLIMITED UINT64_MAX
#define CGROUP_UNKNOWN (UINT64_MAX - 1)

/* A limit and the usage that counts against it, of one level of the hierarchy. Each is a number,
 * UNKNOWN, or (limit) UNLIMITED. */
struct cgroup_limit {
	uint64_t limit, usage;
};

struct cgroup_info {
	int version; /* of the hierarchy with the memory controller: 1 or 2; 0 not known */
	char path[CGROUP_PATH_MAX]; /* in it, as our cgroup namespace sees it; "" not known */
	char container_id[CGROUP_CONTAINER_ID_SIZE]; /* 64 hex digits found in the path, or "" */
	struct cgroup_limit own_memory; /* bytes; of the innermost group: the container */
	/* Bytes; of all visible levels the one with the least room: what an allocation hits first.
	 */
	struct cgroup_limit memory;
	uint64_t memory_inactive_file_bytes; /* of that usage: can be reclaimed; or UNKNOWN */
	struct cgroup_limit pids;            /* tasks, by the same choice */
	/* CPU time per period of the tightest level; quota may be UNLIMITED, both UNKNOWN. */
	uint64_t cpu_quota_us, cpu_period_us;
	bool oom_group; /* memory.oom.group at some level: the OOM killer takes all of it */
};

/* A mount table and the root directory that its paths start from. */
struct cgroup_view {
	int root_fd;
	const char *mountinfo;
	size_t mountinfo_len;
};

/*
 * The path of the hierarchy that has this controller ("memory"), from the text of /proc/PID/cgroup:
 * a v1 line that names it, else the v2 line "0::". False when there is neither, or it is too long.
 */
bool cgroup_find_path(const char *text, size_t len, const char *controller,
		      char ret_path[CGROUP_PATH_MAX], int *ret_version);
/*
 * Where the path is mounted: the mount point, absolute, in ret_mount, and how much of path the
 * mount already stands for in *ret_skip (path + skip is what to append). False when no mount shows
 * it.
 */
bool cgroup_find_mount(const char *mountinfo, size_t len, int version, const char *controller,
		       const char *path, char ret_mount[CGROUP_PATH_MAX], size_t *ret_skip);
/* The id in ".../cri-containerd-ID.scope", ".../docker/ID", ...; false and "" when none is. */
bool cgroup_container_id(const char *path, char ret[CGROUP_CONTAINER_ID_SIZE]);
/*
 * Does the text of /proc/PID/cgroup name the container of that id, the process's own or one above
 * it? Whatever the driver and the runtime make of it: ".../ID", "cri-containerd-ID.scope",
 * ":cri-containerd:ID", and as another cgroup namespace shows it, "/../crio-ID.scope". No text
 * names the id "".
 */
bool cgroup_names_container(const char *text, size_t len, const char *id);

/* Fills all of ret from the text of /proc/PID/cgroup; each controller from the first view that
 * shows it. Never fails: what is not to be had is UNKNOWN. */
void cgroup_read(const char *text, size_t len, const struct cgroup_view *views, size_t count,
		 struct cgroup_info *ret);
/* The same for a process: our own mounts first, then the target's through /proc/PID/root. */
void process_cgroup(const struct process *p, struct cgroup_info *ret);
/* What can be allocated before the tightest memory limit kills somebody, to be asked often: the
 * files of that level stay open. */
struct cgroup_meter {
	int usage_fd, stat_fd; /* -1: no limit */
	uint64_t limit;
	const char *reclaimable; /* row of memory.stat */
};
#define CGROUP_METER_INIT ((struct cgroup_meter){.usage_fd = -1, .stat_fd = -1})
void cgroup_meter_open(const struct process *p, struct cgroup_meter *ret);
/* Bytes that are free or can be reclaimed, below the limit and on the machine. */
uint64_t cgroup_meter_room(const struct cgroup_meter *m);
void cgroup_meter_done(struct cgroup_meter *m);

#endif
