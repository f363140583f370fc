#include "bundle/frame.h"

#include "bundle/le.h"

#include <zstd_errors.h>

_Static_assert(BUNDLE_FRAME_MAX == ZSTD_COMPRESSBOUND(BUNDLE_FRAME_PLAIN_MAX),
	       "BUNDLE_FRAME_MAX is zstd's bound");

void frame_digest_add(struct sha256 *digest, const void *data, size_t len)
{
	uint8_t record[8];

	le32_put(record, (uint32_t)len);
	le32_put(record + 4, crc32c(0, data, len));
	sha256_update(digest, record, sizeof(record));
}

ZSTD_CCtx *frame_compressor(int level)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();

	if (!ctx) return NULL;
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_contentSizeFlag, 1);
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
	return ctx;
}

int frame_compress(ZSTD_CCtx *ctx, const void *plain, size_t len, void *dst, size_t dst_size,
		   size_t *ret_len, struct err *e)
{
	size_t n = ZSTD_compress2(ctx, dst, dst_size, plain, len);

	if (ZSTD_isError(n)) {
		bool memory = ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation;

		return err_set(e, memory ? ERR_NO_MEMORY : ERR_INTERNAL, "zstd: %s",
			       ZSTD_getErrorName(n));
	}
	*ret_len = n;
	return 0;
}

/* RFC 8878 section 3.1.1.1.1: the frame header descriptor follows the magic. */
static int check_descriptor(const uint8_t *frame, struct err *e)
{
	uint8_t descriptor = frame[4];

	if (!(descriptor & 0x04)) return err_set(e, ERR_CORRUPT, "a frame without a checksum");
	if (descriptor & 0x03) return err_set(e, ERR_CORRUPT, "a frame with a dictionary");
	return 0;
}

static int plain_length(const void *data, size_t len, uint32_t *ret, struct err *e)
{
	unsigned long long plain = ZSTD_getFrameContentSize(data, len);

	if (plain == ZSTD_CONTENTSIZE_ERROR)
		return err_set(e, ERR_CORRUPT, "a broken frame header");
	if (plain == ZSTD_CONTENTSIZE_UNKNOWN)
		return err_set(e, ERR_CORRUPT, "a frame that does not say its size");
	if (plain == 0 || plain > BUNDLE_FRAME_PLAIN_MAX)
		return err_set(e, ERR_CORRUPT, "a frame of %llu plain bytes", plain);
	*ret = (uint32_t)plain;
	return 0;
}

int frame_measure(const void *data, size_t len, size_t *ret_len, uint32_t *ret_plain_len,
		  struct err *e)
{
	/* Longer than any header (RFC 8878 section 3.1.1.1: 18 bytes with magic), shorter than any
	 * frame with a checksum could make up for: fewer bytes are a cut frame. */
	enum { HEADER_MAX = 18 };
	uint32_t plain = 0;
	size_t n;
	int r;

	if (len >= 4 && le32_get(data) != ZSTD_MAGICNUMBER)
		return err_set(e, ERR_CORRUPT, "no zstd frame");
	n = ZSTD_findFrameCompressedSize(data, len);
	if (ZSTD_isError(n)) {
		bool cut = ZSTD_getErrorCode(n) == ZSTD_error_srcSize_wrong;

		if (cut && len < HEADER_MAX) return err_set(e, ERR_TRUNCATED, "a cut frame");
		if (!cut) return err_set(e, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(n));
	}
	r = check_descriptor(data, e);
	if (r == 0) r = plain_length(data, len, &plain, e);
	if (r < 0) return r;
	if (ZSTD_isError(n))
		return len < BUNDLE_FRAME_MAX
			   ? err_set(e, ERR_TRUNCATED, "a cut frame")
			   : err_set(e, ERR_CORRUPT, "a frame longer than %d", BUNDLE_FRAME_MAX);
	if (n > BUNDLE_FRAME_MAX) return err_set(e, ERR_CORRUPT, "a frame of %zu bytes", n);
	*ret_len = n;
	*ret_plain_len = plain;
	return 0;
}

int frame_decompress(ZSTD_DCtx *ctx, const void *data, size_t len, void *dst, uint32_t plain_len,
		     struct err *e)
{
	uint32_t plain = 0;
	size_t frame_len = 0, n;
	int r = frame_measure(data, len, &frame_len, &plain, e);

	if (r < 0) return err_set(e, ERR_CORRUPT, "%s", e ? e->text : "");
	if (frame_len != len)
		return err_set(e, ERR_CORRUPT, "a frame of %zu bytes where %zu were announced",
			       frame_len, len);
	if (plain != plain_len)
		return err_set(e, ERR_CORRUPT, "a frame of %u plain bytes where %u were announced",
			       plain, plain_len);
	n = ZSTD_decompressDCtx(ctx, dst, plain_len, data, len);
	if (ZSTD_isError(n)) return err_set(e, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(n));
	if (n != plain_len)
		return err_set(e, ERR_CORRUPT, "%zu plain bytes instead of %u", n, plain_len);
	return 0;
}
