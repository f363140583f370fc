/*
 * Follows the plain bytes of a bundle as they pass, to know at any moment which entry is open and
 * the SHA-256 of what came of it: so that an entry can be ended whose producer is gone.
 */
#ifndef BUNDLE_TAR_FOLLOW_H
#define BUNDLE_TAR_FOLLOW_H

#include "bundle/tar.h"

struct tar_follow {
	uint64_t offset; /* plain bytes so far */
	uint8_t header[BUNDLE_TAR_HEADER_MAX];
	size_t header_len; /* bytes of a header that has not all come */
	bool lost;         /* what came is no tar of ours: nothing is known any more */
	bool open;         /* the entry below has not all come, padding included */
	char name[BUNDLE_NAME_MAX];
	uint64_t header_offset, data_offset, size;
	uint64_t got;         /* bytes of its data */
	struct sha256 digest; /* of them */
};

/* Starts at a header, offset plain bytes into the bundle. */
void tar_follow_start(struct tar_follow *t, uint64_t offset);
void tar_follow_feed(struct tar_follow *t, const void *data, size_t len);

#endif
