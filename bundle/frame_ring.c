#include "bundle/frame_ring.h"

#include "base/thread.h"
#include "bundle/frame.h"

struct slot {
	uint8_t *plain;  /* BUNDLE_FRAME_PLAIN_MAX bytes, made at first use */
	uint8_t *packed; /* BUNDLE_FRAME_MAX bytes */
	size_t plain_len, packed_len;
	uint64_t plain_offset;
	size_t hash_from; /* the plain bytes from here on are hashed */
	bool done;        /* under the lock until true, then the caller's */
	int result;       /* of the compression */
};

/*
 * The counters only grow; a frame's slot is its number modulo slot_count.
 *   emit <= number < work: with a worker or done;  work <= number < fill: waits for a worker;
 *   fill: being filled. fill - emit <= slot_count, and one less while fill's slot is in use.
 */
struct frame_ring {
	struct bundle_output *out; /* borrowed */
	struct slot *slots;
	size_t slot_count;
	uint64_t emit, fill; /* the caller's thread only */
	uint64_t offset;     /* plain bytes of all frames before fill */
	bool hashing;        /* what is taken now is hashed, ... */
	size_t hash_from;    /* ... in the current frame from here on, */
	uint64_t hash_first; /* ... and in those from this one on */
	int level;
	ZSTD_CCtx *ctx; /* the caller's thread compresses; NULL with workers */

	pthread_mutex_t lock;
	pthread_cond_t queued, finished, turn;
	uint64_t work, queue_end; /* under lock; queue_end is fill as the workers see it */
	uint64_t hashed;          /* under lock: frames whose bytes the hash has had */
	struct sha256 hash;       /* of the thread whose frame is next */
	bool stopping;            /* under lock */
	struct err worker_err;    /* under lock: the first failure of a worker */
	pthread_t *threads;
	int thread_count;
};

static struct slot *slot_of(const struct frame_ring *ring, uint64_t number)
{
	return &ring->slots[number % ring->slot_count];
}

/* Frames are compressed in any order, and hashed one after the other. */
static void hash_slot(struct frame_ring *ring, const struct slot *slot, uint64_t number)
{
	pthread_mutex_lock(&ring->lock);
	while (ring->hashed != number)
		pthread_cond_wait(&ring->turn, &ring->lock);
	pthread_mutex_unlock(&ring->lock);
	if (slot->hash_from < slot->plain_len)
		sha256_update(&ring->hash, slot->plain + slot->hash_from,
			      slot->plain_len - slot->hash_from);
	pthread_mutex_lock(&ring->lock);
	ring->hashed++;
	pthread_cond_broadcast(&ring->turn);
	pthread_mutex_unlock(&ring->lock);
}

static void compress_slot(struct frame_ring *ring, struct slot *slot, ZSTD_CCtx *ctx)
{
	struct err local = {0};
	int r = frame_compress(ctx, slot->plain, slot->plain_len, slot->packed, BUNDLE_FRAME_MAX,
			       &slot->packed_len, &local);

	slot->result = r;
	if (r == 0) return;
	pthread_mutex_lock(&ring->lock);
	if (ring->worker_err.code == 0) ring->worker_err = local;
	pthread_mutex_unlock(&ring->lock);
}

static void *worker(void *arg)
{
	struct frame_ring *ring = arg;
	ZSTD_CCtx *ctx = frame_compressor(ring->level);

	pthread_mutex_lock(&ring->lock);
	for (;;) {
		struct slot *slot;
		uint64_t number;

		while (!ring->stopping && ring->work == ring->queue_end)
			pthread_cond_wait(&ring->queued, &ring->lock);
		if (ring->stopping) break;
		number = ring->work++;
		slot = slot_of(ring, number);
		pthread_mutex_unlock(&ring->lock);

		hash_slot(ring, slot, number);
		/* Without a context the frame must still come to an end, as a failure. */
		if (ctx)
			compress_slot(ring, slot, ctx);
		else
			slot->result = -ERR_NO_MEMORY;

		pthread_mutex_lock(&ring->lock);
		slot->done = true;
		pthread_cond_signal(&ring->finished);
	}
	pthread_mutex_unlock(&ring->lock);
	ZSTD_freeCCtx(ctx);
	return NULL;
}

