#include "exec/held.h"

#include "bundle/frame.h"
#include "bundle/le.h"
#include "exec/json_doc.h"

#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { AT_ONCE = WIRE_READ_MAX / HELD_BLOCK }; /* blocks */

struct block {
	uint32_t entry;
	uint64_t index;
	size_t len; /* 0: empty */
	uint64_t used;
	uint8_t *data; /* HELD_BLOCK bytes, owned */
};

struct held {
	struct session_reads reads;
	struct bundle_output output;
	struct archive archive;
	struct bundle_entry *entries; /* owned; the n-th has number n + 1 */
	char id[2 * WIRE_TOKEN_BYTES + 1];
	uint64_t list_bytes;

	/* Between the threads. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool ready, over, done;
	struct err why; /* of over */
	bool asking, sent;
	struct wire_read read;
	struct err read_why; /* of the answer */
	uint8_t plain[WIRE_READ_MAX];
	ZSTD_DCtx *decompressor;

	/* Of whoever reads. */
	pthread_mutex_t cache_lock;
	struct block blocks[HELD_CACHE];
	uint64_t clock, bytes, asked;
	uint32_t last_entry; /* of the last block that was asked for, and the one behind it */
	uint64_t next_index;
	uint32_t ahead; /* blocks */
};

/* --- the session's thread --- */

static bool next(void *ctx, bool again, struct wire_read *ret)
{
	struct held *h = ctx;
	bool due;

	pthread_mutex_lock(&h->lock);
	due = h->asking && (again || !h->sent);
	if (due) {
		h->sent = true;
		*ret = h->read;
	}
	pthread_mutex_unlock(&h->lock);
	return due;
}

static int take_bytes(struct held *h, const struct wire_read_reply *reply, struct err *e)
{
	if (reply->why.code != 0) {
		*e = reply->why;
		return -e->code;
	}
	if (reply->plain_len != wire_read_bytes(&h->read))
		return err_set(e, ERR_PROTOCOL, "the probe sent %u bytes instead of %u",
			       reply->plain_len, wire_read_bytes(&h->read));
	return frame_decompress(h->decompressor, reply->frame, reply->frame_len, h->plain,
				reply->plain_len, e);
}

static void on_reply(void *ctx, const struct wire_read_reply *reply)
{
	struct held *h = ctx;

	pthread_mutex_lock(&h->lock);
	if (h->asking && reply->id == h->read.id) {
		h->read_why = (struct err){0};
		take_bytes(h, reply, &h->read_why);
		h->asking = false;
		pthread_cond_broadcast(&h->changed);
	}
	pthread_mutex_unlock(&h->lock);
}

static void on_ready(void *ctx, const uint8_t token[WIRE_TOKEN_BYTES], const struct wire_end *end)
{
	struct held *h = ctx;
	_cleanup_buf_ struct buf text = BUF_INIT(WIRE_RESULT_MAX + 2);
	_cleanup_json_doc_ cJSON *doc = NULL;
	double bytes = 0;

	if (buf_printf(&text, NULL, "{%s}", end->result_json) == 0 &&
	    json_doc_parse(text.data, text.len, "", &doc, NULL) == 0)
		bytes = cJSON_GetNumberValue(json_doc_get(doc, "list_bytes"));
	pthread_mutex_lock(&h->lock);
	h->ready = true;
	hex_encode(token, WIRE_TOKEN_BYTES, h->id);
	h->list_bytes = bytes > 0 && bytes <= HELD_LIST_MAX ? (uint64_t)bytes : 0;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
}

static bool is_done(void *ctx)
{
	struct held *h = ctx;
	bool done;

	pthread_mutex_lock(&h->lock);
	done = h->done;
	pthread_mutex_unlock(&h->lock);
	return done;
}

static int no_frame(struct bundle_output *out, const struct bundle_frame *frame, struct err *e)
{
	return err_set(e, ERR_PROTOCOL, "the probe sent data instead of a snapshot");
}

