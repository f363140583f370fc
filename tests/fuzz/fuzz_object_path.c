/* Paths to a value of an object, as they are typed. */
#include "dumpers/dotnet/object_path.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = {0};
	char *path = malloc(size + 1);

	if (!path) return 0;
	if (size) memcpy(path, data, size);
	path[size] = 0;
	int r = object_path_check(path, &e);
	if (r && r != -ERR_USAGE) abort();
	if (!r && path[0] != '.' && path[0] != '[') abort();
	free(path);
	return 0;
}
