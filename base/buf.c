#include "base/buf.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_ALLOCATION = 64 };

void buf_init(struct buf *b, size_t max_bytes)
{
	*b = BUF_INIT(max_bytes);
}

void buf_done(struct buf *b)
{
	if (!b) return;
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
}

/* Room for len more bytes and the NUL. */
static int make_room(struct buf *b, size_t len, struct err *e)
{
	/* One byte less than SIZE_MAX, so that the NUL always fits in a size_t. */
	size_t max = MIN(b->max, SIZE_MAX - 1);
	size_t need, cap;
	char *data;

	if (b->len > max || len > max - b->len)
		return err_set(e, ERR_LIMIT, "%zu bytes more than the %zu of %zu allowed", len,
			       b->len, b->max);
	need = b->len + len + 1;
	if (b->data && need <= b->cap) return 0;

	cap = MAX(b->cap, (size_t)FIRST_ALLOCATION);
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;
	cap = MIN(cap, max + 1);
	data = realloc(b->data, cap);
	if (!data) return err_set(e, ERR_NO_MEMORY, "no memory for a buffer of %zu bytes", cap);
	b->data = data;
	b->cap = cap;
	b->data[b->len] = '\0';
	return 0;
}

int buf_append(struct buf *b, const void *data, size_t len, struct err *e)
{
	int r = make_room(b, len, e);

	if (r < 0) return r;
	if (len > 0) memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
	return 0;
}

int buf_puts(struct buf *b, const char *text, struct err *e)
{
	return buf_append(b, text, strlen(text), e);
}

int buf_vprintf(struct buf *b, struct err *e, const char *fmt, va_list ap)
{
	va_list again;
	int len, r;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (len < 0) return err_set(e, ERR_INTERNAL, "a format that cannot be printed: %s", fmt);
	r = make_room(b, (size_t)len, e);
	if (r < 0) return r;
	vsnprintf(b->data + b->len, (size_t)len + 1, fmt, ap);
	b->len += (size_t)len;
	return 0;
}

int buf_puts_clean(struct buf *b, const char *text, struct err *e)
{
	size_t len = strlen(text);
	char *room;
	int r = buf_reserve(b, len, &room, e);
	if (r) return r;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		room[i] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
	}
	room[len] = '\0';
	b->len += len;
	return 0;
}

int buf_printf(struct buf *b, struct err *e, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = buf_vprintf(b, e, fmt, ap);
	va_end(ap);
	return r;
}

int buf_reserve(struct buf *b, size_t len, char **ret, struct err *e)
{
	int r = make_room(b, len, e);

	if (r < 0) return r;
	/* The caller may use less than it asked for; there is a NUL wherever it stops. */
	memset(b->data + b->len, 0, len + 1);
	*ret = b->data + b->len;
	return 0;
}

void buf_consume(struct buf *b, size_t len)
{
	if (len == 0 || !b->data) return;
	len = MIN(len, b->len);
	b->len -= len;
	memmove(b->data, b->data + len, b->len);
	b->data[b->len] = '\0';
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	if (b->data) b->data[0] = '\0';
}

void buf_wipe(struct buf *b)
{
	if (b->data) explicit_bzero(b->data, b->len);
	buf_clear(b);
}

char *buf_steal(struct buf *b)
{
	char *data = b->data;

	if (!data) return calloc(1, 1);
	b->data = NULL;
	b->len = b->cap = 0;
	return data;
}
