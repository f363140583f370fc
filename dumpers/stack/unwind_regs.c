#include "dumpers/stack/unwind_regs.h"

#include <libunwind-x86_64.h>
#include <string.h>
#include <sys/user.h>

/* DWARF numbers (System V ABI AMD64, figure 3.36) to offsets in struct user_regs_struct. */
static const size_t x86_64[] = {
#define REG(number, field) [UNW_X86_64_##number] = offsetof(struct user_regs_struct, field)
    REG(RAX, rax), REG(RDX, rdx), REG(RCX, rcx), REG(RBX, rbx), REG(RSI, rsi), REG(RDI, rdi),
    REG(RBP, rbp), REG(RSP, rsp), REG(R8, r8),   REG(R9, r9),   REG(R10, r10), REG(R11, r11),
    REG(R12, r12), REG(R13, r13), REG(R14, r14), REG(R15, r15), REG(RIP, rip),
#undef REG
};

bool unwind_register(const struct snapshot_thread *thread, int unwind_number, uint64_t *ret)
{
	if (unwind_number < 0 || (size_t)unwind_number >= ARRAY_SIZE(x86_64)) return false;
	size_t offset = x86_64[unwind_number];
	if (offset + sizeof *ret > thread->gregs_len) return false;
	memcpy(ret, thread->gregs + offset, sizeof *ret);
	return true;
}
