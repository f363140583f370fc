/*
 * Unwinding by libunwind, through accessors on a snapshot: no ptrace, no process needed. Code
 * without unwind tables is passed by frame pointers, and said to be.
 */
#ifndef DUMPERS_STACK_UNWIND_H
#define DUMPERS_STACK_UNWIND_H

#include "dumpers/stack/modules.h"

struct unwind_frame {
	uint64_t pc, sp;
	bool signal_frame; /* a signal trampoline: the caller's pc is exact, no return address */
	bool guessed;      /* found by frame pointer, not by unwind tables */
};

struct unwinder;
/* The modules are borrowed. -ERR_UNSUPPORTED for a CPU other than ours and for 32-bit programs. */
int unwinder_new(struct modules *modules, struct unwinder **ret, struct err *e);
void unwinder_free(struct unwinder *u); /* NULL-safe */
/* The next count threads that will be unwound. */
void unwind_will_need(struct unwinder *u, const struct snapshot_thread *threads, size_t count);
/*
 * Fills frames, innermost first, at most max > 0, and returns how many. *ret_end: why it ends
 * before the outermost frame, valid until the next call; NULL if it is whole. A thread without
 * registers gives its pc alone.
 */
size_t unwind_thread(struct unwinder *u, const struct snapshot_thread *thread,
		     struct unwind_frame *frames, size_t max, const char **ret_end);

#endif
