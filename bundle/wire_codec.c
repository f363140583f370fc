#include "bundle/le.h"
#include "bundle/wire.h"

#include <string.h>

/* Reads a payload; after the first failure everything reads as zero, and cursor_end reports it. */
struct cursor {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static const uint8_t *take(struct cursor *c, size_t len)
{
	const uint8_t *p = c->p;

	if (c->bad || len > c->left) {
		c->bad = true;
		return NULL;
	}
	c->p += len;
	c->left -= len;
	return p;
}

static uint8_t take_u8(struct cursor *c)
{
	const uint8_t *p = take(c, 1);

	return p ? *p : 0;
}

static uint16_t take_u16(struct cursor *c)
{
	const uint8_t *p = take(c, 2);

	return p ? le16_get(p) : 0;
}

static uint32_t take_u32(struct cursor *c)
{
	const uint8_t *p = take(c, 4);

	return p ? le32_get(p) : 0;
}

static uint64_t take_u64(struct cursor *c)
{
	const uint8_t *p = take(c, 8);

	return p ? le64_get(p) : 0;
}

static void take_bytes(struct cursor *c, void *ret, size_t len)
{
	const uint8_t *p = take(c, len);

	if (p) memcpy(ret, p, len);
}

static void take_text(struct cursor *c, char *ret, size_t size)
{
	size_t len = take_u16(c);
	const uint8_t *p = take(c, len);

	if (!p) return;
	if (len >= size || memchr(p, '\0', len)) {
		c->bad = true;
		return;
	}
	memcpy(ret, p, len);
	ret[len] = '\0';
}

static int cursor_end(const struct cursor *c, const char *what, struct err *e)
{
	if (!c->bad && c->left == 0) return 0;
	return err_set(e, ERR_PROTOCOL, "the peer sent a malformed %s", what);
}

static int put_u8(struct buf *b, uint8_t v, struct err *e)
{
	return buf_append(b, &v, 1, e);
}

static int put_u32(struct buf *b, uint32_t v, struct err *e)
{
	uint8_t p[4];

	le32_put(p, v);
	return buf_append(b, p, sizeof(p), e);
}

static int put_u64(struct buf *b, uint64_t v, struct err *e)
{
	uint8_t p[8];

	le64_put(p, v);
	return buf_append(b, p, sizeof(p), e);
}

static int put_u16(struct buf *b, uint16_t v, struct err *e)
{
	uint8_t p[2];

	le16_put(p, v);
	return buf_append(b, p, sizeof(p), e);
}

/* size is the field's: what has no NUL in it is cut there. */
static int put_text(struct buf *b, const char *text, size_t size, struct err *e)
{
	size_t len = strnlen(text, size - 1);
	int r = put_u16(b, (uint16_t)len, e);

	return r < 0 ? r : buf_append(b, text, len, e);
}

int wire_encode_hello(const struct wire_hello *h, struct buf *ret, struct err *e)
{
	int r = put_u32(ret, h->pid, e);

	if (r == 0) r = put_u16(ret, h->e_machine, e);
	if (r == 0) r = buf_append(ret, h->exe_sha256, sizeof(h->exe_sha256), e);
	if (r == 0) r = buf_append(ret, h->token, sizeof(h->token), e);
	if (r == 0) r = put_text(ret, h->version, sizeof(h->version), e);
	return r;
}

int wire_decode_hello(const void *data, size_t len, struct wire_hello *ret, struct err *e)
{
	struct cursor c = {data, len, false};
	struct wire_hello h = {0};
	int r;

	h.pid = take_u32(&c);
	h.e_machine = take_u16(&c);
	take_bytes(&c, h.exe_sha256, sizeof(h.exe_sha256));
	take_bytes(&c, h.token, sizeof(h.token));
	take_text(&c, h.version, sizeof(h.version));
	r = cursor_end(&c, "HELLO", e);
	if (r == 0) *ret = h;
	return r;
}

static int put_ranges(struct buf *b, const struct range *ranges, size_t count, struct err *e)
{
	int r;

	if (count > BUNDLE_RANGES_MAX)
		return err_set(e, ERR_INTERNAL, "an entry with %zu ranges", count);
	r = put_u32(b, (uint32_t)count, e);
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = put_u64(b, ranges[i].start, e);
		if (r == 0) r = put_u64(b, ranges[i].end, e);
	}
	return r;
}

