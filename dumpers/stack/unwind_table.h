/*
 * From a code address to its FDE: by the binary search table of .eh_frame_hdr (LSB 5.0), which is
 * in memory; where a module has none (gcc -static), by a table made of its .eh_frame, found through
 * the section headers of its file.
 */
#ifndef DUMPERS_STACK_UNWIND_TABLE_H
#define DUMPERS_STACK_UNWIND_TABLE_H

#include "dumpers/stack/cfi.h"

enum {
	UNWIND_FDES_MAX = 2 << 20,       /* FDEs of a module */
	UNWIND_EH_FRAME_MAX = 128 << 20, /* bytes of an .eh_frame that is walked */
	UNWIND_WRITTEN_MAX = 32 << 20,   /* bytes of plain call frame information in all */
	UNWIND_LOOKUPS_MAX = 1 << 20,    /* addresses whose answer is kept */
};

struct unwind_tables;
int unwind_tables_new(struct target_memory *memory, struct unwind_tables **ret, struct err *e);
void unwind_tables_free(struct unwind_tables *t); /* NULL-safe */

/* How to unwind from an address. */
struct unwind_rule {
	uint64_t start, end; /* of the code it holds for */
	bool signal_frame;
	uint32_t offset; /* of its FDE in plain form among unwind_tables_bytes */
};
/* The rule for a code address (of a call, an address inside the call), borrowed until the next
 * call; NULL if the module has none, or one that cannot be trusted. */
const struct unwind_rule *unwind_tables_find(struct unwind_tables *t, uint64_t pc);
/* The call frame information that rules point into; grows, and never changes what is written. */
const struct buf *unwind_tables_bytes(const struct unwind_tables *t);

#endif
