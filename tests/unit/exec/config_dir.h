/* A directory for the configuration files of a group of tests: `dir`. */
#ifndef TESTS_UNIT_EXEC_CONFIG_DIR_H
#define TESTS_UNIT_EXEC_CONFIG_DIR_H

#include "tests/unit/base/unit.h"

#include <stdio.h>

static char dir[64];

static inline int make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/podsnap-unit-XXXXXX");
	unsetenv("KUBECONFIG");
	return mkdtemp(dir) ? 0 : -1;
}

/* Four of them are good at a time. */
static inline char *path_of(const char *name)
{
	static char paths[4][128];
	static int next;
	char *path = paths[next++ % 4];

	snprintf(path, 128, "%s/%s", dir, name);
	return path;
}

static inline const char *put(const char *name, const char *text)
{
	const char *path = path_of(name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return path;
}

/* Removes those of the names that are there, and the directory: fails if there is more in it. */
static inline int remove_dir(const char *const names[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		unlink(path_of(names[i]));
	return rmdir(dir);
}

#endif
