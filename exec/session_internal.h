/* What the files of a session know of it: session.c (connections, one after the other),
 * session_loop.c (one of them), session_frames.c (what the probe says), session_ended.c (how a
 * connection can end). */
#ifndef EXEC_SESSION_INTERNAL_H
#define EXEC_SESSION_INTERNAL_H

#include "exec/push.h"
#include "exec/remote.h"
#include "exec/session.h"

/* For a connection to move, and the probe that has the stream to answer, where time is short. */
#define SESSION_RESUME_NS (15ull * NS_PER_S)

enum session_phase {
	PHASE_PUSH,   /* until the last byte of the probe was handed over */
	PHASE_HELLO,  /* until the probe spoke */
	PHASE_RESUME, /* until the probe that has the stream goes on with it */
	PHASE_RUN,
	PHASE_BYE,  /* END was checked; the exec should end by itself */
	PHASE_STOP, /* the session failed or was cancelled: CANCEL is sent, what comes is dropped */
};

/* One way to the probe. */
struct connection {
	struct remote *remote;
	struct push push;
	enum session_phase phase;
	uint64_t deadline;   /* of all phases but HELLO and RUN */
	bool met;            /* HELLO was good */
	bool went_on;        /* the stream of the connection before goes on here */
	bool refused;        /* the probe that has it does not go on, or is gone */
	bool lost;           /* it ended, and the probe may be there still */
	bool cancel_pending; /* CANCEL is to be sent when the probe can take it */
	struct err failure;  /* why PHASE_STOP */
};

struct session {
	struct kube *kube;
	const struct pod_target *target;
	const struct session_config *config;
	struct bundle_output *out;
	struct wire_end *ret_end;
	struct connection now;
	struct wire *wire; /* from the first PHASE_HELLO on */
	bool resuming;     /* the request was sent over a connection that is lost */
	bool greeted;      /* a probe spoke */
	bool held;         /* the probe that has the stream holds a snapshot, and END came */
	bool ask_again;    /* what was read over the connection before may not have been answered */
	uint64_t replies;  /* to reads */
	uint8_t token[WIRE_TOKEN_BYTES];
	uint64_t acked; /* stream offset */
	/* While the receiver has no room we do not read, and silence is not the peer's: the wire's
	 * clock stands still. */
	bool paused;
	uint64_t paused_since, paused_ns, pause_pinged;
	struct wire_progress progress;
};

/* --- session_loop.c --- */

/* Pushes a probe and talks with it over s->now, which is all zero before, to the end. */
int session_converse(struct session *s, struct err *e);
/* Lets the probe clean up, and remembers why. */
void session_stop(struct session *s, const struct err *why);
uint64_t session_wire_clock(const struct session *s, uint64_t now);

/* --- session_frames.c --- */

/* Bytes of the probe. What is wrong with them ends the session; the stream itself is sound. */
void session_take_stdout(struct session *s, const uint8_t *data, size_t len);
void session_call_progress(struct session *s);
/* The last word to the probe, which then ends. */
int session_say_bye(struct session *s, struct err *e);

/* --- session_ended.c --- */

/* The connection has ended by itself, and why: the script, channel 3, or the end of the stream says
 * so first. Before END each of them is a failure, "Success" too. */
bool session_has_ended(const struct session *s);
int session_ended_error(struct session *s, struct err *e);
/* The connection is lost, and what is known of why. -ERR_NETWORK. */
int session_lost(struct session *s, const char *why, struct err *e);

#endif
