#include "exec/session_internal.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>

#define PUSH_STALL_NS (60ull * NS_PER_S) /* without a byte either way; the script's is shorter */
#define STOP_NS (5ull * NS_PER_S)        /* for the probe to end after CANCEL */

enum {
	ACK_BYTES = 256 << 10, /* each costs the probe a wakeup and the API server a message */
	READS_MAX = 64,        /* before writes, heartbeats and cancellation get a turn */
};

uint64_t session_wire_clock(const struct session *s, uint64_t now)
{
	return (s->paused ? s->paused_since : now) - s->paused_ns;
}

static uint64_t push_stall_ns(const struct session *s)
{
	return s->resuming ? SESSION_RESUME_NS : PUSH_STALL_NS;
}

void session_stop(struct session *s, const struct err *why)
{
	struct connection *c = &s->now;
	bool sent;

	if (c->phase == PHASE_STOP) return;
	c->failure = *why;
	if (c->failure.code == 0) err_set(&c->failure, ERR_INTERNAL, "a session without a reason");
	/* Only a probe that runs reads CANCEL, and only over a wire that is whole; else the end of
	 * its stdin does the same. */
	c->cancel_pending = (c->phase == PHASE_HELLO || c->phase == PHASE_RESUME) &&
			    c->failure.code == ERR_CANCELLED;
	sent = c->phase == PHASE_RUN && !c->lost &&
	       wire_send(s->wire, WIRE_CANCEL, NULL, 0, NULL) == 0;
	c->deadline = now_ns() + (c->cancel_pending || sent ? STOP_NS : 0);
	c->phase = PHASE_STOP;
}

static void check_cancel(struct session *s)
{
	struct err why;

	if (!s->config->cancel || !atomic_load(s->config->cancel) || s->now.phase >= PHASE_BYE)
		return;
	err_set(&why, ERR_CANCELLED, "cancelled");
	session_stop(s, &why);
}

static int start_wire(struct session *s, struct err *e)
{
	struct wire_config config = {.ping_ns = s->config->ping_ns,
				     .silence_ns = s->config->silence_ns};
	uint64_t clock = session_wire_clock(s, now_ns());
	int r =
	    s->wire ? wire_reconnect(s->wire, 0, clock, e) : wire_new(&s->wire, &config, clock, e);

	if (r == 0) s->now.phase = PHASE_HELLO;
	return r;
}

static int push_more(struct session *s, struct err *e)
{
	const void *data;
	size_t len = push_output(&s->now.push, &data), taken = 0;
	int r;

	if (len > 0) {
		r = remote_send(s->now.remote, data, len, &taken, e);
		if (r < 0) return r;
		if (taken > 0) s->now.deadline = now_ns() + push_stall_ns(s);
		push_written(&s->now.push, taken);
	}
	return s->now.push.state == PUSH_SENT ? start_wire(s, e) : 0;
}

static int send_wire(struct session *s, struct err *e)
{
	const void *data;
	size_t len, taken;
	int r;

	/* The tool that takes the probe may read ahead: nothing follows before it is done. */
	if (!s->now.met) return 0;
	do {
		taken = 0;
		len = wire_output(s->wire, &data);
		if (len == 0) return 0;
		r = remote_send(s->now.remote, data, len, &taken, e);
		if (r < 0) return r;
		wire_written(s->wire, taken, session_wire_clock(s, now_ns()));
	} while (taken == len);
	return 0;
}

static void update_pause(struct session *s)
{
	uint64_t now = now_ns();
	bool pause = s->now.phase == PHASE_RUN && s->config->room &&
		     s->config->room(s->config->ctx) < WIRE_PAYLOAD_MAX;

	if (pause == s->paused) return;
	if (pause)
		s->paused_since = s->pause_pinged = now;
	else
		s->paused_ns += now - s->paused_since;
	s->paused = pause;
}

/* True when there may be more at once. */
static int receive(struct session *s, bool *ret_more, struct err *e)
{
	int r = 1;

	for (int i = 0; r == 1 && i < READS_MAX; i++) {
		update_pause(s);
		if (s->paused) return 0;
		r = remote_receive(s->now.remote, e);
		if (s->now.phase == PHASE_RUN && wire_received(s->wire) - s->acked >= ACK_BYTES)
			break;
	}
	*ret_more = r == 1;
	return MIN(r, 0);
}

