/*
 * Every thread's stack: unwinding by libunwind through our accessors, symbols from .symtab and
 * .dynsym, one report that prints as text (identical stacks folded) and as JSON. The same snapshot
 * gives the same text whatever its origin.
 */
#ifndef DUMPERS_STACK_STACKS_H
#define DUMPERS_STACK_STACKS_H

#include "dumpers/stack/modules.h"

enum { STACK_FRAMES_MAX = 4096, STACK_SYMBOL_MAX = 512 };

struct stack_frame {
	uint64_t pc, sp;
	const struct module *module; /* NULL: in none */
	const char *symbol;          /* NULL: none; owned by the report */
	uint64_t symbol_offset;      /* pc minus the symbol's start */
	bool signal_frame;           /* the frame below was interrupted by a signal */
	bool guessed;                /* found by frame pointer or scanning, not by unwind tables */
};
struct stack {
	const struct snapshot_thread *thread;
	struct stack_frame *frames; /* innermost first */
	size_t frame_count;
	const char *end; /* why it ends before the outermost frame; NULL: it is whole */
};
struct stacks {
	const struct snapshot *snapshot; /* borrowed */
	struct stack *v;                 /* in the snapshot's thread order */
	size_t count;
	char **symbols; /* interned names, a hash table */
	size_t symbol_count;
};
/* Unwinds all threads. modules and its snapshot are borrowed and must outlive the report. */
int stacks_collect(struct modules *modules, struct stacks **ret, struct err *e);
void stacks_free(struct stacks *s); /* NULL-safe */

/*
 * Text: a head line "pid 42 (name), 9 threads", then groups of identical stacks, biggest group
 * first (ties by lowest tid): 3 threads: 12 "worker" S futex_wait_queue, 13 "worker" S ..., ... #0
 * 0x00007f.. pthread_cond_wait+0x1e5  libc.so.6 full: every thread on its own, no folding. No
 * colour, no times: equal for equal snapshots.
 */
int stacks_print_text(const struct stacks *s, bool full, struct buf *ret, struct err *e);
/* {"schema":"podsnap.stacks/1","pid":..,"threads":[{"tid","name","state","wchan","frames":[{"pc",
 * "sp","module","build_id","symbol","offset","signal"?,"guessed"?}],"end"?}]} */
int stacks_print_json(const struct stacks *s, bool indent, struct buf *ret, struct err *e);

#endif
