#include "bundle/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

static int take_entry(struct archive *a, struct archive_entry *entry, struct tar_header *ret,
		      struct err *e)
{
	const char *name = archive_entry_pathname(entry);
	la_int64_t size = archive_entry_size(entry), header_len = archive_filter_bytes(a, 0);
	int r;

	if (!name) return err_set(e, ERR_CORRUPT, "a tar header without a readable name");
	r = bundle_entry_name_check(name, e);
	if (r < 0) return r;
	if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) ||
	    archive_entry_sparse_count(entry) > 0)
		return err_set(e, ERR_CORRUPT, "%s is not a plain file in the tar", name);
	if (!archive_entry_size_is_set(entry) || size < 0 || (uint64_t)size >= BUNDLE_SIZE_MAX)
		return err_set(e, ERR_CORRUPT, "%s has no possible size in the tar", name);
	if (header_len <= 0 || header_len % BUNDLE_TAR_BLOCK != 0)
		return err_set(e, ERR_CORRUPT, "%s has a tar header of %lld bytes", name,
			       (long long)header_len);
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, name, strlen(name) + 1);
	ret->size = (uint64_t)size;
	ret->header_len = (size_t)header_len;
	return 0;
}

static int read_header(struct archive *a, const void *data, size_t len, struct tar_header *ret,
		       struct err *e)
{
	struct archive_entry *entry;
	int r;

	if (archive_read_support_filter_none(a) != ARCHIVE_OK ||
	    archive_read_support_format_tar(a) != ARCHIVE_OK)
		return err_set(e, ERR_INTERNAL, "libarchive without tar: %s",
			       archive_error_string(a));
	if (archive_read_open_memory(a, data, len) != ARCHIVE_OK)
		return err_set(e, ERR_CORRUPT, "no tar: %s", archive_error_string(a));
	r = archive_read_next_header(a, &entry);
	if (r == ARCHIVE_EOF) {
		memset(ret, 0, sizeof(*ret));
		ret->end = true;
		return 0;
	}
	/* A warning is a header that the reader did not quite understand: not one of ours. */
	if (r != ARCHIVE_OK)
		return err_set(e, ERR_CORRUPT, "no tar header: %s",
			       archive_error_string(a) ? archive_error_string(a) : "malformed");
	return take_entry(a, entry, ret, e);
}

int tar_header_read(const void *data, size_t len, struct tar_header *ret, struct err *e)
{
	struct archive *a = archive_read_new();
	int r;

	if (!a) return err_set(e, ERR_NO_MEMORY, "no memory to read a tar header");
	r = read_header(a, data, len, ret, e);
	archive_read_free(a);
	return r;
}
