/*
 * Tar headers (POSIX.1-2001 pax interchange format) by libarchive. The data between them goes
 * another way.
 */
#ifndef BUNDLE_TAR_H
#define BUNDLE_TAR_H

#include "base/buf.h"
#include "bundle/entry.h"

enum {
	/* A header with its extended header: at most a name, a size and a time. */
	BUNDLE_TAR_HEADER_MAX = 8 * 1024,
	BUNDLE_TAR_END_BYTES = 2 * BUNDLE_TAR_BLOCK, /* zeros that end an archive */
};

/* Appends the header blocks of a regular file, mode 0600, owner 0. -ERR_INTERNAL, -ERR_NO_MEMORY,
 * -ERR_LIMIT from the buffer. */
int tar_header_write(const char *name, uint64_t size, int64_t mtime_s, struct buf *ret,
		     struct err *e);

struct tar_header {
	char name[BUNDLE_NAME_MAX];
	uint64_t size;
	size_t header_len; /* bytes, a multiple of 512 */
	bool end;          /* not a header: the archive ends here */
};
/*
 * Reads the header at the start of data, BUNDLE_TAR_HEADER_MAX bytes or all there are. The name was
 * checked as an entry's. -ERR_CORRUPT if it is no header, a cut one, or of anything but a plain
 * regular file.
 */
int tar_header_read(const void *data, size_t len, struct tar_header *ret, struct err *e);

#endif