static int no_entry(struct bundle_output *out, const struct bundle_entry *entry, struct err *e)
{
	return err_set(e, ERR_PROTOCOL, "the probe sent an entry instead of a snapshot");
}

const struct session_reads *held_reads(struct held *h)
{
	return &h->reads;
}

struct bundle_output *held_output(struct held *h)
{
	return &h->output;
}

void held_over(struct held *h, const struct err *why)
{
	pthread_mutex_lock(&h->lock);
	h->over = true;
	h->why = *why;
	if (h->why.code == 0) err_set(&h->why, ERR_GONE, "the session with the probe is over");
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
}

/* --- whoever reads --- */

static int over(const struct held *h, struct err *e)
{
	if (e) *e = h->why;
	return -h->why.code;
}

/* One READ and its answer, which is in h->plain then. Its id is made here. */
static int ask(struct held *h, const struct wire_read *read, struct err *e)
{
	uint32_t id = h->read.id + 1;
	int r = 0;

	pthread_mutex_lock(&h->lock);
	h->read = *read;
	h->read.id = id;
	h->asking = true;
	h->sent = false;
	(void)!eventfd_write(h->reads.fd, 1);
	while (h->asking && !h->over)
		pthread_cond_wait(&h->changed, &h->lock);
	if (h->asking) {
		h->asking = false;
		r = over(h, e);
	} else if (h->read_why.code != 0) {
		if (e) *e = h->read_why;
		r = -h->read_why.code;
	}
	pthread_mutex_unlock(&h->lock);
	h->bytes += wire_read_bytes(read);
	h->asked++;
	return r;
}

static struct block *find_block(struct held *h, uint32_t entry, uint64_t index)
{
	for (size_t i = 0; i < HELD_CACHE; i++) {
		struct block *b = &h->blocks[i];

		if (b->len > 0 && b->entry == entry && b->index == index) {
			b->used = ++h->clock;
			return b;
		}
	}
	return NULL;
}

static int keep_block(struct held *h, uint32_t entry, uint64_t index, const uint8_t *data,
		      size_t len, struct err *e)
{
	struct block *oldest = &h->blocks[0];

	if (find_block(h, entry, index)) return 0;
	for (size_t i = 1; i < HELD_CACHE; i++)
		if (h->blocks[i].used < oldest->used) oldest = &h->blocks[i];
	if (!oldest->data) oldest->data = malloc(HELD_BLOCK);
	if (!oldest->data) return err_set(e, ERR_NO_MEMORY, "no memory for what was read");
	memcpy(oldest->data, data, len);
	oldest->entry = entry;
	oldest->index = index;
	oldest->len = len;
	oldest->used = ++h->clock;
	return 0;
}

/* Twice as much with each block that follows the last one, else one. */
static uint32_t read_ahead(struct held *h, uint32_t entry, uint64_t index)
{
	bool follows = entry == h->last_entry && index == h->next_index;

	h->ahead = follows ? MIN(h->ahead * 2, (uint32_t)AT_ONCE) : 1;
	h->last_entry = entry;
	h->next_index = index + h->ahead;
	return h->ahead;
}

/* Whole blocks, into the cache. */
static int fetch(struct held *h, const struct wire_read *read, struct err *e)
{
	const uint8_t *data = h->plain;
	int r = ask(h, read, e);

	for (uint32_t i = 0; i < read->count; i++) {
		const struct range *range = &read->ranges[i];

		for (uint64_t at = range->start; r == 0 && at < range->end; at += HELD_BLOCK) {
			size_t len = (size_t)MIN(range->end - at, (uint64_t)HELD_BLOCK);

			r = keep_block(h, read->entry, at / HELD_BLOCK, data, len, e);
			data += len;
		}
	}
	return r;
}

/* Of an entry of size bytes. */
static struct range block_range(uint64_t index, uint64_t blocks, uint64_t size)
{
	uint64_t start = index * HELD_BLOCK;

	return (struct range){start, start + MIN(blocks * HELD_BLOCK, size - start)};
}

