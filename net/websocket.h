/*
 * A WebSocket client (RFC 6455) as a state machine without I/O: bytes in, bytes out. Framing is
 * wslay's. Pings are answered, closes are echoed; nothing is kept of a message but the piece that
 * is being handed over.
 */
#ifndef NET_WEBSOCKET_H
#define NET_WEBSOCKET_H

#include "net/handshake.h"

enum { WEBSOCKET_QUEUE_MAX = 1 << 20 };

enum websocket_state {
	WEBSOCKET_CONNECTING, /* until the server's answer is complete */
	WEBSOCKET_REFUSED,    /* it was not 101: websocket_status, websocket_body */
	WEBSOCKET_OPEN,
	WEBSOCKET_CLOSED, /* a close frame came: websocket_close_code */
};

struct websocket_handler {
	/* A piece of a binary or text message, in order; first: of a new message (such a piece may
	 * be empty). A negative result is final: websocket_feed returns it, now and later. */
	int (*message)(void *ctx, const uint8_t *data, size_t len, bool first, struct err *e);
	void *ctx;
};

struct websocket;
/* The request's strings are copied. -ERR_USAGE, -ERR_NO_MEMORY, -ERR_IO (no random numbers). */
int websocket_new(const struct handshake_request *request, const struct websocket_handler *handler,
		  struct websocket **ret, struct err *e);
void websocket_free(struct websocket *ws); /* NULL-safe */

/*
 * Bytes that came from the server; those after a close frame are ignored. -ERR_PROTOCOL: the server
 * broke the protocol, for good (a close frame that says so is in the output); else as
 * handshake_parse and the handler.
 */
int websocket_feed(struct websocket *ws, const void *data, size_t len, struct err *e);
/* The connection ended. 0 if that was due (closed or refused), else -ERR_TRUNCATED. */
int websocket_feed_end(struct websocket *ws, struct err *e);

/* What to write (valid until the next call but websocket_written), and how much of it was. */
size_t websocket_output(const struct websocket *ws, const void **ret);
void websocket_written(struct websocket *ws, size_t len);

/* Queues one binary message: channel, then data. -ERR_LIMIT, nothing queued, while
 * WEBSOCKET_QUEUE_MAX bytes wait; -ERR_USAGE unless open. */
int websocket_send(struct websocket *ws, uint8_t channel, const void *data, size_t len,
		   struct err *e);
/* Queues a close frame with status 1000; harmless when it is too late. */
void websocket_close(struct websocket *ws);

enum websocket_state websocket_state(const struct websocket *ws);
/* The negotiated subprotocol, "" if none. */
const char *websocket_protocol(const struct websocket *ws);
/* Of a refusal: HTTP status, seconds that Retry-After asks for (0: none), and the body with a NUL
 * behind it. */
int websocket_status(const struct websocket *ws);
unsigned websocket_retry_after_s(const struct websocket *ws);
const char *websocket_body(const struct websocket *ws, size_t *ret_len);
/* Of the close frame that came; 1005 if it had none. */
int websocket_close_code(const struct websocket *ws);

#endif
