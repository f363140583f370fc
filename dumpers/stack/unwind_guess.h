/* A step without unwind tables: by a return address at the top of the stack, or by the frame
 * pointer. */
#ifndef DUMPERS_STACK_UNWIND_GUESS_H
#define DUMPERS_STACK_UNWIND_GUESS_H

#include "dumpers/stack/stack_regs.h"

enum { GUESS_FRAME_MAX = 1 << 20 }; /* bytes of a frame that is believed */

enum guess {
	GUESS_CALLER, /* *ret has the caller's registers */
	GUESS_END,    /* the frame pointer says that this is the outermost frame */
	GUESS_NONE,   /* nothing plausible */
};
/* Is there code at pc? */
bool guess_is_code(struct target_memory *memory, uint64_t pc);
/* exact: regs are those of a thread or of what a signal interrupted, not of a caller. */
enum guess guess_caller(const struct stack_cpu *cpu, struct target_memory *memory,
			const struct stack_regs *regs, bool exact, struct stack_regs *ret);

#endif
