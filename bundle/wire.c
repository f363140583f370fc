#include "bundle/wire.h"

#include "bundle/le.h"
#include "bundle/outbox.h"

#include <inttypes.h>
#include <string.h>

static const uint8_t magic[4] = {'P', 'S', 'W', '1'};

enum { WINDOW_MAX = 1 << 30 };

/* Bytes taken from the front without moving the rest each time. */
struct queue {
	struct buf buf;
	size_t start; /* consumed bytes of buf */
};

struct wire {
	struct wire_config config;
	struct queue in;
	/* Frames of the stream are kept until they are acknowledged, all others until written. */
	struct outbox stream, control;
	size_t taken; /* bytes of in that the frame given out last occupies */
	uint64_t last_heard, last_sent;
	uint64_t sent, acked, received; /* stream offsets */
	uint64_t sent_ack;
	uint64_t received_plain; /* plain bytes that the received DATA stands for */
	bool end_received;
	struct sha256 digest; /* of DATA and ENTRY headers, whichever way they go */
	struct err failure;   /* code 0: none */
};

static size_t queue_len(const struct queue *q)
{
	return q->buf.len - q->start;
}

static const uint8_t *queue_data(const struct queue *q)
{
	return (const uint8_t *)q->buf.data + q->start;
}

static void queue_drop(struct queue *q, size_t len)
{
	q->start += len;
	/* Moved only when at least as much goes as stays: cheap over the queue's life. */
	if (q->start < q->buf.len - q->start) return;
	buf_consume(&q->buf, q->start);
	q->start = 0;
}

static int queue_append(struct queue *q, const void *data, size_t len, struct err *e)
{
	if (len > q->buf.max - q->buf.len && q->start > 0) {
		buf_consume(&q->buf, q->start);
		q->start = 0;
	}
	return buf_append(&q->buf, data, len, e);
}

int wire_new(struct wire **ret, const struct wire_config *config, uint64_t now, struct err *e)
{
	struct wire *w;

	if (config->window_bytes > WINDOW_MAX)
		return err_set(e, ERR_USAGE, "a window of %zu bytes, more than %d",
			       config->window_bytes, WINDOW_MAX);
	w = calloc(1, sizeof(*w));
	if (!w) return err_set(e, ERR_NO_MEMORY, "no memory for a connection");
	w->config = *config;
	w->last_heard = w->last_sent = now;
	/* What wire_next leaves is less than a frame. */
	buf_init(&w->in.buf, WIRE_HEADER_BYTES + WIRE_PAYLOAD_MAX + WIRE_FEED_MAX);
	sha256_init(&w->digest);
	*ret = w;
	return 0;
}

void wire_free(struct wire *w)
{
	if (!w) return;
	buf_done(&w->in.buf);
	outbox_done(&w->stream);
	outbox_done(&w->control);
	free(w);
}

static int check_alive(const struct wire *w, struct err *e)
{
	if (w->failure.code == 0) return 0;
	if (e) *e = w->failure;
	return -w->failure.code;
}

static int fail(struct wire *w, struct err *e)
{
	if (e) *e = w->failure;
	return -w->failure.code;
}

/* --- input --- */

int wire_feed(struct wire *w, const void *data, size_t len, uint64_t now, struct err *e)
{
	int r = check_alive(w, e);

	if (r < 0) return r;
	if (len == 0) return 0;
	queue_drop(&w->in, w->taken);
	w->taken = 0;
	r = queue_append(&w->in, data, len, e);
	if (r == 0) w->last_heard = MAX(w->last_heard, now);
	return r;
}

struct header {
	uint8_t type;
	uint32_t len, crc;
	uint64_t offset;
};

bool wire_is_stream(enum wire_type type)
{
	return type == WIRE_DATA || type == WIRE_ENTRY || type == WIRE_END;
}

static bool length_fits(unsigned type, uint32_t len)
{
	switch (type) {
	case WIRE_ACK:
		return len == 8;
	case WIRE_PING:
	case WIRE_CANCEL:
	case WIRE_BYE:
		return len == 0;
	case WIRE_DATA:
	case WIRE_ENTRY:
		return len > 0 && len <= WIRE_PAYLOAD_MAX;
	default:
		return len <= WIRE_PAYLOAD_MAX;
	}
}

