/* Who captures, and the trace that it leaves on the pod. */
#ifndef EXEC_AUDIT_H
#define EXEC_AUDIT_H

#include "exec/kube.h"

#include <cjson/cJSON.h>
#include <time.h>

/*
 * Whom the API server takes us for: the userInfo {username, uid, groups} of a SelfSubjectReview
 * (authentication.k8s.io/v1, from Kubernetes 1.28 on), in *ret, which the caller deletes. Errors of
 * kube_post; -ERR_SERVER if the answer has no user.
 */
int audit_whoami(struct kube *k, cJSON **ret, struct err *e);

/* Words of an Event; all borrowed. */
struct audit_event {
	const char *user;      /* as the API server has it; NULL: unknown */
	const char *host;      /* where podsnap ran; NULL: unknown */
	const char *reason;    /* what --reason says, or NULL */
	const char *outcome;   /* "complete bundle, 26 entries" */
	const char *container; /* that was captured */
	time_t when;
};
/* Puts an Event "PodsnapCapture" on the pod, once, however often the request has to be tried.
 * -ERR_FORBIDDEN with the RBAC rule. */
int audit_post_event(struct kube *k, const struct pod_target *target,
		     const struct audit_event *event, struct err *e);

/* --- without a server, for tests --- */

/* The body of that request (Event, v1). The caller frees; NULL: no memory. */
char *audit_event_body(const struct pod_target *target, const struct audit_event *event,
		       const char *name);

#endif
