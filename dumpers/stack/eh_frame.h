/* The index of one module's FDEs by code address; see unwind_table.h. */
#ifndef DUMPERS_STACK_EH_FRAME_H
#define DUMPERS_STACK_EH_FRAME_H

#include "dumpers/stack/cfi.h"

struct eh_frame_index {
	bool ready; /* eh_frame_index_make was called */
	size_t count;
	/* .eh_frame_hdr's table in the target: pairs of int32, code and FDE, counted from base. */
	uint64_t table, base;
	/* Where there is none: pairs of our own, ascending. */
	struct eh_frame_pair *pairs;
};
/* Fills a zeroed index; a module without usable tables gets an empty one. */
void eh_frame_index_make(struct eh_frame_index *index, struct modules *modules,
			 const struct module *module, struct target_memory *memory,
			 struct cfi_reader *reader);
void eh_frame_index_done(struct eh_frame_index *index);
/* Address of the FDE with the highest start not above pc; false if none. That FDE's own range
 * tells whether it holds pc. */
bool eh_frame_index_find(const struct eh_frame_index *index, struct target_memory *memory,
			 uint64_t pc, uint64_t *ret_fde);

#endif