/* Everything that can be told before the payload is there. Errors go to w->failure. */
static int read_header(struct wire *w, const uint8_t *p, struct header *ret)
{
	struct err *e = &w->failure;
	uint64_t expected;

	if (memcmp(p, magic, sizeof(magic)) != 0)
		return err_set(e, ERR_PROTOCOL,
			       "the peer sent something that is no frame: %02x %02x %02x %02x",
			       p[0], p[1], p[2], p[3]);
	if (p[4] != WIRE_VERSION)
		return err_set(e, ERR_PROTOCOL, "the peer speaks wire version %u, not %d", p[4],
			       WIRE_VERSION);
	*ret = (struct header){
	    .type = p[5],
	    .len = le32_get(p + 8),
	    .crc = le32_get(p + 12),
	    .offset = le64_get(p + 16),
	};
	if (ret->type < WIRE_HELLO || ret->type > WIRE_TYPE_MAX || le16_get(p + 6) != 0)
		return err_set(e, ERR_PROTOCOL,
			       "the peer sent a frame of unknown type %u, flags %u", ret->type,
			       le16_get(p + 6));
	if (!length_fits(ret->type, ret->len))
		return err_set(e, ERR_PROTOCOL, "the peer sent %" PRIu32 " bytes as frame type %u",
			       ret->len, ret->type);
	expected = wire_is_stream(ret->type) ? w->received : 0;
	if (ret->offset != expected)
		return err_set(e, ERR_PROTOCOL,
			       "the peer's frame of type %u is at stream offset %" PRIu64
			       " instead of %" PRIu64,
			       ret->type, ret->offset, expected);
	return 0;
}

static uint32_t frame_crc(const uint8_t header[WIRE_HEADER_BYTES], const void *payload, size_t len)
{
	uint8_t copy[WIRE_HEADER_BYTES];

	memcpy(copy, header, sizeof(copy));
	le32_put(copy + 12, 0);
	return crc32c(crc32c(0, copy, sizeof(copy)), payload, len);
}

static int take_ack(struct wire *w, uint64_t offset)
{
	if (offset > w->sent || offset < w->acked)
		return err_set(&w->failure, ERR_PROTOCOL,
			       "the peer acknowledged %" PRIu64 " bytes; %" PRIu64
			       " were sent, %" PRIu64 " acknowledged before",
			       offset, w->sent, w->acked);
	w->acked = offset;
	outbox_drop(&w->stream, offset);
	return 0;
}

static int take_stream(struct wire *w, const struct header *h, const uint8_t *payload)
{
	if (w->sent > 0)
		return err_set(&w->failure, ERR_PROTOCOL, "the peer sent data to a sender of data");
	if (w->end_received)
		return err_set(&w->failure, ERR_PROTOCOL, "the peer sent data after its end");
	w->end_received = h->type == WIRE_END;
	if (w->end_received) return 0;
	sha256_update(&w->digest, payload - WIRE_HEADER_BYTES, WIRE_HEADER_BYTES);
	w->received += h->len;
	if (h->type == WIRE_DATA) w->received_plain += h->len >= 4 ? le32_get(payload) : 0;
	return 0;
}

/* Acts on a checked frame: 1 to give it out, 0 when it was for us. */
static int take_frame(struct wire *w, const struct header *h, const uint8_t *payload)
{
	int r;

	switch (h->type) {
	case WIRE_ACK:
		return take_ack(w, le64_get(payload));
	case WIRE_PING:
		return 0;
	case WIRE_DATA:
	case WIRE_ENTRY:
	case WIRE_END:
		r = take_stream(w, h, payload);
		return r < 0 ? r : 1;
	default:
		return 1;
	}
}

