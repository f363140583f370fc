/* The references in an object, as the collector follows them, and how a program calls them. */
#ifndef DUMPERS_DOTNET_REFERENCES_H
#define DUMPERS_DOTNET_REFERENCES_H

#include "base/buf.h"
#include "dumpers/dotnet/walk.h"

/* offset: of the reference, from the object's start; value: not 0, whatever else. */
typedef int (*reference_fn)(void *ctx, uint64_t offset, uint64_t value, struct err *e);
/*
 * Calls fn for each reference that is not null; not 0 ends it and is returned. What is in memory
 * already (object->bytes) is not read again. -ERR_CORRUPT where the type does not say where they
 * are, -ERR_NOT_FOUND, -ERR_IO where some of the object cannot be read: fn may have been called.
 */
int references_read(struct dotnet *d, const struct dotnet_object *object, reference_fn fn,
		    void *ctx, struct err *e);
/*
 * Appends what is at that offset of the object: ".next", "[17]", "[3].Place.Name"; of what has no
 * name ".+0x18".
 */
int reference_name(struct dotnet *d, uint64_t object, struct dotnet_type *type, uint64_t offset,
		   struct buf *ret, struct err *e);

#endif
