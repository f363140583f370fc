/* What reading the heap of a .NET process elsewhere takes beside its core: the runtime, its
 * data-access library and the managed assemblies, and the list of them. */
#ifndef COLLECTOR_LOCAL_DOTNET_H
#define COLLECTOR_LOCAL_DOTNET_H

#include "collector/local_target.h"
#include "dumpers/runtime/dotnet_files.h"

/*
 * Of a .NET process: its files under modules/ (unless --modules=false), and
 * DIR/runtime/dotnet.json, which says the entry of each, or why there is none. Of any other:
 * nothing. Reads files only; the process may run.
 */
int add_dotnet(struct capture *c, const struct capture_target *t, struct err *e);

/* Opens a file of the list and names its entry: file->entry, or file->reason where it cannot be
 * carried; then *ret stays NULL. */
int dotnet_file_prepare(const struct process *p, struct dotnet_file *file, struct blob **ret,
			struct err *e);

#endif
