/*
 * Where a module's sorted table of unwind entries lies (LSB core, "Exception Frame Header"). Static
 * programs often have .eh_frame without .eh_frame_hdr: for them a table is made, and read at an
 * address range that no program can have.
 */
#ifndef DUMPERS_STACK_UNWIND_TABLE_H
#define DUMPERS_STACK_UNWIND_TABLE_H

#include "dumpers/stack/modules.h"

#define UNWIND_MADE_BASE 0xffffe00000000000ull
#define UNWIND_MADE_STRIDE (1ull << 32)

/* Entries are pairs of i32 {start of function, FDE}, both relative to base. */
struct unwind_table {
	bool found;
	uint64_t base;  /* what the entries are relative to */
	uint64_t table; /* address of the entries */
	uint64_t count;
	int32_t *made; /* the entries, if they were made here; owned */
};
/* Fills ret; found says whether there is one. */
void unwind_table_load(struct modules *modules, const struct module *module,
		       struct unwind_table *ret);
void unwind_table_done(struct unwind_table *t);
/* Reads from a made table; len bytes at addr or -ERR_NOT_FOUND. */
int unwind_table_read(const struct unwind_table *t, uint64_t addr, void *data, size_t len);

#endif
