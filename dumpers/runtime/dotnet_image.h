/*
 * What the files of a .NET runtime say of themselves: the version that is compiled into
 * libcoreclr.so, its data-access library (DAC) and single-file programs; the build-ids that a
 * single-file program names; and whether a file is a managed assembly. All of it is hostile.
 *
 * Sources: eng/native/version/_version.c of dotnet/runtime ("@(#)Version 9.0.124.61010 @Commit:
 * c8ac..."); src/coreclr/debug/inc/runtimeinfo.h (DotNetRuntimeInfo); ECMA-335 II.25 (PE files).
 */
#ifndef DUMPERS_RUNTIME_DOTNET_IMAGE_H
#define DUMPERS_RUNTIME_DOTNET_IMAGE_H

#include "dumpers/proc/elf_id.h"

enum { DOTNET_VERSION_MAX = 48, DOTNET_COMMIT_MAX = 64, DOTNET_BUILD_ID_MAX = 23 };

struct dotnet_version {
	char file[DOTNET_VERSION_MAX];  /* "9.0.124.61010": of the files, not of the product */
	char commit[DOTNET_COMMIT_MAX]; /* hex digits; "" if it says none */
};
/* -ERR_NOT_FOUND where an ELF file says no version; errors of elf_find_section. */
int dotnet_version_read(struct blob *file, struct dotnet_version *ret, struct err *e);
/*
 * The product's version: "9.0.1" of the files' 9.0.124.61010 (the third number is 100 times the
 * patch, plus the year). "3" of 4.700.20.6602, which tells no more; "" of what has another form.
 */
void dotnet_product_version(const char *file_version, char *ret, size_t ret_size);

/* A build-id that DotNetRuntimeInfo names. */
struct dotnet_build_id {
	uint8_t bytes[DOTNET_BUILD_ID_MAX];
	size_t len; /* never 0 */
};
/* Of the data-access library that a program with the runtime inside takes. -ERR_NOT_FOUND if it
 * names none. */
int dotnet_wanted_dac(struct blob *program, struct dotnet_build_id *ret, struct err *e);

/* Has it PE headers with a CLI header? read as of a file. */
bool dotnet_is_assembly(elf_read_fn read, void *ctx);

#endif