int wire_next(struct wire *w, struct wire_frame *ret, struct err *e)
{
	int r = check_alive(w, e);

	while (r == 0) {
		uint64_t plain_offset = w->received_plain;
		const uint8_t *p, *payload;
		struct header h = {0};

		queue_drop(&w->in, w->taken);
		w->taken = 0;
		if (queue_len(&w->in) < WIRE_HEADER_BYTES) return 0;
		p = queue_data(&w->in);
		payload = p + WIRE_HEADER_BYTES;
		if (read_header(w, p, &h) < 0) return fail(w, e);
		if (queue_len(&w->in) - WIRE_HEADER_BYTES < h.len) return 0;
		if (frame_crc(p, payload, h.len) != h.crc) {
			err_set(&w->failure, ERR_PROTOCOL,
				"a frame of type %u, %" PRIu32 " bytes, arrived damaged", h.type,
				h.len);
			return fail(w, e);
		}
		w->taken = WIRE_HEADER_BYTES + h.len;
		r = take_frame(w, &h, payload);
		if (r < 0) return fail(w, e);
		if (r == 1)
			*ret = (struct wire_frame){.type = h.type,
						   .offset = h.offset,
						   .plain_offset = plain_offset,
						   .payload = payload,
						   .len = h.len};
	}
	return r;
}

/* --- output --- */

static bool is_full(const struct wire *w, enum wire_type type)
{
	return wire_is_stream(type) ? !wire_may_send(w) : w->control.bytes > WIRE_QUEUE_MAX;
}

static void write_header(const struct wire *w, enum wire_type type, size_t len, uint8_t *p)
{
	memset(p, 0, WIRE_HEADER_BYTES);
	memcpy(p, magic, sizeof(magic));
	p[4] = WIRE_VERSION;
	p[5] = (uint8_t)type;
	le32_put(p + 8, (uint32_t)len);
	le64_put(p + 16, wire_is_stream(type) ? w->sent : 0);
}

/* Queues header and payload; the payload may come in two parts. */
static int send_parts(struct wire *w, enum wire_type type, const void *head, size_t head_len,
		      const void *body, size_t body_len, struct err *e)
{
	size_t len = head_len + body_len;
	/* END is never dropped: that it arrived is said by BYE. */
	uint64_t end = type == WIRE_END ? UINT64_MAX : w->sent + len;
	uint8_t *p;

	if (!length_fits(type, (uint32_t)MIN(len, (size_t)UINT32_MAX)))
		return err_set(e, ERR_INTERNAL, "%zu bytes as a frame of type %d", len, (int)type);
	if (is_full(w, type)) return err_set(e, ERR_LIMIT, "the peer takes nothing now");
	p = outbox_add(wire_is_stream(type) ? &w->stream : &w->control, w->sent, end,
		       WIRE_HEADER_BYTES + len);
	if (!p) return err_set(e, ERR_NO_MEMORY, "no memory for %zu bytes of output", len);
	write_header(w, type, len, p);
	if (head_len) memcpy(p + WIRE_HEADER_BYTES, head, head_len);
	if (body_len) memcpy(p + WIRE_HEADER_BYTES + head_len, body, body_len);
	le32_put(p + 12, crc32c(0, p, WIRE_HEADER_BYTES + len));
	if (!wire_is_stream(type) || type == WIRE_END) return 0;
	sha256_update(&w->digest, p, WIRE_HEADER_BYTES);
	w->sent = end;
	return 0;
}

int wire_send(struct wire *w, enum wire_type type, const void *payload, size_t len, struct err *e)
{
	int r = check_alive(w, e);

	if (r < 0) return r;
	if (type == WIRE_DATA || type == WIRE_ACK)
		return err_set(e, ERR_INTERNAL, "frame type %d has its own function", (int)type);
	return send_parts(w, type, NULL, 0, payload, len, e);
}

bool wire_may_send(const struct wire *w)
{
	const size_t frame_max = WIRE_HEADER_BYTES + WIRE_PAYLOAD_MAX;
	size_t window = w->config.window_bytes;

	if (w->failure.code != 0) return false;
	return !w->stream.first || (window >= frame_max && w->stream.bytes <= window - frame_max);
}

int wire_send_data(struct wire *w, const struct bundle_frame *frame, struct err *e)
{
	uint8_t plain_len[4];
	int r = check_alive(w, e);

	if (r < 0) return r;
	if (frame->len > BUNDLE_FRAME_MAX)
		return err_set(e, ERR_INTERNAL, "a zstd frame of %zu bytes", frame->len);
	if (w->received > 0) return err_set(e, ERR_INTERNAL, "data sent by a receiver of data");
	le32_put(plain_len, frame->plain_len);
	return send_parts(w, WIRE_DATA, plain_len, sizeof(plain_len), frame->data, frame->len, e);
}

