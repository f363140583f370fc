#include "exec/session.h"

#include "base/log.h"
#include "exec/push.h"
#include "exec/remote.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define PUSH_STALL_NS (60ull * NS_PER_S) /* without a byte either way; the script's is shorter */
#define STOP_NS (5ull * NS_PER_S)        /* for the probe to end after CANCEL */
#define BYE_NS (3ull * NS_PER_S)         /* for the exec to end after BYE */

#define CUT_HINT                                                                                   \
	"the API server, kubelet or container runtime was restarted, or the network failed: try "  \
	"again"

enum {
	ACK_BYTES = 256 << 10, /* each costs the probe a wakeup and the API server a message */
	READS_MAX = 64,        /* before writes, heartbeats and cancellation get a turn */
};

enum phase {
	PHASE_PUSH,  /* until the last byte of the probe was handed over */
	PHASE_HELLO, /* until the probe spoke */
	PHASE_RUN,
	PHASE_BYE,  /* END was checked; the exec should end by itself */
	PHASE_STOP, /* the session failed or was cancelled: CANCEL is sent, what comes is dropped */
};

struct session {
	struct kube *kube;
	const struct pod_target *target;
	const struct session_config *config;
	struct bundle_output *out;
	struct wire_end *ret_end;
	struct remote *remote;
	struct push push;
	struct wire *wire; /* from PHASE_HELLO on */
	enum phase phase;
	uint64_t deadline;   /* of PHASE_PUSH, PHASE_BYE, PHASE_STOP */
	uint64_t acked;      /* DATA bytes acknowledged */
	bool greeted;        /* HELLO was good */
	bool cancel_pending; /* CANCEL is to be sent when the probe can take it */
	/* While the receiver has no room we do not read, and silence is not the peer's: the wire's
	 * clock stands still. */
	bool paused;
	uint64_t paused_since, paused_ns, pause_pinged;
	struct wire_progress progress;
	struct err failure; /* why PHASE_STOP */
};

static uint64_t wire_clock(const struct session *s, uint64_t now)
{
	return (s->paused ? s->paused_since : now) - s->paused_ns;
}

/* Lets the probe clean up, and remembers why. */
static void stop(struct session *s, const struct err *why)
{
	bool sent;

	if (s->phase == PHASE_STOP) return;
	s->failure = *why;
	if (s->failure.code == 0) err_set(&s->failure, ERR_INTERNAL, "a session without a reason");
	/* Only a probe that runs reads CANCEL, and only over a wire that is whole; else the end of
	 * its stdin does the same. */
	s->cancel_pending = s->phase == PHASE_HELLO && s->failure.code == ERR_CANCELLED;
	sent = s->phase == PHASE_RUN && wire_send(s->wire, WIRE_CANCEL, NULL, 0, NULL) == 0;
	s->deadline = now_ns() + (s->cancel_pending || sent ? STOP_NS : 0);
	s->phase = PHASE_STOP;
}

/* --- frames --- */

static int other_probe(const struct session *s, const struct wire_hello *hello, struct err *e)
{
	if (!s->config->installed)
		return err_set(e, ERR_PROTOCOL,
			       "what runs in the container is not the probe that "
			       "was pushed: its SHA-256 differs");
	err_set(e, ERR_UNSUPPORTED,
		"container %s of pod %s has another probe than this podsnap brings: version %s, "
		"with another SHA-256",
		s->target->container, s->target->pod, hello->version);
	return err_hint(e, "use an image with the probe of podsnap " PODSNAP_VERSION);
}

static int check_hello(struct session *s, const struct wire_frame *f, struct err *e)
{
	struct wire_hello hello;
	uint8_t sha256[SHA256_BYTES];
	uint16_t machine = push_e_machine(&s->push);
	int r;

	if (f->type != WIRE_HELLO) return err_set(e, ERR_PROTOCOL, "the probe did not greet first");
	r = wire_decode_hello(f->payload, f->len, &hello, e);
	if (r < 0) return r;
	sha256_of(s->config->probe, s->config->probe_len, sha256);
	if (memcmp(hello.exe_sha256, sha256, sizeof(sha256)) != 0) return other_probe(s, &hello, e);
	if (machine != 0 && hello.e_machine != machine)
		return err_set(e, ERR_PROTOCOL, "the probe says it is for ELF machine %u, not %u",
			       hello.e_machine, machine);
	log_debug("probe %s runs as pid %u in pod %s, container %s", hello.version, hello.pid,
		  s->target->pod, s->target->container);
	if (s->phase == PHASE_STOP) {
		if (s->cancel_pending) r = wire_send(s->wire, WIRE_CANCEL, NULL, 0, e);
		s->cancel_pending = false;
		return r;
	}
	s->phase = PHASE_RUN;
	s->greeted = true;
	return wire_send(s->wire, WIRE_REQUEST, s->config->request, s->config->request_len, e);
}