static int acknowledge(struct session *s, bool idle, struct err *e)
{
	uint64_t received;
	int r;

	if (s->now.phase != PHASE_RUN) return 0;
	received = wire_received(s->wire);
	if (received == s->acked || (!idle && received - s->acked < ACK_BYTES)) return 0;
	r = wire_send_ack(s->wire, received, e);
	if (r == -ERR_LIMIT) return 0; /* later, when something was written */
	if (r < 0) return r;
	s->acked = received;
	session_call_progress(s);
	return 0;
}

static bool is_read_from(const struct session *s)
{
	return s->config->reads && s->held && s->now.phase == PHASE_RUN;
}

/* What another thread wants to read of a held snapshot. */
static int ask(struct session *s, struct err *e)
{
	const struct session_reads *reads = s->config->reads;
	_cleanup_buf_ struct buf payload = BUF_INIT(sizeof(struct wire_read));
	struct wire_read read;
	uint64_t count;
	int r;

	if (!is_read_from(s)) return 0;
	(void)!eventfd_read(reads->fd, &count);
	if (reads->done(reads->ctx)) {
		/* Left alone, it waits for the next client. */
		if (!reads->keep) return session_say_bye(s, e);
		s->now.phase = PHASE_BYE;
		s->now.deadline = 0;
		return 0;
	}
	if (!reads->next(reads->ctx, s->ask_again, &read)) return 0;
	s->ask_again = false;
	r = wire_encode_read(&read, &payload, e);
	return r < 0 ? r : wire_send(s->wire, WIRE_READ, payload.data, payload.len, e);
}

/* Heartbeats while the wire's clock stands. */
static int ping_while_paused(struct session *s, uint64_t now, struct err *e)
{
	const void *data;

	if (s->config->ping_ns == 0 || now - s->pause_pinged < s->config->ping_ns) return 0;
	s->pause_pinged = now;
	return wire_output(s->wire, &data) > 0 ? 0 : wire_send(s->wire, WIRE_PING, NULL, 0, e);
}

static int stalled(struct session *s, const char *doing, uint64_t ns, struct err *e)
{
	return err_set(e, ERR_TIMEOUT, "%s pod %s, container %s: nothing moved for %" PRIu64 " s",
		       doing, s->target->pod, s->target->container, ns / NS_PER_S);
}

static int tick(struct session *s, struct err *e)
{
	uint64_t now = now_ns();
	char why[100];
	int r;

	if (s->now.phase == PHASE_PUSH && now >= s->now.deadline)
		return stalled(s, "pushing the probe into", push_stall_ns(s), e);
	if (s->now.phase == PHASE_RESUME && now >= s->now.deadline)
		return stalled(s, "going on with the probe in", SESSION_RESUME_NS, e);
	if (s->now.phase != PHASE_HELLO && s->now.phase != PHASE_RUN) return 0;
	if (s->paused) return ping_while_paused(s, now, e);
	r = wire_tick(s->wire, session_wire_clock(s, now), e);
	if (r != -ERR_TIMEOUT) return r;
	snprintf(why, sizeof(why), "the probe was silent for %" PRIu64 " s",
		 s->config->silence_ns / NS_PER_S);
	return session_lost(s, why, e);
}

static uint64_t next_deadline(const struct session *s)
{
	if (s->now.phase != PHASE_HELLO && s->now.phase != PHASE_RUN) return s->now.deadline;
	if (s->paused)
		return s->config->ping_ns > 0 ? s->pause_pinged + s->config->ping_ns : UINT64_MAX;
	return wire_deadline(s->wire) == UINT64_MAX ? UINT64_MAX
						    : wire_deadline(s->wire) + s->paused_ns;
}

