#include "net/stream.h"

#include "net/curl.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { STAGE_BYTES = 64 << 10 };

struct stream {
	struct curl_handle handle;
	curl_socket_t fd;
	char what[256];
	/* OpenSSL wants a write that did not go through to be tried again with the same pointer
	 * and length: so bytes are sent from here, and stand still until they went. */
	size_t start, end; /* of stage: what was not written */
	size_t retry_len;  /* of the attempt to repeat; 0: none */
	char stage[STAGE_BYTES];
};

static int connect_to(struct stream *s, const char *url, struct err *e)
{
	_cleanup_free_ char *host = NULL;
	CURL *curl = s->handle.curl;
	CURLcode code;
	int r = curl_handle_url(&s->handle, url, &host, e);

	if (r < 0) return r;
	snprintf(s->what, sizeof(s->what), "connecting to %.*s", (int)strcspn(url, "?"), url);
	code = curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
	/* A proxy that is asked for http:// would want whole requests otherwise. */
	if (code == CURLE_OK) code = curl_easy_setopt(curl, CURLOPT_HTTPPROXYTUNNEL, 1L);
	if (code == CURLE_OK) code = curl_easy_perform(curl);
	if (code == CURLE_OK) code = curl_easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &s->fd);
	return code == CURLE_OK ? 0 : curl_error(&s->handle, code, s->what, e);
}

int stream_open(const struct http_config *config, const char *url, struct stream **ret,
		struct err *e)
{
	struct stream *s = calloc(1, sizeof(*s));
	int r;

	if (!s) return err_set(e, ERR_NO_MEMORY, "no memory for a connection");
	s->fd = CURL_SOCKET_BAD;
	r = curl_handle_init(&s->handle, config, e);
	if (r == 0) r = connect_to(s, url, e);
	if (r < 0)
		stream_free(s);
	else
		*ret = s;
	return r;
}

void stream_free(struct stream *s)
{
	if (!s) return;
	curl_handle_done(&s->handle);
	free(s);
}

int stream_fd(const struct stream *s)
{
	return s->fd;
}

bool stream_pending(const struct stream *s)
{
	return s->end > s->start;
}

static int flush(struct stream *s, struct err *e)
{
	while (s->end > s->start) {
		size_t len = s->retry_len > 0 ? s->retry_len : s->end - s->start, sent = 0;
		CURLcode code;

		s->handle.error[0] = '\0';
		code = curl_easy_send(s->handle.curl, s->stage + s->start, len, &sent);
		if (code == CURLE_AGAIN) {
			s->retry_len = len;
			return 0;
		}
		if (code != CURLE_OK) return curl_error(&s->handle, code, "sending", e);
		s->retry_len = 0;
		s->start += MIN(sent, len);
	}
	s->start = s->end = 0;
	return 0;
}

int stream_send(struct stream *s, const void *data, size_t len, size_t *ret_len, struct err *e)
{
	size_t n;
	int r = flush(s, e);

	if (r < 0) return r;
	n = MIN(len, STAGE_BYTES - s->end);
	if (n > 0) memcpy(s->stage + s->end, data, n);
	s->end += n;
	r = flush(s, e);
	if (r == 0) *ret_len = n;
	return r;
}

int stream_recv(struct stream *s, void *data, size_t size, size_t *ret_len, struct err *e)
{
	size_t n = 0;
	CURLcode code;

	s->handle.error[0] = '\0';
	code = curl_easy_recv(s->handle.curl, data, size, &n);
	if (code == CURLE_AGAIN) return 0;
	if (code != CURLE_OK) return curl_error(&s->handle, code, "receiving", e);
	if (n == 0) return err_set(e, ERR_TRUNCATED, "the connection was closed by the server");
	*ret_len = n;
	return 1;
}
