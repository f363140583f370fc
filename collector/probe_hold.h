/*
 * A snapshot that is held: the copy-on-write child of a process, and its modules, as the entries of
 * an archive (bundle/archive.h) that the client reads at random. Nothing of it is copied before it
 * is asked for.
 */
#ifndef COLLECTOR_PROBE_HOLD_H
#define COLLECTOR_PROBE_HOLD_H

#include "base/buf.h"
#include "bundle/wire.h"
#include "collector/options.h"

struct hold;
/* Takes the snapshot that the options ask for; result_json gets members that describe it. Fails
 * where no child is possible: nothing may stand for as long as a client likes to read. */
int hold_new(const struct options *options, struct hold **ret, struct buf *result_json,
	     struct err *e);
/* The child ends. NULL-safe. */
void hold_free(struct hold *h);
/* Appends the READ_REPLY payload, which also says what could not be read. */
int hold_answer(struct hold *h, const struct wire_read *read, struct buf *ret, struct err *e);

#endif
