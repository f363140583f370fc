#include "bundle/outbox.h"

#include "base/util.h"

#include <stdlib.h>

static void drop_first(struct outbox *o)
{
	struct outbox_frame *f = o->first;

	o->first = f->next;
	if (!o->first) o->last = NULL;
	o->bytes -= f->len;
	free(f);
}

void outbox_done(struct outbox *o)
{
	while (o->first)
		drop_first(o);
	*o = (struct outbox){0};
}

uint8_t *outbox_add(struct outbox *o, uint64_t start, uint64_t end, size_t len)
{
	struct outbox_frame *f = malloc(sizeof(*f) + len);

	if (!f) return NULL;
	*f = (struct outbox_frame){.start = start, .end = end, .len = len};
	if (o->last)
		o->last->next = f;
	else
		o->first = f;
	o->last = f;
	if (!o->unwritten) o->unwritten = f;
	o->bytes += len;
	return f->bytes;
}

size_t outbox_output(const struct outbox *o, const void **ret)
{
	if (!o->unwritten) return 0;
	*ret = o->unwritten->bytes + o->written;
	return o->unwritten->len - o->written;
}

void outbox_written(struct outbox *o, size_t len)
{
	if (!o->unwritten) return;
	o->written += MIN(len, o->unwritten->len - o->written);
	if (o->written < o->unwritten->len) return;
	o->unwritten = o->unwritten->next;
	o->written = 0;
}

bool outbox_is_at_frame(const struct outbox *o)
{
	return o->written == 0;
}

void outbox_drop(struct outbox *o, uint64_t end)
{
	while (o->first && o->first != o->unwritten && o->first->end <= end)
		drop_first(o);
}

bool outbox_rewind(struct outbox *o, uint64_t offset)
{
	struct outbox_frame *f = o->first;

	while (f && f->start != offset)
		f = f->next;
	if (!f && (!o->last || o->last->end != offset)) return false;
	o->unwritten = f;
	o->written = 0;
	return true;
}
