/*
 * What of a process's memory goes into its core. A policy without side effects: the planner
 * (core_plan.c) has a run of pages in hand and asks; what the kinds take stands in one table
 * (core_select.c).
 */
#ifndef DUMPERS_CORE_CORE_SELECT_H
#define DUMPERS_CORE_CORE_SELECT_H

#include "base/range_set.h"
#include "dumpers/core/core.h"

/* Pages of one map that share one state, BYTES, ZERO or FILE. */
struct core_pages {
	const struct map *map;
	uint64_t start, end;
	enum mem_state state;
	bool is_elf, has_build_id; /* of the file that the map belongs to */
};

enum core_verdict {
	CORE_TAKE,
	CORE_TO_FILE,  /* unmodified pages, left to the file: MEM_FILE in the core */
	CORE_LEAVE_OUT /* NOT_CAPTURED in the core */
};

struct core_select {
	const struct core_config *config;
	struct range_list stacks; /* of CORE_STACKS: where a debugger must be able to read */
};

/* config and its filter stay borrowed. Reads memory for CORE_STACKS only (core_stacks.c). */
int core_select_init(struct core_select *select, struct snapshot *s,
		     const struct core_config *config, struct err *e);
void core_select_done(struct core_select *select);
/* The verdict on the pages from start on; it holds up to *ret_end, above start and at most end. */
enum core_verdict core_select(const struct core_select *select, const struct core_pages *pages,
			      uint64_t *ret_end);

/*
 * Adds what unwinding every thread and finding the libraries takes: stacks from their pointers up,
 * what describes the threads, and the dynamic linker's list. What the process's memory says is
 * hostile: every list has an end.
 */
int core_stack_ranges(struct snapshot *s, const struct core_config *config, struct range_list *ret,
		      struct err *e);

#endif
