/*
 * A cursor over the text of a /proc file: bounded, not NUL-terminated, hostile. Each scan_ function
 * consumes what it matched and leaves the cursor alone when it does not match.
 */
#ifndef DUMPERS_PROC_SCAN_H
#define DUMPERS_PROC_SCAN_H

#include "base/util.h"

struct scan {
	const char *at;  /* next byte */
	const char *end; /* one past the last */
};

static inline struct scan scan_of(const char *text, size_t len)
{
	/* No arithmetic on NULL: an empty struct buf has no data. */
	if (!text) text = "";
	return (struct scan){.at = text, .end = text + len};
}
static inline size_t scan_left(const struct scan *s)
{
	return (size_t)(s->end - s->at);
}

/* The next line, without its newline, as a cursor of its own; false at the end of the text. */
bool scan_line(struct scan *s, struct scan *ret_line);
/* The next field: bytes up to blank (space or tab), blanks before it dropped; false if none. */
bool scan_field(struct scan *s, struct scan *ret_field);
/* The bytes before the next c, which is dropped; false if there is none. */
bool scan_until(struct scan *s, char c, struct scan *ret);
/* This literal. */
bool scan_literal(struct scan *s, const char *literal);
bool scan_char(struct scan *s, char c);
/* Drops spaces and tabs. */
void scan_blanks(struct scan *s);
/* One or more digits of the base (8, 10 or 16, no prefix, no sign); false also when they pass 64
 * bits. */
bool scan_u64(struct scan *s, unsigned base, uint64_t *ret);
bool scan_u32(struct scan *s, unsigned base, uint32_t *ret);
/* Decimal with an optional '-'. */
bool scan_i64(struct scan *s, int64_t *ret);

/* Is the rest this text? */
bool scan_equals(const struct scan *s, const char *text);
/* Copies the rest into ret with a NUL; cut at ret_size - 1 bytes. */
void scan_copy(const struct scan *s, char *ret, size_t ret_size);

#endif
