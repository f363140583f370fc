/* A directory of a test's own, removed with everything in it. */
#ifndef TESTS_UNIT_UPLOAD_TEMP_DIR_H
#define TESTS_UNIT_UPLOAD_TEMP_DIR_H

#include "tests/unit/base/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static inline int temp_dir_make(void **state)
{
	char *path = strdup("/tmp/podsnap-unit-XXXXXX");

	if (!path || !mkdtemp(path)) return -1;
	*state = path;
	return 0;
}

/* Files only, one level. */
static inline int temp_dir_remove(void **state)
{
	char *path = *state, file[PATH_MAX];
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		unlink(file);
	}
	if (dir) closedir(dir);
	rmdir(path);
	free(path);
	return 0;
}

static inline int temp_dir_count(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (!dir) fail_msg("%s cannot be listed", path);
	while (dir && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) count++;
	if (dir) closedir(dir);
	return count;
}

static inline void file_put(const char *path, const char *text)
{
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static inline void assert_file_is(const char *path, const char *text)
{
	char data[1024] = {0};
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0) fail_msg("%s cannot be opened", path);
	n = read(fd, data, sizeof(data) - 1);
	close(fd);
	assert_true(n >= 0);
	assert_string_equal(data, text);
}

#endif
