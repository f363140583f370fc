/* Where a question is answered from, as the user named it. */
#ifndef COLLECTOR_SOURCE_H
#define COLLECTOR_SOURCE_H

#include "base/blob.h"
#include "bundle/reader.h"
#include "collector/command.h"

enum source_kind { SOURCE_LOCAL, SOURCE_POD, SOURCE_CORE, SOURCE_BUNDLE };

struct source {
	enum source_kind kind;
	const char *text;      /* the operand; "" for SOURCE_LOCAL; borrowed */
	struct blob *blob;     /* CORE and BUNDLE: the file */
	struct bundle *bundle; /* BUNDLE */
};

/*
 * A TYPE/NAME that kubectl knows is a pod; else an existing core or bundle, known by its content;
 * else a pod. "pod/X" and "./X" force it. Without an operand --pid names a local process.
 */
int source_open(const struct command_call *call, struct source *ret, struct err *e);
/* Does the operand mean a file rather than a pod? */
bool source_is_file(const char *text);
/* Opens a file that must be a bundle. */
int source_open_bundle(const char *path, struct source *ret, struct err *e);
void source_done(struct source *s);
#define _cleanup_source_ _cleanup_(source_done)

#endif
