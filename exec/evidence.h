/*
 * What the cluster knows of a pod, as entries of a bundle:
 *   kube/pod.json                     the pod; as it was before, when it is gone
 *   kube/owners/N-KIND-NAME.json      whose it is, and whose that is: ReplicaSet, Deployment
 *   kube/node.json                    where it runs
 *   kube/events.json                  what was said of it, an EventList
 *   kube/metrics.json                 what its containers use, where there is a metrics API
 *   kube/logs/CONTAINER.log           of every container, init and ephemeral ones too
 *   kube/logs/CONTAINER.previous.log  of the one before, where it was started again
 * All of it is extra: a capture needs none of these rights. What may not be read is "skipped" with
 * the RBAC rule that is missing, what is not there is "skipped", what fails is "failed". Of a
 * Secret nothing is ever read.
 */
#ifndef EXEC_EVIDENCE_H
#define EXEC_EVIDENCE_H

#include "bundle/entry.h"
#include "exec/kube.h"

struct evidence_config {
	unsigned log_lines; /* of each container, the last ones; 0: no logs */
	bool show_secrets;  /* keep what exec/redact.h hides */
};

/* Takes an entry; data NULL: it has no bytes. status OK has the reason "". Its failure ends the
 * gathering. */
typedef int (*evidence_add_fn)(void *ctx, const char *name, enum entry_status status,
			       const char *reason, const void *data, size_t len, struct err *e);

struct evidence;
/* Looks at the pod as it is before the capture. k and target are borrowed until the end.
 * -ERR_NO_MEMORY, -ERR_CANCELLED. */
int evidence_new(struct kube *k, const struct pod_target *target, struct evidence **ret,
		 struct err *e);
void evidence_free(struct evidence *ev); /* NULL-safe */
static inline void evidence_free_ptr(struct evidence **ev)
{
	evidence_free(*ev);
}
#define _cleanup_evidence_ _cleanup_(evidence_free_ptr)

/* Gives every entry to add, one after the other. Errors of add, and -ERR_CANCELLED. */
int evidence_gather(struct evidence *ev, const struct evidence_config *config, evidence_add_fn add,
		    void *ctx, struct err *e);

/*
 * 1 if the target's container, or its pod, ended since evidence_new: *ret has how, "container app
 * ended: OOMKilled, exit status 137". 0 if it runs, or if that cannot be known. Asks until wait_ns
 * have passed (0: once): the kubelet reports a moment later.
 */
int evidence_ended(struct evidence *ev, uint64_t wait_ns, char *ret, size_t size);

#endif
