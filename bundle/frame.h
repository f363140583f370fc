/* One zstd frame (RFC 8878) of at most BUNDLE_FRAME_PLAIN_MAX plain bytes: made and taken apart. */
#ifndef BUNDLE_FRAME_H
#define BUNDLE_FRAME_H

#include "bundle/entry.h"

#include <zstd.h>

/* A context for frame_compress: level, content size and checksum set. NULL without memory. Free it
 * with ZSTD_freeCCtx. */
ZSTD_CCtx *frame_compressor(int level);
/* 0 < len <= BUNDLE_FRAME_PLAIN_MAX; dst has dst_size >= ZSTD_compressBound(len) bytes.
 * -ERR_INTERNAL, -ERR_NO_MEMORY. */
int frame_compress(ZSTD_CCtx *ctx, const void *plain, size_t len, void *dst, size_t dst_size,
		   size_t *ret_len, struct err *e);

/* Takes a frame, as packed, into a digest of a sequence of them: SHA-256 of {length u32, CRC-32C
 * u32} of each. It finds any change that came about by itself, for a tenth of a SHA-256 of the
 * bytes. */
void frame_digest_add(struct sha256 *digest, const void *data, size_t len);

/*
 * The lengths of the frame at the start of data, from its headers: -ERR_TRUNCATED if data ends
 * inside the frame, -ERR_CORRUPT if it is no frame of ours (no zstd frame, a dictionary, no content
 * size or checksum, too large, empty).
 */
int frame_measure(const void *data, size_t len, size_t *ret_len, uint32_t *ret_plain_len,
		  struct err *e);
/* Exactly plain_len bytes into dst; checks all that frame_measure does and the checksum. len is the
 * frame's and nothing follows it. -ERR_CORRUPT. */
int frame_decompress(ZSTD_DCtx *ctx, const void *data, size_t len, void *dst, uint32_t plain_len,
		     struct err *e);

#endif
