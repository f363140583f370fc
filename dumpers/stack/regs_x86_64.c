/* x86-64: arch/x86/include/asm/user_64.h, uapi/asm/sigcontext.h, asm/sigframe.h. */
#include "dumpers/stack/stack_regs.h"

#include <string.h>

enum dwarf_reg {
	RAX,
	RDX,
	RCX,
	RBX,
	RSI,
	RDI,
	RBP,
	RSP,
	R8,
	R9,
	R10,
	R11,
	R12,
	R13,
	R14,
	R15,
	RIP,
	COUNT,
};

/* mov $15, %rax; syscall: rt_sigreturn as glibc and musl write it; and with the short mov. */
static const uint8_t sigreturn_code[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
static const uint8_t sigreturn_short[] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};

static bool is_sigreturn(struct target_memory *memory, uint64_t pc)
{
	uint8_t code[sizeof(sigreturn_code)];

	if (target_memory_read(memory, pc, code, sizeof(code)) < 0) return false;
	return memcmp(code, sigreturn_code, sizeof(sigreturn_code)) == 0 ||
	       memcmp(code, sigreturn_short, sizeof(sigreturn_short)) == 0;
}

/* Order of struct sigcontext_64. */
static const uint8_t sigcontext_order[COUNT] = {
    R8, R9, R10, R11, R12, R13, R14, R15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP,
};
/* Offset of uc_mcontext in struct ucontext. */
enum { MCONTEXT_AT = 40 };

static bool sigreturn(struct target_memory *memory, const struct stack_regs *regs,
		      struct stack_regs *ret)
{
	struct stack_regs out = {0};
	uint64_t context[COUNT];

	/* The handler's return popped the trampoline's address: sp is at rt_sigframe.uc. */
	if (target_memory_read(memory, regs->v[RSP] + MCONTEXT_AT, context, sizeof(context)) < 0)
		return false;
	for (size_t i = 0; i < COUNT; i++)
		stack_reg_set(&out, sigcontext_order[i], context[i]);
	*ret = out;
	return true;
}

const struct stack_cpu stack_cpu_x86_64 = {
    .e_machine = EM_X86_64,
    .gregs_len = 216,
    .count = COUNT,
    .pc = RIP,
    .sp = RSP,
    .fp = RBP,
    .gregs_at =
	{
	    [R15] = 0,
	    [R14] = 8,
	    [R13] = 16,
	    [R12] = 24,
	    [RBP] = 32,
	    [RBX] = 40,
	    [R11] = 48,
	    [R10] = 56,
	    [R9] = 64,
	    [R8] = 72,
	    [RAX] = 80,
	    [RCX] = 88,
	    [RDX] = 96,
	    [RSI] = 104,
	    [RDI] = 112,
	    [RIP] = 128,
	    [RSP] = 152,
	},
    .is_sigreturn = is_sigreturn,
    .sigreturn = sigreturn,
};
