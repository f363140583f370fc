/*
 * The assembler stands beside the sink. It receives frames and entry records of one or more
 * producers, one after the other, writes the frames through, and ends the bundle: manifest.json,
 * tar end-of-archive, a skippable frame that says where the manifest is, and the seek table of
 * zstd's seekable format. Memory: entry records and 8 bytes a frame.
 *
 * Layout after the last frame (all integers little-endian, RFC 8878 section 3.1.2 skippable
 * frames): trailer    magic 0x184D2A5D, length 56: "PODSNAP1", manifest entry's data offset u64
 * (plain), manifest length u64, SHA-256 of the manifest (32 bytes) seek table magic 0x184D2A5E,
 * entries {compressed u32, plain u32}, footer {count u32, descriptor u8 = 0, magic 0x8F92EAB1}
 * (zstd contrib/seekable_format) Skippable frames stand in the seek table with plain size 0, so
 * that offsets add up.
 */
#ifndef BUNDLE_ASSEMBLER_H
#define BUNDLE_ASSEMBLER_H

#include "bundle/packer.h"

/* Takes the bundle's bytes in order. */
typedef int (*bundle_write_fn)(void *ctx, const void *data, size_t len, struct err *e);

struct assembler;
int assembler_new(struct assembler **ret, bundle_write_fn write, void *ctx, struct err *e);
void assembler_free(struct assembler *a); /* NULL-safe */
/* Where a producer emits to. With verify, each frame is decompressed and its checksum and sizes are
 * held against what the record says, before it is written: for frames that came over a network. */
struct bundle_output *assembler_stream(struct assembler *a, bool verify);

/* Facts for the head of manifest.json, beside the entries. */
struct bundle_summary {
	const char *tool;       /* "podsnap 0.1.0" */
	const char *created;    /* RFC 3339 */
	const char *extra_json; /* members ("\"pause_ns\":123,...") to put in, or NULL */
};
/* Writes manifest and trailers. No producer may be open. Afterwards only free. */
int assembler_finish(struct assembler *a, const struct bundle_summary *summary, struct err *e);

struct bundle_totals {
	uint64_t entries, not_ok; /* not_ok: status other than ok */
	uint64_t plain_bytes, written_bytes;
	enum entry_status worst;
};
void assembler_totals(const struct assembler *a, struct bundle_totals *ret);

#endif
