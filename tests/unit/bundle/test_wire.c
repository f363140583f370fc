#include "bundle_test.h"

#include "bundle/le.h"
#include "bundle/wire.h"

#define SECOND ((uint64_t)NS_PER_S)

static struct wire *make_wire(size_t window)
{
	const struct wire_config config = {
	    .ping_ns = 5 * SECOND, .silence_ns = 20 * SECOND, .window_bytes = window};
	struct wire *w;

	assert_ok(wire_new(&w, &config, 100 * SECOND, &test_err));
	return w;
}

/* Moves what waits in from to to, in pieces of up to max_piece bytes; frames go to on_frame. */
typedef void (*frame_fn)(void *ctx, const struct wire_frame *f);

static void drain(struct wire *w, frame_fn on_frame, void *ctx)
{
	struct wire_frame f;

	for (;;) {
		int r = wire_next(w, &f, &test_err);

		if (r < 0) fail_msg("wire_next: %s", test_err.text);
		if (r == 0) return;
		if (on_frame) on_frame(ctx, &f);
	}
}

static void transfer(struct wire *from, struct wire *to, size_t max_piece, frame_fn on_frame,
		     void *ctx)
{
	const void *out;
	size_t len;

	while ((len = wire_output(from, &out)) > 0) {
		size_t piece = 1 + random_below(max_piece);

		piece = MIN(piece, len);
		assert_ok(wire_feed(to, out, piece, 100 * SECOND, &test_err));
		wire_written(from, piece, 100 * SECOND);
		drain(to, on_frame, ctx);
	}
}

struct received {
	struct buf log; /* of what arrived: type, offset, payload */
	uint64_t plain;
	bool ended;
};

static void note(void *ctx, const struct wire_frame *f)
{
	struct received *got = ctx;
	struct bundle_frame frame;

	assert_ok(buf_append(&got->log, &f->type, sizeof(f->type), &test_err));
	assert_ok(buf_append(&got->log, &f->offset, sizeof(f->offset), &test_err));
	assert_ok(buf_append(&got->log, f->payload, f->len, &test_err));
	got->ended = f->type == WIRE_END;
	if (f->type != WIRE_DATA) return;
	assert_ok(wire_decode_data(f, &frame, &test_err));
	assert_int_equal(frame.plain_offset, got->plain);
	got->plain += frame.plain_len;
}

/* What note() writes of the HELLO of send_some. */
enum { HELLO_LOGGED = sizeof(enum wire_type) + sizeof(uint64_t) + 5 };

static void send_some(struct wire *w, int count)
{
	static uint8_t data[BUNDLE_FRAME_MAX];

	random_fill(data, 1 << 16);
	assert_ok(wire_send(w, WIRE_HELLO, "hello", 5, &test_err));
	for (int i = 0; i < count; i++) {
		struct bundle_frame frame = {.data = data,
					     .len =
						 1 + random_below(random_below(4) ? 3000 : 200000),
					     .plain_len = 1 + (uint32_t)random_below(1 << 20)};

		assert_ok(wire_send_data(w, &frame, &test_err));
		assert_ok(wire_send(w, WIRE_ENTRY, data, 1 + random_below(500), &test_err));
	}
	assert_ok(wire_send(w, WIRE_END, "end", 3, &test_err));
}

