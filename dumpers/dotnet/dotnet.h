/*
 * A .NET process in a snapshot: its types, their fields and its heap. What the runtime keeps of
 * itself is asked of the DAC (dac_client.h), in a process of its own; objects are read straight
 * from the snapshot, names from the assemblies' metadata. Nothing of either is believed unchecked.
 * For .NET Core 3.1 to .NET 9.
 */
#ifndef DUMPERS_DOTNET_DOTNET_H
#define DUMPERS_DOTNET_DOTNET_H

#include "dumpers/dotnet/dac_wire.h"
#include "dumpers/stack/modules.h"

/* Kinds of values: CorElementType (ECMA-335, II.23.1.16). */
enum value_kind {
	KIND_BOOL = 0x02,
	KIND_CHAR,
	KIND_I1,
	KIND_U1,
	KIND_I2,
	KIND_U2,
	KIND_I4,
	KIND_U4,
	KIND_I8,
	KIND_U8,
	KIND_R4,
	KIND_R8,
	KIND_STRING,
	KIND_POINTER,
	KIND_BY_REFERENCE,
	KIND_STRUCT,
	KIND_CLASS,
	KIND_VARIABLE,
	KIND_ARRAY,
	KIND_INSTANCE,
	KIND_I = 0x18,
	KIND_U,
	KIND_FUNCTION = 0x1b,
	KIND_OBJECT,
	KIND_VECTOR,
};

enum {
	DOTNET_TYPES_MAX = 1 << 20,
	DOTNET_DEPTH_MAX = 64, /* base types of a type */
	OBJECT_HEADER = 8,     /* bytes of an object before its fields: the method table */
};

/*
 * Opens a file by the path that the target knows it by: an assembly, or the DAC, beside
 * libcoreclr.so. -ERR_NOT_FOUND.
 */
typedef int (*dotnet_find_file_fn)(void *ctx, const char *path, struct blob **ret, struct err *e);
struct dotnet_config {
	dotnet_find_file_fn find_file;
	void *find_ctx;
	struct blob *dac; /* borrowed; NULL: found beside libcoreclr.so */
	uint64_t timeout_ns;
};

struct dotnet_field {
	const char *name; /* borrowed from metadata */
	struct dac_wire_field is;
};
struct dotnet_type {
	uint64_t address; /* of its method table */
	uint64_t module, parent;
	uint32_t base_size, component_size, token;
	bool is_free, is_string;
	bool is_value; /* a struct or an enum: its objects are boxed values */
	bool is_enum;
	bool has_references;
	/* Of a collectible assembly: the handle of what its objects keep alive; 0: none. */
	uint64_t loader_handle;
	char *name; /* as Type.ToString() has it; "" if the DAC knows none */
	bool fields_known, element_known;
	struct dotnet_field *fields; /* its own, without those of base types */
	size_t field_count;
	/* Of an array: its elements, and where the first is in the object. */
	struct dac_wire_array element;
	uint32_t element_offset;
	bool references_known;
	struct gc_desc *references; /* owned; NULL: not to be had */
};
static inline bool dotnet_is_array(const struct dotnet_type *t)
{
	return t->component_size && !t->is_string && !t->is_free;
}

struct dotnet;
/*
 * modules (and what find_ctx points to) stay borrowed. -ERR_NOT_FOUND where no libcoreclr.so is
 * mapped, or no DAC is at hand, with what to do as the hint; -ERR_UNSUPPORTED where the CPU is not
 * x86-64 or the DAC is of another build of the runtime; else errors of dac_client_ask.
 */
int dotnet_open(struct modules *modules, const struct dotnet_config *config, struct dotnet **ret,
		struct err *e);
void dotnet_free(struct dotnet *d); /* NULL-safe */
static inline void dotnet_free_ptr(struct dotnet **d)
{
	dotnet_free(*d);
}
#define _cleanup_dotnet_ _cleanup_(dotnet_free_ptr)

/* Exactly len bytes of memory, from the snapshot or from the file that backs it. */
int dotnet_read(struct dotnet *d, uint64_t address, void *data, size_t len, struct err *e);

/* The type with that method table; lives as long as d. An error of the DAC's process passes
 * through; a method table that is none is -ERR_CORRUPT, and is remembered as such. */
int dotnet_type_at(struct dotnet *d, uint64_t address, struct dotnet_type **ret, struct err *e);
/* The type of an object, by its first word, whose low bits the collector uses. */
int dotnet_type_of(struct dotnet *d, uint64_t object, struct dotnet_type **ret, struct err *e);
/* Fills type->fields. A field without a name is called by its token. */
int dotnet_load_fields(struct dotnet *d, struct dotnet_type *type, struct err *e);
/* The instance field of that name, the type's own or inherited. *ret_type (may be NULL): whose it
 * is. -ERR_NOT_FOUND. */
int dotnet_find_field(struct dotnet *d, struct dotnet_type *type, const char *name,
		      const struct dotnet_field **ret, struct err *e);
/* Fills type->element; object is one of the type, which is an array. */
int dotnet_load_element(struct dotnet *d, struct dotnet_type *type, uint64_t object, struct err *e);
/* Size of an object in bytes, aligned as the heap has it; -ERR_CORRUPT if it cannot be. */
int dotnet_object_size(const struct dotnet_type *type, uint32_t component_count, uint64_t *ret,
		       struct err *e);

struct metadata;
/* Metadata of the module (as dotnet_type.module names it); NULL: not to be had. Borrowed. */
const struct metadata *dotnet_metadata(struct dotnet *d, uint64_t module);

struct dotnet_heap {
	struct dac_wire_heap head;
	struct dac_wire_range *ranges; /* owned; ascending, not overlapping */
	struct dac_wire_skip *skips;   /* owned; ascending */
};
int dotnet_heap_read(struct dotnet *d, struct dotnet_heap *ret, struct err *e);
void dotnet_heap_done(struct dotnet_heap *h);

#endif