static void call_progress(struct session *s)
{
	if (s->config->progress)
		s->config->progress(s->config->ctx, &s->progress, wire_received(s->wire));
}

static void take_log(struct session *s, const struct wire_frame *f)
{
	char text[1024];

	if (f->len < 1 || !s->config->log) return;
	snprintf(text, sizeof(text), "%.*s", (int)MIN(f->len - 1, sizeof(text) - 1),
		 (const char *)f->payload + 1);
	s->config->log(s->config->ctx, f->payload[0], text);
}

static int take_data(struct session *s, const struct wire_frame *f, struct err *e)
{
	struct bundle_frame frame;
	int r = wire_decode_data(f, &frame, e);

	return r < 0 ? r : s->out->frame(s->out, &frame, e);
}

static int take_entry(struct session *s, const struct wire_frame *f, struct err *e)
{
	struct bundle_entry entry;
	int r = wire_decode_entry(f->payload, f->len, &entry, e);

	if (r < 0) return r;
	r = s->out->entry(s->out, &entry, e);
	bundle_entry_done(&entry);
	return r;
}

/* The probe's word that it is done, held against what came. Says BYE in any case but a lie. */
static int take_end(struct session *s, const struct wire_frame *f, struct err *e)
{
	_cleanup_free_ struct wire_end *end = malloc(sizeof(*end));
	uint8_t sha256[SHA256_BYTES];
	uint64_t bytes;
	int r;

	if (!end) return err_set(e, ERR_NO_MEMORY, "no memory for the end of a session");
	r = wire_decode_end(f->payload, f->len, end, e);
	if (r < 0) return r;
	if (end->error_code != 0) {
		err_set(e, (enum err_code)end->error_code, "%s", end->text);
		return end->hint[0] ? err_hint(e, "%s", end->hint) : -end->error_code;
	}
	wire_digest(s->wire, sha256, &bytes);
	if (end->data_bytes != bytes || memcmp(end->sha256, sha256, sizeof(sha256)) != 0)
		return err_set(e, ERR_PROTOCOL,
			       "the probe sent %" PRIu64 " bytes; %" PRIu64
			       " arrived, or others than it sent",
			       end->data_bytes, bytes);
	r = wire_send_ack(s->wire, wire_received(s->wire), e);
	if (r == 0) r = wire_send(s->wire, WIRE_BYE, NULL, 0, e);
	if (r < 0) return r;
	s->acked = wire_received(s->wire);
	*s->ret_end = *end;
	s->phase = PHASE_BYE;
	s->deadline = now_ns() + BYE_NS;
	return 0;
}

static int take_frame(struct session *s, const struct wire_frame *f, struct err *e)
{
	int r;

	if (s->phase == PHASE_HELLO || s->cancel_pending) return check_hello(s, f, e);
	if (s->phase == PHASE_STOP) return 0;
	if (s->phase == PHASE_BYE)
		return err_set(e, ERR_PROTOCOL, "the probe sent a frame of type %d after its end",
			       (int)f->type);
	switch (f->type) {
	case WIRE_DATA:
		return take_data(s, f, e);
	case WIRE_ENTRY:
		return take_entry(s, f, e);
	case WIRE_PROGRESS:
		r = wire_decode_progress(f->payload, f->len, &s->progress, e);
		if (r == 0) call_progress(s);
		return r;
	case WIRE_LOG:
		take_log(s, f);
		return 0;
	case WIRE_END:
		return take_end(s, f, e);
	default:
		return err_set(e, ERR_PROTOCOL, "the probe sent an unexpected frame of type %d",
			       (int)f->type);
	}
}

static int take_stdout(struct session *s, const uint8_t *data, size_t len, struct err *e)
{
	struct wire_frame f;
	int r;

	if (!s->wire)
		return err_set(e, ERR_PROTOCOL,
			       "the container's shell wrote something by itself: "
			       "\"%.*s\"",
			       (int)MIN(len, (size_t)60), (const char *)data);
	/* What comes after CANCEL is dropped frame by frame; once the wire is broken, unread. */
	r = wire_feed(s->wire, data, len, wire_clock(s, now_ns()), e);
	while (r == 0 && (r = wire_next(s->wire, &f, e)) == 1)
		r = take_frame(s, &f, e);
	return r;
}

