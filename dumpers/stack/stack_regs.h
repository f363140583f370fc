/*
 * The registers a frame is unwound from, numbered as DWARF numbers them (for x86-64: System V ABI,
 * figure 3.36), and where they are in a thread's NT_PRSTATUS set. A table by e_machine: another
 * CPU is a file like regs_x86_64.c and a line in stack_regs_of.
 */
#ifndef DUMPERS_STACK_STACK_REGS_H
#define DUMPERS_STACK_STACK_REGS_H

#include "dumpers/stack/target_memory.h"

enum { STACK_REGS_MAX = 32 };

struct stack_regs {
	uint64_t v[STACK_REGS_MAX];
	uint32_t known; /* a bit for each register whose value is known */
};
static inline bool stack_reg_known(const struct stack_regs *r, unsigned reg)
{
	return (r->known >> reg & 1) != 0;
}
static inline void stack_reg_set(struct stack_regs *r, unsigned reg, uint64_t value)
{
	r->v[reg] = value;
	r->known |= (uint32_t)1 << reg;
}

struct stack_cpu {
	uint16_t e_machine;
	size_t gregs_len;                  /* bytes of the register set */
	unsigned count;                    /* registers; numbers 0 to count - 1 */
	unsigned pc, sp, fp;               /* their numbers */
	uint16_t gregs_at[STACK_REGS_MAX]; /* offset of each in the set */
	/* Is the code at pc the kernel's or libc's return from a signal handler? */
	bool (*is_sigreturn)(struct target_memory *memory, uint64_t pc);
	/* The registers the signal interrupted, from the frame the kernel pushed; false if they
	 * cannot be read. */
	bool (*sigreturn)(struct target_memory *memory, const struct stack_regs *regs,
			  struct stack_regs *ret);
};
/* NULL: unwinding of this CPU is not known. */
const struct stack_cpu *stack_cpu_of(uint16_t e_machine);
/* False if the thread's registers are not there. */
bool stack_regs_of(const struct stack_cpu *cpu, const struct snapshot_thread *thread,
		   struct stack_regs *ret);

extern const struct stack_cpu stack_cpu_x86_64;

#endif
