/*
 * How a client comes back to its probe after a lost connection: a probe that is pushed anew takes
 * its RESUME and hands stdin and stdout to the one that has the stream. They meet at an abstract
 * Unix socket (unix(7)), which is of the pod's network namespace; its name follows from the token
 * and does not tell it, for /proc/net/unix shows names to all. That of a held snapshot does: it is
 * for whoever may enter the pod as the same user (dumpers/runtime/held.h).
 */
#ifndef COLLECTOR_PROBE_HANDOVER_H
#define COLLECTOR_PROBE_HANDOVER_H

#include "bundle/wire.h"

/* --- of the probe that has the stream --- */

/* Where it can be found by a token, which is_public makes known. The caller closes *ret_fd, which
 * polls readable when a client is back. */
int handover_listen(const uint8_t token[WIRE_TOKEN_BYTES], bool is_public, int *ret_fd,
		    struct err *e);

struct handover {
	int fd;            /* to the probe that came: handover_answer */
	int in_fd, out_fd; /* the client's, non-blocking; owned */
	uint64_t received; /* the stream offset to go on from */
};
/* -ERR_AUTH for who does not know the token, or is another user; nothing is left open then. */
int handover_accept(int listen_fd, const uint8_t token[WIRE_TOKEN_BYTES], struct handover *ret,
		    struct err *e);
/* Tells the probe that came what became of it: why NULL, that the client's connection is served,
 * or, the second time, that it is not needed any more. */
void handover_answer(int fd, const struct err *why);

/* --- of the probe that came --- */

/*
 * Hands STDIN_FILENO and STDOUT_FILENO over, and returns when the other does not need them any
 * more; this process must exist until then, because the exec is over with it. *ret_taken: they were
 * served. -ERR_GONE when there is no such probe, or it was killed; or its own error.
 */
int handover_give(const struct wire_resume *resume, bool *ret_taken, struct err *e);

#endif
