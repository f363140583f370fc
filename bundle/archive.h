/*
 * Entries that can be read at random, wherever they are: in a bundle (bundle/reader.h), or with a
 * probe that holds a snapshot (exec/held.h). What answers from one answers from the other.
 */
#ifndef BUNDLE_ARCHIVE_H
#define BUNDLE_ARCHIVE_H

#include "base/blob.h"
#include "bundle/entry.h"

struct archive {
	size_t count;
	/* index < count; borrowed from what the archive is of. */
	const struct bundle_entry *(*at)(void *ctx, size_t index);
	/* Errors of bundle_entry_blob, and of reading where the bytes come from. */
	int (*open)(void *ctx, const struct bundle_entry *entry, struct blob **ret, struct err *e);
	void *ctx; /* borrowed */
};

static inline const struct bundle_entry *archive_at(const struct archive *a, size_t index)
{
	return a->at(a->ctx, index);
}
static inline int archive_open(const struct archive *a, const struct bundle_entry *entry,
			       struct blob **ret, struct err *e)
{
	return a->open(a->ctx, entry, ret, e);
}

#endif
