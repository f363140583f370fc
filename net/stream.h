/*
 * A byte stream to a server, plain or TLS, made by libcurl (CONNECT_ONLY) so that proxies and
 * identities work as for net/http.h. Non-blocking once it is open.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "net/http.h"

struct stream;
/* Connects to the host of an http or https URL; its path is not used. Blocks up to the connect
 * timeout. Errors as http_perform. */
int stream_open(const struct http_config *config, const char *url, struct stream **ret,
		struct err *e);
void stream_free(struct stream *s); /* closes; NULL-safe */
static inline void stream_free_ptr(struct stream **s)
{
	stream_free(*s);
}
#define _cleanup_stream_ _cleanup_(stream_free_ptr)

/* To poll: for POLLIN only once stream_recv returned 0 bytes (TLS keeps bytes of its own), for
 * POLLOUT while stream_pending. */
int stream_fd(const struct stream *s);
/* Takes up to *ret_len bytes of data over, maybe none, and writes what the socket accepts.
 * -ERR_NETWORK. */
int stream_send(struct stream *s, const void *data, size_t len, size_t *ret_len, struct err *e);
/* Bytes taken over and not yet written? */
bool stream_pending(const struct stream *s);
/* 1: *ret_len (> 0) bytes were read; 0: nothing there now; -ERR_TRUNCATED: the peer closed;
 * -ERR_NETWORK. */
int stream_recv(struct stream *s, void *data, size_t size, size_t *ret_len, struct err *e);

#endif
