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
	/* As a runtime names it; NULL: it does not. Owned by the report. pc may then be 0: the
	 * runtime's own code stands for that method. */
	const char *method;
	int32_t il_offset; /* of a method; < 0: not known */
};
/* What a runtime calls a thread of its own. Texts are owned by the report; NULL: none. */
struct stack_managed {
	uint32_t id; /* 0: it is none of the runtime's */
	const char *name;
	const char *exception, *message; /* that it handles: type, text */
};
struct stack {
	const struct snapshot_thread *thread;
	struct stack_frame *frames; /* innermost first */
	size_t frame_count;
	const char *end; /* why it ends before the outermost frame; NULL: it is whole */
	struct stack_managed managed;
};
struct stacks {
	const struct snapshot *snapshot; /* borrowed */
	struct stack *v;                 /* in the snapshot's thread order */
	size_t count;
	char **symbols; /* interned names, a hash table */
	size_t symbol_count;
	const char *unnamed; /* why methods of a runtime have no names; NULL: they have, or there
				is no runtime. Owned by the report */
};
/* Unwinds all threads. modules and its snapshot are borrowed and must outlive the report. */
int stacks_collect(struct modules *modules, struct stacks **ret, struct err *e);
void stacks_free(struct stacks *s); /* NULL-safe */

/* Copies a text for the report; NULL where there is no room for it. */
const char *stacks_keep(struct stacks *s, const char *text, size_t len);
/*
 * Puts frames that a runtime knows, innermost first, among those of the stack: a frame of the same
 * sp (and of the same pc, unless it is in no module) gets its method, others go where their sp
 * says. One without a pc stands right before the runtime's frame that follows it. Names stay the
 * caller's, who gets them from stacks_keep.
 */
int stack_merge(struct stack *s, const struct stack_frame *frames, size_t count, struct err *e);

/*
 * Text: a head line "pid 42 (name), 9 threads", then groups of identical stacks, biggest group
 * first (ties by lowest tid): 3 threads: 12 "worker" S futex_wait_queue, 13 "worker" S ..., ... #0
 * 0x00007f.. pthread_cond_wait+0x1e5  libc.so.6 full: every thread on its own, no folding. No
 * colour, no times: equal for equal snapshots.
 */
int stacks_print_text(const struct stacks *s, bool full, struct buf *ret, struct err *e);
/* {"schema":"podsnap.stacks/1","pid":..,"unnamed"?,"threads":[{"tid","name","state","wchan",
 * "managed"?:{"id","name","exception"?:{"type","message"}},"frames":[{"pc"?,"sp","module",
 * "build_id","symbol","offset","method"?,"il_offset"?,"signal"?,"guessed"?}],"end"?}]} */
int stacks_print_json(const struct stacks *s, bool indent, struct buf *ret, struct err *e);

#endif
