/* meta.json: what was captured, by whom, with which options, and why. */
#ifndef COLLECTOR_META_H
#define COLLECTOR_META_H

#include "collector/options.h"
#include "exec/kube.h"

#include <cjson/cJSON.h>

/* What is captured in a pod, and whom the API server takes us for; all borrowed. */
struct meta_pod {
	const struct pod_target *target;
	const char *server;      /* of the API: "https://10.96.0.1" */
	const char *credentials; /* "context a of FILE" */
	const cJSON *who;        /* {username, uid, groups}; NULL: it does not say */
};

/* Who runs podsnap, and where; "" where that is not known. */
struct meta_from {
	char host[65], user[64];
};
void meta_from(struct meta_from *ret);

/* pod NULL: a process of this machine. */
int meta_json(const struct options *options, const struct meta_pod *pod, time_t created,
	      struct buf *ret, struct err *e);

#endif
