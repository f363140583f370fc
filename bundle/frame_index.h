/* Where each frame of a bundle is, packed and plain, and plain bytes read through it. */
#ifndef BUNDLE_FRAME_INDEX_H
#define BUNDLE_FRAME_INDEX_H

#include "base/blob.h"
#include "bundle/entry.h"

struct frame_place {
	uint64_t packed, plain; /* offsets of the frame's start */
};

/* Frames follow one another from offset 0; at[count] is where the last one ends. */
struct frame_index {
	struct frame_place *at; /* owned; NULL while empty */
	size_t count, cap;
};
void frame_index_done(struct frame_index *index); /* NULL-safe */
/* Adds a frame at the end: 0 < packed_len <= BUNDLE_FRAME_MAX, 0 < plain_len <=
 * BUNDLE_FRAME_PLAIN_MAX, else -ERR_CORRUPT. -ERR_LIMIT past BUNDLE_FRAMES_MAX, -ERR_NO_MEMORY. */
int frame_index_add(struct frame_index *index, uint64_t packed_len, uint64_t plain_len,
		    struct err *e);
/* Bytes in all frames. */
struct frame_place frame_index_end(const struct frame_index *index);
/* The frame that holds plain_offset, which is below frame_index_end().plain. */
size_t frame_index_find(const struct frame_index *index, uint64_t plain_offset);

/* A reader of plain bytes that keeps the few frames read last. Thread-safe. */
struct frame_cache;
/* blob and index stay borrowed. */
int frame_cache_new(struct frame_cache **ret, struct blob *blob, const struct frame_index *index,
		    struct err *e);
void frame_cache_free(struct frame_cache *cache); /* NULL-safe */
/* Exactly len plain bytes at offset. -ERR_TRUNCATED past the last frame; -ERR_CORRUPT names the
 * frame that does not decompress; what the blob returns. */
int frame_cache_read(struct frame_cache *cache, uint64_t offset, void *data, size_t len,
		     struct err *e);

#endif
