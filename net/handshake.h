/*
 * The opening handshake of a WebSocket (RFC 6455 section 4) as text: the request, and what the
 * server answers to it. No I/O.
 */
#ifndef NET_HANDSHAKE_H
#define NET_HANDSHAKE_H

#include "base/buf.h"

enum {
	HANDSHAKE_NONCE_BYTES = 16,
	HANDSHAKE_KEY_SIZE = 25, /* base64 of the nonce, with NUL */
	HANDSHAKE_HEADERS_MAX = 64 << 10,
	HANDSHAKE_BODY_MAX = 64 << 10, /* of a refusal; more is cut */
	HANDSHAKE_PROTOCOL_SIZE = 64,
};

struct handshake_request {
	const char *host;           /* "10.96.0.1:443" */
	const char *path;           /* with its query, percent-encoded */
	const char *protocols;      /* "a, b", the preferred first; NULL: none */
	const char *const *headers; /* "Name: value" */
	size_t header_count;
};

/* Appends the request; *ret_key is what the answer must prove to have seen. -ERR_USAGE: a control
 * character or blank where none may be; -ERR_LIMIT. */
int handshake_build(const struct handshake_request *request,
		    const uint8_t nonce[HANDSHAKE_NONCE_BYTES], struct buf *ret,
		    char ret_key[HANDSHAKE_KEY_SIZE], struct err *e);

struct handshake_answer {
	int status; /* 101: the connection is a WebSocket now */
	char protocol[HANDSHAKE_PROTOCOL_SIZE];
	size_t used;      /* 101: bytes of the answer; what follows is the first frame */
	const char *body; /* not 101: in the caller's bytes unless it was chunked; not NUL-ended */
	size_t body_len;
	unsigned retry_after_s; /* what Retry-After asks for in seconds; 0: nothing, or a date */
};

/*
 * Reads an answer from its start; data may be rewritten in place (chunks are joined). ended: the
 * connection is closed, nothing follows. 1: *ret is complete; 0: more bytes are needed.
 * -ERR_PROTOCOL: no HTTP, a wrong Sec-WebSocket-Accept, a protocol that was not asked for;
 * -ERR_LIMIT; -ERR_TRUNCATED when ended within the headers.
 */
int handshake_parse(char *data, size_t len, bool ended, const char *key, const char *protocols,
		    struct handshake_answer *ret, struct err *e);

#endif
