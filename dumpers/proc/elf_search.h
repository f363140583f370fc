/*
 * Bytes and names in a section of an ELF file, for what has no table of its own. Sections are
 * searched up to a cap, so that a hostile size costs no more than that.
 */
#ifndef DUMPERS_PROC_ELF_SEARCH_H
#define DUMPERS_PROC_ELF_SEARCH_H

#include "dumpers/proc/elf_id.h"

enum {
	ELF_SEARCH_BYTES_MAX = 256, /* what is searched for */
	ELF_SEARCH_MAX = 32 << 20,  /* of a section; .dynstr of Node 20: some 6 MiB */
};

/* Offset in the file of the first such bytes in the section; len is 1..ELF_SEARCH_BYTES_MAX.
 * -ERR_NOT_FOUND where there are none, or no such section; errors of elf_find_section. */
int elf_search(struct blob *file, const char *section, const void *bytes, size_t len,
	       uint64_t *ret_offset, struct err *e);
/* Does .dynstr hold this name, whole: is it exported or imported, or a library that is needed? */
bool elf_has_dynamic_name(struct blob *file, const char *name);

#endif
