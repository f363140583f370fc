#include "net/curl.h"

#include "net/proxy.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { CONNECT_TIMEOUT_MS = 15000 };

static void global_init(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int on_progress(void *ctx, curl_off_t dl_total, curl_off_t dl, curl_off_t ul_total,
		       curl_off_t ul)
{
	const struct curl_handle *h = ctx;

	return h->cancel && atomic_load(h->cancel);
}

static CURLcode set_blob(CURL *curl, CURLoption option, const void *data, size_t len)
{
	struct curl_blob blob = {(void *)(uintptr_t)data, len, CURL_BLOB_COPY};

	return len > 0 ? curl_easy_setopt(curl, option, &blob) : CURLE_OK;
}

static CURLcode set_tls(CURL *curl, const struct tls_config *tls)
{
	CURLcode r = set_blob(curl, CURLOPT_SSLCERT_BLOB, tls->cert_pem, tls->cert_pem_len);

	if (r == CURLE_OK) r = set_blob(curl, CURLOPT_SSLKEY_BLOB, tls->key_pem, tls->key_pem_len);
	if (r == CURLE_OK && tls->ca_pem_len > 0) {
		r = set_blob(curl, CURLOPT_CAINFO_BLOB, tls->ca_pem, tls->ca_pem_len);
		/* Else the system's directory of authorities would still be trusted. */
		if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
		/* A proxy that speaks TLS is often of the same house; the system's stay, too. */
		if (r == CURLE_OK)
			r = set_blob(curl, CURLOPT_PROXY_CAINFO_BLOB, tls->ca_pem, tls->ca_pem_len);
	} else if (r == CURLE_OK && tls->ca_file) {
		r = curl_easy_setopt(curl, CURLOPT_CAINFO, tls->ca_file);
	}
	if (r == CURLE_OK && tls->insecure) {
		r = curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
		if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_PROXY_SSL_VERIFYPEER, 0L);
		if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_PROXY_SSL_VERIFYHOST, 0L);
	}
	return r;
}

static CURLcode set_basics(struct curl_handle *h, const struct http_config *config)
{
	uint64_t timeout_ms = config->connect_timeout_ns / NS_PER_MS;
	CURL *curl = h->curl;
	CURLcode r;

	if (timeout_ms == 0 || timeout_ms > INT32_MAX) timeout_ms = CONNECT_TIMEOUT_MS;
	r = curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
	if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, h->error);
	if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
	if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_XFERINFODATA, h);
	if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	/* HTTP/2 brings nothing to one request at a time, and would break an Upgrade. */
	if (r == CURLE_OK)
		r = curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	/* What the environment says of proxies, net/proxy.h reads. */
	if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_NOPROXY, "");
	return r;
}

int curl_handle_init(struct curl_handle *h, const struct http_config *config, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	CURLcode r;

	pthread_once(&once, global_init);
	*h = (struct curl_handle){.cancel = config->cancel, .curl = curl_easy_init()};
	if (!h->curl) return err_set(e, ERR_NO_MEMORY, "no memory for an HTTP client");
	if (config->tls.server_name) {
		h->server_name = strdup(config->tls.server_name);
		if (!h->server_name) goto no_memory;
	}
	if (config->proxy) {
		int code = proxy_url(config->proxy, "proxy-url", &h->proxy, e);

		if (code < 0) {
			curl_handle_done(h);
			return code;
		}
	}
	r = set_basics(h, config);
	if (r == CURLE_OK) r = set_tls(h->curl, &config->tls);
	if (r == CURLE_OK) return 0;
	if (r != CURLE_OUT_OF_MEMORY) {
		curl_handle_done(h);
		return err_set(e, ERR_INTERNAL, "libcurl refused an option: %s",
			       curl_easy_strerror(r));
	}
no_memory:
	curl_handle_done(h);
	return err_set(e, ERR_NO_MEMORY, "no memory for an HTTP client");
}

void curl_handle_done(struct curl_handle *h)
{
	if (!h) return;
	curl_easy_cleanup(h->curl);
	curl_slist_free_all(h->connect_to);
	free(h->server_name);
	free_secret(&h->proxy); /* may hold a password */
	h->curl = NULL;
	h->connect_to = NULL;
	h->server_name = NULL;
}

static int bad_url(struct err *e)
{
	return err_set(e, ERR_USAGE, "not an http:// or https:// URL with a host");
}

