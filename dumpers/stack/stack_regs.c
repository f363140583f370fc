#include "dumpers/stack/stack_regs.h"

#include <string.h>

static const struct stack_cpu *const cpus[] = {
    &stack_cpu_x86_64,
};

const struct stack_cpu *stack_cpu_of(uint16_t e_machine)
{
	for (size_t i = 0; i < ARRAY_SIZE(cpus); i++)
		if (cpus[i]->e_machine == e_machine) return cpus[i];
	return NULL;
}

bool stack_regs_of(const struct stack_cpu *cpu, const struct snapshot_thread *thread,
		   struct stack_regs *ret)
{
	struct stack_regs regs = {0};

	if (thread->gregs_len != cpu->gregs_len) return false;
	for (unsigned i = 0; i < cpu->count; i++) {
		uint64_t value;

		memcpy(&value, thread->gregs + cpu->gregs_at[i], sizeof(value));
		stack_reg_set(&regs, i, value);
	}
	*ret = regs;
	return true;
}
