#include "bundle/frame_index.h"

#include "bundle/format.h"
#include "bundle/frame.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

enum { INDEX_START = 64, CACHE_FRAMES = 8 };

void frame_index_done(struct frame_index *index)
{
	if (!index) return;
	free(index->at);
	*index = (struct frame_index){0};
}

struct frame_place frame_index_end(const struct frame_index *index)
{
	return index->at ? index->at[index->count] : (struct frame_place){0, 0};
}

int frame_index_add(struct frame_index *index, uint64_t packed_len, uint64_t plain_len,
		    struct err *e)
{
	struct frame_place end = frame_index_end(index);

	if (packed_len == 0 || packed_len > BUNDLE_FRAME_MAX || plain_len == 0 ||
	    plain_len > BUNDLE_FRAME_PLAIN_MAX)
		return err_set(e, ERR_CORRUPT, "frame %zu of %" PRIu64 " bytes, %" PRIu64 " plain",
			       index->count, packed_len, plain_len);
	if (index->count >= BUNDLE_FRAMES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d frames", BUNDLE_FRAMES_MAX);
	if (index->count + 2 > index->cap) {
		size_t cap = MAX(index->cap * 2, (size_t)INDEX_START);
		struct frame_place *at = reallocarray(index->at, cap, sizeof(*at));

		if (!at) return err_set(e, ERR_NO_MEMORY, "no memory for %zu frames", cap);
		index->at = at;
		index->cap = cap;
	}
	index->at[index->count] = end;
	index->count++;
	index->at[index->count] =
	    (struct frame_place){end.packed + packed_len, end.plain + plain_len};
	return 0;
}

size_t frame_index_find(const struct frame_index *index, uint64_t plain_offset)
{
	size_t low = 0, high = index->count;

	/* The last frame that starts at or before it: at[low] <= offset < at[high]. */
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (index->at[mid].plain <= plain_offset)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* --- the cache --- */

struct cached_frame {
	uint8_t *plain; /* BUNDLE_FRAME_PLAIN_MAX bytes, made at first use */
	size_t number;
	uint64_t used; /* 0: holds nothing; else grows with each use */
};

struct frame_cache {
	struct blob *blob;
	const struct frame_index *index;
	pthread_mutex_t lock; /* for all below */
	ZSTD_DCtx *ctx;
	uint8_t *packed; /* BUNDLE_FRAME_MAX bytes */
	struct cached_frame frames[CACHE_FRAMES];
	uint64_t clock;
};

int frame_cache_new(struct frame_cache **ret, struct blob *blob, const struct frame_index *index,
		    struct err *e)
{
	struct frame_cache *cache = calloc(1, sizeof(*cache));

	if (!cache) return err_set(e, ERR_NO_MEMORY, "no memory to read a bundle with");
	pthread_mutex_init(&cache->lock, NULL);
	cache->blob = blob;
	cache->index = index;
	cache->ctx = ZSTD_createDCtx();
	cache->packed = malloc(BUNDLE_FRAME_MAX);
	if (!cache->ctx || !cache->packed) {
		frame_cache_free(cache);
		return err_set(e, ERR_NO_MEMORY, "no memory to read a bundle with");
	}
	*ret = cache;
	return 0;
}

void frame_cache_free(struct frame_cache *cache)
{
	if (!cache) return;
	for (size_t i = 0; i < CACHE_FRAMES; i++)
		free(cache->frames[i].plain);
	free(cache->packed);
	ZSTD_freeDCtx(cache->ctx);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

static int load(struct frame_cache *cache, struct cached_frame *frame, size_t number, struct err *e)
{
	const struct frame_place *at = &cache->index->at[number];
	size_t len = (size_t)(at[1].packed - at[0].packed);
	int r;

	if (!frame->plain) frame->plain = malloc(BUNDLE_FRAME_PLAIN_MAX);
	if (!frame->plain) return err_set(e, ERR_NO_MEMORY, "no memory for a frame");
	frame->used = 0;
	r = blob_read_at(cache->blob, at[0].packed, cache->packed, len, e);
	if (r < 0) return r;
	r = frame_decompress(cache->ctx, cache->packed, len, frame->plain,
			     (uint32_t)(at[1].plain - at[0].plain), e);
	if (r == -ERR_CORRUPT)
		err_wrap(e, "frame %zu at byte %" PRIu64 " is damaged", number, at[0].packed);
	frame->number = number;
	return r;
}

/* The frame's plain bytes, from the cache or in the place of the one used longest ago. */
static int get(struct frame_cache *cache, size_t number, const uint8_t **ret, struct err *e)
{
	struct cached_frame *oldest = &cache->frames[0];
	int r;

	for (size_t i = 0; i < CACHE_FRAMES; i++) {
		struct cached_frame *frame = &cache->frames[i];

		if (frame->used > 0 && frame->number == number) {
			frame->used = ++cache->clock;
			*ret = frame->plain;
			return 0;
		}
		if (frame->used < oldest->used) oldest = frame;
	}
	r = load(cache, oldest, number, e);
	if (r < 0) return r;
	oldest->used = ++cache->clock;
	*ret = oldest->plain;
	return 0;
}

static int read_locked(struct frame_cache *cache, uint64_t offset, uint8_t *data, size_t len,
		       struct err *e)
{
	while (len > 0) {
		size_t number = frame_index_find(cache->index, offset);
		const struct frame_place *at = &cache->index->at[number];
		const uint8_t *plain;
		size_t n = (size_t)MIN(at[1].plain - offset, (uint64_t)len);
		int r = get(cache, number, &plain, e);

		if (r < 0) return r;
		memcpy(data, plain + (offset - at[0].plain), n);
		offset += n;
		data += n;
		len -= n;
	}
	return 0;
}

int frame_cache_read(struct frame_cache *cache, uint64_t offset, void *data, size_t len,
		     struct err *e)
{
	uint64_t end = frame_index_end(cache->index).plain;
	int r;

	if (offset > end || len > end - offset)
		return err_set(e, ERR_TRUNCATED, "the bundle ends after %" PRIu64 " plain bytes",
			       end);
	pthread_mutex_lock(&cache->lock);
	r = read_locked(cache, offset, data, len, e);
	pthread_mutex_unlock(&cache->lock);
	return r;
}
