/* What net/'s users of libcurl share: set-up of a handle, and its errors in our words. */
#ifndef NET_CURL_H
#define NET_CURL_H

#include "net/http.h"

#include <curl/curl.h>

/* One easy handle and what it borrows. */
struct curl_handle {
	CURL *curl;
	char *server_name;        /* owned; NULL: the URL's host */
	char *proxy;              /* owned; NULL: by the environment, for each URL */
	const char *proxy_origin; /* of the proxy that is used now, for errors; NULL: none */
	const atomic_bool *cancel;
	struct curl_slist *connect_to; /* of the URL set last */
	char error[CURL_ERROR_SIZE];
};
/* Set up with TLS, proxy, timeouts and cancellation; the config's bytes are copied.
 * -ERR_NO_MEMORY. */
int curl_handle_init(struct curl_handle *h, const struct http_config *config, struct err *e);
void curl_handle_done(struct curl_handle *h);

/*
 * Sets where to go, and through which proxy. With a server_name, curl is given a URL of that host,
 * and the real one as the address to connect to: the one way to name another certificate. *ret_host
 * is then the value that the Host header must have, a heap string; NULL where curl knows it.
 * -ERR_USAGE: no http(s) URL, or a proxy that is none.
 */
int curl_handle_url(struct curl_handle *h, const char *url, char **ret_host, struct err *e);

/* code in our words; what: "GET https://host/path". */
int curl_error(const struct curl_handle *h, CURLcode code, const char *what, struct err *e);

#endif
