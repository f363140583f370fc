/* One container of a pod document: which, and whether something can run in it. */
#ifndef EXEC_CONTAINER_H
#define EXEC_CONTAINER_H

#include "exec/kube.h"

#include <cjson/cJSON.h>

/* The pod's document as it is now, which the caller deletes. Errors of kube_get. */
int pod_read(struct kube *k, const struct pod_target *target, cJSON **ret, struct err *e);

/* The container of that name, an init or an ephemeral one too, and its status (NULL: none yet).
 * Borrowed from pod; NULL if it has no such container. */
const cJSON *container_find(const cJSON *pod, const char *name, const cJSON **ret_status);

/* The user that the container runs as: what the kubelet saw, else what the pod's description says.
 * False if neither says it. */
bool container_user(const cJSON *pod, const char *name, uint32_t *ret);

/* Calls fn for every container, init and ephemeral ones too, with its status (NULL: none yet),
 * until it fails; returns what it returned. pod may be NULL. */
int container_each(const cJSON *pod,
		   int (*fn)(void *ctx, const cJSON *container, const cJSON *status, struct err *e),
		   void *ctx, struct err *e);

/* True if the container of that id, once of that name in the pod, has ended; *ret has how as far as
 * the kubelet says, "container app ended: OOMKilled, exit status 137". */
bool container_ended(const cJSON *pod, const char *name, const char *id, char *ret, size_t size);

/* Fills *ret but for the container. -ERR_SERVER: no pod. */
int pod_identify(const cJSON *pod, struct pod_target *ret, struct err *e);
/* 0, or why none of its containers can be entered, as container_choose says it. */
int pod_check(const cJSON *pod, const struct pod_target *t, struct err *e);

/*
 * Fills *ret from a pod; container as for pod_select. note is set when containers were to choose
 * from. -ERR_NOT_FOUND: no such container (the hint lists those there are), the pod waits for a
 * node, the container has not started; -ERR_GONE: pod or container ended or crashes;
 * -ERR_UNSUPPORTED: a Windows pod; -ERR_SERVER: no pod.
 */
int container_choose(const cJSON *pod, const char *container, struct pod_target *ret,
		     struct err *e);

#endif
