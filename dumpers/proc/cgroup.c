/* What the group allows and uses. */
#include "dumpers/proc/cgroup.h"

#include "dumpers/proc/scan.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum {
	LEVELS_MAX = 64,
	VALUE_TEXT_MAX = 64 << 10, /* memory.stat has some 6 KiB */
	FILE_PATH_MAX = 2 * CGROUP_PATH_MAX + 64,
};

/* cgroup v1 says "unlimited" as the largest page-aligned number; no machine has 2^62 bytes. */
#define V1_UNLIMITED_FROM ((uint64_t)1 << 62)

/* The directory of a group in one controller's hierarchy: root_fd + mount + path. */
struct group {
	int version;
	int root_fd;
	char mount[CGROUP_PATH_MAX + 1]; /* "./sys/fs/cgroup": never absolute */
	char path[CGROUP_PATH_MAX]; /* below the mount; cut shorter to go a level up; "" at the top
				     */
};

static int read_file(const struct group *g, const char *name, struct buf *ret)
{
	char path[FILE_PATH_MAX];

	snprintf(path, sizeof(path), "%s%s/%s", g->mount, g->path, name);
	return io_read_file(g->root_fd, path, ret, NULL);
}

/* A number, "max", "-1"; UNKNOWN when there is no such file or it holds something else. */
static uint64_t parse_value(struct scan *s)
{
	uint64_t value;

	scan_blanks(s);
	if (scan_literal(s, "max") || scan_literal(s, "-1")) return CGROUP_UNLIMITED;
	if (!scan_u64(s, 10, &value)) return CGROUP_UNKNOWN;
	return value >= V1_UNLIMITED_FROM ? CGROUP_UNLIMITED : value;
}

static uint64_t read_value(const struct group *g, const char *name)
{
	_cleanup_buf_ struct buf text = BUF_INIT(VALUE_TEXT_MAX);
	struct scan s;

	if (read_file(g, name, &text) < 0) return CGROUP_UNKNOWN;
	s = scan_of(text.data, text.len);
	return parse_value(&s);
}

/* One row of memory.stat. */
static uint64_t read_row(const struct group *g, const char *name, const char *row)
{
	_cleanup_buf_ struct buf text = BUF_INIT(VALUE_TEXT_MAX);
	struct scan s, line;

	if (read_file(g, name, &text) < 0) return CGROUP_UNKNOWN;
	s = scan_of(text.data, text.len);
	while (scan_line(&s, &line)) {
		if (scan_literal(&line, row) && scan_char(&line, ' ')) return parse_value(&line);
	}
	return CGROUP_UNKNOWN;
}

/* Cuts the path by one level; false at the mount point. */
static bool go_up(struct group *g)
{
	char *slash = strrchr(g->path, '/');

	if (!slash) return false;
	*slash = '\0';
	return true;
}

static uint64_t room_of(const struct cgroup_limit *l)
{
	if (l->limit == CGROUP_UNLIMITED || l->limit == CGROUP_UNKNOWN) return UINT64_MAX;
	if (l->usage == CGROUP_UNKNOWN) return l->limit;
	return l->limit - MIN(l->limit, l->usage);
}

/*
 * The level with the least room. ret_level becomes the group of that level. When no level has the
 * file but the group is there, nothing limits it: the root group of v2 has no memory.max.
 */
static void tightest(const struct group *g, const char *limit_file, const char *usage_file,
		     struct cgroup_limit *ret, struct group *ret_level)
{
	struct group at = *g;

	*ret = (struct cgroup_limit){CGROUP_UNLIMITED, CGROUP_UNKNOWN};
	*ret_level = *g;
	for (int i = 0; i < LEVELS_MAX; i++) {
		struct cgroup_limit l = {read_value(&at, limit_file), read_value(&at, usage_file)};
		bool first = ret->usage == CGROUP_UNKNOWN && ret->limit == CGROUP_UNLIMITED;

		if (l.limit != CGROUP_UNKNOWN && (first || room_of(&l) < room_of(ret))) {
			*ret = l;
			*ret_level = at;
		}
		if (!go_up(&at)) break;
	}
}

