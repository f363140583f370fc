/*
 * A small HTTP/1.1 client on libcurl: one request at a time, bodies in memory, answers capped. No
 * redirects, no cookies, no Expect: 100-continue; the path goes out as it is given. Proxies come
 * from the environment as net/proxy.h reads it, unless one is named. Not for use by two threads at
 * once.
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "base/buf.h"

#include <stdatomic.h>

/* Trust and identity of a TLS connection; all borrowed for the call that takes it, NULL: none. */
struct tls_config {
	const char *ca_file; /* PEM; trusted beside the system's authorities */
	const void *ca_pem;  /* PEM; trusted instead of the system's authorities */
	size_t ca_pem_len;
	const void *cert_pem, *key_pem; /* the client's certificate and key */
	size_t cert_pem_len, key_pem_len;
	const char *server_name; /* to ask for and verify, where it is not the URL's host */
	bool insecure;           /* accept any certificate */
};

struct http_config {
	struct tls_config tls;
	const char *proxy;           /* URL, for every request; NULL: from the environment */
	uint64_t connect_timeout_ns; /* name, connection and TLS; 0: 15 s */
	const atomic_bool *cancel;   /* ends a request with -ERR_CANCELLED; NULL: never */
};

struct http;
/* Makes no connection; one is kept open between requests to the same server. -ERR_NO_MEMORY. */
int http_new(const struct http_config *config, struct http **ret, struct err *e);
void http_free(struct http *h); /* NULL-safe */
static inline void http_free_ptr(struct http **h)
{
	http_free(*h);
}
#define _cleanup_http_ _cleanup_(http_free_ptr)

struct http_request {
	const char *method; /* "GET", "HEAD", "PUT", "POST", "PATCH", "DELETE" */
	const char *url;    /* http or https, percent-encoded; its query never shows in an error */
	const char *const *headers; /* "Name: value", no line breaks; borrowed */
	size_t header_count;
	const void *body; /* borrowed until the request is done; ignored for GET and HEAD */
	size_t body_len;
	uint64_t timeout_ns;       /* for the whole request; 0: any time */
	uint64_t stall_timeout_ns; /* without one byte either way, in whole seconds; 0: 60 s */
	size_t body_max;           /* cap on the answer's body; 0: 1 MiB */
};

struct http_response {
	int status;         /* 200, 404, ...: any status is a success of the request */
	struct buf body;    /* without transfer encoding; NUL-terminated when there is any */
	struct buf headers; /* "Name: value" lines, each ended by NUL; http_response_header */
};
void http_response_done(struct http_response *r); /* NULL-safe */
#define _cleanup_http_response_ _cleanup_(http_response_done)

/*
 * Sends one request and reads the whole answer. *ret needs no init; on success the caller calls
 * http_response_done, on failure it is untouched.
 * -ERR_NETWORK (name, connection, broken answer), -ERR_AUTH (a certificate was refused),
 * -ERR_TIMEOUT, -ERR_CANCELLED, -ERR_LIMIT (body or headers over their cap), -ERR_USAGE (URL or
 * header malformed), -ERR_NO_MEMORY.
 */
int http_perform(struct http *h, const struct http_request *request, struct http_response *ret,
		 struct err *e);
/* Value of the first header of that name (any case), without blanks around it; NULL if none. */
const char *http_response_header(const struct http_response *r, const char *name);

/* Appends text percent-encoded but for RFC 3986's unreserved characters and those in keep. */
int http_encode(struct buf *ret, const char *text, const char *keep, struct err *e);

#endif
