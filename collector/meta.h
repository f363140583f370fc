/* meta.json: what was captured, by whom, with which options, and why. */
#ifndef COLLECTOR_META_H
#define COLLECTOR_META_H

#include "collector/options.h"
#include "exec/kube.h"

int meta_json(const struct options *options, const struct pod_target *target, time_t created,
	      struct buf *ret, struct err *e);

#endif
