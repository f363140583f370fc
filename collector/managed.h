/* A .NET process out of whatever source a verb names: what heap, objects and object read. */
#ifndef COLLECTOR_MANAGED_H
#define COLLECTOR_MANAGED_H

#include "collector/command.h"
#include "dumpers/dotnet/dotnet.h"

struct managed {
	struct command_call *call;
	struct dotnet *dotnet;
	const struct snapshot *snapshot;
	bool live; /* another command sees another instant */
};
typedef int (*managed_fn)(void *ctx, struct managed *m, struct buf *ret, struct err *e);
/*
 * Opens the source, calls fn, prints what it appended to ret on stdout, and closes it again. Of
 * the processes in a bundle the first is taken that runs .NET. A pod holds a snapshot for as long
 * as that takes, or for --hold. Errors of opening, of fn, of writing.
 */
int managed_run(struct command_call *call, managed_fn fn, void *ctx, struct err *e);

struct search; /* dumpers/dotnet/search.h */
/* What --type and --where ask for. -ERR_USAGE. */
int managed_search(struct command_call *call, struct search **ret, struct err *e);

#endif
