#include "dumpers/proc/cgroup.h"
#include "tests/unit/base/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#define ID "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
#define POD "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice"
#define SCOPE "/cri-containerd-" ID ".scope"

/* --- a root directory with files in it -------------------------------------------------------- */

struct tree {
	char dir[64];
	int fd;
};

static void tree_make(struct tree *t)
{
	snprintf(t->dir, sizeof(t->dir), "/tmp/podsnap-cgroup-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	t->fd = open(t->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(t->fd >= 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void tree_remove(struct tree *t)
{
	close(t->fd);
	assert_int_equal(nftw(t->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void tree_put(const struct tree *t, const char *path, const char *text)
{
	char whole[1024];
	_cleanup_close_ int fd = -1;

	snprintf(whole, sizeof(whole), "%s%s", t->dir, path);
	for (char *p = whole + strlen(t->dir) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(whole, 0755) < 0) assert_int_equal(errno, EEXIST);
		*p = '/';
	}
	fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void read_view(const struct tree *t, const char *cgroup, const char *mountinfo,
		      struct cgroup_info *ret)
{
	struct cgroup_view view = {t->fd, mountinfo, strlen(mountinfo)};

	cgroup_read(cgroup, strlen(cgroup), &view, 1, ret);
}

/* --- paths and mounts ------------------------------------------------------------------------- */

static void path_of_a_controller(void **state)
{
	static const char hybrid[] =
	    "9:name=systemd:/sys\n3:cpu,cpuacct:/a:b\n2:memory:/m\n0::/u\n";
	char path[CGROUP_PATH_MAX];
	int version;

	assert_true(cgroup_find_path(hybrid, strlen(hybrid), "memory", path, &version));
	assert_string_equal(path, "/m");
	assert_int_equal(version, 1);
	assert_true(cgroup_find_path(hybrid, strlen(hybrid), "cpu", path, &version));
	assert_string_equal(path, "/a:b");
	assert_true(cgroup_find_path(hybrid, strlen(hybrid), "pids", path, &version));
	assert_string_equal(path, "/u");
	assert_int_equal(version, 2);
	assert_false(cgroup_find_path("", 0, "memory", path, &version));
	assert_false(cgroup_find_path("1:cpu:/x\n", 9, "memory", path, &version));
	assert_false(cgroup_find_path("0::relative\n", 12, "memory", path, &version));
	assert_false(cgroup_find_path("0::/a\0b\n", 8, "memory", path, &version));
}

static bool find_mount(const char *mountinfo, int version, const char *path, char *mount,
		       size_t *skip)
{
	return cgroup_find_mount(mountinfo, strlen(mountinfo), version, "memory", path, mount,
				 skip);
}

static void mount_that_shows_the_path(void **state)
{
	static const char v2[] = "30 24 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n";
	static const char outside[] = "30 24 0:26 /../x /a\\040b rw - cgroup2 cgroup rw\n";
	static const char v1[] =
	    "1 2 0:1 / /sys rw - sysfs sysfs rw\n"
	    "5 6 0:2 /x /c/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
	    "7 8 0:3 /x/y /deep rw shared:1 master:2 - cgroup cgroup rw,memory\n"
	    "9 8 0:3 /x /c/memory rw - cgroup cgroup rw,memory\n";
	char mount[CGROUP_PATH_MAX];
	size_t skip;

	assert_true(find_mount(v2, 2, "/a/b", mount, &skip));
	assert_string_equal(mount, "/sys/fs/cgroup");
	assert_int_equal(skip, 0);
	assert_false(find_mount(v2, 1, "/a/b", mount, &skip));
	assert_false(find_mount(v2, 2, "/../x", mount, &skip));
	assert_true(find_mount(v2, 2, "/..x", mount, &skip));

	assert_true(find_mount(outside, 2, "/../x/y", mount, &skip));
	assert_string_equal(mount, "/a b");
	assert_int_equal(skip, 5);
	assert_false(find_mount(outside, 2, "/../xy", mount, &skip));
	assert_false(find_mount(outside, 2, "/x", mount, &skip));

	assert_true(find_mount(v1, 1, "/x/y/z", mount, &skip));
	assert_string_equal(mount, "/c/memory");
	assert_int_equal(skip, 2);
	assert_false(find_mount("garbage\n- - -\n1 2 3 / / rw -\n", 1, "/x", mount, &skip));
}

static void container_ids(void **state)
{
	char id[CGROUP_CONTAINER_ID_SIZE];

	assert_true(cgroup_container_id(POD SCOPE, id));
	assert_string_equal(id, ID);
	assert_true(cgroup_container_id("/docker/" ID "/init", id));
	assert_string_equal(id, ID);
	assert_false(cgroup_container_id("/docker/" ID "0", id));
	assert_string_equal(id, "");
	assert_false(cgroup_container_id("/user.slice", id));
	assert_false(cgroup_container_id("", id));
}

static bool text_names(const char *text, const char *id)
{
	return cgroup_names_container(text, strlen(text), id);
}

static void who_is_of_a_container(void **state)
{
	static const char other[] =
	    "1f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
	static const char *const texts[] = {
	    "0::" POD SCOPE "\n",
	    "0::/kubepods/burstable/pod1/" ID "\n",
	    "0::/kubepods.slice/kubepods-pod1.slice/crio-" ID ".scope\n",
	    "0::/kubepods.slice/kubepods-pod1.slice/crio-" ID ".scope/container\n",
	    "0::/kubepods.slice/docker-" ID ".scope",
	    "0::/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:" ID "\n",
	    /* As a container with a cgroup namespace of its own sees its neighbours. */
	    "0::/../cri-containerd-" ID ".scope\n",
	    "0::/../" ID "\n",
	    "0::/../../pod1/" ID "/a group/of its own\n",
	    "12:pids:/\n7:memory,cpu:/kubepods/pod1/" ID "\n1:name=systemd:/\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_true(text_names(texts[i], ID));
		assert_false(text_names(texts[i], other));
		/* A part of an id is none. */
		assert_false(text_names(texts[i], "0f1e2d3c4b5a"));
		assert_false(text_names(texts[i], ID + 1));
		assert_false(text_names(texts[i], ""));
	}
	assert_false(text_names("0::/docker/" ID "0\n", ID));
	assert_false(text_names("0::/docker/a" ID "\n", ID));
	assert_false(text_names("0::/\n", ID));
	assert_false(text_names("", ID));
	assert_true(text_names("0::/docker/1" ID "\n0::/" ID, ID));
	/* The text is no string. */
	assert_false(cgroup_names_container("0::/" ID, 4 + strlen(ID) - 1, ID));
}

/* --- values ----------------------------------------------------------------------------------- */

static const char v2_mounts[] = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

static void v2_from_the_node(void **state)
{
	struct cgroup_info info;
	struct tree t;

	tree_make(&t);
#define AT "/sys/fs/cgroup" POD
	tree_put(&t, AT SCOPE "/memory.max", "536870912\n");
	tree_put(&t, AT SCOPE "/memory.current", "104857600\n");
	tree_put(&t, AT SCOPE "/memory.stat", "anon 1\ninactive_file 4096\n");
	tree_put(&t, AT SCOPE "/pids.max", "max\n");
	tree_put(&t, AT SCOPE "/pids.current", "17\n");
	tree_put(&t, AT SCOPE "/cpu.max", "max 100000\n");
	tree_put(&t, AT "/memory.max", "1073741824\n");
	tree_put(&t, AT "/memory.current", "1000000000\n");
	tree_put(&t, AT "/memory.oom.group", "1\n");
	tree_put(&t, AT "/memory.stat", "inactive_file 8192\n");
	tree_put(&t, AT "/pids.max", "1000\n");
	tree_put(&t, AT "/pids.current", "20\n");
	tree_put(&t, AT "/cpu.max", "50000 100000\n");
#undef AT
	read_view(&t, "0::" POD SCOPE "\n", v2_mounts, &info);
	assert_int_equal(info.version, 2);
	assert_string_equal(info.container_id, ID);
	/* The pod has less room left than the container. */
	assert_int_equal(info.memory.limit, 1073741824);
	assert_int_equal(info.memory.usage, 1000000000);
	assert_int_equal(info.own_memory.limit, 536870912);
	assert_int_equal(info.own_memory.usage, 104857600);
	assert_int_equal(info.memory_inactive_file_bytes, 8192);
	assert_int_equal(info.pids.limit, 1000);
	assert_int_equal(info.pids.usage, 20);
	assert_int_equal(info.cpu_quota_us, 50000);
	assert_int_equal(info.cpu_period_us, 100000);
	assert_true(info.oom_group);
	tree_remove(&t);
}

static void v2_inside_the_container(void **state)
{
	struct cgroup_info info;
	struct tree t;

	tree_make(&t);
	tree_put(&t, "/sys/fs/cgroup/memory.max", "max\n");
	tree_put(&t, "/sys/fs/cgroup/memory.current", "4096\n");
	tree_put(&t, "/sys/fs/cgroup/memory.oom.group", "0\n");
	read_view(&t, "0::/\n", v2_mounts, &info);
	assert_string_equal(info.path, "/");
	assert_string_equal(info.container_id, "");
	assert_true(info.memory.limit == CGROUP_UNLIMITED);
	assert_int_equal(info.memory.usage, 4096);
	assert_true(info.memory_inactive_file_bytes == CGROUP_UNKNOWN);
	assert_false(info.oom_group);
	/* The group is there and has no such file, as at the root: nothing limits it. */
	assert_true(info.pids.limit == CGROUP_UNLIMITED);
	assert_true(info.pids.usage == CGROUP_UNKNOWN);
	tree_remove(&t);
}

static void v1_and_hybrid(void **state)
{
	static const char mounts[] =
	    "32 31 0:29 /kube/" ID " /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
	    "35 31 0:32 /kube/" ID " /sys/fs/cgroup/memory ro master:3 - cgroup cgroup rw,memory\n"
	    "41 31 0:38 / /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw\n";
	static const char cgroup[] = "4:memory:/kube/" ID "\n3:cpu,cpuacct:/kube/" ID "\n0::/x\n";
	struct cgroup_info info;
	struct tree t;

	tree_make(&t);
	tree_put(&t, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	tree_put(&t, "/sys/fs/cgroup/memory/memory.usage_in_bytes", "123456\n");
	tree_put(&t, "/sys/fs/cgroup/memory/memory.stat",
		 "inactive_file 1\ntotal_inactive_file 2\n");
	tree_put(&t, "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
	tree_put(&t, "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
	tree_put(&t, "/sys/fs/cgroup/unified/x/pids.max", "33\n");
	tree_put(&t, "/sys/fs/cgroup/unified/x/pids.current", "40\n");
	read_view(&t, cgroup, mounts, &info);
	assert_int_equal(info.version, 1);
	assert_string_equal(info.container_id, ID);
	assert_true(info.memory.limit == CGROUP_UNLIMITED);
	assert_int_equal(info.memory.usage, 123456);
	assert_int_equal(info.memory_inactive_file_bytes, 2);
	assert_true(info.cpu_quota_us == CGROUP_UNLIMITED);
	assert_int_equal(info.cpu_period_us, 100000);
	assert_int_equal(info.pids.limit, 33);
	assert_int_equal(info.pids.usage, 40);
	tree_remove(&t);
}

/* What a debugging container sees: the target's group is beside its own, and only the target's own
 * mount table shows it. */
static void second_view(void **state)
{
	static const char theirs[] = "9 8 0:26 /../target /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
	static const char cgroup[] = "0::/../target\n";
	struct cgroup_info info;
	struct tree a, b;

	tree_make(&a);
	tree_make(&b);
	tree_put(&a, "/sys/fs/cgroup/memory.max", "1\n");
	tree_put(&b, "/sys/fs/cgroup/memory.max", "2000000\n");
	tree_put(&b, "/sys/fs/cgroup/memory.current", "1000000\n");

	struct cgroup_view views[2] = {{a.fd, v2_mounts, strlen(v2_mounts)},
				       {b.fd, theirs, strlen(theirs)}};

	cgroup_read(cgroup, strlen(cgroup), views, 1, &info);
	assert_true(info.memory.limit == CGROUP_UNKNOWN);
	cgroup_read(cgroup, strlen(cgroup), views, 2, &info);
	assert_int_equal(info.memory.limit, 2000000);
	assert_int_equal(info.memory.usage, 1000000);
	tree_remove(&a);
	tree_remove(&b);
}

static void hostile_values_are_unknown(void **state)
{
	static const char *const values[] = {"", "\n", "x\n", "99999999999999999999\n", "-2\n"};
	struct cgroup_info info;
	struct tree t;

	tree_make(&t);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		tree_put(&t, "/sys/fs/cgroup/g/memory.max", "5\n");
		tree_put(&t, "/sys/fs/cgroup/g/memory.current", values[i]);
		tree_put(&t, "/sys/fs/cgroup/g/cpu.max", values[i]);
		read_view(&t, "0::/g\n", v2_mounts, &info);
		assert_int_equal(info.memory.limit, 5);
		assert_true(info.memory.usage == CGROUP_UNKNOWN);
		assert_true(info.cpu_quota_us == CGROUP_UNLIMITED);
	}
	read_view(&t, "0::/g\n", "", &info);
	assert_true(info.memory.limit == CGROUP_UNKNOWN);
	assert_true(info.own_memory.limit == CGROUP_UNKNOWN);
	assert_string_equal(info.path, "/g");
	read_view(&t, "", v2_mounts, &info);
	assert_int_equal(info.version, 0);
	tree_remove(&t);
}

static void own_group(void **state)
{
	_cleanup_process_ struct process p = PROCESS_INIT;
	struct cgroup_info info;

	assert_int_equal(process_open(getpid(), &p, NULL), 0);
	process_cgroup(&p, &info);
	assert_int_equal(info.path[0], '/');
	assert_true(info.version == 1 || info.version == 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(path_of_a_controller),
	    cmocka_unit_test(mount_that_shows_the_path),
	    cmocka_unit_test(container_ids),
	    cmocka_unit_test(who_is_of_a_container),
	    cmocka_unit_test(v2_from_the_node),
	    cmocka_unit_test(v2_inside_the_container),
	    cmocka_unit_test(v1_and_hybrid),
	    cmocka_unit_test(second_view),
	    cmocka_unit_test(hostile_values_are_unknown),
	    cmocka_unit_test(own_group),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
