/* A workload's label selector as the query parameter that the API server takes. */
#ifndef EXEC_SELECTOR_H
#define EXEC_SELECTOR_H

#include "base/buf.h"

#include <cjson/cJSON.h>

/*
 * spec.selector of a workload: {matchLabels, matchExpressions}, or the bare map of services and
 * replication controllers. Appends "a=b,c in (d,e),!f", not encoded. -ERR_SERVER for what it cannot
 * be, -ERR_UNSUPPORTED if it selects nothing or everything.
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
 */
int selector_text(const cJSON *selector, bool is_bare_map, struct buf *ret, struct err *e);

#endif
