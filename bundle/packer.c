#include "bundle/packer.h"

#include "bundle/frame.h"
#include "bundle/frame_ring.h"
#include "bundle/name_set.h"
#include "bundle/tar.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct packer {
	struct bundle_output *out; /* borrowed */
	struct frame_ring *ring;
	int64_t mtime_s;
	struct name_set names; /* entries so far */
	struct err failure;    /* code 0: none yet */

	bool open;
	struct bundle_entry entry; /* the open one; its ranges live in the lists below */
	struct range_list lost, torn;
	uint64_t written; /* bytes of its data */
};

/* Keeps what went wrong, so that no later call builds on a stream with a hole. */
static int fail(struct packer *p, int code, const struct err *from, struct err *e)
{
	p->failure = *from;
	p->failure.code = -code;
	if (e && e != from) *e = *from;
	return code;
}

static int check_alive(const struct packer *p, struct err *e)
{
	if (p->failure.code == 0) return 0;
	if (e) *e = p->failure;
	return -p->failure.code;
}

static int check_open(const struct packer *p, struct err *e)
{
	int r = check_alive(p, e);

	if (r < 0) return r;
	return p->open ? 0 : err_set(e, ERR_USAGE, "no entry is open");
}

int packer_new(struct packer **ret, const struct packer_config *config, struct bundle_output *out,
	       struct err *e)
{
	struct packer *p;
	int r;

