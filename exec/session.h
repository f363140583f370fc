/*
 * A probe in a container for one request: push it by exec, run it, speak the wire, and leave
 * nothing behind. Pushing: one `sh` that takes exactly the probe's bytes from stdin (v4 has no EOF)
 * into the first writable and executable place and runs it; the probe unlinks itself at its start.
 */
#ifndef EXEC_SESSION_H
#define EXEC_SESSION_H

#include "bundle/wire.h"
#include "exec/kube.h"

/* Where an image that holds the probe has it: that of an ephemeral container, a sidecar, the node
 * agent. */
#define PROBE_INSTALLED "/podsnap-probe"

/* What is read of a snapshot that the probe holds, by another thread than the session's. */
struct session_reads {
	/* True: *ret is to be asked, now or again; false: nothing is. After another connection it
	 * is called once more for what was not answered. */
	bool (*next)(void *ctx, bool again, struct wire_read *ret);
	/* Borrowed for the call; of a read that is not wanted any more, too. */
	void (*reply)(void *ctx, const struct wire_read_reply *reply);
	/* END came: the snapshot is there, known by the token. Maybe more than once. */
	void (*ready)(void *ctx, const uint8_t token[WIRE_TOKEN_BYTES], const struct wire_end *end);
	/* True: no more is read, and the session ends. */
	bool (*done)(void *ctx);
	void *ctx;
	int fd; /* an eventfd, written to when next or done would say more */
	/* The probe goes on holding the snapshot after done, for the next client. */
	bool keep;
};

struct session_config {
	const void *probe; /* the program for the pod's CPU; borrowed */
	size_t probe_len;
	/* Where the container has that very program, which is then not pushed; NULL: nowhere. */
	const char *installed;
	const void *request; /* NUL-separated options; borrowed */
	size_t request_len;
	uint64_t ping_ns, silence_ns;
	/* For how long a lost connection is tried to be made up for by another, over which the
	 * probe goes on; 0: not at all. The probe must be asked to wait for as long. */
	uint64_t resume_ns;
	/* Set from a signal handler's thread: CANCEL is sent, and the session ends with
	 * -ERR_CANCELLED once the probe is gone or after a few seconds. */
	const atomic_bool *cancel;
	int cancel_fd; /* polls readable when *cancel was set; -1 none */
	/* Called now and then from the session's thread; NULL: not. */
	void (*progress)(void *ctx, const struct wire_progress *progress, uint64_t wire_bytes);
	void (*log)(void *ctx, int level, const char *text);
	void *ctx;
	/* Bytes the receiver can take without blocking (NULL: any number); the session stops
	 * reading from the network, but not its heartbeats, while it is less than one frame. */
	size_t (*room)(void *ctx);
	int room_fd; /* polls readable when room grew; -1 none */
	/* Of a request that holds a snapshot; NULL: of another. */
	const struct session_reads *reads;
	/* Not a new request, but the probe that holds the snapshot of that token; NULL: no. */
	const uint8_t *held;
};

/* How far a session came. */
enum session_reach {
	SESSION_NOWHERE,
	SESSION_GREETED,   /* the probe ran and spoke: another way into the pod leads no further */
	SESSION_DELIVERED, /* and some of what was asked for has come */
};

/*
 * Runs the request to its END. Frames and entries go to out as they arrive, already checked against
 * their CRC; each is acknowledged when out took it. 0 only after an END without an error whose byte
 * count and digest match what came; its content is in *ret_end. An END with an error becomes that
 * error. Anything else (stream cut, silence, status on channel 3 before END) is an error, never
 * success; of a connection that was lost, after it was tried to go on over another. *ret_reach is
 * set in any case.
 */
int session_run(struct kube *k, const struct pod_target *target,
		const struct session_config *config, struct bundle_output *out,
		struct wire_end *ret_end, enum session_reach *ret_reach, struct err *e);

#endif
