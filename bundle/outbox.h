/*
 * Frames on their way out, in order: a list that knows how far it was written, and keeps what was
 * written until it is dropped, so that it can be written again.
 */
#ifndef BUNDLE_OUTBOX_H
#define BUNDLE_OUTBOX_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outbox_frame {
	struct outbox_frame *next;
	uint64_t start, end; /* stream offsets: of its first byte, and behind its last */
	size_t len;
	uint8_t bytes[];
};

/* All zero: empty. */
struct outbox {
	struct outbox_frame *first, *last; /* owned */
	struct outbox_frame *unwritten;    /* the first that is not written whole; NULL: none */
	size_t written;                    /* bytes of that one */
	size_t bytes;                      /* of all frames that are kept */
};

void outbox_done(struct outbox *o);
/* Adds a frame and returns its len bytes, to be filled at once; NULL without memory. */
uint8_t *outbox_add(struct outbox *o, uint64_t start, uint64_t end, size_t len);
/* What to write next: the rest of one frame, 0 if there is nothing. Valid until the next call but
 * outbox_add. */
size_t outbox_output(const struct outbox *o, const void **ret);
/* How much of it was written, at most what outbox_output gave. */
void outbox_written(struct outbox *o, size_t len);
/* Between two frames, not within one. */
bool outbox_is_at_frame(const struct outbox *o);
/* Forgets the frames at the front that are written whole and end at an offset up to end. */
void outbox_drop(struct outbox *o, uint64_t end);
/* Writes again from the frame on that starts at offset; from behind the last one if that ends
 * there. False if none does: nothing has changed. */
bool outbox_rewind(struct outbox *o, uint64_t offset);

#endif