static void read_memory(const struct group *g, struct cgroup_info *ret)
{
	bool v2 = g->version == 2;
	const char *limit_file = v2 ? "memory.max" : "memory.limit_in_bytes";
	const char *usage_file = v2 ? "memory.current" : "memory.usage_in_bytes";
	struct group level, at = *g;

	tightest(g, limit_file, usage_file, &ret->memory, &level);
	ret->own_memory =
	    (struct cgroup_limit){read_value(g, limit_file), read_value(g, usage_file)};
	if (ret->own_memory.limit == CGROUP_UNKNOWN) ret->own_memory.limit = CGROUP_UNLIMITED;
	ret->memory_inactive_file_bytes =
	    read_row(&level, "memory.stat", v2 ? "inactive_file" : "total_inactive_file");
	for (int i = 0; v2 && i < LEVELS_MAX; i++) {
		if (read_value(&at, "memory.oom.group") == 1) ret->oom_group = true;
		if (!go_up(&at)) break;
	}
}

/* quota and period of one level; UNKNOWN when it has none. */
static void read_cpu_level(const struct group *g, uint64_t *ret_quota, uint64_t *ret_period)
{
	_cleanup_buf_ struct buf text = BUF_INIT(VALUE_TEXT_MAX);
	struct scan s;

	if (g->version == 1) {
		*ret_quota = read_value(g, "cpu.cfs_quota_us");
		*ret_period = read_value(g, "cpu.cfs_period_us");
		return;
	}
	*ret_quota = *ret_period = CGROUP_UNKNOWN;
	if (read_file(g, "cpu.max", &text) < 0) return;
	s = scan_of(text.data, text.len);
	*ret_quota = parse_value(&s);
	*ret_period = parse_value(&s);
}

static void read_cpu(const struct group *g, struct cgroup_info *ret)
{
	struct group at = *g;
	double tightest_share = -1;

	ret->cpu_quota_us = CGROUP_UNLIMITED;
	for (int i = 0; i < LEVELS_MAX; i++) {
		uint64_t quota, period;
		double share;

		read_cpu_level(&at, &quota, &period);
		if (quota < CGROUP_UNKNOWN && period < CGROUP_UNKNOWN && period > 0) {
			share = (double)quota / (double)period;
			if (tightest_share < 0 || share < tightest_share) {
				tightest_share = share;
				ret->cpu_quota_us = quota;
				ret->cpu_period_us = period;
			}
		} else if (ret->cpu_period_us == CGROUP_UNKNOWN && period < CGROUP_UNKNOWN) {
			ret->cpu_period_us = period;
		}
		if (!go_up(&at)) break;
	}
}

static bool open_group(const struct cgroup_view *view, const char *path, const char *controller,
		       struct group *g)
{
	char mount[CGROUP_PATH_MAX], file[FILE_PATH_MAX];
	size_t skip;

	if (!cgroup_find_mount(view->mountinfo, view->mountinfo_len, g->version, controller, path,
			       mount, &skip))
		return false;
	g->root_fd = view->root_fd;
	snprintf(g->mount, sizeof(g->mount), ".%s", mount);
	snprintf(g->path, sizeof(g->path), "%s", strcmp(path + skip, "/") == 0 ? "" : path + skip);
	snprintf(file, sizeof(file), "%s%s", g->mount, g->path);
	return faccessat(view->root_fd, file, X_OK, 0) == 0;
}

/* The group of one controller, from the first view that shows it. */
static bool find_group(const char *text, size_t len, const char *controller,
		       const struct cgroup_view *views, size_t count, struct group *ret)
{
	char path[CGROUP_PATH_MAX];

	if (!cgroup_find_path(text, len, controller, path, &ret->version)) return false;
	for (size_t i = 0; i < count; i++) {
		if (open_group(&views[i], path, controller, ret)) return true;
	}
	return false;
}

void cgroup_read(const char *text, size_t len, const struct cgroup_view *views, size_t count,
		 struct cgroup_info *ret)
{
	static const struct cgroup_limit unknown = {CGROUP_UNKNOWN, CGROUP_UNKNOWN};
	struct group group, level;

	*ret = (struct cgroup_info){.memory = unknown,
				    .own_memory = unknown,
				    .pids = unknown,
				    .memory_inactive_file_bytes = CGROUP_UNKNOWN,
				    .cpu_quota_us = CGROUP_UNKNOWN,
				    .cpu_period_us = CGROUP_UNKNOWN};
	if (cgroup_find_path(text, len, "memory", ret->path, &ret->version))
		cgroup_container_id(ret->path, ret->container_id);
	if (find_group(text, len, "memory", views, count, &group)) read_memory(&group, ret);
	if (find_group(text, len, "pids", views, count, &group))
		tightest(&group, "pids.max", "pids.current", &ret->pids, &level);
	if (find_group(text, len, "cpu", views, count, &group)) read_cpu(&group, ret);
}

