#include "net/handshake.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>
#include <strings.h>

static bool is_clean(const char *text, bool blanks)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f || (c == ' ' && !blanks)) return false;
	}
	return true;
}

int handshake_build(const struct handshake_request *request,
		    const uint8_t nonce[HANDSHAKE_NONCE_BYTES], struct buf *ret,
		    char ret_key[HANDSHAKE_KEY_SIZE], struct err *e)
{
	char key[HANDSHAKE_KEY_SIZE];
	int r;

	if (!is_clean(request->host, false) || !is_clean(request->path, false) ||
	    request->path[0] != '/' || (request->protocols && !is_clean(request->protocols, true)))
		return err_set(e, ERR_USAGE, "malformed host or path of a WebSocket");
	EVP_EncodeBlock((unsigned char *)key, nonce, HANDSHAKE_NONCE_BYTES);
	r = buf_printf(ret, e,
		       "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
		       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		       "Sec-WebSocket-Key: %s\r\n",
		       request->path, request->host, key);
	if (r == 0 && request->protocols)
		r = buf_printf(ret, e, "Sec-WebSocket-Protocol: %s\r\n", request->protocols);
	for (size_t i = 0; r == 0 && i < request->header_count; i++) {
		if (!is_clean(request->headers[i], true) || !strchr(request->headers[i], ':'))
			return err_set(e, ERR_USAGE, "a header that is no \"Name: value\"");
		r = buf_printf(ret, e, "%s\r\n", request->headers[i]);
	}
	if (r == 0) r = buf_puts(ret, "\r\n", e);
	if (r == 0) memcpy(ret_key, key, sizeof(key));
	return r;
}

/* RFC 6455 section 4.2.2, item 5.4 */
static void accept_of(const char *key, char ret[32])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char digest[SHA_DIGEST_LENGTH];
	char text[HANDSHAKE_KEY_SIZE + sizeof(guid)];
	size_t key_len = strnlen(key, HANDSHAKE_KEY_SIZE - 1);

	memcpy(text, key, key_len);
	memcpy(text + key_len, guid, sizeof(guid));
	SHA1((const unsigned char *)text, key_len + sizeof(guid) - 1, digest);
	EVP_EncodeBlock((unsigned char *)ret, digest, sizeof(digest));
}

/* A piece of the answer. */
struct text {
	const char *p;
	size_t len;
};

static bool text_is(struct text t, const char *word)
{
	return t.len == strlen(word) && strncasecmp(t.p, word, t.len) == 0;
}

static struct text trim(struct text t)
{
	while (t.len > 0 && (t.p[0] == ' ' || t.p[0] == '\t')) {
		t.p++;
		t.len--;
	}
	while (t.len > 0 && strchr(" \t\r", t.p[t.len - 1]))
		t.len--;
	return t;
}

/* Is word an element of a comma-separated list? */
static bool list_has(struct text list, struct text word)
{
	while (list.len > 0) {
		const char *comma = memchr(list.p, ',', list.len);
		size_t len = comma ? (size_t)(comma - list.p) : list.len;
		struct text item = trim((struct text){list.p, len});

		if (item.len == word.len && strncasecmp(item.p, word.p, item.len) == 0) return true;
		if (!comma) return false;
		list.p += len + 1;
		list.len -= len + 1;
	}
	return false;
}

/* The headers that matter here; p NULL: absent. */
struct fields {
	struct text upgrade, connection, accept, protocol, extensions, length, encoding, retry;
};

static int parse_fields(struct text head, struct fields *ret, struct err *e)
{
	const struct {
		const char *name;
		struct text *value;
	} known[] = {
	    {"Upgrade", &ret->upgrade},
	    {"Connection", &ret->connection},
	    {"Sec-WebSocket-Accept", &ret->accept},
	    {"Sec-WebSocket-Protocol", &ret->protocol},
	    {"Sec-WebSocket-Extensions", &ret->extensions},
	    {"Content-Length", &ret->length},
	    {"Transfer-Encoding", &ret->encoding},
	    {"Retry-After", &ret->retry},
	};

	while (head.len > 0) {
		const char *end = memchr(head.p, '\n', head.len);
		size_t len = end ? (size_t)(end - head.p) : head.len;
		const char *colon = memchr(head.p, ':', len);

		if (!colon) return err_set(e, ERR_PROTOCOL, "the server sent a malformed header");
		for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
			struct text name = {head.p, (size_t)(colon - head.p)};

			if (!text_is(name, known[i].name)) continue;
			*known[i].value =
			    trim((struct text){colon + 1, len - (size_t)(colon + 1 - head.p)});
		}
		head.p += len;
		head.len -= len;
		if (head.len > 0) {
			head.p++;
			head.len--;
		}
	}
	return 0;
}

static int check_upgrade(const struct fields *f, const char *key, const char *protocols,
			 struct handshake_answer *ret, struct err *e)
{
	struct text offered = {protocols, protocols ? strlen(protocols) : 0};
	char accept[32];

