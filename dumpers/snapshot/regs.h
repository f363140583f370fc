/*
 * Register layouts by e_machine, as the kernel's NT_PRSTATUS has them (arch/x86/include/asm/
 * user_64.h, elf(5)). A runtime table: a core of another CPU is read on this one.
 */
#ifndef DUMPERS_SNAPSHOT_REGS_H
#define DUMPERS_SNAPSHOT_REGS_H

#include "dumpers/snapshot/snapshot.h"

/* Offsets within struct elf_prstatus that all 64-bit CPUs share (linux/elfcore.h). */
enum {
	PRSTATUS_SIGNO = 0,
	PRSTATUS_CODE = 4,
	PRSTATUS_CURSIG = 12,
	PRSTATUS_SIGPEND = 16,
	PRSTATUS_SIGHOLD = 24,
	PRSTATUS_PID = 32,
	PRSTATUS_PPID = 36,
	PRSTATUS_PGRP = 40,
	PRSTATUS_SID = 44,
	PRSTATUS_UTIME = 48,
	PRSTATUS_STIME = 64,
	PRSTATUS_REGS = 112,
	/* pr_fpvalid and its padding follow the registers. */
	PRSTATUS_TAIL = 8,
};
/* struct elf_prpsinfo of 64-bit CPUs. */
enum {
	PRPSINFO_STATE = 0,
	PRPSINFO_SNAME = 1,
	PRPSINFO_ZOMB = 2,
	PRPSINFO_NICE = 3,
	PRPSINFO_UID = 16,
	PRPSINFO_GID = 20,
	PRPSINFO_PID = 24,
	PRPSINFO_PPID = 28,
	PRPSINFO_PGRP = 32,
	PRPSINFO_SID = 36,
	PRPSINFO_FNAME = 40,
	PRPSINFO_PSARGS = 56,
	PRPSINFO_SIZE = 136,
};
/* Clock ticks a second in /proc: the kernel's USER_HZ, 100 on every CPU of the table. */
enum { TICKS_PER_S = 100 };

struct regs_layout {
	uint16_t e_machine;
	size_t gregs_len;  /* bytes of pr_reg */
	size_t pc, sp;     /* offsets of 8-byte registers in it */
	size_t syscall_nr; /* offset of the system call's number, negative outside of one */
	size_t tls;        /* offset of the thread pointer */
};
/* NULL for a CPU that is not in the table. */
const struct regs_layout *regs_layout(uint16_t e_machine);
/* Sets pc, sp, in_syscall and syscall_nr from gregs; leaves them if gregs_len does not fit. */
void regs_derive(const struct regs_layout *layout, struct snapshot_thread *t);

#endif
