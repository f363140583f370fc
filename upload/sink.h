/*
 * Where a bundle goes. A sink takes bytes in order and makes them visible all at once at commit; an
 * abort leaves nothing at the destination. One file a type; the table in upload/sink.c lists them.
 *
 * To add a sink: write upload/x.c with `const struct sink_type sink_x` and put it in that table.
 */
#ifndef UPLOAD_SINK_H
#define UPLOAD_SINK_H

#include "base/err.h"

struct sink; /* embedded first in each implementation */

struct sink_config {
	const char
	    *name;  /* suggested file name, "ns_pod_ctr_comm_20260102T030405Z.podsnap.tar.zst" */
	bool force; /* overwrite */
	/* S3: NULL: from the environment and ~/.aws files */
	const char *s3_endpoint, *s3_region, *s3_profile;
	bool s3_path_style;
	const char *ca_file; /* extra CA bundle for TLS, or NULL */
	int retries;         /* of one request that failed for a passing reason */
};

struct sink_type {
	const char *name; /* "file" */
	/* True if the destination is this type's ("s3://..."); the file sink takes what is left. */
	bool (*matches)(const char *destination);
	int (*open)(const char *destination, const struct sink_config *config, struct sink **ret,
		    struct err *e);
};

struct sink_ops {
	int (*write)(struct sink *s, const void *data, size_t len, struct err *e);
	/* Durable and visible under its name, or an error and nothing there. */
	int (*commit)(struct sink *s, struct err *e);
	/* Gives up. keep_partial: a sink that can keeps what came under another name and says so in
	 * *ret_kept (heap string, else NULL). */
	void (*abort)(struct sink *s, bool keep_partial, char **ret_kept);
	void (*free)(struct sink *s); /* after commit or abort; else it aborts */
	/* For sink_cancel, so only async-signal-safe calls. NULL: nothing here waits long. */
	void (*cancel)(struct sink *s);
};
struct sink {
	const struct sink_ops *ops;
	char *location; /* final place, for people: path or URL; owned */
};

/* Picks the type by destination. "-" is stdout (refused when it is a terminal). A directory gets
 * config->name inside it. */
int sink_open(const char *destination, const struct sink_config *config, struct sink **ret,
	      struct err *e);
/* After a failure only sink_abort and sink_free make sense. */
int sink_write(struct sink *s, const void *data, size_t len, struct err *e);
int sink_commit(struct sink *s, struct err *e);
void sink_abort(struct sink *s, bool keep_partial, char **ret_kept);
/* Makes what another thread does with the sink (a commit that waits for a store) fail soon with
 * -ERR_CANCELLED; sink_abort works afterwards. Also safe in a signal handler. */
void sink_cancel(struct sink *s);
void sink_free(struct sink *s); /* NULL-safe */

/* A sink in a thread of its own behind a queue of at most queue_bytes, so that a slow store never
 * stops the caller's heartbeats; takes inner over. A failure shows at the next write or at commit.
 */
int sink_threaded(struct sink *inner, size_t queue_bytes, struct sink **ret, struct err *e);
/* Bytes a write of a threaded sink would take now without waiting (SIZE_MAX for other sinks, and
 * after a failure, when a write returns it at once). Resets the wakeup descriptor first. */
size_t sink_room(struct sink *s);
/* A descriptor that polls readable when a threaded sink's room grew or it failed since the last
 * sink_room; -1 for other sinks. Owned by the sink. */
int sink_wakeup_fd(struct sink *s);

#endif