/* The block, and maybe some behind it. */
static int fetch_from(struct held *h, uint32_t entry, uint64_t index, uint64_t size, struct err *e)
{
	struct wire_read read = {.entry = entry, .count = 1};
	int r;

	read.ranges[0] = block_range(index, read_ahead(h, entry, index), size);
	r = fetch(h, &read, e);
	/* One page that cannot be read shall not hide those before it. */
	if (r < 0 && wire_read_bytes(&read) > HELD_BLOCK) {
		h->ahead = 1;
		read.ranges[0] = block_range(index, 1, size);
		r = fetch(h, &read, e);
	}
	return r;
}

struct entry_blob {
	struct blob blob; /* first */
	struct held *held;
	uint32_t entry;
};

static int entry_read_at(struct blob *blob, uint64_t offset, void *data, size_t len, struct err *e)
{
	struct entry_blob *eb = (struct entry_blob *)blob;
	struct held *h = eb->held;
	uint8_t *p = data;
	int r = 0;

	pthread_mutex_lock(&h->cache_lock);
	while (r == 0 && len > 0) {
		uint64_t index = offset / HELD_BLOCK;
		struct block *b = find_block(h, eb->entry, index);
		size_t at = (size_t)(offset % HELD_BLOCK), n;

		if (!b) {
			r = fetch_from(h, eb->entry, index, blob->size, e);
			continue;
		}
		n = MIN(len, b->len - at);
		memcpy(p, b->data + at, n);
		p += n;
		offset += n;
		len -= n;
	}
	pthread_mutex_unlock(&h->cache_lock);
	return r;
}

static bool asks_for(const struct wire_read *read, uint64_t index)
{
	for (uint32_t i = 0; i < read->count; i++)
		if (read->ranges[i].start == index * HELD_BLOCK) return true;
	return false;
}

/* Many blocks a READ. What fails, the read that needs it will find out. */
static void entry_will_need(struct blob *blob, const struct range *ranges, size_t count)
{
	const struct entry_blob *eb = (const struct entry_blob *)blob;
	struct held *h = eb->held;
	struct wire_read read = {.entry = eb->entry};
	size_t left = HELD_CACHE / 2;

	pthread_mutex_lock(&h->cache_lock);
	for (size_t i = 0; i < count; i++) {
		for (uint64_t k = ranges[i].start / HELD_BLOCK;
		     left > 0 && k * HELD_BLOCK < ranges[i].end; k++) {
			if (find_block(h, eb->entry, k) || asks_for(&read, k)) continue;
			read.ranges[read.count++] = block_range(k, 1, blob->size);
			left--;
			if (read.count < AT_ONCE) continue;
			fetch(h, &read, NULL);
			read.count = 0;
		}
	}
	if (read.count > 0) fetch(h, &read, NULL);
	pthread_mutex_unlock(&h->cache_lock);
}

static void entry_free(struct blob *blob)
{
	free(blob);
}

static int open_number(struct held *h, uint32_t number, uint64_t size, struct blob **ret,
		       struct err *e)
{
	static const struct blob_ops ops = {entry_read_at, entry_free, entry_will_need};
	struct entry_blob *eb = calloc(1, sizeof(*eb));

	if (!eb) return err_set(e, ERR_NO_MEMORY, "no memory for an entry");
	blob_init(&eb->blob, &ops, size);
	eb->held = h;
	eb->entry = number;
	*ret = &eb->blob;
	return 0;
}

static const struct bundle_entry *entry_at(void *ctx, size_t index)
{
	return &((struct held *)ctx)->entries[index];
}

static int open_entry(void *ctx, const struct bundle_entry *entry, struct blob **ret, struct err *e)
{
	struct held *h = ctx;

	return open_number(h, (uint32_t)(entry - h->entries) + 1, entry->size, ret, e);
}

/* --- the list of entries --- */

static int malformed(struct err *e)
{
	return err_set(e, ERR_PROTOCOL, "the probe's list of entries is malformed");
}

