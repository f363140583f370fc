/* A growable byte buffer with a cap. data is always NUL-terminated after len when len > 0 or data.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"

#include <stdarg.h>

struct buf {
	char *data; /* owned; NULL while nothing was appended */
	size_t len; /* bytes, without the NUL */
	size_t cap; /* bytes allocated */
	size_t max; /* cap on len, set at init */
};

/* Starts empty; max_bytes caps len. */
void buf_init(struct buf *b, size_t max_bytes);
#define BUF_INIT(max_bytes) ((struct buf){.max = (max_bytes)})
void buf_done(struct buf *b);
#define _cleanup_buf_ _cleanup_(buf_done)

/* Appends; -ERR_LIMIT past max, -ERR_NO_MEMORY. On failure the buffer is unchanged. */
int buf_append(struct buf *b, const void *data, size_t len, struct err *e);
int buf_puts(struct buf *b, const char *text, struct err *e);
/* Names are the target's: what would move a terminal's cursor becomes '?'. */
int buf_puts_clean(struct buf *b, const char *text, struct err *e);
int buf_printf(struct buf *b, struct err *e, const char *fmt, ...) _printf_(3, 4);
int buf_vprintf(struct buf *b, struct err *e, const char *fmt, va_list ap);
/* Makes room for len more bytes and returns where they go; raise b->len yourself afterwards.
 * The room is zeroed, so that there is a NUL wherever you stop. */
int buf_reserve(struct buf *b, size_t len, char **ret, struct err *e);
/* Drops the first len bytes (len <= b->len). */
void buf_consume(struct buf *b, size_t len);
/* Empties, keeps the allocation. */
void buf_clear(struct buf *b);
/* The same, and nothing of it stays in memory. */
void buf_wipe(struct buf *b);
/* Gives the caller the heap string ("" if empty, NULL without memory) and empties the buffer. */
char *buf_steal(struct buf *b);

#endif
