/* Single fields of objects that the runtime itself is made of: what cannot be read is as good as
 * empty. */
#ifndef DUMPERS_DOTNET_FIELDS_H
#define DUMPERS_DOTNET_FIELDS_H

#include "dumpers/dotnet/dotnet.h"

enum { FIELD_TEXT_MAX = 4096 }; /* bytes of a text; more is left out */

/* The instance field of that name, size bytes of it, at most 8; 0 where it cannot be read. */
uint64_t field_number(struct dotnet *d, uint64_t object, const char *name, size_t size);
/* The text of a field that is a string; NULL: none, or not readable. The caller frees it. */
char *field_text(struct dotnet *d, uint64_t object, const char *name);

#endif
