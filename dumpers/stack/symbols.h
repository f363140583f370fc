/*
 * Function names of one module, from .symtab, or .dynsym where that is stripped (gABI chapter
 * "Symbol Table"). Other sources (minidebuginfo, separate debug files, pclntab) get a function each
 * in symbols_new.
 */
#ifndef DUMPERS_STACK_SYMBOLS_H
#define DUMPERS_STACK_SYMBOLS_H

#include "base/blob.h"

enum { SYMBOLS_TABLE_MAX = 256 << 20 }; /* bytes of a symbol or string table that are looked at */

struct symbols;
/* Reads the tables of an ELF image; none at all is no error, only no names. */
int symbols_new(struct blob *file, struct symbols **ret, struct err *e);
void symbols_free(struct symbols *s); /* NULL-safe */
/* The function that holds the address (as linked, without the load bias); NULL if none does.
 * Borrowed. */
const char *symbols_find(const struct symbols *s, uint64_t vaddr, uint64_t *ret_offset);

#endif
