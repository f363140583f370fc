/*
 * What follows the tar's frames in a bundle. All integers little-endian; both parts are skippable
 * frames (RFC 8878 section 3.1.2): magic u32, length u32, then
 *   trailer     "PODSNAP1", plain offset of the manifest's data u64, its length u64, its SHA-256,
 *               SHA-256 of {length u32, CRC-32C u32} of each frame before the trailer, as packed
 *   seek table  {compressed u32, plain u32} a frame, then {frames u32, descriptor u8 = 0,
 *               magic u32}: zstd's contrib/seekable_format without checksums
 * The trailer stands in the seek table with plain size 0, so that the offsets add up; the seek
 * table itself does not.
 */
#ifndef BUNDLE_FORMAT_H
#define BUNDLE_FORMAT_H

#include "bundle/entry.h"

#define TRAILER_MAGIC 0x184D2A5Du
#define TRAILER_TAG "PODSNAP1"
#define SEEK_TABLE_MAGIC 0x184D2A5Eu
#define SEEK_FOOTER_MAGIC 0x8F92EAB1u

enum {
	SKIPPABLE_HEADER_BYTES = 8,
	TRAILER_BYTES = 8 + 8 + 8 + 2 * SHA256_BYTES, /* without the skippable header */
	SEEK_ENTRY_BYTES = 8,
	SEEK_FOOTER_BYTES = 9,
	BUNDLE_FRAMES_MAX = 1 << 24, /* 16 TiB; 8 bytes a frame in memory */

	/* What a manifest may cost a reader: its text, and the JSON values in it. */
	BUNDLE_MANIFEST_MAX = 64 << 20,
	BUNDLE_MANIFEST_VALUES_MAX = 4 << 20,
	/* Lost and torn ranges of all entries together; beyond, those of an entry are merged. */
	BUNDLE_RANGES_TOTAL_MAX = 1 << 19,
};
#define BUNDLE_MANIFEST_NAME "manifest.json"
#define BUNDLE_MANIFEST_SCHEMA "podsnap.manifest/1"

#endif
