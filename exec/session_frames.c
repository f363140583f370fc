#include "exec/session_internal.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BYE_NS (3ull * NS_PER_S) /* for the exec to end after BYE */

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

/* The probe can be told what to do: its work, or to end. */
static int begin(struct session *s, struct err *e)
{
	if (s->now.phase == PHASE_STOP) {
		s->now.cancel_pending = false;
		return wire_send(s->wire, WIRE_CANCEL, NULL, 0, e);
	}
	s->now.phase = PHASE_RUN;
	s->ask_again = true;
	if (s->resuming) return 0;
	return wire_send(s->wire, WIRE_REQUEST, s->config->request, s->config->request_len, e);
}

static int ask_to_resume(struct session *s, struct err *e)
{
	_cleanup_buf_ struct buf payload = BUF_INIT(100);
	struct wire_resume resume = {.received = wire_received(s->wire)};
	int r;

	memcpy(resume.token, s->token, sizeof(resume.token));
	if (s->now.phase != PHASE_STOP) {
		s->now.phase = PHASE_RESUME;
		s->now.deadline = now_ns() + SESSION_RESUME_NS;
	}
	r = wire_encode_resume(&resume, &payload, e);
	return r < 0 ? r : wire_send(s->wire, WIRE_RESUME, payload.data, payload.len, e);
}

static int take_resumed(struct session *s, const struct wire_frame *f, struct err *e)
{
	struct err why = {0};
	int r = wire_decode_resumed(f->payload, f->len, &why, e);

	if (r < 0) return r;
	if (why.code == 0) {
		log_line(s->held ? LOG_DEBUG : LOG_INFO, "the stream goes on at byte %" PRIu64,
			 wire_received(s->wire));
		s->now.went_on = true;
	} else if (wire_received(s->wire) == 0 && !s->held) {
		/* The connection was lost before the request came through. */
		s->resuming = false;
		s->now.went_on = true;
	} else {
		s->now.refused = true;
		if (e) *e = why;
		return -why.code;
	}
	return begin(s, e);
}

static int check_hello(struct session *s, const struct wire_frame *f, struct err *e)
{
	struct wire_hello hello;
	uint8_t sha256[SHA256_BYTES];
	uint16_t machine = push_e_machine(&s->now.push);
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
	s->now.met = true;
	s->greeted = true;
	if (s->resuming) return ask_to_resume(s, e);
	memcpy(s->token, hello.token, sizeof(s->token));
	return begin(s, e);
}

void session_call_progress(struct session *s)
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

/* What the probe says it sent, held against what came. */
static int check_end(const struct session *s, const struct wire_end *end, struct err *e)
{
	uint8_t sha256[SHA256_BYTES];
	uint64_t bytes;

	if (end->error_code != 0) {
		err_set(e, (enum err_code)end->error_code, "%s", end->text);
		return end->hint[0] ? err_hint(e, "%s", end->hint) : -end->error_code;
	}
	wire_digest(s->wire, sha256, &bytes);
	if (end->data_bytes == bytes && memcmp(end->sha256, sha256, sizeof(sha256)) == 0) return 0;
	return err_set(e, ERR_PROTOCOL,
		       "the probe sent %" PRIu64 " bytes; %" PRIu64
		       " arrived, or others than it sent",
		       end->data_bytes, bytes);
}

int session_say_bye(struct session *s, struct err *e)
{
	int r = wire_send(s->wire, WIRE_BYE, NULL, 0, e);

	if (r < 0) return r;
	s->now.phase = PHASE_BYE;
	s->now.deadline = now_ns() + BYE_NS;
	return 0;
}

/* The probe's word that it is done, or holds the snapshot. */
static int take_end(struct session *s, const struct wire_frame *f, struct err *e)
{
	_cleanup_free_ struct wire_end *end = malloc(sizeof(*end));
	int r;

	if (!end) return err_set(e, ERR_NO_MEMORY, "no memory for the end of a session");
	r = wire_decode_end(f->payload, f->len, end, e);
	if (r == 0) r = check_end(s, end, e);
	if (r < 0) return r;
	*s->ret_end = *end;
	if (s->config->reads) {
		s->held = true;
		s->config->reads->ready(s->config->reads->ctx, s->token, end);
		return 0;
	}
	r = wire_send_ack(s->wire, wire_received(s->wire), e);
	if (r < 0) return r;
	s->acked = wire_received(s->wire);
	return session_say_bye(s, e);
}

static int take_read_reply(struct session *s, const struct wire_frame *f, struct err *e)
{
	struct wire_read_reply reply;
	int r;

	if (!s->held) return err_set(e, ERR_PROTOCOL, "the probe answers what was not asked");
	r = wire_decode_read_reply(f->payload, f->len, &reply, e);
	if (r < 0) return r;
	s->replies++;
	s->config->reads->reply(s->config->reads->ctx, &reply);
	return 0;
}

static int take_frame(struct session *s, const struct wire_frame *f, struct err *e)
{
	int r;

	if (!s->now.met) return check_hello(s, f, e);
	if (f->type == WIRE_RESUMED && (s->now.phase == PHASE_RESUME || s->now.cancel_pending))
		return take_resumed(s, f, e);
	if (s->now.phase == PHASE_STOP) return 0;
	if (s->now.phase == PHASE_BYE)
		return err_set(e, ERR_PROTOCOL, "the probe sent a frame of type %d after its end",
			       (int)f->type);
	if (s->now.phase == PHASE_RESUME && wire_is_stream(f->type))
		return err_set(e, ERR_PROTOCOL, "the probe went on before it was asked to");
	switch (f->type) {
	case WIRE_DATA:
		return take_data(s, f, e);
	case WIRE_ENTRY:
		return take_entry(s, f, e);
	case WIRE_PROGRESS:
		r = wire_decode_progress(f->payload, f->len, &s->progress, e);
		if (r == 0) session_call_progress(s);
		return r;
	case WIRE_LOG:
		take_log(s, f);
		return 0;
	case WIRE_END:
		return take_end(s, f, e);
	case WIRE_READ_REPLY:
		return take_read_reply(s, f, e);
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
	r = wire_feed(s->wire, data, len, session_wire_clock(s, now_ns()), e);
	while (r == 0 && (r = wire_next(s->wire, &f, e)) == 1)
		r = take_frame(s, &f, e);
	return r;
}

void session_take_stdout(struct session *s, const uint8_t *data, size_t len)
{
	struct err why = {0};

	if (take_stdout(s, data, len, &why) < 0) session_stop(s, &why);
}