/* The ranges are heap memory, NULL if there are none or the payload is bad. */
static int take_ranges(struct cursor *c, struct range **ret, size_t *ret_count, struct err *e)
{
	size_t count = take_u32(c);
	struct range *ranges;

	if (count > BUNDLE_RANGES_MAX || count * 16 > c->left) c->bad = true;
	if (c->bad || count == 0) return 0;
	ranges = calloc(count, sizeof(*ranges));
	if (!ranges) return err_set(e, ERR_NO_MEMORY, "no memory for %zu ranges", count);
	for (size_t i = 0; i < count; i++) {
		ranges[i].start = take_u64(c);
		ranges[i].end = take_u64(c);
	}
	*ret = ranges;
	*ret_count = count;
	return 0;
}

int wire_encode_entry(const struct bundle_entry *entry, struct buf *ret, struct err *e)
{
	int r = put_text(ret, entry->name, sizeof(entry->name), e);

	if (r == 0) r = put_u8(ret, (uint8_t)entry->status, e);
	if (r == 0) r = put_u8(ret, entry->in_tar, e);
	if (r == 0) r = put_text(ret, entry->reason, sizeof(entry->reason), e);
	if (r == 0) r = put_u64(ret, entry->header_offset, e);
	if (r == 0) r = put_u64(ret, entry->data_offset, e);
	if (r == 0) r = put_u64(ret, entry->size, e);
	if (r == 0) r = buf_append(ret, entry->sha256, sizeof(entry->sha256), e);
	if (r == 0) r = put_ranges(ret, entry->lost, entry->lost_count, e);
	if (r == 0) r = put_ranges(ret, entry->torn, entry->torn_count, e);
	return r;
}

static int decode_entry(struct cursor *c, struct bundle_entry *ret, struct err *e)
{
	uint8_t in_tar;
	int r;

	take_text(c, ret->name, sizeof(ret->name));
	ret->status = (enum entry_status)take_u8(c);
	in_tar = take_u8(c);
	ret->in_tar = in_tar != 0;
	take_text(c, ret->reason, sizeof(ret->reason));
	bundle_entry_set_reason(ret, ret->reason); /* in place: no control bytes */
	ret->header_offset = take_u64(c);
	ret->data_offset = take_u64(c);
	ret->size = take_u64(c);
	take_bytes(c, ret->sha256, sizeof(ret->sha256));
	r = take_ranges(c, &ret->lost, &ret->lost_count, e);
	if (r == 0) r = take_ranges(c, &ret->torn, &ret->torn_count, e);
	if (r < 0) return r;
	if (in_tar > 1) c->bad = true;
	r = cursor_end(c, "ENTRY", e);
	if (r < 0) return r;
	return bundle_entry_check(ret, e) < 0
		   ? err_set(e, ERR_PROTOCOL, "the peer's ENTRY: %s", e ? e->text : "")
		   : 0;
}

int wire_decode_entry(const void *data, size_t len, struct bundle_entry *ret, struct err *e)
{
	struct cursor c = {data, len, false};
	struct bundle_entry entry = {0};
	int r = decode_entry(&c, &entry, e);

	if (r < 0)
		bundle_entry_done(&entry);
	else
		*ret = entry;
	return r;
}

int wire_encode_resume(const struct wire_resume *resume, struct buf *ret, struct err *e)
{
	int r = buf_append(ret, resume->token, sizeof(resume->token), e);

	return r < 0 ? r : put_u64(ret, resume->received, e);
}

