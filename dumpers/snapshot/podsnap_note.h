/*
 * The PODSNAP notes of a core (types and layout: corefile.h), written and read by the same file so
 * that they cannot drift apart.
 */
#ifndef DUMPERS_SNAPSHOT_PODSNAP_NOTE_H
#define DUMPERS_SNAPSHOT_PODSNAP_NOTE_H

#include "base/buf.h"
#include "base/range_set.h"
#include "dumpers/snapshot/corefile.h"

enum {
	NOTE_RANGES_MAX = 1 << 22,         /* ranges of one note */
	NOTE_THREADS_TEXT_MAX = 256 << 20, /* bytes of THREADS */
	NOTE_INFO_TEXT_MAX = 16 << 10,
};

/* Appends the THREADS note's text: one JSON object a line, in the snapshot's order. A thread
 * without registers has "regs":false and its "pc" and "sp", as far as known. */
int podsnap_note_threads(const struct snapshot *s, struct buf *ret, struct err *e);
/* Appends the INFO note's text. version may be NULL. */
int podsnap_note_info(const struct snapshot *s, const char *version, struct buf *ret,
		      struct err *e);

/* The other way: fills name, state, wchan and CPU times of the threads named in text; lines of
 * other threads and unknown keys are passed over. -ERR_CORRUPT names the line. */
int podsnap_parse_threads(struct snapshot *s, const char *text, size_t len, struct err *e);
/* Fills taken_ns and id.exe, and consistency RUNNING where the core was read from a running
 * process. */
int podsnap_parse_info(struct snapshot *s, const char *text, size_t len, struct err *e);
/* Pairs of u64 [start, end), ascending. -ERR_CORRUPT, -ERR_LIMIT. */
int podsnap_parse_ranges(const void *data, size_t len, struct range_list *ret, struct err *e);

#endif
