/* Objects as trees of values (node.h). */
#ifndef DUMPERS_DOTNET_OBJECT_H
#define DUMPERS_DOTNET_OBJECT_H

#include "dumpers/dotnet/dotnet.h"
#include "dumpers/dotnet/node.h"

enum { OBJECT_NODES_MAX = 1 << 20, OBJECT_NESTING_MAX = 24, OBJECT_STRING_MAX = 1 << 16 };

struct object_config {
	size_t limit; /* items of a collection, 0: all */
	int depth;    /* references that are followed */
	bool statics; /* of the object's own type and its base types */
	/* For a path into it. */
	size_t first;     /* item of a list or array that is shown first */
	bool all_entries; /* limit is not one for a dictionary's */
	bool raw;         /* a collection by its fields */
};
/*
 * The object at that address: its fields, or, of an array, string, boxed value or a collection of
 * System.Collections, what it holds. Objects that it refers to are named; strings and boxed values
 * are always shown, collections that a field of it refers to as well. What cannot be read is a
 * NODE_UNKNOWN. -ERR_NOT_FOUND, -ERR_CORRUPT if no object is there; -ERR_LIMIT beyond
 * OBJECT_NODES_MAX values.
 */
int object_read(struct dotnet *d, uint64_t address, const struct object_config *config,
		struct node **ret, struct err *e);
/* One field of an object, as a value alone. -ERR_NOT_FOUND: it has none of the name. */
int object_field(struct dotnet *d, uint64_t address, struct dotnet_type *type, const char *name,
		 struct node **ret, struct err *e);

#endif
