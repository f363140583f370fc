/* Which objects a verb is about: that at an address, or those that --type and --where find. */
#ifndef COLLECTOR_MANAGED_OBJECT_H
#define COLLECTOR_MANAGED_OBJECT_H

#include "collector/managed.h"
#include "dumpers/dotnet/walk.h"

struct managed_object {
	uint64_t address; /* 0: none */
	const char *path; /* what follows the address in its operand; borrowed, "" for nothing */
	struct search *search; /* owned; NULL with an address */
};
/* Takes the address from the operands, if the last is one. -ERR_USAGE unless there is either an
 * address or --type. */
int managed_object_take(struct command_call *call, struct managed_object *ret, struct err *e);
void managed_object_done(struct managed_object *o);

/* Not 0 ends it and is returned. */
typedef int (*managed_object_fn)(void *ctx, uint64_t address, struct err *e);
/*
 * Calls fn for the object of the address, or for those that are found, limit of them at most (0:
 * all), and marks the call as partial where some of the heap was lost. *ret_found: how many there
 * are. -ERR_NOT_FOUND if there is none. Says so where an address may be of another instant.
 */
int managed_object_each(const struct managed_object *o, struct managed *m, uint64_t limit,
			managed_object_fn fn, void *ctx, uint64_t *ret_found, struct err *e);

#endif