/* However the bytes are cut, the same frames come out. */
static void splitting_does_not_matter(void **state)
{
	const size_t pieces[] = {1, 7, 100, 70000, WIRE_FEED_MAX};
	struct received first = {.log = BUF_INIT(SIZE_MAX)};
	uint64_t seed = random_state;

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct wire *from = make_wire(64 << 20), *to = make_wire(0);
		struct received got = {.log = BUF_INIT(SIZE_MAX)};
		uint8_t sent_hash[SHA256_BYTES], got_hash[SHA256_BYTES];
		uint64_t sent_bytes, got_bytes;

		random_state = seed; /* the same frames each time */
		send_some(from, 5);
		transfer(from, to, pieces[i], note, i == 0 ? &first : &got);
		if (i > 0) {
			assert_int_equal(got.log.len, first.log.len);
			assert_memory_equal(got.log.data, first.log.data, got.log.len);
		}
		wire_digest(from, sent_hash, &sent_bytes);
		wire_digest(to, got_hash, &got_bytes);
		assert_int_equal(sent_bytes, got_bytes);
		assert_int_equal(sent_bytes, wire_sent(from));
		assert_memory_equal(sent_hash, got_hash, sizeof(sent_hash));
		buf_done(&got.log);
		wire_free(from);
		wire_free(to);
	}
	buf_done(&first.log);
}

/* Connections that end anywhere: what was under way is lost, and is sent again. The log is that of
 * an unbroken one. */
static void a_lost_connection_loses_nothing(void **state)
{
	struct wire *from = make_wire(64 << 20), *to = make_wire(0);
	struct received got = {.log = BUF_INIT(SIZE_MAX)}, whole = {.log = BUF_INIT(SIZE_MAX)};
	uint64_t seed = random_state;
	int cuts = 0;
	const void *out;
	size_t len;

	send_some(from, 30);
	transfer(from, to, 100000, note, &whole);
	wire_free(from);
	wire_free(to);
	random_state = seed;
	from = make_wire(64 << 20);
	to = make_wire(0);
	send_some(from, 30);
	while (!got.ended && (len = wire_output(from, &out)) > 0) {
		size_t piece = 1 + random_below(100000);
		bool arrives = random_below(8) > 0;

		piece = MIN(piece, len);
		if (arrives) assert_ok(wire_feed(to, out, piece, 100 * SECOND, &test_err));
		wire_written(from, piece, 100 * SECOND);
		drain(to, note, &got);
		if (random_below(3) == 0)
			assert_ok(wire_send_ack(to, wire_received(to), &test_err));
		if (random_below(3) == 0) transfer(to, from, 50, NULL, NULL);
		if (got.ended || (arrives && random_below(5) > 0)) continue;
		assert_ok(wire_reconnect(to, 0, 100 * SECOND, &test_err));
		assert_ok(wire_reconnect(from, wire_received(to), 100 * SECOND, &test_err));
		assert_true(wire_acked(from) == wire_received(to));
		cuts++;
	}
	assert_true(got.ended && cuts >= 3);
	len = got.log.len - MIN(got.log.len, whole.log.len - HELLO_LOGGED);
	assert_true(len == 0 || len == HELLO_LOGGED);
	assert_memory_equal(got.log.data + len, whole.log.data + HELLO_LOGGED, got.log.len - len);
	assert_int_equal(got.plain, whole.plain);
	assert_int_equal(wire_received(to), wire_sent(from));
	buf_done(&got.log);
	buf_done(&whole.log);
	wire_free(from);
	wire_free(to);
}

static void it_goes_on_only_where_a_kept_frame_begins(void **state)
{
	const struct bundle_frame frame = {.data = "frame", .len = 5, .plain_len = 9};
	struct wire *from = make_wire(4 << 20), *to = make_wire(0);
	const void *out;

	for (int i = 0; i < 3; i++)
		assert_ok(wire_send_data(from, &frame, &test_err));
	transfer(from, to, 10, NULL, NULL);
	assert_int_equal(wire_output(from, &out), 0);
	assert_int_equal(wire_reconnect(from, 8, 1, &test_err), -ERR_PROTOCOL);
	assert_int_equal(wire_reconnect(from, 28, 1, &test_err), -ERR_PROTOCOL);
	assert_int_equal(wire_output(from, &out), 0);
	assert_ok(wire_reconnect(from, 9, 1, &test_err));
	assert_int_equal(wire_output(from, &out), WIRE_HEADER_BYTES + 9);
	/* What was acknowledged is gone. */
	assert_int_equal(wire_reconnect(from, 0, 1, &test_err), -ERR_PROTOCOL);
	assert_ok(wire_reconnect(from, 27, 1, &test_err));
	assert_int_equal(wire_output(from, &out), 0);
	assert_ok(wire_reconnect(from, 27, 1, &test_err));
	/* END stays until the connection does. */
	assert_ok(wire_send(from, WIRE_END, "end", 3, &test_err));
	transfer(from, to, 10, NULL, NULL);
	assert_ok(wire_send_ack(to, 27, &test_err));
	transfer(to, from, 10, NULL, NULL);
	assert_ok(wire_reconnect(from, 27, 1, &test_err));
	assert_int_equal(wire_output(from, &out), WIRE_HEADER_BYTES + 3);
	wire_free(from);
	wire_free(to);
}

