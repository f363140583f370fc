/*
 * A snapshot that a probe holds, read from here: the entries of its archive as blobs, whose bytes
 * come over the session as they are asked for, in blocks that are kept, read ahead where one read
 * follows the other, and many at once where it is known that they will be needed. Between two
 * threads: the session's, which does the I/O, and that of whoever reads.
 */
#ifndef EXEC_HELD_H
#define EXEC_HELD_H

#include "bundle/archive.h"
#include "exec/session.h"

enum {
	HELD_BLOCK = 16 << 10,    /* what is asked for at once, at least */
	HELD_CACHE = 1024,        /* blocks that are kept */
	HELD_LIST_MAX = 64 << 20, /* bytes of the list of entries */
};

struct held;
/* keep: the probe shall go on holding it afterwards. -ERR_NO_MEMORY. */
int held_new(bool keep, struct held **ret, struct err *e);
void held_free(struct held *h); /* NULL-safe; the session is over and no blob is left */

/* --- for the session's thread --- */

/* For session_config.reads; and what may come on its stream, which is nothing. */
const struct session_reads *held_reads(struct held *h);
struct bundle_output *held_output(struct held *h);
/* The session is over, and why (code 0: as it should be); every read fails from now on. */
void held_over(struct held *h, const struct err *why);

/* --- for whoever reads --- */

/* Waits until the snapshot is there, and reads what entries it has. Errors of the session. */
int held_await(struct held *h, struct err *e);
/* Once it is there: hex digits of its token, with which others may come for it. Borrowed. */
const char *held_id(const struct held *h);
/* Borrowed. Blobs of it must be gone before the session is over, or their reads fail. */
const struct archive *held_archive(const struct held *h);
/* Bytes that were asked for so far, and by how many READs. */
uint64_t held_bytes(struct held *h, uint64_t *ret_asked);
/* No more is read: lets the session end. */
void held_finish(struct held *h);

#endif
