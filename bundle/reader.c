#include "bundle/frame.h"
#include "bundle/reader_internal.h"
#include "bundle/tar.h"

#include <inttypes.h>
#include <string.h>

enum { PROBE_BYTES = 192 << 10 }; /* more than a zstd block, which comes as a whole */

/* --- opening --- */

/* The first len plain bytes, by streaming: the rest of the frame need not be there. */
static bool decompress_start(const void *packed, size_t packed_len, void *plain, size_t len)
{
	ZSTD_inBuffer in = {packed, packed_len, 0};
	ZSTD_outBuffer out = {plain, len, 0};
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	size_t n;

	if (!ctx) return false;
	/* No more memory than a frame of ours needs. */
	ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, 20);
	do {
		size_t before = in.pos + out.pos;

		n = ZSTD_decompressStream(ctx, &out, &in);
		if (in.pos + out.pos == before) break;
	} while (!ZSTD_isError(n) && n > 0 && out.pos < out.size);
	ZSTD_freeDCtx(ctx);
	return out.pos == out.size;
}

bool bundle_probe(struct blob *blob)
{
	_cleanup_free_ uint8_t *packed = malloc(PROBE_BYTES);
	size_t len = (size_t)MIN(blob->size, (uint64_t)PROBE_BYTES);
	uint8_t plain[BUNDLE_TAR_BLOCK];
	struct tar_header header;

	return packed && blob_read_at(blob, 0, packed, len, NULL) == 0 &&
	       decompress_start(packed, len, plain, sizeof(plain)) &&
	       tar_header_read(plain, sizeof(plain), &header, NULL) == 0 && !header.end &&
	       strcmp(header.name, "meta.json") == 0;
}

static int compare_by_name(const void *a, const void *b)
{
	const struct bundle_entry *x = *(const struct bundle_entry *const *)a;
	const struct bundle_entry *y = *(const struct bundle_entry *const *)b;

	return strcmp(x->name, y->name);
}

static int sort_names(struct bundle *b, struct err *e)
{
	size_t count = b->contents.count;

	b->by_name = calloc(MAX(count, (size_t)1), sizeof(*b->by_name));
	if (!b->by_name) return err_set(e, ERR_NO_MEMORY, "no memory for %zu names", count);
	for (size_t i = 0; i < count; i++)
		b->by_name[i] = &b->contents.entries[i];
	qsort(b->by_name, count, sizeof(*b->by_name), compare_by_name);
	return 0;
}

static int open_bundle(struct bundle *b, struct err *e)
{
	struct err why = {0};
	int r = reader_open_tail(b, &why);

	if (r == -ERR_TRUNCATED || r == -ERR_CORRUPT) {
		r = reader_open_walk(b, &why, e);
	} else if (r < 0 && e) {
		*e = why;
	}
	return r < 0 ? r : sort_names(b, e);
}

int bundle_open(struct blob *blob, struct bundle **ret, struct err *e)
{
	struct bundle *b = calloc(1, sizeof(*b));
	int r;

	if (!b) return err_set(e, ERR_NO_MEMORY, "no memory to open a bundle");
	atomic_init(&b->refs, 1);
	b->blob = blob_ref(blob);
	r = open_bundle(b, e);
	if (r < 0)
		bundle_free(b);
	else
		*ret = b;
	return r;
}

void bundle_free(struct bundle *b)
{
	if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1) return;
	frame_cache_free(b->cache);
	frame_index_done(&b->index);
	manifest_done(&b->contents);
	blob_unref(b->blob);
	free(b->by_name);
	free(b->manifest);
	free(b);
}

/* --- asking --- */

const char *bundle_truncated(const struct bundle *b)
{
	return b->truncated[0] ? b->truncated : NULL;
}

size_t bundle_entry_count(const struct bundle *b)
{
	return b->contents.count;
}

const struct bundle_entry *bundle_entry_at(const struct bundle *b, size_t index)
{
	return &b->contents.entries[index];
}

