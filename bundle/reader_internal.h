/* The inside of a bundle being read, for reader.c, reader_open.c, reader_walk.c and verify.c. */
#ifndef BUNDLE_READER_INTERNAL_H
#define BUNDLE_READER_INTERNAL_H

#include "bundle/format.h"
#include "bundle/frame_index.h"
#include "bundle/manifest.h"
#include "bundle/reader.h"

/* What the trailer says: of the manifest, and of the bundle's bytes before the trailer. */
struct trailer {
	uint64_t data_offset, size;
	uint8_t sha256[SHA256_BYTES];
	uint8_t frames_sha256[SHA256_BYTES];
};

struct bundle {
	atomic_int refs; /* the opener's, and one for each entry blob */
	struct blob *blob;
	struct frame_index index;
	struct frame_cache *cache;
	struct manifest contents; /* entries, however they were found */
	const struct bundle_entry **by_name;
	bool hashes_known; /* the entries come from a manifest */
	char *manifest;    /* text with NUL; NULL if it is not there */
	size_t manifest_len;
	struct trailer trailer;       /* where the bundle is whole */
	char truncated[ERR_TEXT_MAX]; /* "" if it is whole */
};

/*
 * Opens by trailer and seek table. -ERR_TRUNCATED (there is none at the end) or -ERR_CORRUPT (they
 * contradict themselves, or the manifest does): b is then as before the call, and walking may still
 * help. Other codes are final.
 */
int reader_open_tail(struct bundle *b, struct err *e);
/* Opens by what is there from the start; why is what reader_open_tail said. Sets b->truncated.
 * -ERR_TRUNCATED or -ERR_CORRUPT if there is not even a first entry. */
int reader_open_walk(struct bundle *b, const struct err *why, struct err *e);
/* Reads size bytes of a manifest at data_offset and parses them into b. */
int reader_load_manifest(struct bundle *b, uint64_t data_offset, uint64_t size,
			 const uint8_t *sha256, struct err *e);

#endif
