#include "exec/node_agent.h"

#include "exec/json_doc.h"
#include "exec/kube_internal.h"

#include <stdio.h>
#include <string.h>

enum { PATH_MAX_BYTES = 4 << 10, LIST_BYTES_MAX = 8 << 20 };

static const cJSON *first_status(const cJSON *pod)
{
	const cJSON *list = json_doc_get(pod, "status.containerStatuses");

	return list ? list->child : NULL;
}

/* Not one that is being replaced. */
static bool runs(const cJSON *pod)
{
	return json_doc_get(first_status(pod), "state.running") &&
	       !json_doc_get(pod, "metadata.deletionTimestamp");
}

static int none(const struct pod_target *target, const char *namespace_, struct err *e)
{
	err_set(e, ERR_NOT_FOUND, "node %.100s has no node agent in namespace %.63s", target->node,
		namespace_);
	return err_hint(e,
			"install it: kubectl apply -f images/node-agent.yaml (its tolerations must "
			"fit the node; another namespace: --agent-namespace)");
}

static int does_not_run(const cJSON *pod, const struct pod_target *target, const char *namespace_,
			struct err *e)
{
	const char *waiting = json_doc_text(first_status(pod), "state.waiting.reason");
	const char *name = json_doc_text(pod, "metadata.name");

	err_set(e, ERR_UNSUPPORTED, "node agent %.100s on node %.100s does not run: %.60s", name,
		target->node, *waiting ? waiting : json_doc_text(pod, "status.phase"));
	return err_hint(e, "see why: kubectl describe pod -n %s %.253s", namespace_, name);
}

int node_agent_choose(const cJSON *list, const struct pod_target *target, const char *namespace_,
		      struct pod_target *ret, struct err *e)
{
	const cJSON *items = json_doc_get(list, "items"), *pod, *chosen = NULL;
	const char *name, *container;

	cJSON_ArrayForEach(pod, items)
	{
		if (!chosen || runs(pod)) chosen = pod;
	}
	if (!chosen) return none(target, namespace_, e);
	if (!runs(chosen)) return does_not_run(chosen, target, namespace_, e);
	name = json_doc_text(chosen, "metadata.name");
	container = json_doc_text(first_status(chosen), "name");
	if (!kube_name_is_valid(name) || !kube_name_is_valid(container))
		return err_set(e, ERR_SERVER, "the server's node agent has no valid name");
	*ret = *target;
	snprintf(ret->namespace_, sizeof(ret->namespace_), "%s", namespace_);
	snprintf(ret->pod, sizeof(ret->pod), "%s", name);
	snprintf(ret->container, sizeof(ret->container), "%s", container);
	return 0;
}

int node_agent_enter(struct kube *k, const struct pod_target *target, const char *namespace_,
		     struct pod_target *ret, struct err *e)
{
	_cleanup_buf_ struct buf path = BUF_INIT(PATH_MAX_BYTES);
	_cleanup_json_doc_ cJSON *list = NULL;
	int r;

	if (!kube_name_is_valid(namespace_))
		return err_set(e, ERR_USAGE, "--agent-namespace: \"%.100s\" is no namespace",
			       namespace_);
	r = buf_printf(&path, e, "/api/v1/namespaces/%s/pods?labelSelector=", namespace_);
	if (r == 0) r = http_encode(&path, NODE_AGENT_SELECTOR, "", e);
	if (r == 0) r = buf_puts(&path, "&fieldSelector=", e);
	if (r == 0) r = http_encode(&path, "spec.nodeName=", "", e);
	if (r == 0) r = http_encode(&path, target->node, "", e);
	if (r == 0) r = kube_get_doc(kube_get_from, k, path.data, LIST_BYTES_MAX, &list, e);
	return r == 0 ? node_agent_choose(list, target, namespace_, ret, e) : r;
}
