/* A .NET process in a snapshot of any source: where the files are that reading it takes. */
#ifndef COLLECTOR_MANAGED_FILES_H
#define COLLECTOR_MANAGED_FILES_H

#include "bundle/archive.h"
#include "collector/options.h"
#include "dumpers/dotnet/dotnet.h"
#include "dumpers/runtime/dotnet_files.h"

/* Does it have a runtime that can be read: is libcoreclr.so mapped? */
bool runs_dotnet(const struct snapshot *s);

/* Finders of files (dotnet_find_file_fn) beside those of modules, with the same ctx. */
int find_file_in_process(void *ctx, const char *path, struct blob **ret, struct err *e);
int find_file_in_sysroot(void *ctx, const char *path, struct blob **ret, struct err *e);

/* One process of an archive and the list of its files; ctx of the finders below. */
struct archive_of_process {
	const struct archive *archive; /* borrowed */
	struct dotnet_files files;
};
/*
 * Of the process whose core is the index-th of the archive. Without the list of files, which is
 * said as a warning, the core may hold what is needed, but for the library.
 */
void archive_of_process_init(struct archive_of_process *a, const struct archive *archive,
			     size_t index);
void archive_of_process_done(struct archive_of_process *a);
int find_module_of_process(void *ctx, const struct module *module, struct blob **ret,
			   struct err *e);
int find_file_of_process(void *ctx, const char *path, struct blob **ret, struct err *e);

/* dotnet_open with what --dac and --dac-timeout say. */
int managed_open(const struct options *o, struct modules *modules, dotnet_find_file_fn find_file,
		 void *find_ctx, struct dotnet **ret, struct err *e);

#endif