static int on_data(void *ctx, int channel, const uint8_t *data, size_t len, struct err *e)
{
	struct session *s = ctx;
	struct err why = {0};
	int r;

	if (s->phase == PHASE_PUSH) s->deadline = now_ns() + PUSH_STALL_NS;
	if (channel == REMOTE_STDERR) {
		push_stderr(&s->push, data, len);
		return 0;
	}
	r = take_stdout(s, data, len, &why);
	/* The stream itself is sound, and is still needed to stop the probe. */
	if (r < 0) stop(s, &why);
	return 0;
}

/* --- how it can end --- */

static const char *signal_note(int exit_code)
{
	switch (exit_code) {
	case 137:
		return " (killed: by the memory limit, or with the container)";
	case 126:
		return " (it may not be executed)";
	case 127:
		return " (not found)";
	default:
		return "";
	}
}

static int stopped_text(struct session *s, int exit_code, struct err *e)
{
	uint64_t bytes = s->wire ? wire_received(s->wire) : 0;
	const char *text = s->push.text;

	err_set(
	    e, exit_code == 137 ? ERR_GONE : ERR_TRUNCATED,
	    "the probe in pod %s, container %s, ended early with exit status %d%s, after %" PRIu64
	    " bytes%s%.*s",
	    s->target->pod, s->target->container, exit_code, signal_note(exit_code), bytes,
	    *text ? ": " : "", (int)MIN(strcspn(text, "\n"), 300u), text);
	if (exit_code == 137)
		return err_hint(e,
				"see what became of the container: kubectl describe pod -n %s %s",
				s->target->namespace_, s->target->pod);
	return -e->code;
}

static bool is_out_of_tasks(const char *text)
{
	return strstr(text, "fork") || strstr(text, "Resource temporarily unavailable");
}

static int tasks_hint(struct err *e)
{
	return err_hint(e,
			"it may have as many processes and threads as its pids limit allows: try "
			"again when it has fewer, or raise podPidsLimit of the kubelet");
}

/* The script did not come far enough to say something itself, or was not run at all. */
static int start_error(struct session *s, const struct remote_status *status, struct err *e)
{
	/* What wraps the runtime's own words is long and says nothing. */
	const char *reason = strstr(status->message, "exec: \"");

	if (strstr(status->message, "container not found"))
		return err_set(e, ERR_GONE, "container %s of pod %s does not run: %s",
			       s->target->container, s->target->pod, status->message);
	if (strstr(status->message, "executable file not found") || status->exit_code == 126 ||
	    status->exit_code == 127) {
		err_set(e, ERR_UNSUPPORTED, "container %s of pod %s has no shell: %s",
			s->target->container, s->target->pod, reason ? reason : status->message);
		return err_hint(e, "the probe is started by `sh`: enter by an ephemeral container "
				   "(--probe-image), or choose another container with -c");
	}
	if (s->push.text[0]) {
		err_set(e, ERR_LIMIT, "the shell in pod %s, container %s, gave up: %.*s",
			s->target->pod, s->target->container,
			(int)MIN(strcspn(s->push.text, "\n"), 300u), s->push.text);
		return is_out_of_tasks(s->push.text) ? tasks_hint(e) : -ERR_LIMIT;
	}
	err_set(e, ERR_SERVER, "exec into pod %s, container %s: %s", s->target->pod,
		s->target->container, status->message);
	return strstr(status->message, "unable to start container process") ? tasks_hint(e)
									    : -ERR_SERVER;
}

/* Whatever says so first: the script, channel 3, or the end of the connection. Before END each of
 * them is a failure, "Success" too. */
static int ended_error(struct session *s, struct err *e)
{
	const struct remote_status *status = remote_status(s->remote);
	uint64_t bytes = s->wire ? wire_received(s->wire) : 0;

	if (s->push.state == PUSH_FAILED) return push_error(&s->push, e);
	if (s->push.state == PUSH_EXITED) return stopped_text(s, s->push.exit_code, e);
	if (status->known && !status->success) {
		if (s->push.state == PUSH_PREPARING) return start_error(s, status, e);
		if (status->exit_code >= 0) return stopped_text(s, status->exit_code, e);
		return err_set(e, ERR_SERVER, "the exec stream broke after %" PRIu64 " bytes: %s",
			       bytes, status->message);
	}
	err_set(e, ERR_NETWORK,
		"the stream from pod %s, container %s, was cut after %" PRIu64 " bytes: %s",
		s->target->pod, s->target->container, bytes,
		status->known ? "the server reports success although the probe did not say it is "
				"done"
			      : remote_end_text(s->remote));
	return err_hint(e, CUT_HINT);
}

