#include "bundle/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

struct collector {
	struct buf *out;
	bool closed;
};

static la_ssize_t collect(struct archive *a, void *ctx, const void *data, size_t len)
{
	struct collector *c = ctx;

	/* Refusing is how libarchive is kept from padding the data it never sees. */
	if (c->closed || buf_append(c->out, data, len, NULL) < 0) {
		archive_set_error(a, EIO, "closed");
		return -1;
	}
	return (la_ssize_t)len;
}

static struct archive_entry *make_entry(const char *name, uint64_t size, int64_t mtime_s)
{
	struct archive_entry *entry = archive_entry_new();

	if (!entry) return NULL;
	archive_entry_set_pathname(entry, name);
	archive_entry_set_size(entry, (la_int64_t)size);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0600);
	archive_entry_set_mtime(entry, mtime_s, 0);
	return entry;
}

static int write_header(struct archive *a, struct archive_entry *entry, struct collector *c,
			struct err *e)
{
	if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(a, 0) != ARCHIVE_OK ||
	    archive_write_open(a, c, NULL, collect, NULL) != ARCHIVE_OK ||
	    archive_write_header(a, entry) != ARCHIVE_OK)
		return err_set(e, ERR_INTERNAL, "libarchive makes no tar header: %s",
			       archive_error_string(a));
	return 0;
}

int tar_header_write(const char *name, uint64_t size, int64_t mtime_s, struct buf *ret,
		     struct err *e)
{
	struct collector c = {.out = ret};
	struct archive *a = archive_write_new();
	struct archive_entry *entry = make_entry(name, size, mtime_s);
	size_t start = ret->len;
	int r = a && entry ? write_header(a, entry, &c, e)
			   : err_set(e, ERR_NO_MEMORY, "no memory for a tar header");

	c.closed = true;
	archive_entry_free(entry);
	archive_write_free(a);
	if (r == 0 && (ret->len == start || (ret->len - start) % BUNDLE_TAR_BLOCK != 0))
		r = err_set(e, ERR_INTERNAL, "a tar header of %zu bytes", ret->len - start);
	return r;
}
