/*
 * What refers into the managed heap from outside: static fields, stacks, the queue of the
 * finalizer, handles. Weak handles do not count.
 */
#ifndef DUMPERS_DOTNET_ROOTS_H
#define DUMPERS_DOTNET_ROOTS_H

#include "dumpers/dotnet/heap_index.h"

enum { ROOTS_MAX = 1 << 24 };

struct root {
	struct dac_wire_root is;
	uint32_t object; /* its number in the index */
};
/* Keeps the value alive as long as the key lives: a handle of ConditionalWeakTable. */
struct root_dependent {
	uint64_t key; /* numbers of objects; 64 bits for FIRST_ABOVE */
	uint32_t value;
	uint64_t slot; /* of the handle */
};
struct roots {
	struct root *v; /* owned; by kind, else as the library lists them */
	size_t count, cap;
	struct root_dependent *dependents; /* owned; ascending by key */
	size_t dependent_count, dependent_cap;
	uint32_t *unread_threads; /* owned; whose stack could not be read: ids in the system */
	size_t unread_count;
	bool statics_unread, handles_unread;
};
/*
 * Those that refer to an object of the index, which is sealed. What the library does not tell is
 * marked as unread; errors of its process end it, as does -ERR_LIMIT beyond ROOTS_MAX.
 */
int roots_read(struct dotnet *d, struct heap_index *index, struct roots *ret, struct err *e);
void roots_done(struct roots *r);

#endif
