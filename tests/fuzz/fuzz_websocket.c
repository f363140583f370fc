/*
 * The client's side of a WebSocket: the answer to the handshake, then frames. The first byte says
 * how: bit 0, the handshake is answered right, so that the frames behind are reached; the rest, how
 * the input is cut into pieces.
 */
#include "net/websocket.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	size_t bytes;
	bool any;
};

static int on_message(void *ctx, const uint8_t *data, size_t len, bool first, struct err *e)
{
	struct seen *seen = ctx;

	/* A continuation of nothing must not get here. */
	if (!first && !seen->any) abort();
	seen->any = true;
	for (size_t i = 0; i < len; i++)
		seen->bytes += data[i] & 1; /* reads each byte */
	return 0;
}

/* A right answer to the request that ws wants to send. */
static int accept_request(struct websocket *ws)
{
	unsigned char digest[SHA_DIGEST_LENGTH];
	char text[100], accept[40], answer[300];
	const char *key;
	const void *out;
	size_t len = websocket_output(ws, &out);

	key = memmem(out, len, "Sec-WebSocket-Key: ", 19);
	if (!key) abort();
	snprintf(text, sizeof(text), "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
	SHA1((const unsigned char *)text, strlen(text), digest);
	EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest));
	snprintf(answer, sizeof(answer),
		 "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		 "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: b\r\n\r\n",
		 accept);
	websocket_written(ws, len);
	return websocket_feed(ws, answer, strlen(answer), NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct handshake_request request = {
	    .host = "h", .path = "/", .protocols = "a, b"};
	struct seen seen = {0};
	struct websocket_handler handler = {on_message, &seen};
	struct websocket *ws;
	size_t piece, len;
	const void *out;
	int r = 0;

	if (size < 2 || size > (1 << 20)) return 0;
	if (websocket_new(&request, &handler, &ws, NULL) < 0) abort();
	if ((data[0] & 1) && accept_request(ws) < 0) abort();
	piece = data[0] >> 1 ? (size_t)(data[0] >> 1) : size;
	for (size_t at = 1; at < size && r == 0; at += piece) {
		r = websocket_feed(ws, data + at, MIN(piece, size - at), NULL);
		/* An error is final. */
		if (r < 0 && websocket_feed(ws, "\x82\1x", 3, NULL) != r) abort();
		websocket_written(ws, websocket_output(ws, &out));
	}
	if (r == 0) r = websocket_feed_end(ws, NULL);
	if (websocket_state(ws) == WEBSOCKET_REFUSED) {
		const char *body = websocket_body(ws, &len);

		if (len > HANDSHAKE_BODY_MAX || body[len] != '\0') abort();
	}
	if (r == 0 && websocket_state(ws) == WEBSOCKET_OPEN) abort();
	websocket_free(ws);
	return 0;
}
