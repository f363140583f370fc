/*
 * A command in a container: the exec subresource over WebSocket. Channels 0 stdin, 1 stdout, 2
 * stderr, 3 the status. v4.channel.k8s.io is preferred: v5 costs the API server four times the CPU
 * and reports Success for streams that were cut.
 *
 * No status proves anything: that a command did its work must be said by the command itself.
 */
#ifndef EXEC_REMOTE_H
#define EXEC_REMOTE_H

#include "exec/kube.h"

enum { REMOTE_STDIN, REMOTE_STDOUT, REMOTE_STDERR, REMOTE_STATUS };

struct remote_config {
	const struct pod_target *target;
	const char *const *command; /* borrowed during remote_open */
	size_t command_count;
	const atomic_bool *cancel; /* while it opens; NULL: never */
	/* Bytes of stdout and stderr, as they come; a negative result ends remote_receive. */
	int (*data)(void *ctx, int channel, const uint8_t *data, size_t len, struct err *e);
	void *ctx;
};

/* What channel 3 said. */
struct remote_status {
	bool known, success;
	int exit_code;     /* -1: none was named */
	char message[512]; /* one line; "" with success */
};

struct remote;
/* Connects and starts the command; answers of a server that restarts are tried again. Errors as
 * kube_get; 403 names the rule for pods/exec. */
int remote_open(struct kube *k, const struct remote_config *config, struct remote **ret,
		struct err *e);
/* Cuts the connection: the command sees the end of its stdin. NULL-safe. */
void remote_free(struct remote *r);
static inline void remote_free_ptr(struct remote **r)
{
	remote_free(*r);
}
#define _cleanup_remote_ _cleanup_(remote_free_ptr)

/* Takes up to len bytes for stdin over, maybe none: *ret_taken; none after the end. -ERR_NETWORK.
 */
int remote_send(struct remote *r, const void *data, size_t len, size_t *ret_taken, struct err *e);
/* Reads once and hands over what came: 1; 0 when nothing is there now, or remote_ended. */
int remote_receive(struct remote *r, struct err *e);
/* Writes what waits, as far as it goes. */
int remote_flush(struct remote *r, struct err *e);
/* Queues a close frame; remote_flush sends it. */
void remote_close(struct remote *r);

/* For poll: POLLIN once remote_receive returned 0, POLLOUT while remote_wants_write. */
int remote_fd(const struct remote *r);
bool remote_wants_write(const struct remote *r);
/* Nothing comes any more: closed by a close frame, or cut. */
bool remote_ended(const struct remote *r);
/* Why it ended, for errors: "the connection was closed by the server". */
const char *remote_end_text(const struct remote *r);
const struct remote_status *remote_status(const struct remote *r);

/* Reads a Status document (also of a body) into *ret. */
void remote_status_parse(const char *text, size_t len, struct remote_status *ret);

#endif
