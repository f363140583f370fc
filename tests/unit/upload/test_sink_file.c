#include "tests/unit/upload/temp_dir.h"
#include "upload/sink.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

static const struct sink_config plain = {.name = "ns_pod.podsnap.tar.zst"};
static const struct sink_config forced = {.name = "ns_pod.podsnap.tar.zst", .force = true};

static char *in_dir(void **state, const char *name, char ret[PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%s/%s", (char *)*state, name);
	return ret;
}

static struct sink *must_open(const char *path, const struct sink_config *config)
{
	struct sink *s = NULL;
	struct err e = {0};

	if (sink_open(path, config, &s, &e) < 0) fail_msg("%s: %s", path, e.text);
	return s;
}

static void must_write(struct sink *s, const char *text)
{
	struct err e = {0};

	if (sink_write(s, text, strlen(text), &e) < 0) fail_msg("%s", e.text);
}

static void nothing_is_visible_before_commit(void **state)
{
	char path[PATH_MAX];
	struct sink *s = must_open(in_dir(state, "out", path), &plain);
	struct stat st;
	struct err e = {0};

	must_write(s, "hello ");
	must_write(s, "world");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(sink_commit(s, &e), 0);
	assert_string_equal(s->location, path);
	sink_free(s);
	assert_file_is(path, "hello world");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(temp_dir_count(*state), 1);
}

static void free_without_commit_leaves_nothing(void **state)
{
	char path[PATH_MAX];
	struct sink *s = must_open(in_dir(state, "out", path), &plain);

	must_write(s, "half");
	assert_int_equal(temp_dir_count(*state), 1);
	sink_free(s);
	assert_int_equal(temp_dir_count(*state), 0);
}

static void existing_is_refused_at_open(void **state)
{
	char path[PATH_MAX];
	struct sink *s = NULL;
	struct err e = {0};

	file_put(in_dir(state, "out", path), "old");
	assert_int_equal(sink_open(path, &plain, &s, &e), -ERR_EXISTS);
	assert_contains(e.text, path);
	assert_null(s);
	assert_file_is(path, "old");
	assert_int_equal(temp_dir_count(*state), 1);
}

static void existing_is_refused_at_commit_and_kept(void **state)
{
	char path[PATH_MAX], *kept = NULL;
	struct sink *s = must_open(in_dir(state, "out", path), &plain);
	struct err e = {0};

	must_write(s, "new");
	file_put(path, "rival");
	assert_int_equal(sink_commit(s, &e), -ERR_EXISTS);
	assert_file_is(path, "rival");
	sink_abort(s, true, &kept);
	assert_non_null(kept);
	assert_file_is(kept, "new");
	free(kept);
	sink_free(s);
	assert_file_is(path, "rival");
	assert_int_equal(temp_dir_count(*state), 2);
}

static void force_replaces_at_commit_only(void **state)
{
	char path[PATH_MAX];
	struct sink *s;
	struct err e = {0};

	file_put(in_dir(state, "out", path), "old");
	s = must_open(path, &forced);
	must_write(s, "new");
	assert_file_is(path, "old");
	assert_int_equal(sink_commit(s, &e), 0);
	sink_free(s);
	assert_file_is(path, "new");
}

static void force_spares_what_is_not_a_file(void **state)
{
	char path[PATH_MAX];
	struct sink *s = NULL;
	struct stat st;
	struct err e = {0};

	assert_int_equal(mkfifo(in_dir(state, "fifo", path), 0600), 0);
	assert_int_equal(sink_open(path, &forced, &s, &e), -ERR_UNSUPPORTED);
	assert_contains(e.hint, "-o -");
	assert_int_equal(sink_open("/dev/null", &forced, &s, &e), -ERR_UNSUPPORTED);
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
}

static void directory_gets_the_suggested_name(void **state)
{
	const struct sink_config evil = {.name = "../escape"}, none = {.name = NULL};
	char path[PATH_MAX];
	struct sink *s = must_open(*state, &plain);
	struct err e = {0};

	must_write(s, "x");
	assert_int_equal(sink_commit(s, &e), 0);
	assert_string_equal(s->location, in_dir(state, plain.name, path));
	sink_free(s);
	assert_file_is(path, "x");
	assert_int_equal(sink_open(in_dir(state, "", path), &plain, &s, &e), -ERR_EXISTS);
	assert_int_equal(sink_open(*state, &evil, &s, &e), -ERR_USAGE);
	assert_int_equal(sink_open(*state, &none, &s, &e), -ERR_USAGE);
	assert_int_equal(sink_open(in_dir(state, "missing/", path), &plain, &s, &e),
			 -ERR_NOT_FOUND);
	assert_contains(e.hint, "mkdir -p");
	assert_int_equal(sink_open(in_dir(state, "missing/file", path), &plain, &s, &e),
			 -ERR_NOT_FOUND);
}

static void relative_names_work(void **state)
{
	struct err e = {0};
	struct sink *s;
	char path[PATH_MAX];
	int old = open(".", O_RDONLY | O_DIRECTORY);

	assert_int_equal(chdir(*state), 0);
	s = must_open("bare", &plain);
	must_write(s, "y");
	assert_int_equal(sink_commit(s, &e), 0);
	sink_free(s);
	assert_int_equal(fchdir(old), 0);
	close(old);
	assert_file_is(in_dir(state, "bare", path), "y");
}

static void partial_is_kept_and_numbered(void **state)
{
	char path[PATH_MAX], expect[PATH_MAX], *kept = NULL;
	struct sink *s;

	in_dir(state, "out", path);
	for (int i = 0; i < 3; i++) {
		char text[32];

		s = must_open(path, &plain);
		snprintf(text, sizeof(text), "part%d", i);
		must_write(s, text);
		sink_abort(s, true, &kept);
		sink_free(s);
		assert_non_null(kept);
		if (i == 0)
			in_dir(state, "out.partial", expect);
		else
			snprintf(expect, sizeof(expect), "%s/out.partial.%d", (char *)*state, i);
		assert_string_equal(kept, expect);
		assert_file_is(kept, text);
		free(kept);
	}
	/* Nothing came: there is nothing to keep. */
	s = must_open(path, &plain);
	kept = (char *)"untouched";
	sink_abort(s, true, &kept);
	assert_null(kept);
	sink_free(s);
	assert_int_equal(temp_dir_count(*state), 3);
}

static void longest_name_works(void **state)
{
	char name[NAME_MAX + 1], path[PATH_MAX], *kept = NULL;
	struct err e = {0};
	struct sink *s;

	memset(name, 'n', NAME_MAX);
	name[NAME_MAX] = '\0';
	s = must_open(in_dir(state, name, path), &plain);
	must_write(s, "z");
	assert_int_equal(sink_commit(s, &e), 0);
	sink_free(s);
	assert_file_is(path, "z");
	s = must_open(path, &forced);
	must_write(s, "z2");
	sink_abort(s, true, &kept);
	assert_non_null(kept);
	assert_file_is(kept, "z2");
	free(kept);
	sink_free(s);
}

/* Mounts of this process alone; without root, as root of a user namespace. */
static bool own_mounts(void)
{
	unsigned int uid = geteuid();
	char map[32];

	if (unshare(CLONE_NEWNS) < 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) return false;
		snprintf(map, sizeof(map), "0 %u 1", uid);
		file_put("/proc/self/uid_map", map);
	}
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* In a child with a mount namespace: exit 0 as it should be, 77 if it may not mount. */
static int fill_small_disk(const char *dir)
{
	static char block[16384];
	struct sink *s = NULL;
	struct err e = {0};
	int r = 0, writes = 0;

	if (!own_mounts()) return 77;
	if (mount("none", dir, "tmpfs", 0, "size=64k") < 0) return 77;
	if (sink_open(dir, &plain, &s, &e) < 0) return 2;
	while (r == 0 && writes++ < 100)
		r = sink_write(s, block, sizeof(block), &e);
	if (r != -ERR_NO_SPACE || e.code != ERR_NO_SPACE) return 3;
	if (!strstr(e.text, "no space left after") || !strstr(e.hint, dir)) return 4;
	sink_free(s);
	return temp_dir_count(dir) == 0 ? 0 : 5;
}

static void full_disk_is_no_space(void **state)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) _exit(fill_small_disk(*state));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("skipped: no right to mount a small tmpfs here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void other_schemes_are_no_files(void **state)
{
	struct sink *s = NULL;
	struct err e = {0};

	assert_int_equal(sink_open("gs://bucket/key?token=hunter2", &plain, &s, &e),
			 -ERR_UNSUPPORTED);
	assert_contains(e.text, "gs://");
	assert_null(strstr(e.text, "hunter2"));
	assert_int_equal(sink_open("", &plain, &s, &e), -ERR_USAGE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, temp_dir_make, temp_dir_remove)
	const struct CMUnitTest tests[] = {
	    TEST(nothing_is_visible_before_commit),
	    TEST(free_without_commit_leaves_nothing),
	    TEST(existing_is_refused_at_open),
	    TEST(existing_is_refused_at_commit_and_kept),
	    TEST(force_replaces_at_commit_only),
	    TEST(force_spares_what_is_not_a_file),
	    TEST(directory_gets_the_suggested_name),
	    TEST(relative_names_work),
	    TEST(partial_is_kept_and_numbered),
	    TEST(longest_name_works),
	    TEST(full_disk_is_no_space),
	    TEST(other_schemes_are_no_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
