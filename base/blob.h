/*
 * Random read access to bytes of known size: a file, memory, a slice of another blob, an entry of
 * a bundle (bundle/reader.h), later a URL. Reference-counted, safe to read from several threads
 * when the implementation's read_at is.
 */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include "base/err.h"
#include "base/util.h"

#include <stdatomic.h>

struct blob;
struct blob_ops {
	/* Reads exactly len bytes at offset; offset + len <= size is checked before the call. */
	int (*read_at)(struct blob *b, uint64_t offset, void *data, size_t len, struct err *e);
	/* Frees the implementation, including the struct blob inside it. */
	void (*free)(struct blob *b);
	/* See blob_will_need; the ranges lie within the blob. NULL: none of its business. */
	void (*will_need)(struct blob *b, const struct range *ranges, size_t count);
};

/* Embedded first in each implementation. */
struct blob {
	const struct blob_ops *ops;
	uint64_t size; /* bytes */
	atomic_int refs;
};
/* Initialises the embedded part with one reference. */
void blob_init(struct blob *b, const struct blob_ops *ops, uint64_t size);
struct blob *blob_ref(struct blob *b);
void blob_unref(struct blob *b); /* NULL-safe */
static inline void blob_unref_ptr(struct blob **b)
{
	blob_unref(*b);
}
#define _cleanup_blob_ _cleanup_(blob_unref_ptr)

/* Exactly len bytes at offset; -ERR_TRUNCATED if that passes the end. */
int blob_read_at(struct blob *b, uint64_t offset, void *data, size_t len, struct err *e);
/* Those bytes will be read soon: where each read costs a wait, one may bring them all. Ranges that
 * pass the end are not meant. */
void blob_will_need(struct blob *b, const struct range *ranges, size_t count);
/* A regular file (pread). -ERR_NOT_FOUND, -ERR_PERMISSION, -ERR_UNSUPPORTED if not regular. */
int blob_open_file(const char *path, struct blob **ret, struct err *e);
/* Takes fd over on success. */
int blob_from_fd(int fd, struct blob **ret, struct err *e);
/* Copies the bytes. */
int blob_from_memory(const void *data, size_t len, struct blob **ret, struct err *e);
/* [offset, offset + size) of parent, which it references. */
int blob_slice(struct blob *parent, uint64_t offset, uint64_t size, struct blob **ret,
	       struct err *e);

#endif
