/*
 * The receiving side of the wire and all payload decoders. The first byte says how: bit 0, frames
 * get right magics and checksums, so that what is behind them is reached; the rest, how the input
 * is cut into pieces.
 */
#include "bundle/le.h"
#include "bundle/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a sender of these frames would have put there. */
static void repair(uint8_t *p, size_t len)
{
	while (len >= WIRE_HEADER_BYTES) {
		size_t payload = le32_get(p + 8);

		if (payload > len - WIRE_HEADER_BYTES) payload = len - WIRE_HEADER_BYTES;
		memcpy(p, "PSW1\1", 5);
		le32_put(p + 8, (uint32_t)payload);
		le32_put(p + 12, 0);
		le32_put(p + 12, crc32c(0, p, WIRE_HEADER_BYTES + payload));
		p += WIRE_HEADER_BYTES + payload;
		len -= WIRE_HEADER_BYTES + payload;
	}
}

/* A decoder that takes a payload must give back what encodes to the same bytes. */
static void check_entry(const uint8_t *payload, size_t len)
{
	struct buf again = BUF_INIT(WIRE_PAYLOAD_MAX);
	struct bundle_entry entry;

	if (wire_decode_entry(payload, len, &entry, NULL) < 0) return;
	if (bundle_entry_check(&entry, NULL) < 0) abort();
	if (wire_encode_entry(&entry, &again, NULL) < 0 || again.len != len) abort();
	bundle_entry_done(&entry);
	buf_done(&again);
}

static void decode(const struct wire_frame *f)
{
	static struct wire_end end;
	struct wire_progress progress;
	struct wire_hello hello;
	struct bundle_frame frame;
	struct bundle_entry listed;
	struct wire_resume resume;
	struct wire_read read;
	struct wire_read_reply reply;
	struct err why;

	/* Every decoder on every payload: a peer may mislabel. */
	wire_decode_hello(f->payload, f->len, &hello, NULL);
	wire_decode_progress(f->payload, f->len, &progress, NULL);
	wire_decode_end(f->payload, f->len, &end, NULL);
	wire_decode_resume(f->payload, f->len, &resume, NULL);
	wire_decode_resumed(f->payload, f->len, &why, NULL);
	wire_decode_read(f->payload, f->len, &read, NULL);
	wire_decode_listed(f->payload, f->len, &listed, NULL);
	if (wire_decode_read_reply(f->payload, f->len, &reply, NULL) == 0 &&
	    reply.frame_len > f->len)
		abort();
	check_entry(f->payload, f->len);
	if (f->type == WIRE_DATA && wire_decode_data(f, &frame, NULL) == 0 &&
	    frame.len + 4 != f->len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct wire_config config = {.ping_ns = 5, .silence_ns = 50, .window_bytes = 1 << 20};
	size_t piece, len = size > 0 ? size - 1 : 0;
	struct wire_frame frame;
	uint8_t *copy;
	struct wire *w;

	if (len == 0 || len > (1 << 20)) return 0;
	copy = malloc(len);
	if (!copy || wire_new(&w, &config, 0, NULL) < 0) abort();
	memcpy(copy, data + 1, len);
	if (data[0] & 1) repair(copy, len);
	piece = data[0] >> 1 ? (size_t)(data[0] >> 1) : len;
	for (size_t at = 0; at < len; at += piece) {
		int r = wire_feed(w, copy + at, MIN(piece, len - at), at, NULL);

		while (r >= 0 && (r = wire_next(w, &frame, NULL)) == 1)
			decode(&frame);
		wire_tick(w, at, NULL);
		/* An error is final. */
		if (r < 0 && wire_next(w, &frame, NULL) != r) abort();
		if (r < 0) break;
	}
	wire_free(w);
	free(copy);
	return 0;
}