/* As many as the system gives: a container's pids limit must not end a capture. */
static void start_workers(struct frame_ring *ring, int count)
{
	ring->threads = calloc((size_t)count, sizeof(*ring->threads));
	if (!ring->threads) return;
	while (ring->thread_count < count &&
	       thread_start(&ring->threads[ring->thread_count], worker, ring, NULL) == 0)
		ring->thread_count++;
}

int frame_ring_new(struct frame_ring **ret, int level, int threads, struct bundle_output *out,
		   struct err *e)
{
	struct frame_ring *ring = calloc(1, sizeof(*ring));

	if (!ring) return err_set(e, ERR_NO_MEMORY, "no memory to pack with");
	ring->out = out;
	ring->level = level;
	pthread_mutex_init(&ring->lock, NULL);
	pthread_cond_init(&ring->queued, NULL);
	pthread_cond_init(&ring->finished, NULL);
	pthread_cond_init(&ring->turn, NULL);
	ring->slot_count = threads > 1 ? (size_t)threads + 2 : 1;
	ring->slots = calloc(ring->slot_count, sizeof(*ring->slots));
	if (ring->slots && threads > 1) start_workers(ring, threads);
	if (ring->slots && ring->thread_count == 0) ring->ctx = frame_compressor(level);
	if (!ring->slots || (ring->thread_count == 0 && !ring->ctx)) {
		frame_ring_free(ring);
		return err_set(e, ERR_NO_MEMORY, "no memory to compress with");
	}
	*ret = ring;
	return 0;
}

void frame_ring_free(struct frame_ring *ring)
{
	if (!ring) return;
	pthread_mutex_lock(&ring->lock);
	ring->stopping = true;
	pthread_cond_broadcast(&ring->queued);
	pthread_mutex_unlock(&ring->lock);
	for (int i = 0; i < ring->thread_count; i++)
		pthread_join(ring->threads[i], NULL);
	for (size_t i = 0; ring->slots && i < ring->slot_count; i++) {
		free(ring->slots[i].plain);
		free(ring->slots[i].packed);
	}
	ZSTD_freeCCtx(ring->ctx);
	pthread_cond_destroy(&ring->turn);
	pthread_cond_destroy(&ring->finished);
	pthread_cond_destroy(&ring->queued);
	pthread_mutex_destroy(&ring->lock);
	free(ring->threads);
	free(ring->slots);
	free(ring);
}

static int emit_slot(struct frame_ring *ring, struct slot *slot, struct err *e)
{
	struct bundle_frame frame = {
	    .data = slot->packed,
	    .len = slot->packed_len,
	    .plain_len = (uint32_t)slot->plain_len,
	    .plain_offset = slot->plain_offset,
	};

	if (slot->result < 0) {
		pthread_mutex_lock(&ring->lock);
		if (e && ring->worker_err.code) *e = ring->worker_err;
		pthread_mutex_unlock(&ring->lock);
		if (!e || e->code == 0) err_set(e, ERR_NO_MEMORY, "no memory to compress with");
		return slot->result;
	}
	slot->plain_len = 0;
	ring->emit++;
	return ring->out->frame(ring->out, &frame, e);
}

/* Emits frames in order: those that are done, and waits for more until at most keep are left. */
static int drain(struct frame_ring *ring, uint64_t keep, struct err *e)
{
	while (ring->emit < ring->fill) {
		struct slot *slot = slot_of(ring, ring->emit);
		bool done;
		int r;

		pthread_mutex_lock(&ring->lock);
		while (!slot->done && ring->fill - ring->emit > keep)
			pthread_cond_wait(&ring->finished, &ring->lock);
		done = slot->done;
		pthread_mutex_unlock(&ring->lock);
		if (!done) return 0;
		r = emit_slot(ring, slot, e);
		if (r < 0) return r;
	}
	return 0;
}

