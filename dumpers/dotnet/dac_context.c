#include "dumpers/dotnet/dac_host_internal.h"

#include <stddef.h>
#include <string.h>

/* Order of struct user_regs_struct (sys/user.h). */
enum {
	R15,
	R14,
	R13,
	R12,
	RBP,
	RBX,
	R11,
	R10,
	R9,
	R8,
	RAX,
	RCX,
	RDX,
	RSI,
	RDI,
	ORIG_RAX,
	RIP,
	CS,
	EFLAGS,
	RSP,
	SS,
	FS_BASE,
	GS_BASE,
	DS,
	ES,
	FS,
	GS,
	COUNT,
};
static_assert((int)COUNT == (int)DAC_REGISTER_COUNT, "NT_PRSTATUS");

/* winnt.h, CONTEXT of AMD64: where each is, and the order of those that follow each other. */
enum {
	FLAGS_AT = 0x30,
	SEGMENTS_AT = 0x38, /* 16 bits each */
	EFLAGS_AT = 0x44,
	INTEGERS_AT = 0x78,
	CONTEXT_MIN = 0x100,
	/* CONTEXT_AMD64 | CONTEXT_CONTROL | CONTEXT_INTEGER | CONTEXT_SEGMENTS */
	CONTEXT_HAS = 0x100007,
};
static const uint8_t segments[] = {CS, DS, ES, FS, GS, SS};
static const uint8_t integers[] = {RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8,
				   R9,  R10, R11, R12, R13, R14, R15, RIP};
static_assert(INTEGERS_AT + 8 * sizeof(integers) == CONTEXT_MIN, "rip is the last of them");

bool dac_context_fill(const struct dac_wire_registers *registers, uint8_t *ret, uint32_t size)
{
	const uint32_t has = CONTEXT_HAS, eflags = (uint32_t)registers->v[EFLAGS];
	if (size < CONTEXT_MIN) return false;
	memset(ret, 0, size);
	memcpy(ret + FLAGS_AT, &has, sizeof(has));
	memcpy(ret + EFLAGS_AT, &eflags, sizeof(eflags));
	for (size_t i = 0; i < ARRAY_SIZE(segments); i++) {
		uint16_t value = (uint16_t)registers->v[segments[i]];
		memcpy(ret + SEGMENTS_AT + i * sizeof(value), &value, sizeof(value));
	}
	for (size_t i = 0; i < ARRAY_SIZE(integers); i++) {
		uint64_t value = registers->v[integers[i]];
		memcpy(ret + INTEGERS_AT + i * sizeof(value), &value, sizeof(value));
	}
	return true;
}