static void resume_survives_its_codec(void **state)
{
	struct wire_resume resume = {.received = 0x0123456789abcdefull}, read;
	struct buf payload = BUF_INIT(100);

	random_fill(resume.token, sizeof(resume.token));
	assert_ok(wire_encode_resume(&resume, &payload, &test_err));
	assert_ok(wire_decode_resume(payload.data, payload.len, &read, &test_err));
	assert_memory_equal(&read, &resume, sizeof(resume));
	assert_int_equal(wire_decode_resume(payload.data, payload.len - 1, &read, &test_err),
			 -ERR_PROTOCOL);
	buf_done(&payload);
}

/* All that waits to be written, as one piece. */
static void collect(struct wire *w, struct buf *ret)
{
	const void *out;
	size_t len;

	while ((len = wire_output(w, &out)) > 0) {
		assert_ok(buf_append(ret, out, len, &test_err));
		wire_written(w, len, 100 * SECOND);
	}
}

/* Counts only frames that come out; feeds as much as it can. Returns wire_next's last result. */
static int feed_all(struct wire *w, const uint8_t *data, size_t len, size_t *ret_frames)
{
	struct wire_frame f;
	int r = 0;

	*ret_frames = 0;
	for (size_t at = 0; at < len && r >= 0;) {
		size_t piece = MIN(len - at, (size_t)WIRE_FEED_MAX);

		r = wire_feed(w, data + at, piece, 100 * SECOND, &test_err);
		at += piece;
		while (r >= 0 && (r = wire_next(w, &f, &test_err)) == 1)
			(*ret_frames)++;
	}
	return r;
}

/* A flipped bit anywhere is an error, or leaves the stream waiting; it never passes as a frame. */
static void damage_is_found(void **state)
{
	struct wire *from = make_wire(16 << 20);
	struct buf out = BUF_INIT(SIZE_MAX);
	size_t total, whole, len;
	uint8_t *copy;

	send_some(from, 3);
	collect(from, &out);
	len = out.len;
	copy = malloc(len);
	assert_non_null(copy);
	for (int i = 0; i < 2000; i++) {
		struct wire *to = make_wire(0);
		size_t at = i < 24 ? (size_t)i : random_below(len);
		int r;

		memcpy(copy, out.data, len);
		copy[at] ^= (uint8_t)(1u << random_below(8));
		r = feed_all(to, copy, len, &total);
		if (r >= 0) {
			/* A length that grew swallows what follows; then nothing more comes. */
			assert_int_equal(r, 0);
			assert_true(total < 8);
		} else {
			assert_int_equal(r, -ERR_PROTOCOL);
			/* Final. */
			assert_int_equal(wire_feed(to, "x", 1, 100 * SECOND, NULL), -ERR_PROTOCOL);
			assert_int_equal(wire_tick(to, 100 * SECOND, NULL), -ERR_PROTOCOL);
			assert_int_equal(wire_reconnect(to, 0, 1, NULL), -ERR_PROTOCOL);
			assert_false(wire_may_send(to));
		}
		wire_free(to);
	}
	struct wire *to = make_wire(0);
	assert_int_equal(feed_all(to, (uint8_t *)out.data, len, &whole), 0);
	assert_int_equal(whole, 8);
	buf_done(&out);
	wire_free(to);
	wire_free(from);
	free(copy);
}

