/*
 * A bundle on its way to a sink. The sink is opened when the first entry of the producer is known,
 * because its name holds the process's name, and nothing is created for a capture that fails before
 * it began.
 */
#ifndef COLLECTOR_STORE_H
#define COLLECTOR_STORE_H

#include "bundle/assembler.h"
#include "collector/command.h"
#include "collector/meta.h"

struct store;
/* pod (borrowed) NULL: a process of this machine; else frames come over a network, and are checked
 * before they are written. at_a_time: how many stores are open at once, which share what their
 * queues may hold. */
int store_new(struct store **ret, const struct options *options, const struct meta_pod *pod,
	      size_t at_a_time, struct err *e);
/* Aborts unless store_commit succeeded; NULL-safe. */
void store_free(struct store *s);
/* Where the producer emits to. */
struct bundle_output *store_output(struct store *s);
/* For entries of our own, once the producer is done; flushed and freed by the caller before
 * store_commit. */
int store_packer(struct store *s, struct packer **ret, struct err *e);
/* Ends what the producer left that is gone (assembler_end_broken), so that what came can be
 * committed. */
int store_end_broken(struct store *s, const char *why, struct err *e);
/* Ends the bundle with result_json among the manifest's members and makes it visible. */
int store_commit(struct store *s, const char *result_json, struct err *e);
/* Gives up. keep_partial keeps what came under another name where the sink can, and says so in the
 * log. */
void store_abort(struct store *s, bool keep_partial);
void store_totals(const struct store *s, struct bundle_totals *ret);
/* Path or URL; "" before the first entry. */
const char *store_location(const struct store *s);
/* Bytes that can be taken now without waiting for the sink, and what to poll for more. */
size_t store_room(void *store);
int store_room_fd(const struct store *s);

#endif
