/* The unwinder's register numbers in the NT_PRSTATUS layout, by e_machine. */
#ifndef DUMPERS_STACK_UNWIND_REGS_H
#define DUMPERS_STACK_UNWIND_REGS_H

#include "dumpers/snapshot/snapshot.h"

/* False for a register that is not kept. */
bool unwind_register(const struct snapshot_thread *thread, int unwind_number, uint64_t *ret);

#endif
