#include "net/http.h"

#include "net/curl.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
	BODY_MAX_DEFAULT = 1 << 20,
	HEADERS_MAX = 64 << 10,
	STALL_S_DEFAULT = 60,
	WHAT_MAX = 400,
};

struct http {
	struct curl_handle handle;
};

/* One request under way. */
struct transfer {
	struct http_response response;
	struct err failure; /* why a callback stopped it; code 0: none */
};

int http_new(const struct http_config *config, struct http **ret, struct err *e)
{
	struct http *h = calloc(1, sizeof(*h));
	int r;

	if (!h) return err_set(e, ERR_NO_MEMORY, "no memory for an HTTP client");
	r = curl_handle_init(&h->handle, config, e);
	if (r < 0) {
		free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void http_free(struct http *h)
{
	if (!h) return;
	curl_handle_done(&h->handle);
	free(h);
}

void http_response_done(struct http_response *r)
{
	if (!r) return;
	buf_done(&r->body);
	buf_done(&r->headers);
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;

	return buf_append(&t->response.body, data, size * n, &t->failure) == 0 ? size * n : 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	size_t len = size * n, text_len = len;

	/* A new status line: what came before was of a 1xx answer or the proxy's. */
	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) buf_clear(&t->response.headers);
	while (text_len > 0 && memchr("\r\n \t", line[text_len - 1], 4))
		text_len--;
	if (text_len == 0 || memchr(line, '\0', text_len)) return len;
	if (buf_append(&t->response.headers, line, text_len, &t->failure) < 0 ||
	    buf_append(&t->response.headers, "", 1, &t->failure) < 0)
		return 0;
	return len;
}

const char *http_response_header(const struct http_response *r, const char *name)
{
	size_t name_len = strlen(name), at = 0;

	while (at < r->headers.len) {
		const char *line = r->headers.data + at;

		if (strncasecmp(line, name, name_len) == 0 && line[name_len] == ':') {
			line += name_len + 1;
			return line + strspn(line, " \t");
		}
		at += strlen(line) + 1;
	}
	return NULL;
}

/* curl's list of headers; a name without value takes away one that curl adds by itself. */
static int make_headers(const struct http_request *request, const char *host,
			struct curl_slist **ret, struct err *e)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:"), *longer;
	bool has_type = false;
	char line[512];

	for (size_t i = 0; list && i < request->header_count; i++) {
		const char *h = request->headers[i];

		if (strpbrk(h, "\r\n") || !strchr(h, ':')) {
			curl_slist_free_all(list);
			return err_set(e, ERR_USAGE, "a header that is no \"Name: value\"");
		}
		has_type |= strncasecmp(h, "Content-Type:", 13) == 0;
		longer = curl_slist_append(list, h);
		if (!longer) goto no_memory;
		list = longer;
	}
	if (list && !has_type) {
		longer = curl_slist_append(list, "Content-Type:");
		if (!longer) goto no_memory;
		list = longer;
	}
	if (list && host) {
		snprintf(line, sizeof(line), "Host: %s", host);
		longer = curl_slist_append(list, line);
		if (!longer) goto no_memory;
		list = longer;
	}
	if (!list) goto no_memory;
	*ret = list;
	return 0;
no_memory:
	curl_slist_free_all(list);
	return err_set(e, ERR_NO_MEMORY, "no memory for the headers of a request");
}

static CURLcode set_method(CURL *curl, const struct http_request *request)
{
	bool is_head = strcmp(request->method, "HEAD") == 0;
	bool is_get = strcmp(request->method, "GET") == 0;
	bool is_delete = strcmp(request->method, "DELETE") == 0;
	CURLcode r = curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);

	/* What an earlier request set stays otherwise. */
	if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, NULL);
	if (r != CURLE_OK || is_get) return r;
	if (is_head) return curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	if (!is_delete || request->body_len > 0) {
		r = curl_easy_setopt(curl, CURLOPT_POST, 1L);
		if (r == CURLE_OK)
			r = curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
					     request->body_len > 0 ? request->body : "");
		if (r == CURLE_OK)
			r = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
					     (curl_off_t)request->body_len);
	}
	if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	return r;
}

static CURLcode set_limits(CURL *curl, const struct http_request *request)
{
	uint64_t stall_s = request->stall_timeout_ns / NS_PER_S;
	uint64_t total_ms = request->timeout_ns / NS_PER_MS;
	CURLcode r;

	if (request->stall_timeout_ns == 0) stall_s = STALL_S_DEFAULT;
	r = curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	if (r == CURLE_OK)
		r = curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
				     (long)MIN(MAX(stall_s, 1u), 86400u));
	if (r == CURLE_OK)
		r = curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
				     (long)MIN(total_ms, (uint64_t)INT32_MAX));
	return r;
}

static CURLcode set_output(CURL *curl, struct transfer *t)
{
	CURLcode r = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);

	if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
	if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	if (r == CURLE_OK) r = curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
	return r;
}

static int run(struct http *h, const struct http_request *request, struct curl_slist *headers,
	       struct transfer *t, struct err *e)
{
	CURL *curl = h->handle.curl;
	char what[WHAT_MAX];
	long status = 0;
	CURLcode r;

	/* Queries hold signatures, and are long. */
	snprintf(what, sizeof(what), "%s %.*s", request->method, (int)strcspn(request->url, "?"),
		 request->url);
	h->handle.error[0] = '\0';
	r = curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	if (r == CURLE_OK) r = set_method(curl, request);
	if (r == CURLE_OK) r = set_limits(curl, request);
	if (r == CURLE_OK) r = set_output(curl, t);
	if (r == CURLE_OK) r = curl_easy_perform(curl);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
	if (t->failure.code != 0) {
		if (e) *e = t->failure;
		return err_set(e, t->failure.code, "%s: the answer is too large: %s", what,
			       t->failure.text);
	}
	if (r == CURLE_OK) r = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (r != CURLE_OK) return curl_error(&h->handle, r, what, e);
	t->response.status = (int)status;
	return 0;
}

int http_perform(struct http *h, const struct http_request *request, struct http_response *ret,
		 struct err *e)
{
	size_t body_max = request->body_max > 0 ? request->body_max : BODY_MAX_DEFAULT;
	struct transfer t = {
	    .response = {.body = BUF_INIT(body_max), .headers = BUF_INIT(HEADERS_MAX)}};
	struct curl_slist *headers = NULL;
	_cleanup_free_ char *host = NULL;
	int r = curl_handle_url(&h->handle, request->url, &host, e);

	if (r < 0) return r;
	r = make_headers(request, host, &headers, e);
	if (r == 0) r = run(h, request, headers, &t, e);
	curl_slist_free_all(headers);
	if (r < 0)
		http_response_done(&t.response);
	else
		*ret = t.response;
	return r;
}

int http_encode(struct buf *ret, const char *text, const char *keep, struct err *e)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-._~";
	static const char hex[] = "0123456789ABCDEF";
	int r = 0;

	for (const char *p = text; r == 0 && *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (strchr(unreserved, c) || strchr(keep, c)) {
			r = buf_append(ret, p, 1, e);
		} else {
			char code[3] = {'%', hex[c >> 4], hex[c & 15]};

			r = buf_append(ret, code, sizeof(code), e);
		}
	}
	return r;
}
