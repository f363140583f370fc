/* A snapshot that a probe in a pod holds, for a command that reads of it here. */
#ifndef COLLECTOR_POD_HELD_H
#define COLLECTOR_POD_HELD_H

#include "bundle/archive.h"
#include "collector/command.h"

/* Does the source name a held snapshot, "POD@ID", or do the options ask for one? */
bool pod_held_is_meant(const struct options *options, const char *source);

struct pod_held;
/* Takes one, or comes for the one that the source names. -ERR_GONE if that is not held any more. */
int pod_held_open(const struct options *options, const char *source, struct pod_held **ret,
		  struct err *e);
/* Borrowed. */
const struct archive *pod_held_archive(const struct pod_held *p);
/* Lets go of it, and says how to come back where it is kept. Whatever was opened of the archive is
 * closed before. NULL-safe. */
void pod_held_close(struct pod_held *p);

#endif
