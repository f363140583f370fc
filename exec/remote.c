#include "exec/remote.h"

#include "base/log.h"
#include "exec/json_doc.h"
#include "exec/kube_internal.h"
#include "net/stream.h"
#include "net/websocket.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
	READ_BYTES = 64 << 10,
	MESSAGE_BYTES = 32 << 10,  /* of stdin in one WebSocket message */
	WAITING_MAX = 256 << 10,   /* bytes of stdin that wait here: more would only add delay */
	STATUS_MAX = 16 << 10,     /* of channel 3 */
	PATH_MAX_BYTES = 64 << 10, /* of the URL: the command is in it */
	CANCEL_POLL_MS = 200,
};

static const char v4[] = "v4.channel.k8s.io", v5[] = "v5.channel.k8s.io";

struct remote {
	struct stream *stream;
	struct websocket *ws;
	int (*data)(void *ctx, int channel, const uint8_t *data, size_t len, struct err *e);
	void *ctx;
	int channel; /* of the message that is arriving; -1: its first byte is still to come */
	struct buf status_text;
	struct remote_status status;
	bool ended;
	char end_text[256];
	uint8_t in[READ_BYTES];
};

/* On one line, and without the queries of URLs: the API server names the kubelet's with our whole
 * script in it, before it comes to what failed. */
static void copy_message(const char *text, size_t len, char *ret, size_t size)
{
	bool in_url = false;
	size_t n = 0;

	for (size_t i = 0; i < len && n + 1 < size; i++) {
		unsigned char c = (unsigned char)text[i];

		if (len - i >= 3 && memcmp(text + i, "://", 3) == 0) in_url = true;
		if (c <= ' ' || c == '"') in_url = false;
		if (in_url && c == '?')
			while (i + 1 < len && (unsigned char)text[i + 1] > ' ' &&
			       text[i + 1] != '"')
				i++;
		else
			ret[n++] = c < ' ' || c == 0x7f ? ' ' : (char)c;
	}
	ret[n] = '\0';
}

void remote_status_parse(const char *text, size_t len, struct remote_status *ret)
{
	_cleanup_json_doc_ cJSON *doc = NULL;
	const char *message;
	const cJSON *cause;

	*ret = (struct remote_status){.known = true, .exit_code = -1};
	if (json_doc_parse(text, len, "", &doc, NULL) < 0) {
		copy_message(text, MIN(len, (size_t)400), ret->message, sizeof(ret->message));
	} else {
		ret->success = strcmp(json_doc_text(doc, "status"), "Success") == 0;
		message = json_doc_text(doc, "message");
		if (!ret->success)
			copy_message(message, strlen(message), ret->message, sizeof(ret->message));
		cJSON_ArrayForEach(cause, json_doc_get(doc, "details.causes"))
		{
			if (strcmp(json_doc_text(cause, "reason"), "ExitCode") == 0)
				ret->exit_code =
				    (int)strtol(json_doc_text(cause, "message"), NULL, 10);
		}
	}
}

/* It comes in pieces: it is complete once it is JSON, or when nothing comes any more. */
static void take_status(struct remote *r, bool ended)
{
	const struct buf *text = &r->status_text;
	cJSON *doc = NULL;

	if (r->status.known || text->len == 0) return;
	if (ended || json_doc_parse(text->data, text->len, "", &doc, NULL) == 0)
		remote_status_parse(text->data, text->len, &r->status);
	cJSON_Delete(doc);
}

static int on_message(void *ctx, const uint8_t *data, size_t len, bool first, struct err *e)
{
	struct remote *r = ctx;

	if (first) r->channel = -1;
	if (len > 0 && r->channel < 0) {
		r->channel = *data++;
		len--;
	}
	if (len == 0) return 0; /* the server opens each channel with an empty message */
	switch (r->channel) {
	case REMOTE_STDOUT:
	case REMOTE_STDERR:
		return r->data(r->ctx, r->channel, data, len, e);
	case REMOTE_STATUS:
		if (buf_append(&r->status_text, data, len, NULL) < 0)
			return err_set(e, ERR_PROTOCOL, "the server's status is too long");
		take_status(r, false);
		return 0;
	default:
		return err_set(e, ERR_PROTOCOL, "the server sent data on channel %d", r->channel);
	}
}

/* --- opening --- */

static int exec_path(const struct remote_config *config, struct buf *ret, struct err *e)
{
	const struct pod_target *t = config->target;
	int r = buf_printf(ret, e,
			   "/api/v1/namespaces/%s/pods/%s/exec?container=%s&stdin=true&stdout=true"
			   "&stderr=true",
			   t->namespace_, t->pod, t->container);

	for (size_t i = 0; r == 0 && i < config->command_count; i++) {
		r = buf_puts(ret, "&command=", e);
		if (r == 0) r = http_encode(ret, config->command[i], "/", e);
	}
	return r;
}