	accept_of(key, accept);
	if (!text_is(f->upgrade, "websocket") ||
	    !list_has(f->connection, (struct text){"Upgrade", 7}))
		return err_set(e, ERR_PROTOCOL,
			       "the server switched to something else than a "
			       "WebSocket");
	if (f->accept.len != strlen(accept) || memcmp(f->accept.p, accept, f->accept.len) != 0)
		return err_set(e, ERR_PROTOCOL,
			       "the server's Sec-WebSocket-Accept does not match our key");
	if (f->extensions.len > 0)
		return err_set(e, ERR_PROTOCOL,
			       "the server uses a WebSocket extension that was "
			       "not asked for");
	if (f->protocol.len >= sizeof(ret->protocol) ||
	    (f->protocol.len > 0 && !list_has(offered, f->protocol)))
		return err_set(e, ERR_PROTOCOL,
			       "the server chose WebSocket protocol \"%.*s\", "
			       "which was not offered",
			       (int)MIN(f->protocol.len, 64u), f->protocol.p);
	if (f->protocol.len > 0) memcpy(ret->protocol, f->protocol.p, f->protocol.len);
	return 1;
}

/* "1f;ext\r\n" at *at; false when it is not all there or no number. */
static bool chunk_header(const char *data, size_t len, size_t *at, size_t *ret_size, bool *ret_bad)
{
	const char *end = memchr(data + *at, '\n', len - *at);
	size_t size = 0, digits = 0;

	*ret_bad = false;
	if (!end) return false;
	for (size_t i = *at; digits < 8; i++, digits++) {
		char c = data[i];
		int value = c >= '0' && c <= '9'                 ? c - '0'
			    : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
								 : -1;

		if (value < 0) break;
		size = size * 16 + (size_t)value;
	}
	*ret_bad = digits == 0 || digits == 8;
	*at = (size_t)(end - data) + 1;
	*ret_size = size;
	return !*ret_bad;
}

/* Joins the chunks (RFC 9112 section 7.1) at the start of data; true when the last is there. The
 * bytes are only moved then, so that a later call sees what this one saw. */
static bool join_chunks(char *data, size_t len, bool ended, size_t *ret_len)
{
	bool complete = false;

	for (int pass = 0; pass < 2; pass++) {
		size_t at = 0, out = 0, size;
		bool bad;

		complete = false;
		while (at < len && chunk_header(data, len, &at, &size, &bad)) {
			if (size == 0) {
				complete = true;
				break;
			}
			size = MIN(size, len - at);
			if (pass == 1) memmove(data + out, data + at, size);
			out += size;
			at += size;
			at += MIN(len - at, (size_t)2);
		}
		*ret_len = out;
		if (!complete && !ended && len < HANDSHAKE_BODY_MAX) return false;
	}
	return true;
}

static int take_body(char *data, size_t len, bool ended, const struct fields *f,
		     struct handshake_answer *ret)
{
	size_t want = SIZE_MAX;

	ret->body = data;
	if (list_has(f->encoding, (struct text){"chunked", 7}))
		return join_chunks(data, len, ended, &ret->body_len);
	if (f->length.len > 0 && f->length.len < 10) {
		want = 0;
		for (size_t i = 0; i < f->length.len && want != SIZE_MAX; i++) {
			char c = f->length.p[i];

			want = c >= '0' && c <= '9' ? want * 10 + (size_t)(c - '0') : SIZE_MAX;
		}
	}
	ret->body_len = MIN(MIN(want, len), (size_t)HANDSHAKE_BODY_MAX);
	return ended || len >= MIN(want, (size_t)HANDSHAKE_BODY_MAX);
}

static int parse_status(struct text line, int *ret)
{
	if (line.len < 12 || memcmp(line.p, "HTTP/1.", 7) != 0 || line.p[8] != ' ') return -1;
	*ret = 0;
	for (int i = 9; i < 12; i++) {
		if (line.p[i] < '0' || line.p[i] > '9') return -1;
		*ret = *ret * 10 + (line.p[i] - '0');
	}
	return 0;
}

static unsigned seconds_of(struct text t)
{
	unsigned seconds = 0;

	for (size_t i = 0; i < t.len && seconds < 100000; i++) {
		if (t.p[i] < '0' || t.p[i] > '9') return 0;
		seconds = seconds * 10 + (unsigned)(t.p[i] - '0');
	}
	return seconds;
}

int handshake_parse(char *data, size_t len, bool ended, const char *key, const char *protocols,
		    struct handshake_answer *ret, struct err *e)
{
	struct handshake_answer answer = {0};
	struct fields f = {0};
	char *end = memmem(data, MIN(len, (size_t)HANDSHAKE_HEADERS_MAX), "\r\n\r\n", 4);
	char *line_end;
	int r;

	if (len >= 5 && memcmp(data, "HTTP/", 5) != 0)
		return err_set(e, ERR_PROTOCOL, "the server does not speak HTTP");
	if (!end && len >= HANDSHAKE_HEADERS_MAX)
		return err_set(e, ERR_LIMIT, "the server's headers exceed %d bytes",
			       HANDSHAKE_HEADERS_MAX);
	if (!end && ended)
		return err_set(e, ERR_TRUNCATED,
			       "the server closed the connection during the "
			       "WebSocket handshake");
	if (!end) return 0;

	line_end = memmem(data, len, "\r\n", 2);
	if (parse_status((struct text){data, (size_t)(line_end - data)}, &answer.status) < 0)
		return err_set(e, ERR_PROTOCOL, "the server does not speak HTTP/1.1");
	if (line_end < end) {
		struct text head = {line_end + 2, (size_t)(end - line_end - 2)};

		r = parse_fields(head, &f, e);
		if (r < 0) return r;
	}
	answer.used = (size_t)(end - data) + 4;
	answer.retry_after_s = seconds_of(f.retry);
	if (answer.status == 101)
		r = check_upgrade(&f, key, protocols, &answer, e);
	else
		r = take_body(data + answer.used, len - answer.used, ended, &f, &answer);
	if (r == 1) *ret = answer;
	return r;
}
