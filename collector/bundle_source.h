/* Snapshots and modules out of a bundle. */
#ifndef COLLECTOR_BUNDLE_SOURCE_H
#define COLLECTOR_BUNDLE_SOURCE_H

#include "bundle/reader.h"
#include "dumpers/stack/modules.h"

/* Opens the index-th "<pid>-<comm>/core" (0 is the first). -ERR_NOT_FOUND past the last one, or
 * with the reason the bundle gives for having none. */
int bundle_snapshot(struct bundle *b, size_t index, struct snapshot **ret, struct err *e);
/* A find_module_fn; ctx is the struct bundle *. */
int find_module_in_bundle(void *ctx, const struct module *module, struct blob **ret, struct err *e);

#endif
