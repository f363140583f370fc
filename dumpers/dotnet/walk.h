/* All objects of the managed heap, one after another. */
#ifndef DUMPERS_DOTNET_WALK_H
#define DUMPERS_DOTNET_WALK_H

#include "dumpers/dotnet/dotnet.h"

struct dotnet_object {
	uint64_t address, size; /* bytes, as the heap has it */
	struct dotnet_type *type;
	const struct dac_wire_range *range;
	/* What of it, from its start on, is in memory here; until the walk goes on. */
	const uint8_t *bytes;
	size_t bytes_len;
};
/* The object at that address, without its bytes and range. -ERR_CORRUPT, -ERR_NOT_FOUND: none is.
 */
int dotnet_object_at(struct dotnet *d, uint64_t address, struct dotnet_object *ret, struct err *e);

/* Not 0 ends the walk, which returns it. */
typedef int (*dotnet_object_fn)(void *ctx, const struct dotnet_object *object, struct err *e);

struct dotnet_walk_loss {
	uint64_t bytes;  /* of the heap that no object could be found in */
	uint64_t ranges; /* that it is in */
};
/*
 * Free space between objects comes as objects of the type that is_free. Where memory is missing or
 * holds no object, the rest of its range is lost, and the walk goes on behind it. ret_loss may not
 * be NULL. Errors of the DAC's process end it.
 */
int dotnet_walk(struct dotnet *d, const struct dotnet_heap *heap, dotnet_object_fn fn, void *ctx,
		struct dotnet_walk_loss *ret_loss, struct err *e);

#endif
