#include "exec/sidecar.h"

#include "base/log.h"
#include "exec/container.h"
#include "exec/json_doc.h"
#include "exec/kube_internal.h"
#include "exec/session.h"

#include <stdio.h>
#include <string.h>

static const char *name_of(const cJSON *pod)
{
	/* Its key has no dots, but a slash is none of json_doc_get's either. */
	const char *named =
	    json_doc_text(json_doc_get(pod, "metadata.annotations"), SIDECAR_ANNOTATION);

	return *named ? named : SIDECAR_NAME;
}

bool sidecar_is_meant(const cJSON *pod)
{
	const cJSON *status;

	return strcmp(name_of(pod), SIDECAR_NAME) != 0 ||
	       container_find(pod, SIDECAR_NAME, &status) != NULL;
}

bool sidecar_is_named(const cJSON *pod, const char *container)
{
	return strcmp(container, name_of(pod)) == 0;
}

/* What a new pod needs to have one, with the target's own user. */
static int hint_container(const cJSON *pod, const char *target, struct err *e)
{
	char user[64] = "";
	uint32_t uid;

	if (container_user(pod, target, &uid))
		snprintf(user, sizeof(user), "\n    securityContext: {runAsUser: %u}", uid);
	return err_hint(e,
			"make the pod with\n"
			"spec:\n"
			"  shareProcessNamespace: true\n"
			"  containers:\n"
			"  - name: " SIDECAR_NAME "\n"
			"    image: IMAGE  # that holds podsnap-probe\n"
			"    command: [" PROBE_INSTALLED ", idle]%s",
			user);
}

int sidecar_find(const cJSON *pod, const char *target, const char **ret, struct err *e)
{
	const char *name = name_of(pod);
	const cJSON *status;

	if (!container_find(pod, name, &status)) {
		err_set(e, ERR_NOT_FOUND, "the pod has no container %.100s", name);
		return hint_container(pod, target, e);
	}
	if (strcmp(name, target) == 0) {
		err_set(e, ERR_NOT_FOUND, "container %.100s is the target itself", name);
		return err_hint(e, "name another container with -c");
	}
	if (!cJSON_IsTrue(json_doc_get(pod, "spec.shareProcessNamespace"))) {
		err_set(e, ERR_UNSUPPORTED,
			"container %.100s does not see the processes of %.100s: the pod has no "
			"shareProcessNamespace",
			name, target);
		return err_hint(e, "make the pod with\nspec:\n  shareProcessNamespace: true");
	}
	if (!json_doc_get(status, "state.running")) {
		const char *waiting = json_doc_text(status, "state.waiting.reason");

		err_set(e, ERR_UNSUPPORTED, "container %.100s does not run%s%.60s", name,
			*waiting ? ": " : "", waiting);
		return err_hint(e, "see why: kubectl describe pod -n %s %s",
				json_doc_text(pod, "metadata.namespace"),
				json_doc_text(pod, "metadata.name"));
	}
	if (!kube_name_is_valid(name))
		return err_set(e, ERR_SERVER, "the server's container has no valid name");
	*ret = name;
	return 0;
}

int sidecar_enter(struct kube *k, const struct pod_target *target, struct pod_target *ret,
		  struct err *e)
{
	_cleanup_json_doc_ cJSON *pod = NULL;
	const char *name = "";
	int r = pod_read(k, target, &pod, e);

	if (r == 0) r = sidecar_find(pod, target->container, &name, e);
	if (r < 0) return r;
	*ret = *target;
	snprintf(ret->container, sizeof(ret->container), "%s", name);
	return 0;
}
