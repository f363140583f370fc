/* What of a process's memory the options want in its core. */
#ifndef COLLECTOR_LOCAL_CORE_H
#define COLLECTOR_LOCAL_CORE_H

#include "collector/options.h"
#include "dumpers/core/core.h"
#include "dumpers/proc/coredump_filter.h"
#include "dumpers/stack/stacks.h"

struct core_choice {
	bool none; /* no core at all */
	struct core_config config;
	struct coredump_filter filter;
	uint64_t *stack_pointers; /* owned */
	size_t stack_pointer_count;
	/* Why the process's filter is not known: then there is no core, for it would hold what was
	 * not to be taken. */
	int failed;
	struct err why;
};

/* Reads the process's coredump_filter if it shall be respected; before the stop. */
void core_choice_init(struct core_choice *choice, const struct options *options,
		      const struct process *process);
void core_choice_done(struct core_choice *choice); /* fine on a zeroed one */
/* Remembers where unwinding went on to another stack, as from a signal's; copies. */
int core_choice_take_stacks(struct core_choice *choice, const struct stacks *stacks, struct err *e);
/* core_plan by these choices. */
int core_choice_plan(const struct core_choice *choice, struct snapshot *snapshot, struct core **ret,
		     struct err *e);

#endif
