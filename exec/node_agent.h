/*
 * Route "node": a DaemonSet's pod on the target's node, which holds the probe and sees all
 * processes of the node (images/node-agent.yaml). It idles; requests run in it by exec.
 */
#ifndef EXEC_NODE_AGENT_H
#define EXEC_NODE_AGENT_H

#include "exec/kube.h"

#include <cjson/cJSON.h>

#define NODE_AGENT_SELECTOR "app.kubernetes.io/name=podsnap-node-agent"

/*
 * The container to exec the probe in, in *ret, of the agent in that namespace on the target's node.
 * -ERR_NOT_FOUND if there is none, -ERR_UNSUPPORTED if it does not run; errors of kube_get.
 */
int node_agent_enter(struct kube *k, const struct pod_target *target, const char *namespace_,
		     struct pod_target *ret, struct err *e);

/* The same from a list of pods: without a server, for tests. */
int node_agent_choose(const cJSON *list, const struct pod_target *target, const char *namespace_,
		      struct pod_target *ret, struct err *e);

#endif
