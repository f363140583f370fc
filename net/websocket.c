#include "net/websocket.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <wslay/wslay.h>

struct websocket {
	enum websocket_state state;
	struct websocket_handler handler;
	wslay_event_context_ptr wslay;
	char key[HANDSHAKE_KEY_SIZE];
	char *protocols;   /* offered; owned, may be NULL */
	struct buf answer; /* of the handshake, until it is complete */
	struct handshake_answer result;
	struct buf out;
	size_t out_start;  /* written bytes of out */
	const uint8_t *in; /* what wslay may read now */
	size_t in_len;
	bool is_data, is_first; /* of the frame that is arriving */
	struct err failure;     /* code 0: none */
};

/* --- wslay's callbacks --- */

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *data, size_t len, int flags,
		       void *user)
{
	struct websocket *ws = user;
	size_t n = MIN(len, ws->in_len);

	if (n == 0) {
		wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(data, ws->in, n);
	ws->in += n;
	ws->in_len -= n;
	return (ssize_t)n;
}

static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags,
		       void *user)
{
	struct websocket *ws = user;

	len = MIN(len, (size_t)1 << 30);
	if (buf_append(&ws->out, data, len, &ws->failure) == 0) return (ssize_t)len;
	wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

/* Masks keep proxies from being tricked (RFC 6455 section 10.3): they must not be foreseeable. */
static int on_mask(wslay_event_context_ptr ctx, uint8_t *data, size_t len, void *user)
{
	struct websocket *ws = user;

	if (getrandom(data, len, 0) == (ssize_t)len) return 0;
	err_errno(&ws->failure, "no random numbers");
	return -1;
}

static void hand_over(struct websocket *ws, const uint8_t *data, size_t len)
{
	if (ws->failure.code != 0) return;
	ws->handler.message(ws->handler.ctx, data, len, ws->is_first, &ws->failure);
	ws->is_first = false;
}

static void on_frame(wslay_event_context_ptr ctx,
		     const struct wslay_event_on_frame_recv_start_arg *arg, void *user)
{
	struct websocket *ws = user;

	ws->is_data = !wslay_is_ctrl_frame(arg->opcode);
	if (!ws->is_data) return;
	ws->is_first = arg->opcode != WSLAY_CONTINUATION_FRAME;
	if (arg->payload_length == 0 && ws->is_first) hand_over(ws, NULL, 0);
}

static void on_chunk(wslay_event_context_ptr ctx,
		     const struct wslay_event_on_frame_recv_chunk_arg *arg, void *user)
{
	struct websocket *ws = user;

	if (ws->is_data && arg->data_length > 0) hand_over(ws, arg->data, arg->data_length);
}

/* --- life --- */

static int start(struct websocket *ws, const struct handshake_request *request, struct err *e)
{
	static const struct wslay_event_callbacks callbacks = {
	    .recv_callback = on_recv,
	    .send_callback = on_send,
	    .genmask_callback = on_mask,
	    .on_frame_recv_start_callback = on_frame,
	    .on_frame_recv_chunk_callback = on_chunk,
	};
	uint8_t nonce[HANDSHAKE_NONCE_BYTES];

	if (getrandom(nonce, sizeof(nonce), 0) != sizeof(nonce))
		return err_errno(e, "no random numbers");
	if (wslay_event_context_client_init(&ws->wslay, &callbacks, ws) != 0)
		return err_set(e, ERR_NO_MEMORY, "no memory for a WebSocket");
	wslay_event_config_set_no_buffering(ws->wslay, 1);
	if (request->protocols) {
		ws->protocols = strdup(request->protocols);
		if (!ws->protocols) return err_set(e, ERR_NO_MEMORY, "no memory for a WebSocket");
	}
	return handshake_build(request, nonce, &ws->out, ws->key, e);
}

int websocket_new(const struct handshake_request *request, const struct websocket_handler *handler,
		  struct websocket **ret, struct err *e)
{
	struct websocket *ws = calloc(1, sizeof(*ws));
	int r;

	if (!ws) return err_set(e, ERR_NO_MEMORY, "no memory for a WebSocket");
	ws->handler = *handler;
	buf_init(&ws->answer, HANDSHAKE_HEADERS_MAX + HANDSHAKE_BODY_MAX);
	/* Answers to pings come on top of what websocket_send queues. */
	buf_init(&ws->out, 4 * WEBSOCKET_QUEUE_MAX);
	r = start(ws, request, e);
	if (r < 0)
		websocket_free(ws);
	else
		*ret = ws;
	return r;
}

void websocket_free(struct websocket *ws)
{
	if (!ws) return;
	if (ws->wslay) wslay_event_context_free(ws->wslay);
	buf_done(&ws->answer);
	buf_done(&ws->out);
	free(ws->protocols);
	free(ws);
}

/* --- input --- */

static int fail(struct websocket *ws, struct err *e)
{
	if (e) *e = ws->failure;
	return -ws->failure.code;
}

/* Lets wslay read what is there, and queue what it answers. */
static int run_frames(struct websocket *ws, struct err *e)
{
	bool broken = wslay_event_recv(ws->wslay) != 0;

	if (ws->failure.code != 0) return fail(ws, e);
	if (!broken && wslay_event_get_close_received(ws->wslay)) ws->state = WEBSOCKET_CLOSED;
	/* wslay stops reading, and queues a close frame with the reason, by itself. */
	if (ws->state == WEBSOCKET_OPEN && !wslay_event_get_read_enabled(ws->wslay)) broken = true;
	wslay_event_send(ws->wslay);
	if (ws->failure.code == 0 && broken)
		err_set(&ws->failure, ERR_PROTOCOL, "the server broke the WebSocket protocol");
	return ws->failure.code != 0 ? fail(ws, e) : 0;
}

static int end_handshake(struct websocket *ws, bool ended, struct err *e)
{
	int r = handshake_parse(ws->answer.data, ws->answer.len, ended, ws->key, ws->protocols,
				&ws->result, &ws->failure);

	if (r < 0) return fail(ws, e);
	if (r == 0) return 0;
	if (ws->result.status != 101) {
		ws->state = WEBSOCKET_REFUSED;
		/* For those who read it as a string; the answer has room for one NUL at least. */
		ws->answer.data[(size_t)(ws->result.body - ws->answer.data) + ws->result.body_len] =
		    '\0';
		return 0;
	}
	ws->state = WEBSOCKET_OPEN;
	ws->in = (const uint8_t *)ws->answer.data + ws->result.used;
	ws->in_len = ws->answer.len - ws->result.used;
	r = run_frames(ws, e);
	buf_done(&ws->answer);
	return r;
}

int websocket_feed(struct websocket *ws, const void *data, size_t len, struct err *e)
{
	size_t n;
	int r;

	if (ws->failure.code != 0) return fail(ws, e);
	if (ws->state == WEBSOCKET_CONNECTING) {
		n = MIN(len, ws->answer.max - ws->answer.len);
		if (buf_append(&ws->answer, data, n, &ws->failure) < 0) return fail(ws, e);
		r = end_handshake(ws, false, e);
		if (r < 0 || ws->state != WEBSOCKET_OPEN) return r;
		data = (const uint8_t *)data + n;
		len -= n;
	}
	if (ws->state != WEBSOCKET_OPEN || len == 0) return 0;
	ws->in = data;
	ws->in_len = len;
	return run_frames(ws, e);
}

int websocket_feed_end(struct websocket *ws, struct err *e)
{
	if (ws->failure.code != 0) return fail(ws, e);
	if (ws->state == WEBSOCKET_CONNECTING) {
		/* No byte at all is a matter of the connection, not of its bytes. */
		if (ws->answer.len == 0)
			return err_set(e, ERR_TRUNCATED,
				       "the server closed the connection without "
				       "an answer");
		return end_handshake(ws, true, e);
	}
	if (ws->state == WEBSOCKET_OPEN) return err_set(e, ERR_TRUNCATED, "the connection was cut");
	return 0;
}

/* --- output --- */

size_t websocket_output(const struct websocket *ws, const void **ret)
{
	size_t len = ws->out.len - ws->out_start;

	*ret = len > 0 ? ws->out.data + ws->out_start : NULL;
	return len;
}

void websocket_written(struct websocket *ws, size_t len)
{
	ws->out_start += MIN(len, ws->out.len - ws->out_start);
	if (ws->out_start < ws->out.len - ws->out_start) return;
	buf_consume(&ws->out, ws->out_start);
	ws->out_start = 0;
}

int websocket_send(struct websocket *ws, uint8_t channel, const void *data, size_t len,
		   struct err *e)
{
	struct wslay_event_msg message = {.opcode = WSLAY_BINARY_FRAME, .msg_length = len + 1};
	_cleanup_free_ uint8_t *copy = NULL;
	int r;

	if (ws->failure.code != 0) return fail(ws, e);
	if (ws->state != WEBSOCKET_OPEN) return err_set(e, ERR_USAGE, "the WebSocket is not open");
	if (ws->out.len - ws->out_start > WEBSOCKET_QUEUE_MAX || len > WEBSOCKET_QUEUE_MAX)
		return err_set(e, ERR_LIMIT, "the server takes nothing");
	copy = malloc(len + 1);
	if (!copy) return err_set(e, ERR_NO_MEMORY, "no memory for a WebSocket message");
	copy[0] = channel;
	if (len > 0) memcpy(copy + 1, data, len);
	message.msg = copy;
	r = wslay_event_queue_msg(ws->wslay, &message);
	if (r == WSLAY_ERR_NO_MORE_MSG)
		return err_set(e, ERR_USAGE, "the WebSocket is being closed");
	if (r != 0) return err_set(e, ERR_NO_MEMORY, "no memory for a WebSocket message");
	wslay_event_send(ws->wslay);
	return ws->failure.code != 0 ? fail(ws, e) : 0;
}

void websocket_close(struct websocket *ws)
{
	if (ws->state != WEBSOCKET_OPEN || ws->failure.code != 0) return;
	wslay_event_queue_close(ws->wslay, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0);
	wslay_event_send(ws->wslay);
}

/* --- what became of it --- */

enum websocket_state websocket_state(const struct websocket *ws)
{
	return ws->state;
}

const char *websocket_protocol(const struct websocket *ws)
{
	return ws->result.protocol;
}

int websocket_status(const struct websocket *ws)
{
	return ws->result.status;
}

unsigned websocket_retry_after_s(const struct websocket *ws)
{
	return ws->result.retry_after_s;
}

const char *websocket_body(const struct websocket *ws, size_t *ret_len)
{
	bool refused = ws->state == WEBSOCKET_REFUSED;

	*ret_len = refused ? ws->result.body_len : 0;
	return refused ? ws->result.body : "";
}

int websocket_close_code(const struct websocket *ws)
{
	return wslay_event_get_status_code_received(ws->wslay);
}
