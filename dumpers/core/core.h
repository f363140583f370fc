/*
 * The ELF core writer (elf(5); notes as the kernel's fs/binfmt_elf.c writes them): PRPSINFO, AUXV,
 * FILE, and for every thread PRSTATUS, FPREGSET, X86_XSTATE, SIGINFO, then PODSNAP
 * (dumpers/snapshot/corefile.h). The thread that gdb shall select first comes first.
 *
 * What goes in: every page of anonymous and written memory, the vdso, the first page of each mapped
 * ELF file; file pages without a build-id to find them by. What the kernel has no page for is left
 * out of the segments (p_memsz > p_filesz, reads as zeros in gdb too). Unmodified pages of files
 * with a build-id stay out: the bundle carries the file. Less goes in as struct core_config says;
 * what the whole core would have had, and this one has not, is NOT_CAPTURED.
 */
#ifndef DUMPERS_CORE_CORE_H
#define DUMPERS_CORE_CORE_H

#include "base/err.h"
#include "dumpers/snapshot/snapshot.h"

/* Where the core's bytes go. reserve gives room to be filled in place (len > 0), commit takes it.
 */
struct core_sink {
	int (*reserve)(struct core_sink *sink, void **ret_data, size_t *ret_len, struct err *e);
	int (*commit)(struct core_sink *sink, size_t len, struct err *e);
	/* [start, end) of the core file is padding or was read while the target ran. */
	int (*lost)(struct core_sink *sink, uint64_t start, uint64_t end, struct err *e);
	int (*torn)(struct core_sink *sink, uint64_t start, uint64_t end, struct err *e);
};

struct core; /* a plan: headers, notes and segments of one core file */
enum core_kind {
	CORE_FULL,
	CORE_HEAP,   /* private memory only: nothing that is shared */
	CORE_STACKS, /* what unwinding takes, a few MiB */
};
struct coredump_filter; /* dumpers/proc/coredump_filter.h */
struct core_config {
	/* A hole shorter than this is written as zeros, so that headers stay few; bytes, 0: 64 KiB.
	 */
	uint64_t hole_min;
	const char *version; /* for the INFO note */
	enum core_kind kind;
	bool exclude_files; /* nothing of files but ELF headers and private copies of pages */
	/* What the process asked of its own cores, on top of kind; NULL: not respected. Bits 2 and
	 * 3 add to CORE_FULL what files have. */
	const struct coredump_filter *filter;
	/* For CORE_STACKS: more addresses on stacks, as unwinding found them where a signal had
	 * come on another stack; ascending or not. */
	const uint64_t *stack_pointers;
	size_t stack_pointer_count;
};
/* Looks at the pages (snapshot_extent) and lays the file out; reads no bulk data. */
int core_plan(struct snapshot *s, const struct core_config *config, struct core **ret,
	      struct err *e);
void core_free(struct core *c); /* NULL-safe */
/* Exact size of the file in bytes, known before the first byte. */
uint64_t core_size(const struct core *c);
size_t core_segment_count(const struct core *c);
/* Writes exactly core_size bytes. A page that cannot be read becomes zeros and is reported lost;
 * only the sink's errors end it. */
int core_write(struct core *c, struct core_sink *sink, struct err *e);

#endif
