/* `stacks` of snapshots and of local processes: with the names that a runtime has, where there is
 * one that podsnap can read. */
#ifndef COLLECTOR_MANAGED_STACKS_H
#define COLLECTOR_MANAGED_STACKS_H

#include "bundle/archive.h"
#include "collector/options.h"
#include "dumpers/dotnet/dotnet.h"

/* Of any snapshot. Where the runtime cannot be read, the answer says why and has the rest. */
int stacks_of_snapshot(const struct options *o, struct snapshot *snapshot, find_module_fn find,
		       void *find_ctx, dotnet_find_file_fn find_file, struct buf *ret,
		       struct err *e);
/* Of the process of this machine that the options name. */
int stacks_of_local(const struct options *o, struct buf *ret, struct err *e);
/* Of every core in the archive. */
int stacks_of_archive(const struct options *o, const struct archive *archive, struct buf *ret,
		      struct err *e);

#endif