static bool has_ended(const struct session *s)
{
	return remote_ended(s->remote) || remote_status(s->remote)->known ||
	       s->push.state >= PUSH_FAILED;
}

/* --- the loop's parts --- */

static void check_cancel(struct session *s)
{
	struct err why;

	if (!s->config->cancel || !atomic_load(s->config->cancel) || s->phase >= PHASE_BYE) return;
	err_set(&why, ERR_CANCELLED, "cancelled");
	stop(s, &why);
}

static int start_wire(struct session *s, struct err *e)
{
	struct wire_config config = {.ping_ns = s->config->ping_ns,
				     .silence_ns = s->config->silence_ns,
				     .window_bytes = s->config->window_bytes};
	int r = wire_new(&s->wire, &config, wire_clock(s, now_ns()), e);

	if (r == 0) s->phase = PHASE_HELLO;
	return r;
}

static int push_more(struct session *s, struct err *e)
{
	const void *data;
	size_t len = push_output(&s->push, &data), taken = 0;
	int r;

	if (len > 0) {
		r = remote_send(s->remote, data, len, &taken, e);
		if (r < 0) return r;
		if (taken > 0) s->deadline = now_ns() + PUSH_STALL_NS;
		push_written(&s->push, taken);
	}
	return s->push.state == PUSH_SENT ? start_wire(s, e) : 0;
}

static int send_wire(struct session *s, struct err *e)
{
	const void *data;
	size_t len, taken;
	int r;

	/* The tool that takes the probe may read ahead: nothing follows before it is done. */
	if (!s->wire || s->phase == PHASE_HELLO || s->cancel_pending) return 0;
	do {
		taken = 0;
		len = wire_output(s->wire, &data);
		if (len == 0) return 0;
		r = remote_send(s->remote, data, len, &taken, e);
		if (r < 0) return r;
		wire_written(s->wire, taken, wire_clock(s, now_ns()));
	} while (taken == len);
	return 0;
}

static void update_pause(struct session *s)
{
	uint64_t now = now_ns();
	bool pause = s->phase == PHASE_RUN && s->config->room &&
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
		r = remote_receive(s->remote, e);
		if (s->phase == PHASE_RUN && wire_received(s->wire) - s->acked >= ACK_BYTES) break;
	}
	*ret_more = r == 1;
	return MIN(r, 0);
}

static int acknowledge(struct session *s, bool idle, struct err *e)
{
	uint64_t received;
	int r;

	if (s->phase != PHASE_RUN) return 0;
	received = wire_received(s->wire);
	if (received == s->acked || (!idle && received - s->acked < ACK_BYTES)) return 0;
	r = wire_send_ack(s->wire, received, e);
	if (r == -ERR_LIMIT) return 0; /* later, when something was written */
	if (r < 0) return r;
	s->acked = received;
	call_progress(s);
	return 0;
}

/* Heartbeats while the wire's clock stands. */
static int ping_while_paused(struct session *s, uint64_t now, struct err *e)
{
	const void *data;

	if (s->config->ping_ns == 0 || now - s->pause_pinged < s->config->ping_ns) return 0;
	s->pause_pinged = now;
	return wire_output(s->wire, &data) > 0 ? 0 : wire_send(s->wire, WIRE_PING, NULL, 0, e);
}

static int tick(struct session *s, struct err *e)
{
	uint64_t now = now_ns();
	int r;

	if (s->phase == PHASE_PUSH)
		return now < s->deadline ? 0
					 : err_set(e, ERR_TIMEOUT,
						   "pushing the probe into pod %s, container %s: "
						   "nothing moved for %llu s",
						   s->target->pod, s->target->container,
						   PUSH_STALL_NS / NS_PER_S);
	if (s->phase > PHASE_RUN) return 0;
	if (s->paused) return ping_while_paused(s, now, e);
	r = wire_tick(s->wire, wire_clock(s, now), e);
	if (r == -ERR_TIMEOUT)
		return err_set(e, ERR_TIMEOUT,
			       "the probe in pod %s, container %s, was silent for %" PRIu64
			       " s, after %" PRIu64 " bytes",
			       s->target->pod, s->target->container,
			       s->config->silence_ns / NS_PER_S, wire_received(s->wire));
	return r;
}

