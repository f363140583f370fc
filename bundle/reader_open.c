#include "bundle/le.h"
#include "bundle/reader_internal.h"
#include "bundle/tar.h"

#include <inttypes.h>
#include <string.h>

enum {
	TRAILER_FRAME_BYTES = SKIPPABLE_HEADER_BYTES + TRAILER_BYTES,
	/* One read that holds trailer and seek table of a bundle of up to 8 GiB. */
	TAIL_WINDOW = 64 << 10,
	TAIL_MIN = TRAILER_FRAME_BYTES + SKIPPABLE_HEADER_BYTES + SEEK_FOOTER_BYTES,
};

/* The last bytes of the blob: trailer frame, seek table frame. */
struct tail {
	uint8_t *data;
	size_t len;
	uint64_t start; /* of data in the blob */
	size_t frames;  /* in the seek table, with the trailer */
};

static int read_last(struct blob *blob, struct tail *tail, uint64_t len, struct err *e)
{
	len = MIN(len, blob->size);
	free(tail->data);
	tail->data = malloc((size_t)len);
	if (!tail->data)
		return err_set(e, ERR_NO_MEMORY, "no memory for a seek table of %" PRIu64 " bytes",
			       len);
	tail->len = (size_t)len;
	tail->start = blob->size - len;
	return blob_read_at(blob, tail->start, tail->data, tail->len, e);
}

static int check_footer(struct tail *tail, uint64_t blob_size, uint64_t *ret_need, struct err *e)
{
	const uint8_t *footer = tail->data + tail->len - SEEK_FOOTER_BYTES;

	if (le32_get(footer + 5) != SEEK_FOOTER_MAGIC)
		return err_set(e, ERR_TRUNCATED, "it has no seek table at its end");
	tail->frames = le32_get(footer);
	*ret_need = TAIL_MIN + (uint64_t)tail->frames * SEEK_ENTRY_BYTES;
	if (footer[4] != 0 || tail->frames < 2 || tail->frames > BUNDLE_FRAMES_MAX ||
	    *ret_need > blob_size)
		return err_set(e, ERR_CORRUPT, "its seek table of %zu frames is impossible",
			       tail->frames);
	return 0;
}

/* data starts at the trailer frame afterwards. */
static int read_tail(struct blob *blob, struct tail *tail, struct err *e)
{
	uint64_t need = 0;
	int r;

	if (blob->size < TAIL_MIN)
		return err_set(e, ERR_TRUNCATED, "it has no seek table at its end");
	r = read_last(blob, tail, TAIL_WINDOW, e);
	if (r == 0) r = check_footer(tail, blob->size, &need, e);
	if (r < 0) return r;
	if (need > tail->len) {
		r = read_last(blob, tail, need, e);
		if (r < 0) return r;
	}
	memmove(tail->data, tail->data + tail->len - need, (size_t)need);
	tail->start = blob->size - need;
	tail->len = (size_t)need;
	return 0;
}

static int check_skippable(const uint8_t *p, uint32_t magic, uint64_t len, const char *what,
			   struct err *e)
{
	if (le32_get(p) != magic || le32_get(p + 4) != len)
		return err_set(e, ERR_CORRUPT, "its %s is damaged", what);
	return 0;
}

static int parse_trailer(const struct tail *tail, struct trailer *ret, struct err *e)
{
	const uint8_t *p = tail->data;
	int r = check_skippable(p, TRAILER_MAGIC, TRAILER_BYTES, "trailer", e);

	if (r < 0) return r;
	if (memcmp(p + 8, TRAILER_TAG, 8) != 0)
		return err_set(e, ERR_CORRUPT, "its trailer is damaged");
	ret->data_offset = le64_get(p + 16);
	ret->size = le64_get(p + 24);
	memcpy(ret->sha256, p + 32, SHA256_BYTES);
	memcpy(ret->frames_sha256, p + 32 + SHA256_BYTES, SHA256_BYTES);
	return 0;
}

