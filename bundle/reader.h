/*
 * Reads a bundle from a blob at random: by manifest and seek table when it is whole, else by
 * walking the frames and tar headers as far as they go. Everything read is capped and hostile.
 */
#ifndef BUNDLE_READER_H
#define BUNDLE_READER_H

#include "base/buf.h"
#include "bundle/archive.h"

struct bundle;

/* True if the blob starts like a zstd frame that holds a podsnap bundle (meta.json first). */
bool bundle_probe(struct blob *blob);
/* References the blob. A truncated or damaged bundle opens too: ask bundle_truncated. When not even
 * the first entry is there -ERR_TRUNCATED, or -ERR_CORRUPT if it is no bundle at all.
 * -ERR_UNSUPPORTED for a manifest of another version; what the blob returns. */
int bundle_open(struct blob *blob, struct bundle **ret, struct err *e);
void bundle_free(struct bundle *b); /* NULL-safe; entry blobs go on working */
static inline void bundle_free_ptr(struct bundle **b)
{
	bundle_free(*b);
}
#define _cleanup_bundle_ _cleanup_(bundle_free_ptr)

/* NULL if whole, else one sentence: where it ends or is damaged, and what is missing. Whole means
 * that manifest and seek table are there and agree; damage inside a frame shows when it is read. */
const char *bundle_truncated(const struct bundle *b);
size_t bundle_entry_count(const struct bundle *b);
/* index < count; manifest.json is none of them. In a truncated bundle without its manifest, status
 * and hash are unknown: status PARTIAL for the entry that is cut (what is missing in its lost
 * range), OK for those before, sha256 all zero. */
const struct bundle_entry *bundle_entry_at(const struct bundle *b, size_t index);
/* NULL if there is none of the name. */
const struct bundle_entry *bundle_find(const struct bundle *b, const char *name);
/* Random access to an entry's bytes, through a small cache of plain frames; thread-safe. Bytes in
 * lost ranges read as zeros; past a truncation -ERR_TRUNCATED; in a damaged frame -ERR_CORRUPT,
 * which names entry and frame. -ERR_NOT_FOUND for an entry that is not in the tar. The blob keeps
 * the bundle's data alive. */
int bundle_entry_blob(struct bundle *b, const struct bundle_entry *entry, struct blob **ret,
		      struct err *e);
/* The bundle's entries as an archive, which borrows it. */
struct archive bundle_archive(struct bundle *b);
/* A whole small entry (manifest, meta.json, process.json) into buf, up to buf's max. */
int bundle_read_entry(struct bundle *b, const char *name, struct buf *ret, struct err *e);
/* The manifest as text, with NUL; NULL when it is not there. Borrowed. */
const char *bundle_manifest(const struct bundle *b, size_t *ret_len);

/* A finding of verify: entry NULL = the bundle as a whole. */
typedef void (*bundle_problem_fn)(void *ctx, const struct bundle_entry *entry, const char *problem);
struct bundle_verify_totals {
	uint64_t entries, frames, plain_bytes, problems;
};
/* Reads everything once: frame checksums, sizes, tar headers against the manifest, SHA-256 of every
 * entry, padding, seek table, trailer, nothing after the end. 0 if it could be checked (problems
 * counted; a truncation is one), negative only if it could not be read. */
int bundle_verify(struct bundle *b, bundle_problem_fn problem, void *ctx,
		  struct bundle_verify_totals *ret, struct err *e);

#endif