static uint64_t next_deadline(const struct session *s)
{
	if (s->phase == PHASE_PUSH || s->phase > PHASE_RUN) return s->deadline;
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
	    {.fd = remote_fd(s->remote)},
	    /* Once it was heard, it would stay readable. */
	    {.fd = s->phase < PHASE_BYE ? s->config->cancel_fd : -1, .events = POLLIN},
	    {.fd = s->paused ? s->config->room_fd : -1, .events = POLLIN},
	};

	fds[0].events =
	    (short)((s->paused ? 0 : POLLIN) | (remote_wants_write(s->remote) ? POLLOUT : 0));
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
	if (r == 0 && s->phase == PHASE_PUSH) r = push_more(s, e);
	if (r == 0) r = acknowledge(s, !more, e);
	if (r == 0) r = tick(s, e);
	if (r == 0) r = send_wire(s, e);
	if (r == 0) r = remote_flush(s->remote, e);
	if (r < 0) return r;
	/* Frames that came before the end of the stream count. */
	if (!more && has_ended(s)) return s->phase > PHASE_RUN ? 1 : ended_error(s, e);
	if (s->phase > PHASE_RUN && now_ns() >= s->deadline) return 1;
	wait_for_events(s, more);
	return 0;
}

/* Sending failed. What the other side sent before is still there: maybe its reason, maybe END. */
static int broken(struct session *s, struct err *why)
{
	struct err cut = *why;

	while (remote_receive(s->remote, why) == 1)
		;
	if (s->phase > PHASE_RUN) return 1;
	if (s->push.state >= PUSH_FAILED || remote_status(s->remote)->known)
		return ended_error(s, why);
	err_set(why, ERR_NETWORK,
		"the stream from pod %s, container %s, was cut after %" PRIu64 " bytes: %s",
		s->target->pod, s->target->container, s->wire ? wire_received(s->wire) : 0,
		cut.text);
	return err_hint(why, CUT_HINT);
}

static int run(struct session *s, struct err *e)
{
	struct err why = {0};
	int r;

	do {
		r = step(s, &why);
		if (r == -ERR_NETWORK && s->phase <= PHASE_RUN && !has_ended(s))
			r = broken(s, &why);
		/* A stream that can be written to still carries CANCEL; one that has ended does
		 * not, and then the probe sees the end of its stdin. */
		if (r < 0 && s->phase <= PHASE_RUN && !has_ended(s) && why.code != ERR_NETWORK) {
			stop(s, &why);
			r = 0;
		}
	} while (r == 0);
	/* After END nothing that the connection does can harm. */
	if (s->phase == PHASE_BYE) return 0;
	if (s->phase != PHASE_STOP) stop(s, &why);
	if (e) *e = s->failure;
	return -s->failure.code;
}

static void hang_up(struct session *s)
{
	if (!s->remote) return;
	remote_close(s->remote);
	remote_flush(s->remote, NULL);
	remote_free(s->remote);
}

int session_run(struct kube *k, const struct pod_target *target,
		const struct session_config *config, struct bundle_output *out,
		struct wire_end *ret_end, bool *ret_greeted, struct err *e)
{
	struct session *s = calloc(1, sizeof(*s));
	struct remote_config remote = {
	    .target = target, .cancel = config->cancel, .data = on_data, .ctx = s};
	int r = 0;

	*ret_greeted = false;
	if (!s) return err_set(e, ERR_NO_MEMORY, "no memory for a session");
	s->kube = k;
	s->target = target;
	s->config = config;
	s->out = out;
	s->ret_end = ret_end;
	s->deadline = now_ns() + PUSH_STALL_NS;
	if (config->installed)
		push_init_installed(&s->push, config->probe, config->probe_len, config->installed);
	else
		r = push_init(&s->push, config->probe, config->probe_len, e);
	remote.command = s->push.command;
	remote.command_count = s->push.command_count;
	if (r == 0) r = remote_open(k, &remote, &s->remote, e);
	if (r == 0) r = run(s, e);
	*ret_greeted = s->greeted;
	hang_up(s);
	wire_free(s->wire);
	free(s);
	return r;
}
