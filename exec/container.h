/* One container of a pod document: which, and whether something can run in it. */
#ifndef EXEC_CONTAINER_H
#define EXEC_CONTAINER_H

#include "exec/kube.h"

#include <cjson/cJSON.h>

/* The container of that name, an init or an ephemeral one too, and its status (NULL: none yet).
 * Borrowed from pod; NULL if it has no such container. */
const cJSON *container_find(const cJSON *pod, const char *name, const cJSON **ret_status);

/*
 * Fills *ret from a pod; container as for pod_select. note is set when containers were to choose
 * from. -ERR_NOT_FOUND: no such container (the hint lists those there are), the pod waits for a
 * node, the container has not started; -ERR_GONE: pod or container ended or crashes;
 * -ERR_UNSUPPORTED: a Windows pod; -ERR_SERVER: no pod.
 */
int container_choose(const cJSON *pod, const char *container, struct pod_target *ret,
		     struct err *e);

#endif