/* "https://host:443/prefix" -> Host header and prefix. */
static int split_server(const char *server, char *ret_host, size_t size, const char **ret_prefix,
			struct err *e)
{
	const char *host = strstr(server, "://");
	size_t len;

	if (!host) return err_set(e, ERR_USAGE, "malformed server address");
	host += 3;
	len = strcspn(host, "/");
	if (len == 0 || len >= size) return err_set(e, ERR_USAGE, "malformed server address");
	memcpy(ret_host, host, len);
	ret_host[len] = '\0';
	*ret_prefix = host + len;
	return 0;
}

static int make_websocket(struct remote *r, const struct kube *k, const char *path,
			  const char *protocol, struct err *e)
{
	struct websocket_handler handler = {on_message, r};
	_cleanup_buf_ struct buf full = BUF_INIT(PATH_MAX_BYTES);
	struct handshake_request request = {
	    .protocols = protocol,
	    .headers = k->headers,
	    .header_count = k->header_count,
	};
	const char *prefix = NULL;
	char host[300];
	int code = split_server(k->access.server, host, sizeof(host), &prefix, e);

	if (code == 0) code = buf_printf(&full, e, "%s%s", prefix, path);
	if (code < 0) return code;
	request.host = host;
	request.path = full.data;
	return websocket_new(&request, &handler, &r->ws, e);
}

/* Polls for what is wanted, and for a cancellation now and then. */
static int wait_for_server(struct remote *r, const struct remote_config *config, uint64_t deadline,
			   struct err *e)
{
	uint64_t now = now_ns();
	struct pollfd fd = {.fd = remote_fd(r),
			    .events = POLLIN | (remote_wants_write(r) ? POLLOUT : 0)};

	if (config->cancel && atomic_load(config->cancel))
		return err_set(e, ERR_CANCELLED, "cancelled");
	if (now >= deadline)
		return err_set(e, ERR_TIMEOUT, "the API server does not answer a request for exec");
	poll(&fd, 1, (int)MIN((deadline - now) / NS_PER_MS + 1, (uint64_t)CANCEL_POLL_MS));
	return 0;
}

static int shake_hands(struct remote *r, const struct remote_config *config, uint64_t timeout_ns,
		       struct err *e)
{
	uint64_t deadline = now_ns() + timeout_ns;
	int code = 0;

	while (code == 0 && websocket_state(r->ws) == WEBSOCKET_CONNECTING) {
		code = remote_flush(r, e);
		if (code == 0) code = remote_receive(r, e);
		if (code == 1)
			code = 0;
		else if (code == 0 && r->ended && websocket_state(r->ws) == WEBSOCKET_CONNECTING)
			code = err_set(e, ERR_NETWORK, "%s", r->end_text);
		else if (code == 0 && websocket_state(r->ws) == WEBSOCKET_CONNECTING)
			code = wait_for_server(r, config, deadline, e);
	}
	return code;
}

static int refused(const struct kube *k, const struct remote *r, const char *path, struct err *e)
{
	size_t len;
	const char *body = websocket_body(r->ws, &len);

	return kube_answer_error(k, "exec", path, websocket_status(r->ws), body, len, e);
}

/* What attempts one after the other know. */
struct opening {
	const char *path;
	/* Alone: where v5 is offered, too, the API server translates the stream itself, whichever
	 * it chooses, and does not just pass it on. */
	const char *protocol;
	bool renewed;           /* newer credentials were asked for */
	bool again;             /* the failure may pass */
	unsigned retry_after_s; /* what the server asks for before that */
};

/* 400 is what servers answer to protocols that they do not know, and to much else. */
static bool try_other_protocol(struct opening *o, int status)
{
	if (o->protocol != v4 || (status != 400 && status != 101)) return false;
	o->protocol = v5;
	return true;
}

/* What came instead of a WebSocket. */
static int judge_refusal(struct kube *k, struct remote *r, struct opening *o, struct err *e)
{
	int status = websocket_status(r->ws), code;

	o->retry_after_s = websocket_retry_after_s(r->ws);
	if (status == 401 && !o->renewed) {
		o->renewed = true;
		code = kube_refused(k, &o->again, e);
		if (code < 0) return code;
	} else {
		o->again = kube_status_passes(status) || try_other_protocol(o, status);
	}
	code = refused(k, r, o->path, e);
	/* The kubelet says so of a container that does not run (v4): it will not pass. */
	if (o->again && e && strstr(e->text, "container not found")) o->again = false;
	return code;
}

static int try_open(struct kube *k, const struct remote_config *config, struct opening *o,
		    struct remote **ret, struct err *e)
{
	struct http_config http;
	struct remote *r = calloc(1, sizeof(*r));
	int code;

