/* Snapshots and modules out of an archive: a bundle, or what a probe holds. */
#ifndef COLLECTOR_ARCHIVE_SOURCE_H
#define COLLECTOR_ARCHIVE_SOURCE_H

#include "bundle/archive.h"
#include "dumpers/stack/modules.h"

/* The index-th "<pid>-<comm>/core" that has bytes; NULL past the last one. */
const struct bundle_entry *archive_core(const struct archive *a, size_t index);
/* Opens the index-th "<pid>-<comm>/core" (0 is the first). -ERR_NOT_FOUND past the last one, or
 * with the reason the archive gives for having none. */
int archive_snapshot(const struct archive *a, size_t index, struct snapshot **ret, struct err *e);
/* A find_module_fn; ctx is the struct archive *. */
int find_module_in_archive(void *ctx, const struct module *module, struct blob **ret,
			   struct err *e);

#endif