	if (config->threads < 1 || config->threads > PACKER_THREADS_MAX)
		return err_set(e, ERR_USAGE, "%d compression threads, not 1 to %d", config->threads,
			       PACKER_THREADS_MAX);
	if (config->level < PACKER_LEVEL_MIN || config->level > PACKER_LEVEL_MAX)
		return err_set(e, ERR_USAGE, "compression level %d, not %d to %d", config->level,
			       PACKER_LEVEL_MIN, PACKER_LEVEL_MAX);
	p = calloc(1, sizeof(*p));
	if (!p) return err_set(e, ERR_NO_MEMORY, "no memory to pack with");
	p->out = out;
	p->mtime_s = config->mtime_s;
	range_list_init(&p->lost, BUNDLE_RANGES_MAX);
	range_list_init(&p->torn, BUNDLE_RANGES_MAX);
	r = frame_ring_new(&p->ring, config->level, config->threads, out, e);
	if (r < 0) {
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void packer_free(struct packer *p)
{
	if (!p) return;
	frame_ring_free(p->ring);
	name_set_done(&p->names);
	range_list_done(&p->lost);
	range_list_done(&p->torn);
	free(p);
}

uint64_t packer_offset(const struct packer *p)
{
	return frame_ring_offset(p->ring);
}

static int cut_frame(struct packer *p, struct err *e)
{
	struct err local = {0};
	int r = frame_ring_cut(p->ring, &local);

	return r < 0 ? fail(p, r, &local, e) : 0;
}

/* Room in the current frame, at least a byte. */
static int room(struct packer *p, uint8_t **ret, size_t *ret_len, struct err *e)
{
	struct err local = {0};
	int r = frame_ring_room(p->ring, ret, ret_len, &local);

	return r < 0 ? fail(p, r, &local, e) : 0;
}

static int put(struct packer *p, const void *data, size_t len, struct err *e)
{
	const uint8_t *from = data;

	while (len > 0) {
		uint8_t *to;
		size_t n;
		int r = room(p, &to, &n, e);

		if (r < 0) return r;
		n = MIN(n, len);
		memcpy(to, from, n);
		frame_ring_advance(p->ring, n);
		from += n;
		len -= n;
	}
	return 0;
}

static int take_name(struct packer *p, const char *name, struct err *e)
{
	int r = bundle_entry_name_check(name, e);

	return r < 0 ? r : name_set_add(&p->names, name, e);
}

int packer_begin(struct packer *p, const char *name, uint64_t size, struct err *e)
{
	_cleanup_buf_ struct buf header = BUF_INIT(BUNDLE_TAR_HEADER_MAX);
	uint64_t header_offset = packer_offset(p);
	int r = check_alive(p, e);

	if (r < 0) return r;
	if (p->open)
		return err_set(e, ERR_USAGE, "entry %s begins while %s is open", name,
			       p->entry.name);
	if (size >= BUNDLE_SIZE_MAX - BUNDLE_TAR_BLOCK - header_offset)
		return err_set(e, ERR_LIMIT, "entry %s: %" PRIu64 " bytes are too large", name,
			       size);
	r = take_name(p, name, e);
	if (r < 0) return r;
	r = tar_header_write(name, size, p->mtime_s, &header, e);
	if (r < 0) {
		err_wrap(e, "entry %s", name);
		return r;
	}
	r = put(p, header.data, header.len, e);
	if (r < 0) return r;
	/* Data that starts a frame: then reading a page of a core touches one frame. */
	if (size >= BUNDLE_FRAME_PLAIN_MAX) {
		r = cut_frame(p, e);
		if (r < 0) return r;
	}
	memset(&p->entry, 0, sizeof(p->entry));
	memcpy(p->entry.name, name, strlen(name) + 1);
	p->entry.in_tar = true;
	p->entry.header_offset = header_offset;
	p->entry.data_offset = packer_offset(p);
	p->entry.size = size;
	p->lost.count = p->torn.count = 0;
	p->written = 0;
	frame_ring_hash_begin(p->ring);
	p->open = true;
	return 0;
}

int packer_write(struct packer *p, const void *data, size_t len, struct err *e)
{
	int r = check_open(p, e);

	if (r < 0) return r;
	if (len > p->entry.size - p->written)
		return err_set(e, ERR_LIMIT, "entry %s: more than its %" PRIu64 " bytes",
			       p->entry.name, p->entry.size);
	r = put(p, data, len, e);
	if (r < 0) return r;
	p->written += len;
	return 0;
}

int packer_reserve(struct packer *p, void **ret_data, size_t *ret_len, struct err *e)
{
	uint64_t left;
	uint8_t *data;
	size_t len;
	int r = check_open(p, e);

	if (r < 0) return r;
	left = p->entry.size - p->written;
	if (left == 0)
		return err_set(e, ERR_LIMIT, "entry %s: all its %" PRIu64 " bytes are there",
			       p->entry.name, p->entry.size);
	r = room(p, &data, &len, e);
	if (r < 0) return r;
	*ret_data = data;
	*ret_len = (size_t)MIN(left, (uint64_t)len);
	return 0;
}

int packer_commit(struct packer *p, size_t len, struct err *e)
{
	uint8_t *data;
	size_t n;
	int r = check_open(p, e);

	if (r < 0) return r;
	if (len == 0) return 0;
	r = room(p, &data, &n, e);
	if (r < 0) return r;
	if (len > n || len > p->entry.size - p->written)
		return err_set(e, ERR_USAGE, "entry %s: %zu bytes of a smaller reservation",
			       p->entry.name, len);
	frame_ring_advance(p->ring, len);
	p->written += len;
	return 0;
}

static int mark(struct packer *p, struct range_list *list, uint64_t start, uint64_t end,
		struct err *e)
{
	int r = check_open(p, e);

	if (r < 0) return r;
	if (start > end || end > p->entry.size)
		return err_set(e, ERR_USAGE,
			       "entry %s: bytes %" PRIu64 " to %" PRIu64 " of %" PRIu64,
			       p->entry.name, start, end, p->entry.size);
	r = range_list_add(list, start, end, e);
	if (r != -ERR_LIMIT) return r;
	/* Half, so that the next merge is a long way off. */
	list->count = bundle_ranges_reduce(list->ranges, list->count, list->max / 2);
	return range_list_add(list, start, end, e);
}

int packer_mark_lost(struct packer *p, uint64_t start, uint64_t end, struct err *e)
{
	return mark(p, &p->lost, start, end, e);
}

int packer_mark_torn(struct packer *p, uint64_t start, uint64_t end, struct err *e)
{
	return mark(p, &p->torn, start, end, e);
}

static int pad_missing(struct packer *p, struct err *e)
{
	int r;

	if (p->written == p->entry.size) return 0;
	r = packer_mark_lost(p, p->written, p->entry.size, e);
	while (r == 0 && p->written < p->entry.size) {
		void *data;
		size_t len;

		r = packer_reserve(p, &data, &len, e);
		if (r < 0) break;
		memset(data, 0, len);
		r = packer_commit(p, len, e);
	}
	return r;
}

static int emit_entry(struct packer *p, const struct bundle_entry *entry, struct err *e)
{
	struct err local = {0};
	int r = p->out->entry(p->out, entry, &local);

	return r < 0 ? fail(p, r, &local, e) : 0;
}

int packer_end(struct packer *p, enum entry_status status, const char *reason, struct err *e)
{
	static const uint8_t zeros[BUNDLE_TAR_BLOCK];
	uint64_t got;
	int r = check_open(p, e);

	if (r < 0) return r;
	got = p->written;
	r = pad_missing(p, e);
	if (r < 0) return r;
	frame_ring_hash_end(p->ring, p->entry.sha256);
	r = put(p, zeros, (size_t)(-p->entry.size % BUNDLE_TAR_BLOCK), e);
	if (r < 0) return r;

	if (status == ENTRY_OK && p->lost.count > 0) status = ENTRY_PARTIAL;
	p->entry.status = status;
	bundle_entry_set_reason(&p->entry, reason);
	if (status == ENTRY_PARTIAL && !p->entry.reason[0])
		snprintf(p->entry.reason, sizeof(p->entry.reason),
			 got < p->entry.size ? "it ended after %" PRIu64 " of %" PRIu64 " bytes"
					     : "%" PRIu64 " of %" PRIu64 " bytes are lost",
			 got < p->entry.size ? got : range_list_bytes(&p->lost), p->entry.size);
	p->entry.lost = p->lost.ranges;
	p->entry.lost_count = p->lost.count;
	p->entry.torn = p->torn.ranges;
	p->entry.torn_count = p->torn.count;
	p->open = false;
	return emit_entry(p, &p->entry, e);
}

int packer_add(struct packer *p, const char *name, const void *data, size_t len, struct err *e)
{
	int r = packer_begin(p, name, len, e);

	if (r == 0) r = packer_write(p, data, len, e);
	if (r == 0) r = packer_end(p, ENTRY_OK, NULL, e);
	return r;
}

int packer_absent(struct packer *p, const char *name, enum entry_status status, const char *reason,
		  struct err *e)
{
	struct bundle_entry entry = {.status = status};
	int r = check_alive(p, e);

	if (r < 0) return r;
	if (status == ENTRY_OK) return err_set(e, ERR_USAGE, "entry %s: absent, and yet ok", name);
	r = take_name(p, name, e);
	if (r < 0) return r;
	memcpy(entry.name, name, strlen(name) + 1);
	bundle_entry_set_reason(&entry, reason);
	return emit_entry(p, &entry, e);
}

int packer_flush(struct packer *p, struct err *e)
{
	struct err local = {0};
	int r = check_alive(p, e);

	if (r < 0) return r;
	r = frame_ring_flush(p->ring, &local);
	return r < 0 ? fail(p, r, &local, e) : 0;
}
