/*
 * Opens, verifies and reads a hostile bundle. The first byte says what the rest is:
 *   '0' the bundle, as it would lie in a file
 *   '1' plain bytes of a tar, put into one right frame without an end: the walk
 *   '2' the text of a manifest, in a bundle that is right otherwise, around one meta.json
 * The last two get behind the checksums of zstd and of the trailer.
 */
#include "bundle/format.h"
#include "bundle/frame.h"
#include "bundle/le.h"
#include "bundle/reader.h"
#include "bundle/tar.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 18, READ_MAX = 1 << 16 };

static void on_problem(void *ctx, const struct bundle_entry *entry, const char *problem)
{
	if (!problem[0]) abort();
	(*(uint64_t *)ctx)++;
}

static void read_entry(struct bundle *b, const struct bundle_entry *entry)
{
	static uint8_t bytes[READ_MAX];
	struct blob *blob;
	size_t len;

	if (bundle_entry_check(entry, NULL) < 0) abort();
	if (bundle_entry_blob(b, entry, &blob, NULL) < 0) return;
	len = (size_t)MIN(blob->size, (uint64_t)READ_MAX);
	blob_read_at(blob, 0, bytes, len, NULL);
	blob_read_at(blob, blob->size - len, bytes, len, NULL);
	blob_unref(blob);
}

static void try_bundle(const void *data, size_t size)
{
	struct buf text = BUF_INIT(READ_MAX);
	struct bundle_verify_totals totals;
	struct bundle *b = NULL;
	uint64_t problems = 0;
	struct blob *blob;

	if (blob_from_memory(data, size, &blob, NULL) < 0) abort();
	bundle_probe(blob);
	if (bundle_open(blob, &b, NULL) == 0) {
		if (bundle_verify(b, on_problem, &problems, &totals, NULL) == 0 &&
		    problems != totals.problems)
			abort();
		if (bundle_truncated(b) && problems == 0) abort();
		for (size_t i = 0; i < bundle_entry_count(b) && i < 100; i++)
			read_entry(b, bundle_entry_at(b, i));
		bundle_read_entry(b, "meta.json", &text, NULL);
		bundle_free(b);
	}
	blob_unref(blob);
	buf_done(&text);
}

/* Appends one frame of the plain bytes; returns its length. */
static size_t add_frame(struct buf *bundle, const void *plain, size_t len)
{
	static uint8_t packed[BUNDLE_FRAME_MAX];
	ZSTD_CCtx *ctx = frame_compressor(1);
	size_t n;

	if (!ctx || frame_compress(ctx, plain, len, packed, sizeof(packed), &n, NULL) < 0) abort();
	ZSTD_freeCCtx(ctx);
	if (buf_append(bundle, packed, n, NULL) < 0) abort();
	return n;
}

static void add_file(struct buf *tar, const char *name, const void *data, size_t len)
{
	static const uint8_t zeros[BUNDLE_TAR_BLOCK];

	if (tar_header_write(name, len, 0, tar, NULL) < 0 || buf_append(tar, data, len, NULL) < 0 ||
	    buf_append(tar, zeros, -len % BUNDLE_TAR_BLOCK, NULL) < 0)
		abort();
}

/* Trailer and seek table for a bundle of one frame. */
static void add_end(struct buf *bundle, size_t plain_len, size_t manifest_at,
		    const uint8_t *manifest, size_t manifest_len)
{
	uint8_t p[SKIPPABLE_HEADER_BYTES + TRAILER_BYTES + SKIPPABLE_HEADER_BYTES +
		  2 * SEEK_ENTRY_BYTES + SEEK_FOOTER_BYTES] = {0};
	uint8_t *seek = p + SKIPPABLE_HEADER_BYTES + TRAILER_BYTES;

	le32_put(p, TRAILER_MAGIC);
	le32_put(p + 4, TRAILER_BYTES);
	memcpy(p + 8, TRAILER_TAG, 8);
	le64_put(p + 16, manifest_at);
	le64_put(p + 24, manifest_len);
	sha256_of(manifest, manifest_len, p + 32);
	le32_put(seek, SEEK_TABLE_MAGIC);
	le32_put(seek + 4, 2 * SEEK_ENTRY_BYTES + SEEK_FOOTER_BYTES);
	le32_put(seek + 8, (uint32_t)bundle->len);
	le32_put(seek + 12, (uint32_t)plain_len);
	le32_put(seek + 16, SKIPPABLE_HEADER_BYTES + TRAILER_BYTES);
	le32_put(seek + 24, 2);
	le32_put(seek + 29, SEEK_FOOTER_MAGIC);
	if (buf_append(bundle, p, sizeof(p), NULL) < 0) abort();
}

static void try_manifest(const uint8_t *manifest, size_t len)
{
	static const uint8_t zeros[BUNDLE_TAR_END_BYTES];
	struct buf tar = BUF_INIT(1 << 20), bundle = BUF_INIT(1 << 21);
	size_t manifest_at;

	add_file(&tar, "meta.json", "{}", 2);
	manifest_at = tar.len + BUNDLE_TAR_BLOCK;
	add_file(&tar, BUNDLE_MANIFEST_NAME, manifest, len);
	if (buf_append(&tar, zeros, sizeof(zeros), NULL) < 0) abort();
	add_frame(&bundle, tar.data, tar.len);
	add_end(&bundle, tar.len, manifest_at, manifest, len);
	try_bundle(bundle.data, bundle.len);
	buf_done(&tar);
	buf_done(&bundle);
}

static void try_tar(const uint8_t *tar, size_t len)
{
	struct buf bundle = BUF_INIT(1 << 21);

	add_frame(&bundle, tar, len);
	try_bundle(bundle.data, bundle.len);
	buf_done(&bundle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > INPUT_MAX) return 0;
	if (data[0] == '1')
		try_tar(data + 1, size - 1);
	else if (data[0] == '2')
		try_manifest(data + 1, size - 1);
	else
		try_bundle(data + 1, size - 1);
	return 0;
}