static void wait_for_events(struct session *s, bool more)
{
	uint64_t now = now_ns(), deadline = next_deadline(s);
	int timeout_ms =
	    deadline <= now ? 0 : (int)MIN((deadline - now) / NS_PER_MS + 1, (uint64_t)1000);
	struct pollfd fds[] = {
	    {.fd = remote_fd(s->now.remote)},
	    /* Once it was heard, it would stay readable. */
	    {.fd = s->now.phase < PHASE_BYE ? s->config->cancel_fd : -1, .events = POLLIN},
	    {.fd = s->paused ? s->config->room_fd : -1, .events = POLLIN},
	    {.fd = is_read_from(s) ? s->config->reads->fd : -1, .events = POLLIN},
	};

	fds[0].events =
	    (short)((s->paused ? 0 : POLLIN) | (remote_wants_write(s->now.remote) ? POLLOUT : 0));
	/* POLLHUP would be reported without being asked for. */
	if (!fds[0].events) fds[0].fd = -1;
	poll(fds, ARRAY_SIZE(fds), more ? 0 : timeout_ms);
}

/* One round. 1: the session is over, for good or ill. */
static int step(struct session *s, struct err *e)
{
	bool more = false;
	int r;

	check_cancel(s);
	r = receive(s, &more, e);
	if (r == 0 && s->now.phase == PHASE_PUSH) r = push_more(s, e);
	if (r == 0) r = acknowledge(s, !more, e);
	if (r == 0) r = ask(s, e);
	if (r == 0) r = tick(s, e);
	if (r == 0) r = send_wire(s, e);
	if (r == 0) r = remote_flush(s->now.remote, e);
	if (r < 0) return r;
	/* Frames that came before the end of the stream count. */
	if (!more && session_has_ended(s))
		return s->now.phase > PHASE_RUN ? 1 : session_ended_error(s, e);
	if (s->now.phase > PHASE_RUN && now_ns() >= s->now.deadline) return 1;
	wait_for_events(s, more);
	return 0;
}

/* Sending failed. What the other side sent before is still there: maybe its reason, maybe END. */
static int broken(struct session *s, struct err *why)
{
	struct err cut = *why;

	while (remote_receive(s->now.remote, why) == 1)
		;
	if (s->now.phase > PHASE_RUN) return 1;
	if (s->now.push.state >= PUSH_FAILED || remote_status(s->now.remote)->known)
		return session_ended_error(s, why);
	return session_lost(s, cut.text, why);
}

static int run(struct session *s, struct err *e)
{
	struct err why = {0};
	int r;

	do {
		r = step(s, &why);
		if (r == -ERR_NETWORK && !s->now.lost && s->now.phase <= PHASE_RUN &&
		    !session_has_ended(s))
			r = broken(s, &why);
		/* A stream that can be written to still carries CANCEL; one that has ended does
		 * not, and then the probe sees the end of its stdin. One that is lost shall not. */
		if (r < 0 && s->now.phase <= PHASE_RUN && !session_has_ended(s) && !s->now.lost) {
			session_stop(s, &why);
			r = 0;
		}
	} while (r == 0);
	/* After END nothing that the connection does can harm. */
	if (s->now.phase == PHASE_BYE) return 0;
	if (s->now.phase != PHASE_STOP) session_stop(s, &why);
	if (e) *e = s->now.failure;
	return -s->now.failure.code;
}

static void hang_up(struct session *s)
{
	if (!s->now.remote) return;
	remote_close(s->now.remote);
	remote_flush(s->now.remote, NULL);
	remote_free(s->now.remote);
	s->now.remote = NULL;
}

static int on_data(void *ctx, int channel, const uint8_t *data, size_t len, struct err *e)
{
	struct session *s = ctx;

	if (s->now.phase == PHASE_PUSH) s->now.deadline = now_ns() + push_stall_ns(s);
	if (channel == REMOTE_STDERR)
		push_stderr(&s->now.push, data, len);
	else
		session_take_stdout(s, data, len);
	return 0;
}

int session_converse(struct session *s, struct err *e)
{
	const struct session_config *config = s->config;
	struct push *push = &s->now.push;
	struct remote_config remote = {
	    .target = s->target, .cancel = config->cancel, .data = on_data, .ctx = s};
	int r = 0;

	s->now.deadline = now_ns() + push_stall_ns(s);
	if (config->installed)
		push_init_installed(push, config->probe, config->probe_len, config->installed);
	else
		r = push_init(push, config->probe, config->probe_len, e);
	remote.command = push->command;
	remote.command_count = push->command_count;
	if (r == 0) r = remote_open(s->kube, &remote, &s->now.remote, e);
	if (r == 0) r = run(s, e);
	hang_up(s);
	return r;
}