static int take_entry(struct held *h, const uint8_t *record, size_t len, struct err *e)
{
	struct bundle_entry *grown;
	int r;

	if (h->archive.count == BUNDLE_ENTRIES_MAX) return malformed(e);
	grown = reallocarray(h->entries, h->archive.count + 1, sizeof(*grown));
	if (!grown) return err_set(e, ERR_NO_MEMORY, "no memory for the list of entries");
	h->entries = grown;
	r = wire_decode_listed(record, len, &grown[h->archive.count], e);
	if (r == 0) h->archive.count++;
	return r;
}

static int parse_list(struct held *h, const uint8_t *p, size_t len, struct err *e)
{
	while (len > 0) {
		size_t n = len >= 4 ? le32_get(p) : SIZE_MAX;
		int r;

		if (len < 4 || n > len - 4) return malformed(e);
		r = take_entry(h, p + 4, n, e);
		if (r < 0) return r;
		p += 4 + n;
		len -= 4 + n;
	}
	return 0;
}

static int read_list(struct held *h, struct err *e)
{
	_cleanup_blob_ struct blob *blob = NULL;
	_cleanup_free_ uint8_t *list = malloc(MAX(h->list_bytes, (uint64_t)1));
	int r = open_number(h, 0, h->list_bytes, &blob, e);

	if (r < 0) return r;
	if (!list || h->list_bytes == 0) return malformed(e);
	r = blob_read_at(blob, 0, list, h->list_bytes, e);
	return r < 0 ? r : parse_list(h, list, h->list_bytes, e);
}

int held_await(struct held *h, struct err *e)
{
	int r = 0;

	pthread_mutex_lock(&h->lock);
	while (!h->ready && !h->over)
		pthread_cond_wait(&h->changed, &h->lock);
	if (!h->ready) r = over(h, e);
	pthread_mutex_unlock(&h->lock);
	return r < 0 ? r : read_list(h, e);
}

const char *held_id(const struct held *h)
{
	return h->id;
}

const struct archive *held_archive(const struct held *h)
{
	return &h->archive;
}

uint64_t held_bytes(struct held *h, uint64_t *ret_asked)
{
	uint64_t bytes;

	pthread_mutex_lock(&h->cache_lock);
	bytes = h->bytes;
	*ret_asked = h->asked;
	pthread_mutex_unlock(&h->cache_lock);
	return bytes;
}

void held_finish(struct held *h)
{
	pthread_mutex_lock(&h->lock);
	h->done = true;
	(void)!eventfd_write(h->reads.fd, 1);
	pthread_mutex_unlock(&h->lock);
}

/* --- */

int held_new(bool keep, struct held **ret, struct err *e)
{
	struct held *h = calloc(1, sizeof(*h));

	if (!h) return err_set(e, ERR_NO_MEMORY, "no memory for a snapshot");
	pthread_mutex_init(&h->lock, NULL);
	pthread_mutex_init(&h->cache_lock, NULL);
	pthread_cond_init(&h->changed, NULL);
	h->ahead = 1;
	h->reads = (struct session_reads){next, on_reply, on_ready, is_done, h, -1, keep};
	h->output = (struct bundle_output){no_frame, no_entry};
	h->archive = (struct archive){0, entry_at, open_entry, h};
	h->decompressor = ZSTD_createDCtx();
	h->reads.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->decompressor && h->reads.fd >= 0) {
		*ret = h;
		return 0;
	}
	held_free(h);
	return err_set(e, ERR_NO_MEMORY, "no memory or descriptor for a snapshot");
}

void held_free(struct held *h)
{
	if (!h) return;
	for (size_t i = 0; i < HELD_CACHE; i++)
		free(h->blocks[i].data);
	for (size_t i = 0; i < h->archive.count; i++)
		bundle_entry_done(&h->entries[i]);
	free(h->entries);
	ZSTD_freeDCtx(h->decompressor);
	if (h->reads.fd >= 0) close(h->reads.fd);
	pthread_cond_destroy(&h->changed);
	pthread_mutex_destroy(&h->cache_lock);
	pthread_mutex_destroy(&h->lock);
	free(h);
}