/* A frame with a header of our choice and a right checksum. */
static size_t forge(uint8_t *ret, uint8_t type, uint32_t announced, uint64_t offset,
		    const void *payload, size_t len)
{
	memset(ret, 0, WIRE_HEADER_BYTES);
	memcpy(ret, "PSW1", 4);
	ret[4] = WIRE_VERSION;
	ret[5] = type;
	le32_put(ret + 8, announced);
	le64_put(ret + 16, offset);
	if (len > 0) memcpy(ret + WIRE_HEADER_BYTES, payload, len);
	le32_put(ret + 12, crc32c(0, ret, WIRE_HEADER_BYTES + len));
	return WIRE_HEADER_BYTES + len;
}

static void expect_protocol_error(struct wire *w, const uint8_t *data, size_t len)
{
	size_t frames;

	assert_int_equal(feed_all(w, data, len, &frames), -ERR_PROTOCOL);
	assert_int_equal(test_err.code, ERR_PROTOCOL);
	wire_free(w);
}

static void bad_headers_are_refused(void **state)
{
	const uint8_t zeros[16] = {0};
	uint8_t raw[128];
	size_t len;

	/* Too long: refused by the header alone. */
	len = forge(raw, WIRE_DATA, WIRE_PAYLOAD_MAX + 1, 0, NULL, 0);
	expect_protocol_error(make_wire(0), raw, len);
	len = forge(raw, WIRE_LOG, UINT32_MAX, 0, NULL, 0);
	expect_protocol_error(make_wire(0), raw, len);
	len = forge(raw, WIRE_PING, 1, 0, NULL, 0);
	expect_protocol_error(make_wire(0), raw, len);
	len = forge(raw, WIRE_ACK, 7, 0, NULL, 0);
	expect_protocol_error(make_wire(0), raw, len);
	len = forge(raw, 0, 0, 0, NULL, 0);
	expect_protocol_error(make_wire(0), raw, len);
	len = forge(raw, WIRE_TYPE_MAX + 1, 0, 0, NULL, 0);
	expect_protocol_error(make_wire(0), raw, len);
	/* The offset would not tell it from its neighbours. */
	len = forge(raw, WIRE_ENTRY, 0, 0, NULL, 0);
	expect_protocol_error(make_wire(0), raw, len);
	/* Offsets: DATA that does not follow, an offset where none belongs. */
	len = forge(raw, WIRE_DATA, 16, 1, zeros, 16);
	expect_protocol_error(make_wire(0), raw, len);
	len = forge(raw, WIRE_LOG, 16, 1, zeros, 16);
	expect_protocol_error(make_wire(0), raw, len);
	/* An acknowledgement of what was never sent. */
	len = forge(raw, WIRE_ACK, 8, 0, "\1\0\0\0\0\0\0\0", 8);
	expect_protocol_error(make_wire(0), raw, len);
	/* Another version names both. */
	len = forge(raw, WIRE_PING, 0, 0, NULL, 0);
	raw[4] = 2;
	expect_protocol_error(make_wire(0), raw, len);
	assert_non_null(strstr(test_err.text, "version 2"));
	/* Junk before the first frame, as a shell's message would be. */
	expect_protocol_error(make_wire(0), (const uint8_t *)"sh: can't open 'x': no such file",
			      32);
}