static int parse_seek_table(const struct tail *tail, struct frame_index *ret, struct err *e)
{
	const uint8_t *p = tail->data + TRAILER_FRAME_BYTES;
	const uint8_t *last = p + SKIPPABLE_HEADER_BYTES + (tail->frames - 1) * SEEK_ENTRY_BYTES;
	uint64_t table = (uint64_t)tail->frames * SEEK_ENTRY_BYTES + SEEK_FOOTER_BYTES;
	int r = check_skippable(p, SEEK_TABLE_MAGIC, table, "seek table", e);

	if (r < 0) return r;
	for (p += SKIPPABLE_HEADER_BYTES; p < last; p += SEEK_ENTRY_BYTES) {
		r = frame_index_add(ret, le32_get(p), le32_get(p + 4), e);
		if (r < 0) return r;
	}
	if (le32_get(last) != TRAILER_FRAME_BYTES || le32_get(last + 4) != 0 ||
	    frame_index_end(ret).packed != tail->start)
		return err_set(e, ERR_CORRUPT, "its seek table does not add up to its size");
	return 0;
}

int reader_load_manifest(struct bundle *b, uint64_t data_offset, uint64_t size,
			 const uint8_t *sha256, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	uint8_t hash[SHA256_BYTES];
	int r;

	if (size > BUNDLE_MANIFEST_MAX)
		return err_set(e, ERR_CORRUPT, "a manifest of %" PRIu64 " bytes", size);
	text = malloc((size_t)size + 1);
	if (!text) return err_set(e, ERR_NO_MEMORY, "no memory for the manifest");
	r = frame_cache_read(b->cache, data_offset, text, (size_t)size, e);
	if (r < 0) return r;
	text[size] = '\0';
	if (sha256) {
		sha256_of(text, (size_t)size, hash);
		if (memcmp(hash, sha256, sizeof(hash)) != 0)
			return err_set(e, ERR_CORRUPT,
				       "the manifest's SHA-256 is not the trailer's");
	}
	r = manifest_parse(text, (size_t)size, &b->contents, e);
	if (r < 0) return r;
	b->hashes_known = true;
	b->manifest = STEAL_PTR(text);
	b->manifest_len = (size_t)size;
	return 0;
}

/* The tar must be: the entries, the manifest, the end; nothing between or behind. */
static int check_extent(const struct bundle *b, struct err *e)
{
	uint64_t entries_end = 0, plain = frame_index_end(&b->index).plain, end;

	for (size_t i = 0; i < b->contents.count; i++)
		if (b->contents.entries[i].in_tar)
			entries_end = bundle_entry_end(&b->contents.entries[i]);
	end = align_up(b->trailer.data_offset + b->trailer.size, BUNDLE_TAR_BLOCK);
	if (b->trailer.data_offset <= entries_end || end + BUNDLE_TAR_END_BYTES != plain)
		return err_set(e, ERR_CORRUPT,
			       "its entries end at %" PRIu64 ", its manifest is at %" PRIu64
			       " to %" PRIu64 ", its tar ends at %" PRIu64,
			       entries_end, b->trailer.data_offset, end, plain);
	return 0;
}

static int open_tail(struct bundle *b, struct tail *tail, struct err *e)
{
	int r = read_tail(b->blob, tail, e);

	if (r == 0) r = parse_trailer(tail, &b->trailer, e);
	if (r == 0) r = parse_seek_table(tail, &b->index, e);
	if (r < 0) return r;
	if (b->trailer.data_offset >= frame_index_end(&b->index).plain)
		return err_set(e, ERR_CORRUPT, "its trailer is damaged");
	r = reader_load_manifest(b, b->trailer.data_offset, b->trailer.size, b->trailer.sha256, e);
	return r < 0 ? r : check_extent(b, e);
}

int reader_open_tail(struct bundle *b, struct err *e)
{
	struct tail tail = {0};
	int r;

	r = frame_cache_new(&b->cache, b->blob, &b->index, e);
	if (r == 0) r = open_tail(b, &tail, e);
	free(tail.data);
	if (r == 0) return 0;
	frame_cache_free(b->cache);
	b->cache = NULL;
	frame_index_done(&b->index);
	manifest_done(&b->contents);
	free(b->manifest);
	b->manifest = NULL;
	b->manifest_len = 0;
	b->hashes_known = false;
	return r;
}