int wire_send_ack(struct wire *w, uint64_t offset, struct err *e)
{
	uint8_t payload[8];
	int r = check_alive(w, e);

	if (r < 0) return r;
	if (offset > w->received || offset < w->sent_ack)
		return err_set(e, ERR_USAGE,
			       "an acknowledgement of %" PRIu64 " bytes, with %" PRIu64
			       " received and %" PRIu64 " acknowledged",
			       offset, w->received, w->sent_ack);
	le64_put(payload, offset);
	r = send_parts(w, WIRE_ACK, payload, sizeof(payload), NULL, 0, e);
	if (r == 0) w->sent_ack = offset;
	return r;
}

/* A frame that was begun is written to its end; then what is not of the stream goes first. */
static struct outbox *writable(const struct wire *w)
{
	bool stream = !outbox_is_at_frame(&w->stream) || !w->control.unwritten;

	return (struct outbox *)(stream ? &w->stream : &w->control);
}

size_t wire_output(const struct wire *w, const void **ret)
{
	return outbox_output(writable(w), ret);
}

void wire_written(struct wire *w, size_t len, uint64_t now)
{
	if (len == 0) return;
	outbox_written(writable(w), len);
	outbox_drop(&w->control, UINT64_MAX);
	outbox_drop(&w->stream, w->acked);
	w->last_sent = MAX(w->last_sent, now);
}

/* What the log says is not lost with a connection. */
static void keep_logs(struct wire *w)
{
	struct outbox kept = {0};

	for (const struct outbox_frame *f = w->control.first; f; f = f->next) {
		uint8_t *p = f->bytes[5] == WIRE_LOG ? outbox_add(&kept, 0, 0, f->len) : NULL;

		if (p) memcpy(p, f->bytes, f->len);
	}
	outbox_done(&w->control);
	w->control = kept;
}

int wire_reconnect(struct wire *w, uint64_t peer_received, uint64_t now, struct err *e)
{
	int r = check_alive(w, e);

	if (r < 0) return r;
	/* Nothing is kept once all was acknowledged. */
	if (!outbox_rewind(&w->stream, peer_received) &&
	    (w->stream.first || peer_received != w->sent))
		return err_set(e, ERR_PROTOCOL,
			       "the stream cannot go on at offset %" PRIu64 ": %" PRIu64
			       " bytes were sent, %" PRIu64 " acknowledged",
			       peer_received, w->sent, w->acked);
	w->acked = MAX(w->acked, peer_received);
	outbox_drop(&w->stream, w->acked);
	keep_logs(w);
	buf_clear(&w->in.buf);
	w->in.start = w->taken = 0;
	w->last_heard = w->last_sent = now;
	w->end_received = false;
	return 0;
}

uint64_t wire_sent(const struct wire *w)
{
	return w->sent;
}

uint64_t wire_acked(const struct wire *w)
{
	return w->acked;
}

uint64_t wire_received(const struct wire *w)
{
	return w->received;
}

void wire_digest(const struct wire *w, uint8_t ret_sha256[SHA256_BYTES], uint64_t *ret_bytes)
{
	struct sha256 digest = w->digest; /* the running one goes on */

	sha256_final(&digest, ret_sha256);
	*ret_bytes = w->sent > 0 ? w->sent : w->received;
}

/* --- time --- */

static uint64_t later(uint64_t when, uint64_t by)
{
	uint64_t sum;

	return by == 0 || add_overflows(when, by, &sum) ? UINT64_MAX : sum;
}

static uint64_t ping_deadline(const struct wire *w)
{
	const void *output;

	return wire_output(w, &output) > 0 ? UINT64_MAX : later(w->last_sent, w->config.ping_ns);
}

uint64_t wire_deadline(const struct wire *w)
{
	return MIN(ping_deadline(w), later(w->last_heard, w->config.silence_ns));
}

int wire_tick(struct wire *w, uint64_t now, struct err *e)
{
	int r = check_alive(w, e);

	if (r < 0) return r;
	if (now >= later(w->last_heard, w->config.silence_ns))
		return err_set(e, ERR_TIMEOUT, "the peer was silent for %" PRIu64 " ms",
			       (now - w->last_heard) / NS_PER_MS);
	if (now < ping_deadline(w)) return 0;
	return send_parts(w, WIRE_PING, NULL, 0, NULL, 0, e);
}
