/* Descriptions of references: 8 bytes of an object's size, then what lies below a method table. */
#include "dumpers/dotnet/gc_desc.h"

#include <stdlib.h>
#include <string.h>

enum { RUNS_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gc_desc *d;
	struct gc_run run = {0};
	uint64_t object;

	if (size < sizeof(object)) return 0;
	memcpy(&object, data, sizeof(object));
	if (gc_desc_parse(data + sizeof(object), size - sizeof(object), &d, NULL)) return 0;
	for (int i = 0; i < RUNS_MAX && gc_desc_next(d, object, &run); i++) {
		if (run.start < 8 || run.start >= run.end || run.end > object - 8 ||
		    run.start % 8 || run.end % 8)
			abort();
	}
	free(d);
	return 0;
}
