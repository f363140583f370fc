/*
 * Which words of the managed heap are objects: a bit for each 8 bytes, and with it a number for
 * each object, in the order of addresses, without a table of addresses. Takes 1/60 of the heap's
 * size.
 */
#ifndef DUMPERS_DOTNET_HEAP_INDEX_H
#define DUMPERS_DOTNET_HEAP_INDEX_H

#include "dumpers/dotnet/dotnet.h"

enum { HEAP_INDEX_WORD = 8, HEAP_INDEX_OBJECTS_MAX = INT32_MAX };
#define HEAP_INDEX_BYTES_MAX (UINT64_C(1) << 35) /* words are numbered in 32 bits */

struct heap_index;
/* Of these ranges, as dotnet_heap_read gives them; copied. -ERR_LIMIT for a heap beyond
 * HEAP_INDEX_BYTES_MAX. */
int heap_index_new(const struct dotnet_heap *heap, struct heap_index **ret, struct err *e);
void heap_index_free(struct heap_index *x); /* NULL-safe */

/* The number of the word at that address. False: it is not in the heap, or no word's start. */
bool heap_index_word(struct heap_index *x, uint64_t address, uint32_t *ret);
/* An object begins there; before heap_index_seal. */
void heap_index_add(struct heap_index *x, uint32_t word);
/* All objects are there: from here on they have numbers. */
int heap_index_seal(struct heap_index *x, struct err *e);
uint32_t heap_index_count(const struct heap_index *x);

/* The number of the object that begins at that word. False: none does. */
bool heap_index_object(const struct heap_index *x, uint32_t word, uint32_t *ret);
/* The last object of the same range that begins at that word or before. False: there is none. */
bool heap_index_before(const struct heap_index *x, uint32_t word, uint32_t *ret);
/* Where the object of that number is; it must be below the count. */
uint64_t heap_index_address(const struct heap_index *x, uint32_t object);

#endif
