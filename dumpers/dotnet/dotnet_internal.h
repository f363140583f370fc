/* The inside of dotnet: dotnet.c opens, dotnet_types.c knows types, dotnet_heap.c asks for the
 * heap. */
#ifndef DUMPERS_DOTNET_DOTNET_INTERNAL_H
#define DUMPERS_DOTNET_DOTNET_INTERNAL_H

#include "dumpers/dotnet/dac_client.h"
#include "dumpers/dotnet/dotnet.h"
#include "dumpers/dotnet/metadata.h"

struct dotnet_module {
	uint64_t address;
	struct metadata *metadata; /* owned; NULL: not to be had */
};
struct mapped_file {
	const char *path;  /* of a map; borrowed */
	struct blob *blob; /* owned; NULL: not to be had */
};
/* Memory that was read: objects are read a few bytes at a time. */
enum { CACHE_BLOCK = 16 << 10, CACHE_BLOCKS = 64, CACHED_READ_MAX = 256 };
struct cached_block {
	uint64_t address; /* a multiple of CACHE_BLOCK; 0: nothing is here */
	uint8_t bytes[CACHE_BLOCK];
};
/* A slot of the table of types. */
struct dotnet_slot {
	uint64_t address;         /* 0: free */
	struct dotnet_type *type; /* NULL: there is no such type */
};

struct dotnet {
	struct modules *modules; /* borrowed */
	struct dotnet_config config;
	struct dac_client *client;
	struct dac_wire_start start;
	struct dotnet_slot *slots; /* a power of two of them */
	size_t slot_count, slots_used;
	int nesting; /* of base types that are being asked for */
	struct dotnet_module *known_modules;
	size_t known_module_count;
	struct mapped_file *files;
	size_t file_count;
	struct cached_block *cache; /* CACHE_BLOCKS, or NULL; an address has one place in it */
	struct buf answer;          /* of the last question */
};

/* Asks; the answer is in d->answer, of at least that many bytes, or it is -ERR_CORRUPT. */
int dotnet_ask(struct dotnet *d, enum dac_message question, uint64_t argument, size_t len_min,
	       struct err *e);
void dotnet_types_done(struct dotnet *d);

#endif