static void data_goes_one_way_and_not_after_end(void **state)
{
	const struct bundle_frame frame = {.data = "frame", .len = 5, .plain_len = 9};
	struct wire *w = make_wire(1 << 20);
	uint8_t raw[128];
	size_t len;

	assert_ok(wire_send_data(w, &frame, &test_err));
	len = forge(raw, WIRE_DATA, 9, 0, "\1\0\0\0frame", 9);
	expect_protocol_error(w, raw, len);

	w = make_wire(1 << 20);
	len = forge(raw, WIRE_END, 3, 0, "end", 3);
	len += forge(raw + len, WIRE_DATA, 9, 0, "\1\0\0\0frame", 9);
	expect_protocol_error(w, raw, len);

	w = make_wire(1 << 20);
	size_t frames;
	len = forge(raw, WIRE_DATA, 9, 0, "\1\0\0\0frame", 9);
	assert_int_equal(feed_all(w, raw, len, &frames), 0);
	assert_int_equal(frames, 1);
	assert_int_equal(wire_send_data(w, &frame, &test_err), -ERR_INTERNAL);
	wire_free(w);
}

static void window_bounds_what_is_unacknowledged(void **state)
{
	static uint8_t data[500000];
	const struct bundle_frame frame = {.data = data, .len = sizeof(data), .plain_len = 1 << 20};
	const size_t window = 4 << 20;
	struct wire *from = make_wire(window), *to = make_wire(0);
	int sent = 0;

	for (int round = 0; round < 50; round++) {
		while (wire_may_send(from)) {
			assert_ok(wire_send_data(from, &frame, &test_err));
			assert_true(wire_sent(from) - wire_acked(from) <= window);
			sent++;
		}
		assert_int_equal(wire_send_data(from, &frame, &test_err), -ERR_LIMIT);
		transfer(from, to, WIRE_FEED_MAX, NULL, NULL);
		assert_false(wire_may_send(from)); /* written is not acknowledged */
		assert_int_equal(wire_received(to), wire_sent(from));
		assert_ok(wire_send_ack(to, wire_received(to), &test_err));
		transfer(to, from, 5, NULL, NULL);
		assert_int_equal(wire_acked(from), wire_sent(from));
		assert_true(wire_may_send(from));
	}
	assert_true(sent > 50);
	assert_int_equal(wire_send_ack(to, wire_received(to) + 1, &test_err), -ERR_USAGE);
	assert_int_equal(wire_send_ack(to, wire_received(to) - 1, &test_err), -ERR_USAGE);
	wire_free(from);
	wire_free(to);
}

/* A window smaller than a frame still lets one go at a time. */
static void small_window_goes_on(void **state)
{
	static uint8_t data[BUNDLE_FRAME_MAX];
	const struct bundle_frame frame = {.data = data, .len = sizeof(data), .plain_len = 1};
	struct wire *from = make_wire(1), *to = make_wire(0);

	for (int i = 0; i < 5; i++) {
		assert_true(wire_may_send(from));
		assert_ok(wire_send_data(from, &frame, &test_err));
		assert_false(wire_may_send(from));
		transfer(from, to, WIRE_FEED_MAX, NULL, NULL);
		assert_ok(wire_send_ack(to, wire_received(to), &test_err));
		transfer(to, from, 100, NULL, NULL);
	}
	wire_free(from);
	wire_free(to);
}

static void full_queue_takes_no_half_frames(void **state)
{
	static uint8_t text[100000];
	struct wire *from = make_wire(0), *to = make_wire(0);
	struct received got = {.log = BUF_INIT(SIZE_MAX)};
	int queued = 0, r;

	while ((r = wire_send(from, WIRE_LOG, text, sizeof(text), &test_err)) == 0)
		queued++;
	assert_int_equal(r, -ERR_LIMIT);
	assert_true(queued >= 10);
	transfer(from, to, 30000, note, &got);
	assert_int_equal(got.log.len, (size_t)queued * (sizeof(enum wire_type) + 8 + sizeof(text)));
	assert_ok(wire_send(from, WIRE_LOG, text, sizeof(text), &test_err));
	buf_done(&got.log);
	wire_free(from);
	wire_free(to);
}

