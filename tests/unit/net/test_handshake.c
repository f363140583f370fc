#include "net/handshake.h"
#include "tests/unit/base/unit.h"

/* The example of RFC 6455 section 1.3. */
#define RFC_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define RFC_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define SWITCH "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

static int parse(const char *text, bool ended, struct handshake_answer *ret, struct err *e)
{
	static char data[200 << 10];
	size_t len = strlen(text);

	assert_true(len < sizeof(data));
	memcpy(data, text, len);
	return handshake_parse(data, len, ended, RFC_KEY, "v4.channel.k8s.io, v5.channel.k8s.io",
			       ret, e);
}

static void the_request_holds_what_was_asked_for(void **state)
{
	static const char *headers[] = {"Authorization: Bearer abc"};
	struct handshake_request request = {.host = "h:443",
					    .path = "/p?q=1",
					    .protocols = "a, b",
					    .headers = headers,
					    .header_count = 1};
	_cleanup_buf_ struct buf b = BUF_INIT(1000);
	char key[HANDSHAKE_KEY_SIZE];
	struct err e;

	assert_int_equal(
	    handshake_build(&request, (const uint8_t *)"the sample nonce", &b, key, &e), 0);
	assert_string_equal(key, RFC_KEY);
	assert_string_equal(b.data, "GET /p?q=1 HTTP/1.1\r\nHost: h:443\r\nUpgrade: websocket\r\n"
				    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
				    "Sec-WebSocket-Key: " RFC_KEY "\r\n"
				    "Sec-WebSocket-Protocol: a, b\r\n"
				    "Authorization: Bearer abc\r\n\r\n");
}

static void line_breaks_do_not_get_into_a_request(void **state)
{
	static const char *bad_header[] = {"A: b\r\nC: d"};
	struct handshake_request requests[] = {
	    {.host = "h\r\nX: y", .path = "/"},
	    {.host = "h", .path = "/ HTTP/1.1\r\n"},
	    {.host = "h", .path = "relative"},
	    {.host = "h", .path = "/", .headers = bad_header, .header_count = 1},
	};
	char key[HANDSHAKE_KEY_SIZE];
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT(1000);

		assert_int_equal(
		    handshake_build(&requests[i], (const uint8_t *)"the sample nonce", &b, key, &e),
		    -ERR_USAGE);
	}
}

static void an_accepted_upgrade_is_seen(void **state)
{
	struct handshake_answer a;
	struct err e;

	assert_int_equal(parse(SWITCH "Sec-WebSocket-Accept: " RFC_ACCEPT "\r\n"
				      "sec-websocket-protocol:  v4.channel.k8s.io \r\n\r\nXYZ",
			       false, &a, &e),
			 1);
	assert_int_equal(a.status, 101);
	assert_string_equal(a.protocol, "v4.channel.k8s.io");
	assert_int_equal(a.used, strlen(SWITCH "Sec-WebSocket-Accept: " RFC_ACCEPT "\r\n"
					       "sec-websocket-protocol:  v4.channel.k8s.io \r\n"
					       "\r\n"));
}

static void every_prefix_needs_more(void **state)
{
	static const char text[] = SWITCH "Sec-WebSocket-Accept: " RFC_ACCEPT "\r\n\r\n";
	char prefix[sizeof(text)];
	struct handshake_answer a;
	struct err e;

	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		memcpy(prefix, text, len);
		prefix[len] = '\0';
		assert_int_equal(parse(prefix, false, &a, &e), 0);
		assert_int_equal(parse(prefix, true, &a, &e), -ERR_TRUNCATED);
	}
	assert_int_equal(parse(text, false, &a, &e), 1);
}

