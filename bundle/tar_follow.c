#include "bundle/tar_follow.h"

#include <string.h>

void tar_follow_start(struct tar_follow *t, uint64_t offset)
{
	t->offset = offset;
	t->header_len = 0;
	t->lost = t->open = false;
}

/* Takes what a header may need; once it is whole, gives back what is not of it. Returns how much of
 * data was used. */
static size_t feed_header(struct tar_follow *t, const uint8_t *data, size_t len)
{
	size_t before = t->header_len, n = MIN(len, sizeof(t->header) - before);
	uint64_t start = t->offset - before;
	struct tar_header header;

	memcpy(t->header + before, data, n);
	t->header_len += n;
	if (tar_header_read(t->header, t->header_len, &header, NULL) < 0 || header.end) {
		/* One that is cut looks damaged. */
		t->lost = t->header_len == sizeof(t->header);
		t->offset += n;
		return n;
	}
	memcpy(t->name, header.name, sizeof(t->name));
	t->header_offset = start;
	t->data_offset = start + header.header_len;
	t->size = header.size;
	t->got = 0;
	t->open = true;
	t->header_len = 0;
	sha256_init(&t->digest);
	n = header.header_len - before;
	t->offset += n;
	return n;
}

static size_t feed_data(struct tar_follow *t, const uint8_t *data, size_t len)
{
	uint64_t end = align_up(t->data_offset + t->size, BUNDLE_TAR_BLOCK);
	size_t n = (size_t)MIN((uint64_t)len, end - t->offset);
	size_t of_data = (size_t)MIN((uint64_t)n, t->size - t->got);

	sha256_update(&t->digest, data, of_data);
	t->got += of_data;
	t->offset += n;
	t->open = t->offset < end;
	return n;
}

void tar_follow_feed(struct tar_follow *t, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len > 0 && !t->lost) {
		size_t n = t->open ? feed_data(t, at, len) : feed_header(t, at, len);

		at += n;
		len -= n;
		/* An entry without data ends with its header. */
		if (t->open && t->offset == align_up(t->data_offset + t->size, BUNDLE_TAR_BLOCK))
			t->open = false;
	}
}