int wire_decode_resume(const void *data, size_t len, struct wire_resume *ret, struct err *e)
{
	struct cursor c = {data, len, false};
	struct wire_resume resume = {0};
	int r;

	take_bytes(&c, resume.token, sizeof(resume.token));
	resume.received = take_u64(&c);
	r = cursor_end(&c, "resumption", e);
	if (r == 0) *ret = resume;
	return r;
}

static int put_why(struct buf *ret, const struct err *why, struct err *e)
{
	int r = put_u32(ret, (uint32_t)why->code, e);

	if (r == 0) r = put_text(ret, why->text, sizeof(why->text), e);
	if (r == 0) r = put_text(ret, why->hint, sizeof(why->hint), e);
	return r;
}

static void take_why(struct cursor *c, struct err *ret)
{
	uint32_t code = take_u32(c);

	*ret = (struct err){0};
	take_text(c, ret->text, sizeof(ret->text));
	take_text(c, ret->hint, sizeof(ret->hint));
	if (code >= ERR_CODE_COUNT) c->bad = true;
	ret->code = (int)code;
}

int wire_encode_resumed(const struct err *why, struct buf *ret, struct err *e)
{
	return put_why(ret, why, e);
}

int wire_decode_resumed(const void *data, size_t len, struct err *ret_why, struct err *e)
{
	struct cursor c = {data, len, false};
	struct err why;
	int r;

	take_why(&c, &why);
	r = cursor_end(&c, "answer to a resumption", e);
	if (r == 0) *ret_why = why;
	return r;
}

uint32_t wire_read_bytes(const struct wire_read *read)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < read->count; i++)
		sum += read->ranges[i].end - read->ranges[i].start;
	return (uint32_t)sum;
}

int wire_encode_read(const struct wire_read *read, struct buf *ret, struct err *e)
{
	int r = put_u32(ret, read->id, e);

	if (r == 0) r = put_u32(ret, read->entry, e);
	if (r == 0) r = put_u32(ret, read->count, e);
	for (uint32_t i = 0; r == 0 && i < read->count; i++) {
		const struct range *range = &read->ranges[i];

		r = put_u64(ret, range->start, e);
		if (r == 0) r = put_u32(ret, (uint32_t)(range->end - range->start), e);
	}
	return r;
}

static struct range take_range(struct cursor *c)
{
	uint64_t start = take_u64(c), end;

	if (add_overflows(start, take_u32(c), &end) || end == start || end - start > WIRE_READ_MAX)
		c->bad = true;
	return (struct range){start, c->bad ? start : end};
}

int wire_decode_read(const void *data, size_t len, struct wire_read *ret, struct err *e)
{
	struct cursor c = {data, len, false};
	struct wire_read read = {0};
	int r;

	read.id = take_u32(&c);
	read.entry = take_u32(&c);
	read.count = take_u32(&c);
	if (read.count == 0 || read.count > WIRE_READ_RANGES) {
		c.bad = true;
		read.count = 0;
	}
	for (uint32_t i = 0; i < read.count; i++)
		read.ranges[i] = take_range(&c);
	if (wire_read_bytes(&read) > WIRE_READ_MAX) c.bad = true;
	r = cursor_end(&c, "READ", e);
	if (r == 0) *ret = read;
	return r;
}

int wire_encode_listed(const char *name, uint64_t size, struct buf *ret, struct err *e)
{
	int r = put_text(ret, name, BUNDLE_NAME_MAX, e);

	return r < 0 ? r : put_u64(ret, size, e);
}

int wire_decode_listed(const void *data, size_t len, struct bundle_entry *ret, struct err *e)
{
	struct cursor c = {data, len, false};
	struct bundle_entry entry = {.in_tar = true};
	int r;

	take_text(&c, entry.name, sizeof(entry.name));
	entry.size = take_u64(&c);
	if (!c.bad && bundle_entry_name_check(entry.name, NULL) < 0) c.bad = true;
	if (entry.size > INT64_MAX) c.bad = true;
	r = cursor_end(&c, "list of entries", e);
	if (r == 0) *ret = entry;
	return r;
}

