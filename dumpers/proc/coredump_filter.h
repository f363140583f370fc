/*
 * What a process asks of its core dumps: /proc/PID/coredump_filter, and which of its maps the
 * filter's bits, or madvise(2) MADV_DONTDUMP, mean (core(5); VmFlags of /proc/PID/smaps, proc(5)).
 */
#ifndef DUMPERS_PROC_COREDUMP_FILTER_H
#define DUMPERS_PROC_COREDUMP_FILTER_H

#include "base/range_set.h"
#include "dumpers/proc/process.h"

/* Bits of the mask. */
enum {
	FILTER_ANON_PRIVATE = 1 << 0, /* also pages of a file that were written privately */
	FILTER_ANON_SHARED = 1 << 1,
	FILTER_FILE_PRIVATE = 1 << 2,
	FILTER_FILE_SHARED = 1 << 3,
	FILTER_ELF_HEADERS = 1 << 4,
	FILTER_HUGE_PRIVATE = 1 << 5,
	FILTER_HUGE_SHARED = 1 << 6,
	FILTER_DAX_PRIVATE = 1 << 7,
	FILTER_DAX_SHARED = 1 << 8,
};

struct coredump_filter {
	uint32_t mask;
	struct range_list huge;     /* maps of hugetlbfs, whatever their names */
	struct range_list dontdump; /* MADV_DONTDUMP */
};

/* Reads both files; smaps takes time that grows with the memory, so not while the target stands.
 * -ERR_PERMISSION, -ERR_GONE, -ERR_CORRUPT. */
int process_coredump_filter(const struct process *p, struct coredump_filter *ret, struct err *e);
void coredump_filter_done(struct coredump_filter *f); /* fine on a zeroed one */
#define _cleanup_coredump_filter_ _cleanup_(coredump_filter_done)

/* The parsers. The mask's file is hexadecimal without a prefix. */
int coredump_filter_parse_mask(const char *text, size_t len, uint32_t *ret, struct err *e);
/* Adds the maps of smaps' text, whole lines; at holds the map at hand from one piece to the next,
 * at first {0}. */
int coredump_filter_parse_smaps(const char *text, size_t len, struct range *at,
				struct coredump_filter *ret, struct err *e);

#endif