/* Rewrites url for server_name; see the header. */
static int rename_host(struct curl_handle *h, CURLU *u, char **ret_host, struct err *e)
{
	char *host = NULL, *port = NULL, *url = NULL, *connect_to = NULL, *host_header = NULL;
	int r = -ERR_NO_MEMORY;

	if (curl_url_get(u, CURLUPART_HOST, &host, 0) ||
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT)) {
		r = bad_url(e);
		goto out;
	}
	if (asprintf(&connect_to, "::%s:%s", host, port) < 0) connect_to = NULL;
	if (asprintf(&host_header, "%s:%s", host, port) < 0) host_header = NULL;
	if (!connect_to || !host_header) goto out;
	if (curl_url_set(u, CURLUPART_HOST, h->server_name, 0) ||
	    curl_url_get(u, CURLUPART_URL, &url, 0)) {
		r = err_set(e, ERR_USAGE, "\"%s\" is no name of a TLS server", h->server_name);
		goto out;
	}
	curl_slist_free_all(h->connect_to);
	h->connect_to = curl_slist_append(NULL, connect_to);
	if (!h->connect_to || curl_easy_setopt(h->curl, CURLOPT_CONNECT_TO, h->connect_to) ||
	    curl_easy_setopt(h->curl, CURLOPT_URL, url))
		goto out;
	*ret_host = STEAL_PTR(host_header);
	r = 0;
out:
	if (r == -ERR_NO_MEMORY) err_set(e, ERR_NO_MEMORY, "no memory for a URL");
	curl_free(host);
	curl_free(port);
	curl_free(url);
	free(connect_to);
	free(host_header);
	return r;
}

/* The proxy for a URL: the configured one, else the environment's. */
static int set_proxy(struct curl_handle *h, CURLU *u, struct err *e)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *name;
	_cleanup_(free_secret) char *from_environment = NULL;
	const char *value;
	int r = 0;

	h->proxy_origin = h->proxy ? "proxy-url" : NULL;
	if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) ||
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT)) {
		r = bad_url(e);
	} else if (!h->proxy) {
		host[strcspn(host, "]")] = '\0';
		name = host + (*host == '[');
		value = proxy_from_environment(strcmp(scheme, "https") == 0, name, port,
					       &h->proxy_origin);
		if (value)
			r = proxy_url(value, h->proxy_origin, &from_environment, e);
		else
			h->proxy_origin = NULL;
	}
	value = h->proxy ? h->proxy : from_environment ? from_environment : "";
	if (r == 0 && curl_easy_setopt(h->curl, CURLOPT_PROXY, value))
		r = err_set(e, ERR_NO_MEMORY, "no memory for a URL");
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	return r;
}

static int set_url(struct curl_handle *h, CURLU *u, const char *url, char **ret_host, struct err *e)
{
	int r = set_proxy(h, u, e);

	if (r < 0) return r;
	if (h->server_name) return rename_host(h, u, ret_host, e);
	if (curl_easy_setopt(h->curl, CURLOPT_URL, url))
		return err_set(e, ERR_NO_MEMORY, "no memory for a URL");
	*ret_host = NULL;
	return 0;
}

int curl_handle_url(struct curl_handle *h, const char *url, char **ret_host, struct err *e)
{
	CURLU *u;
	int r;

	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		return bad_url(e);
	u = curl_url();
	if (!u) return err_set(e, ERR_NO_MEMORY, "no memory for a URL");
	if (curl_url_set(u, CURLUPART_URL, url, CURLU_PATH_AS_IS))
		r = bad_url(e);
	else
		r = set_url(h, u, url, ret_host, e);
	curl_url_cleanup(u);
	return r;
}

static enum err_code code_of(CURLcode code, const char *text)
{
	switch (code) {
	case CURLE_OUT_OF_MEMORY:
		return ERR_NO_MEMORY;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_ABORTED_BY_CALLBACK:
		return ERR_CANCELLED;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return ERR_USAGE;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
		return ERR_AUTH;
	default:
		/* With TLS 1.3 the server refuses our certificate only after the handshake. */
		return strstr(text, "alert") && strstr(text, "certificate") ? ERR_AUTH
									    : ERR_NETWORK;
	}
}

int curl_error(const struct curl_handle *h, CURLcode code, const char *what, struct err *e)
{
	const char *text = h->error[0] ? h->error : curl_easy_strerror(code);

	if (code == CURLE_ABORTED_BY_CALLBACK) text = "cancelled";
	err_set(e, code_of(code, text), "%s: %.*s%s%s%s", what, (int)strcspn(text, "\r\n"), text,
		h->proxy_origin ? " (through the proxy of " : "",
		h->proxy_origin ? h->proxy_origin : "", h->proxy_origin ? ")" : "");
	return -code_of(code, text);
}
