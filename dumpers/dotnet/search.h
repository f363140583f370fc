/* Objects by the name of their type and by the values of their fields. */
#ifndef DUMPERS_DOTNET_SEARCH_H
#define DUMPERS_DOTNET_SEARCH_H

#include "dumpers/dotnet/walk.h"

struct search_condition {
	char *field;       /* owned */
	const char *value; /* borrowed */
};
struct search;
/* type: a POSIX extended regular expression; conditions: "FIELD=VALUE". -ERR_USAGE. Borrowed. */
int search_new(const char *type, const char *const *conditions, size_t count, struct search **ret,
	       struct err *e);
void search_free(struct search *s); /* NULL-safe */
/* Calls fn for each that is found, in the order of addresses; see dotnet_walk. */
int search_run(struct search *s, struct dotnet *d, dotnet_object_fn fn, void *ctx,
	       struct dotnet_walk_loss *ret_loss, struct err *e);

#endif
