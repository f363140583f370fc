/*
 * What an ELF image says of itself: machine, class, interpreter, build-id (elf(5); the GNU build-id
 * note: binutils' ld --build-id, NT_GNU_BUILD_ID in <elf.h>), and where a named section lies.
 * Reads go through a callback, so that a file, a mapped module and a test's bytes are the same.
 * Little-endian images only; everything in the image is hostile and every count is capped.
 */
#ifndef DUMPERS_PROC_ELF_ID_H
#define DUMPERS_PROC_ELF_ID_H

#include "base/blob.h"

/* Reads exactly len bytes at off of the image; 0, or anything negative: then what was to be read
 * there counts as absent. */
typedef int (*elf_read_fn)(void *ctx, uint64_t off, void *buf, size_t len);

enum elf_layout {
	ELF_LAYOUT_FILE,   /* off is an offset into the file */
	ELF_LAYOUT_MEMORY, /* off counts from the address where the ELF header is mapped */
};

enum { ELF_ID_BUILD_ID_MAX = 64, ELF_ID_INTERP_MAX = 256 };

struct elf_id {
	uint8_t elf_class;  /* ELFCLASS32 or ELFCLASS64 */
	uint16_t e_machine; /* EM_X86_64, ... */
	uint16_t e_type;    /* ET_EXEC, ET_DYN, ... */
	uint8_t build_id[ELF_ID_BUILD_ID_MAX];
	size_t build_id_len;            /* bytes; 0: it has none, or one we cannot read */
	char interp[ELF_ID_INTERP_MAX]; /* PT_INTERP; "": none, so a program is static */
	bool has_go_note;               /* a note of owner "Go": cmd/internal/buildid */
};

/*
 * Reads headers, notes and interpreter. -ERR_CORRUPT "not an ELF image" and the like, also when the
 * header cannot be read; -ERR_UNSUPPORTED for a big-endian one. Unreadable program headers or notes
 * leave their fields empty.
 */
int elf_id_read(elf_read_fn read, void *ctx, enum elf_layout layout, struct elf_id *ret,
		struct err *e);
/* The same over a whole file. */
int elf_id_of_blob(struct blob *file, struct elf_id *ret, struct err *e);

/*
 * Offset and size in the file of the first section of that name (section headers are part of the
 * file only, not of memory). -ERR_NOT_FOUND when there is none, or no section headers.
 */
int elf_find_section(elf_read_fn read, void *ctx, const char *name, uint64_t *ret_offset,
		     uint64_t *ret_size, struct err *e);
/* An elf_read_fn over a struct blob *. */
int elf_read_blob(void *ctx, uint64_t off, void *buf, size_t len);

#endif
