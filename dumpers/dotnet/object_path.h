/*
 * A way from an object to a value inside of it, as a program would write it:
 * .flags["EnableFallback"], .list[3], .next.name, .byState[Open].
 */
#ifndef DUMPERS_DOTNET_OBJECT_PATH_H
#define DUMPERS_DOTNET_OBJECT_PATH_H

#include "dumpers/dotnet/object.h"

enum { OBJECT_PATH_STEPS_MAX = 64, OBJECT_PATH_NAME_MAX = 4096 };

/* -ERR_USAGE if it is none: ".name" and "[key]" one after another; a key is a number, a word, or a
 * string in double quotes with \" and \\ in it. */
int object_path_check(const char *path, struct err *e);
/*
 * The value at the end of the path; *ret is as object_read gives it if it is an object, else the
 * value alone. A name is that of a field, a static or an automatic property. -ERR_NOT_FOUND where a
 * step leads nowhere, with what there is instead; errors of object_read.
 */
int object_path_read(struct dotnet *d, uint64_t address, const char *path,
		     const struct object_config *config, struct node **ret, struct err *e);

#endif
