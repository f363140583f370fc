/* The name that a bundle gets where the user gave none. */
#ifndef COLLECTOR_BUNDLE_NAME_H
#define COLLECTOR_BUNDLE_NAME_H

#include "exec/kube.h"

#include <time.h>

enum { BUNDLE_FILE_NAME_MAX = 640 };

/*
 * "NAMESPACE_POD_CONTAINER_PROCESS_20260102T030405Z.podsnap.tar.zst", or "local_PROCESS_...". At
 * most 240 bytes, so that a suffix still fits: a pod's name that is too long ends in a digest
 * instead. No two containers get the same name at the same time: names of Kubernetes have no '_'.
 * entry: the first of the bundle's processes, "<pid>-<comm>/..."; target NULL: of this machine.
 */
void bundle_name(const struct pod_target *target, const char *entry, time_t created,
		 char ret[BUNDLE_FILE_NAME_MAX]);

#endif
