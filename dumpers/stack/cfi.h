/*
 * Call frame information: the CIEs and FDEs of .eh_frame (LSB 5.0 "Exception Frames", DWARF 5
 * section 6.4). What is read here is checked whole and written anew in one plain form, and only
 * that form is shown to libunwind: it trusts register numbers, expressions and the return column
 * of its input, which here is the target's memory.
 */
#ifndef DUMPERS_STACK_CFI_H
#define DUMPERS_STACK_CFI_H

#include "base/buf.h"
#include "dumpers/stack/target_memory.h"

enum {
	CFI_ENTRY_MAX = 64 << 10, /* bytes of a CIE or FDE */
	CFI_REGS_MAX = 17,        /* DWARF registers of x86-64 that frames may save, with the pc */
	CFI_EXPRESSION_MAX = 256, /* bytes of a DWARF expression */
	CFI_REMEMBER_MAX = 16,    /* DW_CFA_remember_state inside one another */
};

struct cfi_fde {
	uint64_t start, end;        /* addresses of code, [start, end) */
	bool signal_frame;          /* augmentation 'S': the frame is a signal trampoline's */
	const uint8_t *cie_program; /* initial instructions, in the reader's buffers */
	size_t cie_program_len;
	const uint8_t *program; /* the FDE's own */
	size_t program_len;
	uint64_t code_align;
	int64_t data_align;
	uint64_t return_column;
};

/* Buffers of the last entry read. */
struct cfi_reader {
	struct target_memory *memory;
	struct buf cie, fde;
};
void cfi_reader_init(struct cfi_reader *r, struct target_memory *memory);
void cfi_reader_done(struct cfi_reader *r);

/* An entry's place: what walks .eh_frame needs. */
struct cfi_entry {
	uint64_t next; /* address of the entry behind it */
	bool is_cie, is_end;
};
/*
 * Reads the entry at addr. An FDE fills *ret whole (valid until the next call); a CIE or the end
 * mark only *ret_entry. -ERR_CORRUPT, -ERR_UNSUPPORTED (64-bit DWARF, indirect pointers), or the
 * code of a failed read.
 */
int cfi_read(struct cfi_reader *r, uint64_t addr, struct cfi_entry *ret_entry, struct cfi_fde *ret);
/* Are the instructions such that libunwind can run them on hostile values: every register number
 * in range, every expression of known operations without jumps, the CFA always defined? */
bool cfi_check(const struct cfi_fde *fde);
/* Appends a CIE and FDE in plain form (absolute 8-byte pointers) to out; *ret_offset is where in
 * out the FDE starts. */
int cfi_write(const struct cfi_fde *fde, struct buf *out, size_t *ret_offset, struct err *e);

/* A DWARF pointer encoding (DW_EH_PE_*) at data, which lies at addr in the target. Returns the
 * bytes it takes, 0 if it cannot be read. base: what DW_EH_PE_datarel counts from; 0 none. */
size_t cfi_pointer(const uint8_t *data, size_t len, uint8_t encoding, uint64_t addr, uint64_t base,
		   uint64_t *ret);
enum {
	CFI_PE_ABSPTR = 0x00,
	CFI_PE_UDATA8 = 0x04,
	CFI_PE_PCREL = 0x10,
	CFI_PE_DATAREL = 0x30,
	CFI_PE_SDATA4 = 0x0b,
	CFI_PE_OMIT = 0xff,
};

#endif
