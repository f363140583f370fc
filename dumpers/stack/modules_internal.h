/* The inside of modules: modules.c groups the maps, modules_read.c reads memory and files. */
#ifndef DUMPERS_STACK_MODULES_INTERNAL_H
#define DUMPERS_STACK_MODULES_INTERNAL_H

#include "dumpers/stack/elf_image.h"
#include "dumpers/stack/modules.h"

enum { MODULE_WHY_MAX = 200 };

struct module_entry {
	struct module module; /* first: a struct module * is one of these */
	struct elf_image image;
	const struct map *map; /* that of the ELF header */
	struct blob *file;     /* a reference, or NULL */
	bool file_tried;
	int file_error; /* why there is no file: code and text */
	char file_why[MODULE_WHY_MAX];
};

struct modules {
	struct snapshot *snapshot; /* borrowed */
	find_module_fn find;       /* may be NULL */
	void *find_ctx;
	struct module_entry **v; /* ascending, not overlapping */
	size_t count, cap;
};

static inline struct module_entry *module_entry(const struct module *module)
{
	return (struct module_entry *)(uintptr_t)module;
}
static inline const struct elf_image *module_image(const struct module *module)
{
	return &module_entry(module)->image;
}
static inline bool module_is_vdso(const struct module *module)
{
	return module->path[0] == '[';
}
/* Are these maps of one file? */
bool map_same_file(const struct map *a, const struct map *b);
/* Opens the file of an entry unless that was tried; build-id and headers of the entry, as far as
 * known, decide. -ERR_NOT_FOUND and whatever find says. */
int module_open_file(struct modules *m, struct module_entry *entry, struct err *e);

#endif
