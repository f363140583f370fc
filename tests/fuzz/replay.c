/*
 * Runs a fuzz target over the files of directories or single files, without a fuzzer: the corpus
 * is a regression test that any compiler can build. Exit status 1 if there was nothing to run.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUT_MAX = 16 << 20, PATH_LEN = 4096 };

/* What every tests/fuzz/fuzz_*.c defines (libFuzzer's interface). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	static uint8_t data[INPUT_MAX];
	uint8_t *exact;
	size_t len;
	FILE *file = fopen(path, "rbe");

	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 0;
	}
	len = fread(data, 1, sizeof(data), file);
	fclose(file);
	/* In a block of exactly its size, so that AddressSanitizer sees a read past the end. */
	exact = malloc(len ? len : 1);
	if (!exact) abort();
	memcpy(exact, data, len);
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	return 1;
}

static int replay_directory(const char *path)
{
	char name[PATH_LEN];
	int count = 0;
	struct dirent *entry;
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.') continue;
		if (snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) < PATH_LEN)
			count += replay_file(name);
	}
	if (dir) closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	int count = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			count += replay_directory(argv[i]);
		else
			count += replay_file(argv[i]);
	}
	fprintf(stderr, "%d inputs\n", count);
	return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
