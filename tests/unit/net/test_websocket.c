#include "net/websocket.h"
#include "tests/unit/base/unit.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

/* What came, as "[a][b]": each message in brackets. */
struct received {
	char text[4096];
	size_t len, messages;
	bool refuse;
};

static int on_message(void *ctx, const uint8_t *data, size_t len, bool first, struct err *e)
{
	struct received *got = ctx;

	if (got->refuse) return err_set(e, ERR_NO_SPACE, "refused");
	if (first) {
		got->messages++;
		got->text[got->len++] = '|';
	}
	assert_true(got->len + len < sizeof(got->text));
	if (len > 0) memcpy(got->text + got->len, data, len);
	got->len += len;
	return 0;
}

static void drop_output(struct websocket *ws)
{
	const void *data;

	websocket_written(ws, websocket_output(ws, &data));
}

/* The server's answer to the request that ws wants to send. */
static size_t answer(struct websocket *ws, char *ret, size_t size)
{
	const void *out;
	size_t len = websocket_output(ws, &out);
	_cleanup_free_ char *request = strndup(out, len);
	const char *key = strstr(request, "Sec-WebSocket-Key: ");
	unsigned char digest[SHA_DIGEST_LENGTH];
	char text[100], accept[40];

	assert_non_null(key);
	snprintf(text, sizeof(text), "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
	SHA1((const unsigned char *)text, strlen(text), digest);
	EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest));
	drop_output(ws);
	return (size_t)snprintf(ret, size,
				"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
				"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
				"Sec-WebSocket-Protocol: b\r\n\r\n",
				accept);
}

static struct websocket *new_websocket(struct received *got)
{
	static const struct handshake_request request = {
	    .host = "h", .path = "/", .protocols = "a, b"};
	struct websocket_handler handler = {on_message, got};
	struct websocket *ws;
	struct err e;

	assert_int_equal(websocket_new(&request, &handler, &ws, &e), 0);
	return ws;
}

static struct websocket *open_websocket(struct received *got)
{
	struct websocket *ws = new_websocket(got);
	char text[1000];
	struct err e;

	assert_int_equal(websocket_feed(ws, text, answer(ws, text, sizeof(text)), &e), 0);
	assert_int_equal(websocket_state(ws), WEBSOCKET_OPEN);
	assert_string_equal(websocket_protocol(ws), "b");
	return ws;
}

/* Two messages, the first in three fragments with a ping between, an empty one, and a long one. */
static size_t sample(uint8_t *ret)
{
	static const uint8_t head[] = {0x02, 2, 1,   'a', 0x89, 2, 'h',  'i', 0x00, 1,   'b',
				       0x80, 2, 'c', 'd', 0x82, 0, 0x82, 126, 0x01, 0x2c};
	memcpy(ret, head, sizeof(head));
	memset(ret + sizeof(head), 'z', 300);
	return sizeof(head) + 300;
}

static void check_sample(struct websocket *ws, const struct received *got)
{
	const uint8_t *pong;
	const void *out;

	assert_int_equal(got->messages, 3);
	assert_memory_equal(got->text, "|\1abcd||zz", 10);
	assert_int_equal(got->len, 3 + 5 + 300);
	/* 0x8a, masked, two bytes: the answer to the ping. */
	assert_int_equal(websocket_output(ws, &out), 8);
	pong = out;
	assert_int_equal(pong[0], 0x8a);
	assert_int_equal(pong[1], 0x82);
	assert_int_equal(pong[6] ^ pong[2], 'h');
	assert_int_equal(pong[7] ^ pong[3], 'i');
}

static void fragments_arrive_whole_however_they_are_cut(void **state)
{
	uint64_t seed = unit_seed();
	uint8_t bytes[400];
	size_t len = sample(bytes);

	for (int round = 0; round < 200; round++) {
		struct received got = {.len = 0};
		struct websocket *ws = open_websocket(&got);
		struct err e;

		for (size_t at = 0, n; at < len; at += n) {
			n = (size_t)(unit_random(&seed) % (unsigned)(round + 1) + 1);
			n = MIN(n, len - at);
			if (websocket_feed(ws, bytes + at, n, &e) < 0)
				fail_msg("round %d, %zu bytes at %zu: %s", round, n, at, e.text);
		}
		check_sample(ws, &got);
		websocket_free(ws);
	}
}

static void frames_behind_the_handshake_count(void **state)
{
	struct received got = {.len = 0};
	struct websocket *ws = new_websocket(&got);
	char bytes[2000];
	size_t len = answer(ws, bytes, sizeof(bytes));
	struct err e;

	len += sample((uint8_t *)bytes + len);
	assert_int_equal(websocket_feed(ws, bytes, len, &e), 0);
	check_sample(ws, &got);
	websocket_free(ws);
}

static void sent_messages_are_masked_and_carry_the_channel(void **state)
{
	struct received got = {.len = 0};
	struct websocket *ws = open_websocket(&got);
	const uint8_t *p;
	const void *out;
	struct err e;

	assert_int_equal(websocket_send(ws, 7, "hey", 3, &e), 0);
	assert_int_equal(websocket_output(ws, &out), 2 + 4 + 4);
	p = out;
	assert_int_equal(p[0], 0x82);
	assert_int_equal(p[1], 0x80 | 4);
	assert_int_equal(p[6] ^ p[2], 7);
	assert_int_equal(p[7] ^ p[3], 'h');
	assert_int_equal(p[8] ^ p[4], 'e');
	assert_int_equal(p[9] ^ p[5], 'y');
	websocket_written(ws, 4);
	assert_int_equal(websocket_output(ws, &out), 6);
	websocket_free(ws);
}

