/*
 * The names in an assembly: a bounded reader of .NET metadata (ECMA-335, partition II, 24). It
 * knows the tables up to Constant, which is what names of types and fields, and of an enum's
 * numbers, take. The input is hostile: every offset, index and count is checked where it is used.
 */
#ifndef DUMPERS_DOTNET_METADATA_H
#define DUMPERS_DOTNET_METADATA_H

#include "base/err.h"

enum { METADATA_MAX = 128 << 20, METADATA_NAME_MAX = 1024 };

struct metadata;
/* Takes data over (heap), also where it fails. -ERR_CORRUPT, -ERR_LIMIT beyond METADATA_MAX. */
int metadata_new(uint8_t *data, size_t len, struct metadata **ret, struct err *e);
void metadata_free(struct metadata *m); /* NULL-safe */

/* The field of that row (the lower 24 bits of its token). NULL: none. Borrowed. */
const char *metadata_field(const struct metadata *m, uint32_t row);
/* Is it a static whose value is a piece of the assembly's file? */
bool metadata_field_in_file(const struct metadata *m, uint32_t row);
/* Namespace ("" for none) and name of a TypeDef by its row; name without those it is nested in.
 * False: there is none. */
bool metadata_type(const struct metadata *m, uint32_t row, const char **ret_namespace,
		   const char **ret_name);

struct metadata_literal {
	const char *name;
	uint64_t value; /* sign-extended if its type has a sign */
};
/*
 * The next constant field of the TypeDef's: *at is 0 at first, and is counted on. False: there is
 * no other. Constants that are no integers are left out.
 */
bool metadata_next_literal(const struct metadata *m, uint32_t row, uint32_t *at,
			   struct metadata_literal *ret);

#endif
