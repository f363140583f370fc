/* Unwinding by libunwind, through accessors on a snapshot: no ptrace, no process needed. */
#ifndef DUMPERS_STACK_UNWIND_H
#define DUMPERS_STACK_UNWIND_H

#include "dumpers/stack/modules.h"

struct unwind_frame {
	uint64_t pc, sp;
	bool signal_frame; /* what it called into was a signal handler: pc is exact, not a return
			      address */
	bool guessed;      /* reached without an unwind table */
};

struct unwinder;
/* -ERR_UNSUPPORTED for a CPU other than ours. */
int unwinder_new(struct modules *modules, struct unwinder **ret, struct err *e);
void unwinder_free(struct unwinder *u); /* NULL-safe */
/*
 * Fills frames, innermost first, at most max. *ret_end: why it ends before the outermost frame, a
 * static string, NULL if it is whole. A thread without registers gives its pc alone.
 */
size_t unwind_thread(struct unwinder *u, const struct snapshot_thread *thread,
		     struct unwind_frame *frames, size_t max, const char **ret_end);

#endif
