#include "dumpers/snapshot/regs.h"

#include <string.h>

static const struct regs_layout layouts[] = {
    {.e_machine = EM_X86_64, .gregs_len = 216, .pc = 128, .sp = 152, .syscall_nr = 120, .tls = 168},
};

const struct regs_layout *regs_layout(uint16_t e_machine)
{
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++)
		if (layouts[i].e_machine == e_machine) return &layouts[i];
	return NULL;
}

static uint64_t reg_at(const struct snapshot_thread *t, size_t offset)
{
	uint64_t value;

	memcpy(&value, t->gregs + offset, sizeof(value));
	return value;
}

void regs_derive(const struct regs_layout *layout, struct snapshot_thread *t)
{
	int64_t nr;

	if (!layout || t->gregs_len != layout->gregs_len) return;
	t->pc = reg_at(t, layout->pc);
	t->sp = reg_at(t, layout->sp);
	nr = (int64_t)reg_at(t, layout->syscall_nr);
	t->in_syscall = nr >= 0;
	t->syscall_nr = nr >= 0 ? (uint64_t)nr : 0;
}
