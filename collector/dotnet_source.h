/* The list of a .NET process's files out of an archive, and the files themselves. */
#ifndef COLLECTOR_DOTNET_SOURCE_H
#define COLLECTOR_DOTNET_SOURCE_H

#include "bundle/archive.h"
#include "dumpers/runtime/dotnet_files.h"

/* DIR/runtime/dotnet.json of the process whose entries are under DIR ("<pid>-<comm>").
 * -ERR_NOT_FOUND if there is none, with the reason that the archive gives; errors of
 * dotnet_files_parse. */
int archive_dotnet_files(const struct archive *a, const char *dir, struct dotnet_files *ret,
			 struct err *e);
/* The bytes of a file of the list. -ERR_NOT_FOUND with the reason where the archive does not carry
 * it; errors of archive_open. */
int archive_dotnet_file(const struct archive *a, const struct dotnet_file *file, struct blob **ret,
			struct err *e);

/* The text of a document, schema "podsnap.dotnet/1". -ERR_CORRUPT if it is none, -ERR_LIMIT for
 * more than DOTNET_FILES_MAX assemblies. What is mapped where is not in it. */
int dotnet_files_parse(const char *text, size_t len, struct dotnet_files *ret, struct err *e);

#endif
