/*
 * A ring of frame buffers: the caller fills one, worker threads compress the ones before it, and
 * they leave in order. Outputs are called by the caller's thread only, from within these functions.
 */
#ifndef BUNDLE_FRAME_RING_H
#define BUNDLE_FRAME_RING_H

#include "bundle/entry.h"

struct frame_ring;
/* threads as in struct packer_config; out is borrowed. -ERR_NO_MEMORY. */
int frame_ring_new(struct frame_ring **ret, int level, int threads, struct bundle_output *out,
		   struct err *e);
/* Stops the workers; what was not flushed is dropped. NULL-safe. */
void frame_ring_free(struct frame_ring *ring);

/* Where the next plain bytes go: at least one byte of room, the same place until
 * frame_ring_advance. Emits what is ready; waits when every buffer is in use. */
int frame_ring_room(struct frame_ring *ring, uint8_t **ret, size_t *ret_len, struct err *e);
/* Takes len bytes of that room as filled. */
void frame_ring_advance(struct frame_ring *ring, size_t len);
/* From here on the bytes that are taken are hashed, on the threads that compress them ... */
void frame_ring_hash_begin(struct frame_ring *ring);
/* ... up to here: their SHA-256. One hash at a time. */
void frame_ring_hash_end(struct frame_ring *ring, uint8_t ret[SHA256_BYTES]);
/* Ends the current frame, if it holds anything. */
int frame_ring_cut(struct frame_ring *ring, struct err *e);
/* Cuts, and waits until everything is emitted. */
int frame_ring_flush(struct frame_ring *ring, struct err *e);
/* Plain bytes taken so far. */
uint64_t frame_ring_offset(const struct frame_ring *ring);

#endif