int wire_encode_read_reply(const struct wire_read_reply *reply, struct buf *ret, struct err *e)
{
	int r = put_u32(ret, reply->id, e);

	if (r == 0) r = put_why(ret, &reply->why, e);
	if (r == 0) r = put_u32(ret, reply->plain_len, e);
	if (r == 0) r = buf_append(ret, reply->frame, reply->frame_len, e);
	return r;
}

int wire_decode_read_reply(const void *data, size_t len, struct wire_read_reply *ret, struct err *e)
{
	struct cursor c = {data, len, false};
	struct wire_read_reply reply = {0};
	int r;

	reply.id = take_u32(&c);
	take_why(&c, &reply.why);
	reply.plain_len = take_u32(&c);
	reply.frame_len = c.bad ? 0 : c.left;
	reply.frame = take(&c, reply.frame_len);
	if (reply.plain_len > WIRE_READ_MAX) c.bad = true;
	r = cursor_end(&c, "READ_REPLY", e);
	if (r == 0) *ret = reply;
	return r;
}

int wire_encode_progress(const struct wire_progress *p, struct buf *ret, struct err *e)
{
	int r = put_u64(ret, p->plain_done, e);

	return r < 0 ? r : put_u64(ret, p->plain_total, e);
}

int wire_decode_progress(const void *data, size_t len, struct wire_progress *ret, struct err *e)
{
	struct cursor c = {data, len, false};
	struct wire_progress p;
	int r;

	p.plain_done = take_u64(&c);
	p.plain_total = take_u64(&c);
	r = cursor_end(&c, "PROGRESS", e);
	if (r == 0) *ret = p;
	return r;
}

int wire_encode_end(const struct wire_end *end, struct buf *ret, struct err *e)
{
	int r = put_u32(ret, (uint32_t)end->error_code, e);

	if (r == 0) r = put_u64(ret, end->data_bytes, e);
	if (r == 0) r = buf_append(ret, end->sha256, sizeof(end->sha256), e);
	if (r == 0) r = put_text(ret, end->text, sizeof(end->text), e);
	if (r == 0) r = put_text(ret, end->hint, sizeof(end->hint), e);
	if (r == 0) r = put_text(ret, end->result_json, sizeof(end->result_json), e);
	return r;
}

int wire_decode_end(const void *data, size_t len, struct wire_end *ret, struct err *e)
{
	struct cursor c = {data, len, false};
	/* On the heap: it is larger than a stack frame should be. */
	_cleanup_free_ struct wire_end *end = calloc(1, sizeof(*end));
	uint32_t code;
	int r;

	if (!end) return err_set(e, ERR_NO_MEMORY, "no memory for the end of a session");
	code = take_u32(&c);
	end->data_bytes = take_u64(&c);
	take_bytes(&c, end->sha256, sizeof(end->sha256));
	take_text(&c, end->text, sizeof(end->text));
	take_text(&c, end->hint, sizeof(end->hint));
	take_text(&c, end->result_json, sizeof(end->result_json));
	if (code >= ERR_CODE_COUNT) c.bad = true;
	end->error_code = (int32_t)code;
	r = cursor_end(&c, "END", e);
	if (r == 0) *ret = *end;
	return r;
}

int wire_decode_data(const struct wire_frame *f, struct bundle_frame *ret, struct err *e)
{
	struct cursor c = {f->payload, f->len, false};
	uint32_t plain_len = take_u32(&c);

	if (c.bad || c.left == 0 || plain_len == 0 || plain_len > BUNDLE_FRAME_PLAIN_MAX)
		return err_set(e, ERR_PROTOCOL, "the peer sent a malformed DATA");
	*ret = (struct bundle_frame){
	    .data = c.p, .len = c.left, .plain_len = plain_len, .plain_offset = f->plain_offset};
	return 0;
}
