/*
 * Route "sidecar": a container that the pod has had from its start, which holds the probe and sees
 * the processes of all of the pod's containers. It idles; requests run in it by exec.
 * https://kubernetes.io/docs/tasks/configure-pod-container/share-process-namespace/
 */
#ifndef EXEC_SIDECAR_H
#define EXEC_SIDECAR_H

#include "exec/kube.h"

#include <cjson/cJSON.h>

/* What a sidecar is called, unless the pod's annotation of that key names another container. */
#define SIDECAR_NAME "podsnap"
#define SIDECAR_ANNOTATION "podsnap/sidecar"

/*
 * The container to exec the probe in, in *ret: target with its name. -ERR_NOT_FOUND if the pod has
 * none, -ERR_UNSUPPORTED if it has one that does not run or does not see the target; errors of
 * kube_get.
 */
int sidecar_enter(struct kube *k, const struct pod_target *target, struct pod_target *ret,
		  struct err *e);

/* --- without a server --- */

/* The container's name, borrowed from pod. Errors as of sidecar_enter. */
int sidecar_find(const cJSON *pod, const char *target, const char **ret, struct err *e);
/* Could the pod have one: a container of the usual name, or an annotation that names another? */
bool sidecar_is_meant(const cJSON *pod);
/* Is that container one, by its name? */
bool sidecar_is_named(const cJSON *pod, const char *container);

#endif
