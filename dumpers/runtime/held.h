/* Snapshots that probes hold: each listens at an abstract Unix socket (unix(7)) whose name has the
 * snapshot's id, where the next client finds it. */
#ifndef DUMPERS_RUNTIME_HELD_H
#define DUMPERS_RUNTIME_HELD_H

#include "base/buf.h"

/* Then the id. */
#define HELD_SOCKET_PREFIX "podsnap-held-"

enum { HELD_ID_SIZE = 32 + 1, HELD_MAX = 64 }; /* hex digits of a token, and NUL */

struct held_list {
	char ids[HELD_MAX][HELD_ID_SIZE]; /* the first so many */
	size_t count;
};

/* Of a text as /proc/net/unix has it: those that listen. What is malformed is passed over. */
void held_list_parse(const char *text, size_t len, struct held_list *ret);
/* Those of our network namespace, which is the pod's; none where that cannot be read. */
void held_list_read(struct held_list *ret);

#endif
