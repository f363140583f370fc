/*
 * Route "ephemeral": a container that holds only the probe, put into the pod beside the target's
 * and in its process namespace. It idles; requests run in it by exec, and not by attach: what a
 * container itself writes the runtime also keeps in the node's log files. Kubernetes never takes an
 * ephemeral container out of a pod again, so one that is there and runs is used again.
 * https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/
 */
#ifndef EXEC_EPHEMERAL_H
#define EXEC_EPHEMERAL_H

#include "exec/kube.h"

#include <cjson/cJSON.h>

/* The container that is wanted; the texts are borrowed. */
struct ephemeral_spec {
	const char *image; /* as in a pod's spec */
	/* Root, with what it takes to trace whatever runs in the target's container, instead of the
	 * target's own user and capabilities. */
	bool ptrace;
};

/*
 * The container of the pod to exec the probe in, in *ret: target with its name. Waits until
 * it runs.
 * -ERR_FORBIDDEN with the RBAC rule or what an admission (Pod Security) says, -ERR_UNSUPPORTED if
 * the image cannot be pulled or run, with the kubelet's reason, -ERR_TIMEOUT, -ERR_GONE if the
 * target does not run any more, -ERR_CANCELLED.
 */
int ephemeral_enter(struct kube *k, const struct pod_target *target,
		    const struct ephemeral_spec *spec, struct pod_target *ret, struct err *e);

/*
 * Would the pod get its container, as ephemeral_enter asks for it? The server goes through
 * admission (Pod Security, webhooks) and validation, and stores nothing. Errors as of
 * ephemeral_enter before the container starts.
 */
int ephemeral_try(struct kube *k, const cJSON *pod, const struct pod_target *target,
		  const struct ephemeral_spec *spec, struct err *e);

/* --- without a server, for tests --- */

/* The name of a container of ours that is as wanted and runs beside the target's; NULL if there is
 * none. Borrowed from pod. */
const char *ephemeral_find(const cJSON *pod, const char *target, const struct ephemeral_spec *spec);
/* The body of the patch: the container with the target's own user, groups and rights, which are
 * what the kernel asks of who looks at a process (ptrace(2)), or those of spec->ptrace. The caller
 * frees; NULL: no memory. */
char *ephemeral_patch(const cJSON *pod, const char *target, const struct ephemeral_spec *spec,
		      const char *name);
/* 1: it runs; 0: it may come to run; else why it will not, as for ephemeral_enter. */
int ephemeral_judge(const cJSON *pod, const char *name, struct err *e);

#endif