	o->again = false;
	o->retry_after_s = 0;
	if (!r) return err_set(e, ERR_NO_MEMORY, "no memory for an exec stream");
	r->data = config->data;
	r->ctx = config->ctx;
	r->channel = -1;
	buf_init(&r->status_text, STATUS_MAX);
	code = kube_authorize(k, e);
	http = kube_http_config(k);
	if (config->cancel) http.cancel = config->cancel;
	if (code == 0) code = make_websocket(r, k, o->path, o->protocol, e);
	if (code == 0) {
		code = stream_open(&http, k->access.server, &r->stream, e);
		if (code == -ERR_AUTH) kube_tls_error(k, e);
	}
	if (code == 0) code = shake_hands(r, config, k->request_timeout_ns, e);
	if (code == 0 && websocket_state(r->ws) == WEBSOCKET_REFUSED) {
		code = judge_refusal(k, r, o, e);
	} else if (code == 0 && !*websocket_protocol(r->ws)) {
		o->again = try_other_protocol(o, websocket_status(r->ws));
		code = err_set(e, ERR_UNSUPPORTED,
			       "the API server speaks no exec protocol that we know");
	}
	if (code < 0)
		remote_free(r);
	else
		*ret = r;
	return code;
}

int remote_open(struct kube *k, const struct remote_config *config, struct remote **ret,
		struct err *e)
{
	_cleanup_buf_ struct buf path = BUF_INIT(PATH_MAX_BYTES);
	const struct pod_target *t = config->target;
	int code = exec_path(config, &path, e);
	struct opening o = {.protocol = v4};

	if (code < 0) return code;
	o.path = path.data;
	for (int attempt = 1;; attempt++) {
		struct err local;
		struct err *failure = e ? e : &local;

		code = try_open(k, config, &o, ret, failure);
		if (code == 0) {
			log_debug("exec by %s", o.protocol);
			return 0;
		}
		if (!o.again || attempt == KUBE_ATTEMPTS ||
		    (config->cancel && atomic_load(config->cancel)))
			return err_wrap(failure, "exec into pod %s, container %s", t->pod,
					t->container);
		log_debug("exec: %s; trying again", failure->text);
		kube_back_off(k, attempt, o.retry_after_s);
	}
}

void remote_free(struct remote *r)
{
	if (!r) return;
	stream_free(r->stream);
	websocket_free(r->ws);
	buf_done(&r->status_text);
	free(r);
}

/* --- while it runs --- */

int remote_flush(struct remote *r, struct err *e)
{
	const void *data;
	size_t len, taken;
	int code;

	do {
		len = websocket_output(r->ws, &data);
		if (len == 0 && !stream_pending(r->stream)) return 0;
		taken = 0;
		code = stream_send(r->stream, data, len, &taken, e);
		/* Then only the answer to a close frame waits, and nobody for it. */
		if (code < 0 && r->ended) return 0;
		if (code < 0) return code;
		websocket_written(r->ws, taken);
	} while (taken > 0);
	return 0;
}

int remote_send(struct remote *r, const void *data, size_t len, size_t *ret_taken, struct err *e)
{
	const uint8_t *p = data;
	const void *waiting;
	size_t taken = 0;
	int code = 0;

	while (!r->ended && taken < len && websocket_output(r->ws, &waiting) < WAITING_MAX) {
		size_t n = MIN(len - taken, (size_t)MESSAGE_BYTES);

		code = websocket_send(r->ws, REMOTE_STDIN, p + taken, n, e);
		if (code == 0) taken += n;
		if (code == 0) code = remote_flush(r, e);
		if (code < 0) return code;
	}
	*ret_taken = taken;
	return 0;
}

int remote_receive(struct remote *r, struct err *e)
{
	struct err why;
	size_t len;
	int code;

	if (r->ended) return 0;
	code = stream_recv(r->stream, r->in, sizeof(r->in), &len, &why);
	if (code == 0) return 0;
	if (code < 0) {
		r->ended = true;
		snprintf(r->end_text, sizeof(r->end_text), "%.255s", why.text);
		take_status(r, true);
		code = websocket_feed_end(r->ws, e);
		/* That it was cut is for the caller to judge: remote_ended. */
		return code == -ERR_TRUNCATED ? 0 : code;
	}
	code = websocket_feed(r->ws, r->in, len, e);
	if (websocket_state(r->ws) == WEBSOCKET_CLOSED && !r->ended) {
		r->ended = true;
		snprintf(r->end_text, sizeof(r->end_text),
			 "the exec stream was closed by the server (WebSocket status %d)",
			 websocket_close_code(r->ws));
		take_status(r, true);
	}
	return code < 0 ? code : 1;
}

void remote_close(struct remote *r)
{
	websocket_close(r->ws);
}

int remote_fd(const struct remote *r)
{
	return stream_fd(r->stream);
}

bool remote_wants_write(const struct remote *r)
{
	const void *data;

	return stream_pending(r->stream) || websocket_output(r->ws, &data) > 0;
}

bool remote_ended(const struct remote *r)
{
	return r->ended;
}

const char *remote_end_text(const struct remote *r)
{
	return r->end_text;
}

const struct remote_status *remote_status(const struct remote *r)
{
	return &r->status;
}