/* Our own mounts and the target's. */
struct own_views {
	struct buf cgroup, own, theirs; /* texts */
	int own_root, their_root;
	struct cgroup_view views[2];
	size_t count;
};

static void views_open(const struct process *p, struct own_views *v)
{
	*v = (struct own_views){
	    .cgroup = BUF_INIT(CGROUP_TEXT_MAX),
	    .own = BUF_INIT(CGROUP_MOUNTINFO_MAX),
	    .theirs = BUF_INIT(CGROUP_MOUNTINFO_MAX),
	    .own_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
	    .their_root = openat(p->proc_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC),
	};
	process_read(p, "cgroup", &v->cgroup, NULL);
	if (v->own_root >= 0 && io_read_file(AT_FDCWD, "/proc/self/mountinfo", &v->own, NULL) == 0)
		v->views[v->count++] = (struct cgroup_view){v->own_root, v->own.data, v->own.len};
	if (v->their_root >= 0 && process_read(p, "mountinfo", &v->theirs, NULL) == 0)
		v->views[v->count++] =
		    (struct cgroup_view){v->their_root, v->theirs.data, v->theirs.len};
}

static void views_done(struct own_views *v)
{
	buf_done(&v->cgroup);
	buf_done(&v->own);
	buf_done(&v->theirs);
	close_fd(&v->own_root);
	close_fd(&v->their_root);
}

void process_cgroup(const struct process *p, struct cgroup_info *ret)
{
	struct own_views v;

	views_open(p, &v);
	cgroup_read(v.cgroup.data, v.cgroup.len, v.views, v.count, ret);
	views_done(&v);
}

/* --- how much room there is ---------------------------------------------------------------------
 */

static int open_file(const struct group *g, const char *name)
{
	char path[FILE_PATH_MAX];

	snprintf(path, sizeof(path), "%s%s/%s", g->mount, g->path, name);
	return openat(g->root_fd, path, O_RDONLY | O_CLOEXEC);
}

static void open_meter(const struct group *g, struct cgroup_meter *ret)
{
	bool v2 = g->version == 2;
	const char *usage_file = v2 ? "memory.current" : "memory.usage_in_bytes";
	struct cgroup_limit limit;
	struct group level;

	tightest(g, v2 ? "memory.max" : "memory.limit_in_bytes", usage_file, &limit, &level);
	if (room_of(&limit) == UINT64_MAX) return;
	ret->limit = limit.limit;
	ret->reclaimable = v2 ? "inactive_file" : "total_inactive_file";
	ret->usage_fd = open_file(&level, usage_file);
	ret->stat_fd = open_file(&level, "memory.stat");
}

void cgroup_meter_open(const struct process *p, struct cgroup_meter *ret)
{
	struct own_views v;
	struct group group;

	*ret = CGROUP_METER_INIT;
	views_open(p, &v);
	if (find_group(v.cgroup.data, v.cgroup.len, "memory", v.views, v.count, &group))
		open_meter(&group, ret);
	views_done(&v);
}

/* The number behind a key at the start of a line, times unit; 0 if there is none. */
static uint64_t keyed_value(int fd, const char *key, uint64_t unit)
{
	char text[16 << 10];
	ssize_t n = pread(fd, text, sizeof(text), 0);
	struct scan s, line;
	uint64_t value;

	if (n <= 0) return 0;
	s = scan_of(text, (size_t)n);
	while (scan_line(&s, &line)) {
		if (!scan_literal(&line, key)) continue;
		scan_blanks(&line);
		if (scan_u64(&line, 10, &value)) return value * unit;
	}
	return 0;
}

static uint64_t machine_room(void)
{
	_cleanup_close_ int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	uint64_t room = fd < 0 ? 0 : keyed_value(fd, "MemAvailable:", KIB);

	return room ? room : UINT64_MAX;
}

uint64_t cgroup_meter_room(const struct cgroup_meter *m)
{
	uint64_t usage, machine = machine_room();

	if (m->usage_fd < 0) return machine;
	usage = keyed_value(m->usage_fd, "", 1);
	if (!usage) return machine;
	usage -= MIN(usage, keyed_value(m->stat_fd, m->reclaimable, 1));
	return MIN(machine, m->limit - MIN(m->limit, usage));
}

void cgroup_meter_done(struct cgroup_meter *m)
{
	close_fd(&m->usage_fd);
	close_fd(&m->stat_fd);
}
