/* What a bundle of a pod has beside its processes: what the cluster knows, who captured, and what
 * is left of a container that ended meanwhile. */
#ifndef COLLECTOR_POD_EVIDENCE_H
#define COLLECTOR_POD_EVIDENCE_H

#include "collector/meta.h"
#include "collector/store.h"
#include "exec/evidence.h"

struct pod_evidence {
	const struct options *options;
	struct kube *kube; /* borrowed */
	struct pod_target target;
	struct evidence *evidence;
	cJSON *who;
	struct meta_pod meta; /* borrows from here */
	char ended[256];      /* how the container ended during the capture; "" if it did not */
};

/* Asks what is needed before a capture. kube is borrowed; *ret stays where it is. */
int pod_evidence_open(const struct options *options, struct kube *kube,
		      const struct pod_target *target, struct pod_evidence *ret, struct err *e);
void pod_evidence_done(struct pod_evidence *p); /* of a zeroed one, too */
#define _cleanup_pod_evidence_ _cleanup_(pod_evidence_done)

/*
 * After a capture that failed with why: if the container ended, makes what came of it a bundle that
 * can go on, and returns 0. Else returns why's code, in *e with what became of the container as far
 * as it is known. store NULL: nothing came that is worth it.
 */
int pod_evidence_rescue(struct pod_evidence *p, struct store *store, const struct err *why,
			struct err *e);
/* Adds kube/ to the bundle. */
int pod_evidence_store(struct pod_evidence *p, struct store *store, struct err *e);
/* With --event, puts an Event on the pod; where that fails, says so as a warning. */
void pod_evidence_event(const struct pod_evidence *p, const char *outcome);

#endif
