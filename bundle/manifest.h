/* manifest.json (bundle/assembler.h): its JSON read back. Uses cJSON, so the probe does not. */
#ifndef BUNDLE_MANIFEST_H
#define BUNDLE_MANIFEST_H

#include "bundle/format.h"

struct manifest {
	struct bundle_entry *entries; /* owned */
	size_t count;
};

/*
 * Reads the text (hostile). Every entry was checked by bundle_entry_check; names are unique, and
 * the entries in the tar follow one another without a gap from offset 0. -ERR_CORRUPT,
 * -ERR_UNSUPPORTED for another schema, -ERR_LIMIT, -ERR_NO_MEMORY.
 */
int manifest_parse(const char *text, size_t len, struct manifest *ret, struct err *e);
void manifest_done(struct manifest *m); /* NULL-safe */
#define _cleanup_manifest_ _cleanup_(manifest_done)

/* -ERR_USAGE unless text is members of a JSON object ("\"a\":1,\"b\":2") with no key of ours. */
int manifest_check_extra(const char *text, struct err *e);

#endif
