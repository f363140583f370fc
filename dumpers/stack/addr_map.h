/* A hash table from 64-bit keys (addresses) to 32-bit values, with a cap: caches of this folder. */
#ifndef DUMPERS_STACK_ADDR_MAP_H
#define DUMPERS_STACK_ADDR_MAP_H

#include "base/util.h"

struct addr_map {
	struct addr_map_slot *slots; /* owned; cap of them, a power of two, or NULL */
	size_t count, cap;
	size_t max; /* cap on count, set at init */
};
#define ADDR_MAP_INIT(max_count) ((struct addr_map){.max = (max_count)})
void addr_map_done(struct addr_map *m);
bool addr_map_get(const struct addr_map *m, uint64_t key, uint32_t *ret);
/* Adds a key that is not there yet. When full or out of memory it is not kept: this is a cache. */
void addr_map_put(struct addr_map *m, uint64_t key, uint32_t value);

#endif