const struct bundle_entry *bundle_find(const struct bundle *b, const char *name)
{
	size_t low = 0, high = b->contents.count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(name, b->by_name[mid]->name);

		if (order == 0) return b->by_name[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

const char *bundle_manifest(const struct bundle *b, size_t *ret_len)
{
	*ret_len = b->manifest_len;
	return b->manifest;
}

/* --- an entry's bytes --- */

struct entry_blob {
	struct blob blob;
	struct bundle *bundle; /* holds a reference */
	const struct bundle_entry *entry;
};

/* Padding of lost ranges is whatever the producer left there; it reads as zeros. */
static void blank_lost(const struct bundle_entry *entry, uint64_t offset, uint8_t *data, size_t len)
{
	for (size_t i = 0; i < entry->lost_count; i++) {
		uint64_t start = MAX(entry->lost[i].start, offset);
		uint64_t end = MIN(entry->lost[i].end, offset + len);

		if (start < end) memset(data + (start - offset), 0, (size_t)(end - start));
	}
}

static int entry_read_at(struct blob *blob, uint64_t offset, void *data, size_t len, struct err *e)
{
	struct entry_blob *eb = (struct entry_blob *)blob;
	const struct bundle_entry *entry = eb->entry;
	int r = frame_cache_read(eb->bundle->cache, entry->data_offset + offset, data, len, e);

	if (r < 0) {
		err_wrap(e, "entry %s", entry->name);
		return r;
	}
	blank_lost(entry, offset, data, len);
	return 0;
}

static void entry_free(struct blob *blob)
{
	struct entry_blob *eb = (struct entry_blob *)blob;

	bundle_free(eb->bundle);
	free(eb);
}

static const struct blob_ops entry_ops = {entry_read_at, entry_free};

int bundle_entry_blob(struct bundle *b, const struct bundle_entry *entry, struct blob **ret,
		      struct err *e)
{
	struct entry_blob *eb;

	if (!entry->in_tar)
		return err_set(e, ERR_NOT_FOUND, "entry %s is not in the bundle: %s (%s)",
			       entry->name, entry_status_name(entry->status), entry->reason);
	eb = calloc(1, sizeof(*eb));
	if (!eb) return err_set(e, ERR_NO_MEMORY, "no memory for entry %s", entry->name);
	blob_init(&eb->blob, &entry_ops, entry->size);
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	eb->bundle = b;
	eb->entry = entry;
	*ret = &eb->blob;
	return 0;
}

static const struct bundle_entry *at(void *ctx, size_t index)
{
	return bundle_entry_at(ctx, index);
}

static int open_entry(void *ctx, const struct bundle_entry *entry, struct blob **ret, struct err *e)
{
	return bundle_entry_blob(ctx, entry, ret, e);
}

struct archive bundle_archive(struct bundle *b)
{
	return (struct archive){bundle_entry_count(b), at, open_entry, b};
}

int bundle_read_entry(struct bundle *b, const char *name, struct buf *ret, struct err *e)
{
	const struct bundle_entry *entry = bundle_find(b, name);
	_cleanup_blob_ struct blob *blob = NULL;
	char *room;
	int r;

	if (!entry && b->manifest && strcmp(name, BUNDLE_MANIFEST_NAME) == 0)
		return buf_append(ret, b->manifest, b->manifest_len, e);
	if (!entry) return err_set(e, ERR_NOT_FOUND, "the bundle has no entry %s", name);
	r = bundle_entry_blob(b, entry, &blob, e);
	if (r < 0) return r;
	if (ret->len > ret->max || entry->size > ret->max - ret->len)
		return err_set(e, ERR_LIMIT, "entry %s: %" PRIu64 " bytes, more than %zu allowed",
			       name, entry->size, ret->max - MIN(ret->len, ret->max));
	r = buf_reserve(ret, (size_t)entry->size, &room, e);
	if (r == 0) r = blob_read_at(blob, 0, room, (size_t)entry->size, e);
	if (r == 0) ret->len += (size_t)entry->size;
	return r;
}
