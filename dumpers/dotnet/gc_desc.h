/*
 * Where the references in objects of a type are, as the collector itself knows it: what lies below
 * a method table in memory. It misses nothing that the collector follows, whatever the fields are.
 *
 * The word below the table counts series. Above 0: each has {length, start}, the first right below
 * the count, the next below that; length is without the object's size. Below 0: one start below
 * the count, and below that, for each of as many items, {references, bytes to skip} of 32 bits,
 * which repeat to the end of an array of structs.
 *
 * Source: github.com/dotnet/runtime, src/coreclr/gc/gcdesc.h. The input is hostile.
 */
#ifndef DUMPERS_DOTNET_GC_DESC_H
#define DUMPERS_DOTNET_GC_DESC_H

#include "base/err.h"

enum { GC_DESC_SERIES_MAX = 4096, GC_DESC_BYTES_MAX = 8 + 16 * GC_DESC_SERIES_MAX };

struct gc_desc; /* one block of the heap: free() ends it */

/* How many bytes below the method table it takes, by the word right below: at most
 * GC_DESC_BYTES_MAX. -ERR_CORRUPT for a count of 0 or beyond GC_DESC_SERIES_MAX. */
int gc_desc_size(int64_t count, size_t *ret, struct err *e);
/* data: those bytes, the count last. -ERR_CORRUPT also for items without a reference, and for those
 * that are not of whole words. */
int gc_desc_parse(const uint8_t *data, size_t len, struct gc_desc **ret, struct err *e);

struct gc_run {
	uint64_t start, end; /* bytes from the object's start; references lie one after another */
	/* Where it goes on. */
	size_t item;
	uint64_t at;
};
/*
 * The next run of references in an object of size bytes; *run is zero at first. Runs ascend within
 * a round of items; each is of whole references, behind the object's first word, and before the
 * last 8 bytes of size, which are the next object's. False: there is no other.
 */
bool gc_desc_next(const struct gc_desc *d, uint64_t size, struct gc_run *run);

#endif