static void masks_differ(void **state)
{
	struct received got = {.len = 0};
	struct websocket *ws = open_websocket(&got);
	uint8_t first[4];
	const void *out;
	struct err e;
	int equal = 0;

	for (int i = 0; i < 20; i++) {
		assert_int_equal(websocket_send(ws, 0, "x", 1, &e), 0);
		assert_int_equal(websocket_output(ws, &out), 8);
		if (i == 0) memcpy(first, (const uint8_t *)out + 2, 4);
		equal += memcmp(first, (const uint8_t *)out + 2, 4) == 0;
		drop_output(ws);
	}
	assert_true(equal < 5);
	websocket_free(ws);
}

static void the_queue_has_a_cap(void **state)
{
	static uint8_t block[64 << 10];
	struct received got = {.len = 0};
	struct websocket *ws = open_websocket(&got);
	const void *out;
	struct err e;
	int r = 0;

	for (int i = 0; i < 100 && r == 0; i++)
		r = websocket_send(ws, 0, block, sizeof(block), &e);
	assert_int_equal(r, -ERR_LIMIT);
	assert_true(websocket_output(ws, &out) < WEBSOCKET_QUEUE_MAX + (128 << 10));
	drop_output(ws);
	assert_int_equal(websocket_send(ws, 0, block, 1, &e), 0);
	websocket_free(ws);
}

static void a_close_is_echoed_and_ends_it(void **state)
{
	static const uint8_t close_frame[] = {0x88, 4, 0x03, 0xe8, 'o', 'k', 0x82, 1, 'x'};
	struct received got = {.len = 0};
	struct websocket *ws = open_websocket(&got);
	const void *out;
	struct err e;

	assert_int_equal(websocket_feed(ws, close_frame, sizeof(close_frame), &e), 0);
	assert_int_equal(websocket_state(ws), WEBSOCKET_CLOSED);
	assert_int_equal(websocket_close_code(ws), 1000);
	assert_true(websocket_output(ws, &out) >= 8);
	assert_int_equal(*(const uint8_t *)out, 0x88);
	assert_int_equal(got.messages, 0);
	assert_int_equal(websocket_feed_end(ws, &e), 0);
	assert_int_equal(websocket_send(ws, 0, "x", 1, &e), -ERR_USAGE);
	websocket_free(ws);
}

static void broken_frames_are_final(void **state)
{
	static const struct {
		uint8_t bytes[6];
		size_t len;
	} frames[] = {
	    {{0xc2, 1, 'x'}, 3},      /* a reserved bit */
	    {{0x83, 1, 'x'}, 3},      /* an unknown opcode */
	    {{0x80, 1, 'x'}, 3},      /* a continuation of nothing */
	    {{0x09, 0}, 2},           /* a ping in fragments */
	    {{0x89, 126, 0, 126}, 4}, /* a ping that is too long */
	};

	for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
		struct received got = {.len = 0};
		struct websocket *ws = open_websocket(&got);
		struct err e;

		assert_int_equal(websocket_feed(ws, frames[i].bytes, frames[i].len, &e),
				 -ERR_PROTOCOL);
		assert_int_equal(websocket_feed(ws, "\x82\1x", 3, &e), -ERR_PROTOCOL);
		assert_int_equal(websocket_send(ws, 0, "x", 1, &e), -ERR_PROTOCOL);
		assert_int_equal(got.messages, 0);
		websocket_free(ws);
	}
}

static void a_cut_is_not_an_end(void **state)
{
	struct received got = {.len = 0};
	struct websocket *ws = open_websocket(&got);
	struct err e;

	assert_int_equal(websocket_feed_end(ws, &e), -ERR_TRUNCATED);
	websocket_free(ws);
}

static void a_refusal_keeps_status_and_body(void **state)
{
	static const char text[] = "HTTP/1.1 403 Forbidden\r\n\r\n{\"message\":\"no\"}";
	struct received got = {.len = 0};
	struct websocket *ws = new_websocket(&got);
	struct err e;
	size_t len;

	assert_int_equal(websocket_feed(ws, text, sizeof(text) - 1, &e), 0);
	assert_int_equal(websocket_state(ws), WEBSOCKET_CONNECTING);
	assert_int_equal(websocket_feed_end(ws, &e), 0);
	assert_int_equal(websocket_state(ws), WEBSOCKET_REFUSED);
	assert_int_equal(websocket_status(ws), 403);
	assert_string_equal(websocket_body(ws, &len), "{\"message\":\"no\"}");
	assert_int_equal(len, 16);
	websocket_free(ws);
}

static void the_handlers_error_is_final(void **state)
{
	struct received got = {.refuse = true};
	struct websocket *ws = open_websocket(&got);
	struct err e;

	assert_int_equal(websocket_feed(ws, "\x82\1x", 3, &e), -ERR_NO_SPACE);
	got.refuse = false;
	assert_int_equal(websocket_feed(ws, "\x82\1x", 3, &e), -ERR_NO_SPACE);
	assert_int_equal(got.messages, 0);
	websocket_free(ws);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fragments_arrive_whole_however_they_are_cut),
	    cmocka_unit_test(frames_behind_the_handshake_count),
	    cmocka_unit_test(sent_messages_are_masked_and_carry_the_channel),
	    cmocka_unit_test(masks_differ),
	    cmocka_unit_test(the_queue_has_a_cap),
	    cmocka_unit_test(a_close_is_echoed_and_ends_it),
	    cmocka_unit_test(broken_frames_are_final),
	    cmocka_unit_test(a_cut_is_not_an_end),
	    cmocka_unit_test(a_refusal_keeps_status_and_body),
	    cmocka_unit_test(the_handlers_error_is_final),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