int frame_ring_cut(struct frame_ring *ring, struct err *e)
{
	struct slot *slot = slot_of(ring, ring->fill);

	if (ring->fill - ring->emit == ring->slot_count || slot->plain_len == 0) return 0;
	slot->plain_offset = ring->offset;
	slot->hash_from = ring->hashing ? ring->hash_from : slot->plain_len;
	ring->hash_from = 0;
	ring->offset += slot->plain_len;
	ring->fill++;
	if (ring->ctx) {
		hash_slot(ring, slot, ring->fill - 1);
		compress_slot(ring, slot, ring->ctx);
		slot->done = true;
		return drain(ring, 0, e);
	}
	pthread_mutex_lock(&ring->lock);
	ring->queue_end = ring->fill;
	pthread_cond_signal(&ring->queued);
	pthread_mutex_unlock(&ring->lock);
	return drain(ring, ring->slot_count, e);
}

/* The slot to fill, with its buffers. */
static int current_slot(struct frame_ring *ring, struct slot **ret, struct err *e)
{
	struct slot *slot;
	int r = drain(ring, ring->slot_count - 1, e);

	if (r < 0) return r;
	slot = slot_of(ring, ring->fill);
	if (!slot->plain) slot->plain = malloc(BUNDLE_FRAME_PLAIN_MAX);
	if (!slot->packed) slot->packed = malloc(BUNDLE_FRAME_MAX);
	if (!slot->plain || !slot->packed)
		return err_set(e, ERR_NO_MEMORY, "no memory for a frame");
	if (slot->plain_len == 0) slot->done = false;
	*ret = slot;
	return 0;
}

int frame_ring_room(struct frame_ring *ring, uint8_t **ret, size_t *ret_len, struct err *e)
{
	struct slot *slot;
	int r = current_slot(ring, &slot, e);

	if (r < 0) return r;
	if (slot->plain_len == BUNDLE_FRAME_PLAIN_MAX) {
		r = frame_ring_cut(ring, e);
		if (r == 0) r = current_slot(ring, &slot, e);
		if (r < 0) return r;
	}
	*ret = slot->plain + slot->plain_len;
	*ret_len = BUNDLE_FRAME_PLAIN_MAX - slot->plain_len;
	return 0;
}

void frame_ring_advance(struct frame_ring *ring, size_t len)
{
	slot_of(ring, ring->fill)->plain_len += len;
}

int frame_ring_flush(struct frame_ring *ring, struct err *e)
{
	int r = frame_ring_cut(ring, e);

	return r < 0 ? r : drain(ring, 0, e);
}

/* Plain bytes in the current frame. */
static size_t current_len(const struct frame_ring *ring)
{
	/* A full ring has no slot for the next frame yet: what stands there is an older one. */
	bool filling = ring->fill - ring->emit < ring->slot_count;

	return filling ? slot_of(ring, ring->fill)->plain_len : 0;
}

uint64_t frame_ring_offset(const struct frame_ring *ring)
{
	return ring->offset + current_len(ring);
}

void frame_ring_hash_begin(struct frame_ring *ring)
{
	sha256_init(&ring->hash);
	ring->hashing = true;
	ring->hash_from = current_len(ring);
	ring->hash_first = ring->fill;
}

void frame_ring_hash_end(struct frame_ring *ring, uint8_t ret[SHA256_BYTES])
{
	size_t len = current_len(ring);

	/* Frames that hold none of it may go on. */
	pthread_mutex_lock(&ring->lock);
	while (ring->hash_first < ring->fill && ring->hashed < ring->fill)
		pthread_cond_wait(&ring->turn, &ring->lock);
	pthread_mutex_unlock(&ring->lock);
	if (ring->hash_from < len)
		sha256_update(&ring->hash, slot_of(ring, ring->fill)->plain + ring->hash_from,
			      len - ring->hash_from);
	sha256_final(&ring->hash, ret);
	ring->hashing = false;
}
