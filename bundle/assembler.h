/*
 * The assembler stands beside the sink. It receives frames and entry records of one or more
 * producers, one after the other, writes the frames through, and ends the bundle: manifest.json,
 * tar end-of-archive, a skippable frame that says where the manifest is, and the seek table of
 * zstd's seekable format. Memory: entry records as JSON and 8 bytes a frame.
 *
 * manifest.json is the tar's last entry, in frames of its own:
 *   {"schema": "podsnap.manifest/1", "tool", "created", members of the caller's,
 *    "entries": [{"name", "status", "reason" (not ok), and if it is in the tar: "header_offset",
 *      "offset" (of the data), "size", "sha256", "lost": [[start, end], ...], "torn"}], "not_ok"}
 * Offsets are in plain bytes from the start of the bundle; ranges are in bytes of the entry.
 * bundle/format.h has the layout of what follows the tar.
 */
#ifndef BUNDLE_ASSEMBLER_H
#define BUNDLE_ASSEMBLER_H

#include "bundle/packer.h"

/* Takes the bundle's bytes in order. */
typedef int (*bundle_write_fn)(void *ctx, const void *data, size_t len, struct err *e);

struct assembler;
/* write is called in order, from within the functions below and the streams only. */
int assembler_new(struct assembler **ret, bundle_write_fn write, void *ctx, struct err *e);
void assembler_free(struct assembler *a); /* NULL-safe */
/*
 * Where the next producer emits to; the one before must be flushed and gone, and its pointer is
 * not to be used any more. Never NULL; the assembler's. With verify, each frame is decompressed and
 * its checksum and sizes are held against what the record says, before it is written: for frames
 * that came over a network. What it refuses (-ERR_CORRUPT: a broken frame, offsets that do not
 * follow, a record that contradicts itself or the one before, a second entry of a name) and any
 * failure of write is final: the bundle can only be left truncated.
 */
struct bundle_output *assembler_stream(struct assembler *a, bool verify);

/*
 * Ends what a producer left that is gone, of a stream with verify: the entry it was in is padded
 * with zeros to its announced size, partial, and lists what did not come as lost; entries of which
 * nothing came are listed as failed. why: for their reasons. Then the next producer may come.
 * -ERR_TRUNCATED if the stream ended inside a tar header, -ERR_LIMIT if the padding would be
 * endless: the bundle can only be left truncated.
 */
int assembler_end_broken(struct assembler *a, const char *why, struct err *e);

/* Facts for the head of manifest.json, beside the entries. */
struct bundle_summary {
	const char *tool;       /* "podsnap 0.1.0" */
	const char *created;    /* RFC 3339 */
	const char *extra_json; /* members ("\"pause_ns\":123,...") to put in, or NULL */
};
/* Writes manifest and trailers. Afterwards only assembler_totals and free. -ERR_CORRUPT if a
 * producer's stream ended inside an entry; -ERR_USAGE if extra_json is not members of an object or
 * uses a key of ours; -ERR_LIMIT if the manifest exceeds BUNDLE_MANIFEST_MAX. */
int assembler_finish(struct assembler *a, const struct bundle_summary *summary, struct err *e);

struct bundle_totals {
	uint64_t entries, not_ok; /* not_ok: status other than ok */
	uint64_t plain_bytes, written_bytes;
	uint64_t incomplete; /* partial or failed; skipped was not wanted or not there */
};
void assembler_totals(const struct assembler *a, struct bundle_totals *ret);

#endif