static void feeding_without_taking_is_bounded(void **state)
{
	static uint8_t raw[WIRE_HEADER_BYTES + 1000];
	struct wire *w = make_wire(0);
	size_t frames = 0, fed = 0, len = forge(raw, WIRE_LOG, 1000, 0, raw + 24, 1000);
	struct wire_frame f;
	int r;

	while ((r = wire_feed(w, raw, len, 100 * SECOND, &test_err)) == 0)
		fed++;
	assert_int_equal(r, -ERR_LIMIT);
	assert_true(fed * len >= WIRE_FEED_MAX);
	while ((r = wire_next(w, &f, &test_err)) == 1)
		frames++;
	assert_int_equal(r, 0);
	assert_int_equal(frames, fed);
	assert_ok(wire_feed(w, raw, len, 100 * SECOND, &test_err));
	wire_free(w);
}

static void silence_and_pings_follow_the_clock(void **state)
{
	struct wire *w = make_wire(0), *peer = make_wire(0);
	const void *out;
	size_t len;

	assert_int_equal(wire_deadline(w), 105 * SECOND);
	assert_ok(wire_tick(w, 105 * SECOND - 1, &test_err));
	assert_int_equal(wire_output(w, &out), 0);
	assert_ok(wire_tick(w, 105 * SECOND, &test_err));
	len = wire_output(w, &out);
	assert_int_equal(len, WIRE_HEADER_BYTES);
	/* No second one while the first waits; only silence is left to wait for. */
	assert_ok(wire_tick(w, 106 * SECOND, &test_err));
	assert_int_equal(wire_output(w, &out), len);
	assert_int_equal(wire_deadline(w), 120 * SECOND);
	/* The ping is heard and consumed inside; it counts as life. */
	assert_ok(wire_feed(peer, out, len, 107 * SECOND, &test_err));
	struct wire_frame f;
	assert_int_equal(wire_next(peer, &f, &test_err), 0);
	assert_ok(wire_tick(peer, 127 * SECOND - 1, &test_err));
	assert_int_equal(wire_tick(peer, 127 * SECOND, &test_err), -ERR_TIMEOUT);
	/* The connection is lost, not the state: it may be heard again over another. */
	assert_ok(wire_reconnect(peer, 0, 200 * SECOND, &test_err));
	assert_ok(wire_tick(peer, 220 * SECOND - 1, &test_err));

	wire_written(w, len, 108 * SECOND);
	assert_int_equal(wire_deadline(w), 113 * SECOND);
	assert_int_equal(wire_tick(w, 120 * SECOND, &test_err), -ERR_TIMEOUT);
	wire_free(w);
	wire_free(peer);

	const struct wire_config never = {0};
	assert_ok(wire_new(&w, &never, 1, &test_err));
	assert_true(wire_deadline(w) == UINT64_MAX);
	assert_ok(wire_tick(w, UINT64_MAX - 1, &test_err));
	assert_int_equal(wire_output(w, &out), 0);
	wire_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(splitting_does_not_matter),
	    cmocka_unit_test(a_lost_connection_loses_nothing),
	    cmocka_unit_test(it_goes_on_only_where_a_kept_frame_begins),
	    cmocka_unit_test(resume_survives_its_codec),
	    cmocka_unit_test(damage_is_found),
	    cmocka_unit_test(bad_headers_are_refused),
	    cmocka_unit_test(data_goes_one_way_and_not_after_end),
	    cmocka_unit_test(window_bounds_what_is_unacknowledged),
	    cmocka_unit_test(small_window_goes_on),
	    cmocka_unit_test(full_queue_takes_no_half_frames),
	    cmocka_unit_test(feeding_without_taking_is_bounded),
	    cmocka_unit_test(silence_and_pings_follow_the_clock),
	};

	return cmocka_run_group_tests(tests, random_setup, NULL);
}