static void a_false_upgrade_is_refused(void **state)
{
	static const char *const texts[] = {
	    SWITCH "\r\n",
	    SWITCH "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp=\r\n\r\n",
	    SWITCH "Sec-WebSocket-Accept: s3pp\r\n\r\n",
	    "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " RFC_ACCEPT "\r\n\r\n",
	    "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " RFC_ACCEPT "\r\n\r\n",
	    SWITCH "Sec-WebSocket-Accept: " RFC_ACCEPT "\r\nSec-WebSocket-Protocol: v6\r\n\r\n",
	    SWITCH "Sec-WebSocket-Accept: " RFC_ACCEPT "\r\nSec-WebSocket-Extensions: x\r\n\r\n",
	    SWITCH "no colon\r\n\r\n",
	    "SSH-2.0-OpenSSH\r\n\r\n",
	    "HTTP/2 200 OK\r\n\r\n",
	};
	struct handshake_answer a;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(parse(texts[i], false, &a, &e), -ERR_PROTOCOL);
}

static void a_refusal_comes_with_its_body(void **state)
{
	static const struct {
		const char *text;
		bool ended;
		int expected;
	} cases[] = {
	    {"HTTP/1.1 403 Forbidden\r\nContent-Length: 11\r\n\r\n{\"a\":\"b\"}  ", false, 1},
	    {"HTTP/1.1 403 Forbidden\r\nContent-Length: 11\r\n\r\n{\"a\":\"b\"}  and more", false,
	     1},
	    {"HTTP/1.1 403 Forbidden\r\nContent-Length: 11\r\n\r\n{\"a\"", false, 0},
	    {"HTTP/1.1 403 Forbidden\r\n\r\n{\"a\":\"b\"}  ", false, 0},
	    {"HTTP/1.1 403 Forbidden\r\n\r\n{\"a\":\"b\"}  ", true, 1},
	    {"HTTP/1.1 403 F\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n6;x\r\n\"b\"}  "
	     "\r\n",
	     false, 0},
	    {"HTTP/1.1 403 F\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n6;x\r\n\"b\"}  "
	     "\r\n"
	     "0\r\n\r\n",
	     false, 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct handshake_answer a = {0};
		struct err e;

		assert_int_equal(parse(cases[i].text, cases[i].ended, &a, &e), cases[i].expected);
		if (cases[i].expected == 0) continue;
		assert_int_equal(a.status, 403);
		assert_int_equal(a.body_len, 11);
		assert_memory_equal(a.body, "{\"a\":\"b\"}  ", 11);
	}
}

static void when_to_ask_again(void **state)
{
	static const struct {
		const char *header;
		unsigned least, most;
	} cases[] = {
	    {"", 0, 0},
	    {"Retry-After: 7\r\n", 7, 7},
	    {"retry-after:  12 \r\n", 12, 12},
	    {"Retry-After: Fri, 27 Nov 2026 16:00:00 GMT\r\n", 0, 0},
	    {"Retry-After: -1\r\n", 0, 0},
	    {"Retry-After: 99999999999999999999\r\n", 3600, UINT32_MAX},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct handshake_answer a = {0};
		char text[300];
		struct err e;

		snprintf(text, sizeof(text), "HTTP/1.1 429 Busy\r\n%sContent-Length: 0\r\n\r\n",
			 cases[i].header);
		assert_int_equal(parse(text, false, &a, &e), 1);
		assert_in_range(a.retry_after_s, cases[i].least, cases[i].most);
	}
}

static void endless_headers_hit_the_cap(void **state)
{
	static char text[HANDSHAKE_HEADERS_MAX + 100] = "HTTP/1.1 101 x\r\nA: ";
	struct handshake_answer a;
	struct err e;

	memset(text + strlen(text), 'x', HANDSHAKE_HEADERS_MAX);
	assert_int_equal(parse(text, false, &a, &e), -ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_request_holds_what_was_asked_for),
	    cmocka_unit_test(line_breaks_do_not_get_into_a_request),
	    cmocka_unit_test(an_accepted_upgrade_is_seen),
	    cmocka_unit_test(every_prefix_needs_more),
	    cmocka_unit_test(a_false_upgrade_is_refused),
	    cmocka_unit_test(a_refusal_comes_with_its_body),
	    cmocka_unit_test(when_to_ask_again),
	    cmocka_unit_test(endless_headers_hit_the_cap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
