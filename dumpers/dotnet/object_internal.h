/* The inside of object: object.c knows fields and references, value.c numbers, known_struct.c
 * structs that have a text of their own, collections.c what holds items. */
#ifndef DUMPERS_DOTNET_OBJECT_INTERNAL_H
#define DUMPERS_DOTNET_OBJECT_INTERNAL_H

#include "dumpers/dotnet/object.h"

struct reading {
	struct dotnet *d;
	const struct object_config *config;
	int nesting; /* of values in values */
	size_t nodes;
	uint64_t open[OBJECT_NESTING_MAX]; /* objects that are being shown: no cycles */
	size_t open_count;
};

/* A value of that kind at that address; type as dac_wire_field has it. */
struct place {
	uint64_t address;
	uint8_t kind;
	uint64_t type, type_module;
	uint32_t type_token;
};

/* That field, which lies at the address. */
struct place place_of(const struct dotnet_field *f, uint64_t address);

/* Fills n. follow: how many more references may be followed. */
int read_value(struct reading *g, const struct place *p, int follow, struct node *n, struct err *e);
/* The same for a reference that is known. */
int read_reference(struct reading *g, uint64_t object, int follow, struct node *n, struct err *e);
/* A child, counted. */
int add_node(struct reading *g, struct node *parent, struct node **ret, struct err *e);
/* Instance fields of type, base types first, which lie at base. */
int read_fields(struct reading *g, struct dotnet_type *type, uint64_t base, int follow,
		struct node *n, struct err *e);

/* value.c */
bool kind_is_number(uint8_t kind);
/* The number at the address, sign-extended. */
int read_number(struct dotnet *d, uint8_t kind, uint64_t address, int64_t *ret, struct err *e);
int show_number(struct dotnet *d, uint8_t kind, uint64_t address, struct node *n, struct err *e);
int show_string(struct dotnet *d, uint64_t object, struct node *n, struct err *e);
/* names of a module's TypeDef that is an enum. */
int show_enum(struct dotnet *d, uint64_t module, uint32_t token, int64_t value, struct node *n,
	      struct err *e);

/* known_struct.c: decimals, times and the like, by their type's name. -ERR_NOT_FOUND for others,
 * and for bytes that are no value of it. */
int show_known_struct(struct dotnet *d, struct dotnet_type *type, uint64_t address, struct node *n,
		      struct err *e);

/* collections.c: -ERR_NOT_FOUND if the object is no collection that is known. */
int read_collection(struct reading *g, struct dotnet_type *type, uint64_t object, int follow,
		    struct node *n, struct err *e);
int read_array(struct reading *g, struct dotnet_type *type, uint64_t object, int follow,
	       struct node *n, struct err *e);

#endif
