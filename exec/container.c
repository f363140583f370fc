#include "exec/container.h"

#include "exec/json_doc.h"
#include "exec/kube_internal.h"
#include "exec/sidecar.h"

#include <stdio.h>
#include <string.h>

#define ANNOTATION "kubectl.kubernetes.io/default-container"

enum { POD_BYTES_MAX = 4 << 20 };

int pod_read(struct kube *k, const struct pod_target *target, cJSON **ret, struct err *e)
{
	char path[600];

	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods/%s", target->namespace_,
		 target->pod);
	return kube_get_doc(kube_get_from, k, path, POD_BYTES_MAX, ret, e);
}

static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
static const char *const status_lists[] = {"containerStatuses", "initContainerStatuses",
					   "ephemeralContainerStatuses"};

static const cJSON *find_named(const cJSON *list, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		if (strcmp(json_doc_text(item, "name"), name) == 0) return item;
	}
	return NULL;
}

const cJSON *container_find(const cJSON *pod, const char *name, const cJSON **ret_status)
{
	const cJSON *spec = json_doc_get(pod, "spec"), *status = json_doc_get(pod, "status");

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const cJSON *found = find_named(json_doc_get(spec, lists[i]), name);

		if (!found) continue;
		*ret_status = find_named(json_doc_get(status, status_lists[i]), name);
		return found;
	}
	*ret_status = NULL;
	return NULL;
}

bool container_user(const cJSON *pod, const char *name, uint32_t *ret)
{
	const cJSON *status, *c = container_find(pod, name, &status);
	const cJSON *places[] = {
	    json_doc_get(status, "user.linux.uid"),
	    json_doc_get(c, "securityContext.runAsUser"),
	    json_doc_get(pod, "spec.securityContext.runAsUser"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		double uid = cJSON_IsNumber(places[i]) ? places[i]->valuedouble : -1;

		if (!(uid >= 0 && uid <= UINT32_MAX)) continue;
		*ret = (uint32_t)uid;
		return true;
	}
	return false;
}

int container_each(const cJSON *pod,
		   int (*fn)(void *ctx, const cJSON *container, const cJSON *status, struct err *e),
		   void *ctx, struct err *e)
{
	const cJSON *spec = json_doc_get(pod, "spec"), *status = json_doc_get(pod, "status"), *item;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const cJSON *statuses = json_doc_get(status, status_lists[i]);

		cJSON_ArrayForEach(item, json_doc_get(spec, lists[i]))
		{
			int r = fn(ctx, item, find_named(statuses, json_doc_text(item, "name")), e);

			if (r < 0) return r;
		}
	}
	return 0;
}

/* How the container of that id ended; NULL: not, or not that the kubelet knows of. */
static const cJSON *end_of(const cJSON *status, const char *id)
{
	static const char *const states[] = {"state.terminated", "lastState.terminated"};

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		const cJSON *end = json_doc_get(status, states[i]);

		if (end && strcmp(json_doc_text(end, "containerID"), id) == 0) return end;
	}
	return NULL;
}

bool container_ended(const cJSON *pod, const char *name, const char *id, char *ret, size_t size)
{
	const cJSON *status, *end, *code;
	const char *now, *reason;

	container_find(pod, name, &status);
	end = end_of(status, id);
	now = json_doc_text(status, "containerID");
	if (!*id || (!end && (!*now || strcmp(now, id) == 0))) return false;
	reason = json_doc_text(end, "reason");
	code = json_doc_get(end, "exitCode");
	snprintf(ret, size, "container %s ended%s%.100s", name, *reason ? ": " : "", reason);
	if (cJSON_IsNumber(code)) {
		size_t len = strlen(ret);

		snprintf(ret + len, size - len, ", exit status %.0f", code->valuedouble);
	}
	return true;
}

/* "app, sidecar" */
static void list_names(const cJSON *pod, char *ret, size_t size)
{
	size_t len = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const cJSON *item;

		cJSON_ArrayForEach(item, json_doc_get(json_doc_get(pod, "spec"), lists[i]))
		{
			int n = snprintf(ret + len, size - len, "%s%s", len ? ", " : "",
					 json_doc_text(item, "name"));

			if (n < 0 || (size_t)n >= size - len) return;
			len += (size_t)n;
		}
	}
}

/* The first that is not there for us. */
static const cJSON *first_container(const cJSON *containers, const cJSON *pod)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, containers)
	{
		if (!sidecar_is_named(pod, json_doc_text(item, "name"))) return item;
	}
	return containers ? containers->child : NULL;
}

static int choose(const cJSON *pod, const char *wanted, const char **ret, char *ret_note,
		  size_t note_size, struct err *e)
{
	const cJSON *containers = json_doc_get(pod, "spec.containers");
	/* Its key has dots: json_doc_get would take it apart. */
	const cJSON *annotation =
	    cJSON_GetObjectItemCaseSensitive(json_doc_get(pod, "metadata.annotations"), ANNOTATION);
	const char *first = json_doc_text(first_container(containers, pod), "name");
	char names[512];
	const cJSON *status;

	if (wanted) {
		if (!container_find(pod, wanted, &status)) {
			list_names(pod, names, sizeof(names));
			err_set(e, ERR_NOT_FOUND, "pod %s has no container \"%s\"",
				json_doc_text(pod, "metadata.name"), wanted);
			return err_hint(e, "its containers: %s", names);
		}
		*ret = wanted;
		return 0;
	}
	if (!*first) return err_set(e, ERR_SERVER, "the server's pod has no containers");
	*ret = first;
	if (cJSON_IsString(annotation) && find_named(containers, annotation->valuestring))
		*ret = annotation->valuestring;
	if (cJSON_GetArraySize(containers) > 1) {
		list_names(pod, names, sizeof(names));
		snprintf(ret_note, note_size, "container %s of %.200s (choose with -c)", *ret,
			 names);
	}
	return 0;
}

/* Why a pod has no node yet. */
static const char *unscheduled_message(const cJSON *pod)
{
	const cJSON *condition;

	cJSON_ArrayForEach(condition, json_doc_get(pod, "status.conditions"))
	{
		if (strcmp(json_doc_text(condition, "type"), "PodScheduled") == 0)
			return json_doc_text(condition, "message");
	}
	return "";
}

int pod_check(const cJSON *pod, const struct pod_target *t, struct err *e)
{
	const char *phase = json_doc_text(pod, "status.phase"), *why;
	const cJSON *selector = json_doc_get(pod, "spec.nodeSelector");
	const cJSON *os = cJSON_GetObjectItemCaseSensitive(selector, "kubernetes.io/os");

	if (strcmp(json_doc_text(pod, "spec.os.name"), "windows") == 0 ||
	    (cJSON_IsString(os) && strcmp(os->valuestring, "windows") == 0))
		return err_set(e, ERR_UNSUPPORTED,
			       "pod %s runs on Windows: only Linux is "
			       "supported",
			       t->pod);
	if (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0) {
		why = json_doc_text(pod, "status.reason");
		err_set(e, ERR_GONE, "pod %s has ended: %s%s%s", t->pod, phase, *why ? ", " : "",
			why);
		return err_hint(e, "see what it left: kubectl logs -n %s %s", t->namespace_,
				t->pod);
	}
	if (!t->node[0]) {
		why = unscheduled_message(pod);
		err_set(e, ERR_NOT_FOUND, "pod %s runs nowhere yet: it waits for a node%s%.300s",
			t->pod, *why ? ": " : "", why);
		return err_hint(e, "kubectl describe pod -n %s %s", t->namespace_, t->pod);
	}
	return 0;
}

static int check_running(const cJSON *status, const struct pod_target *t, struct err *e)
{
	const cJSON *terminated = json_doc_get(status, "state.terminated");
	const char *waiting = json_doc_text(status, "state.waiting.reason");
	const cJSON *last = json_doc_get(status, "lastState.terminated");
	const cJSON *code = json_doc_get(terminated ? terminated : last, "exitCode");
	char exit_text[64] = "";

	if (json_doc_get(status, "state.running")) return 0;
	if (cJSON_IsNumber(code))
		snprintf(exit_text, sizeof(exit_text), ", exit status %.0f", code->valuedouble);
	if (terminated || last) {
		err_set(e, ERR_GONE, "container %s of pod %s does not run: %s%s", t->container,
			t->pod, *waiting ? waiting : json_doc_text(terminated, "reason"),
			exit_text);
		return err_hint(e, "see why it ended: kubectl logs -n %s %s -c %s%s", t->namespace_,
				t->pod, t->container, terminated ? "" : " --previous");
	}
	err_set(e, ERR_NOT_FOUND, "container %s of pod %s has not started%s%s", t->container,
		t->pod, *waiting ? ": " : "", waiting);
	return err_hint(e, "kubectl describe pod -n %s %s", t->namespace_, t->pod);
}

static void copy_text(char *ret, size_t size, const cJSON *pod, const char *path)
{
	snprintf(ret, size, "%s", json_doc_text(pod, path));
}

/* "containerd://ID" */
static void copy_id(struct pod_target *t, const char *id)
{
	const char *colon = strstr(id, "://");

	if (colon) id = colon + strlen("://");
	if (strlen(id) < sizeof(t->container_id))
		snprintf(t->container_id, sizeof(t->container_id), "%s", id);
}

int pod_identify(const cJSON *pod, struct pod_target *ret, struct err *e)
{
	struct pod_target t = {0};

	copy_text(t.namespace_, sizeof(t.namespace_), pod, "metadata.namespace");
	copy_text(t.pod, sizeof(t.pod), pod, "metadata.name");
	copy_text(t.uid, sizeof(t.uid), pod, "metadata.uid");
	copy_text(t.node, sizeof(t.node), pod, "spec.nodeName");
	/* They become parts of paths. */
	if (!kube_name_is_valid(t.pod) || !kube_name_is_valid(t.namespace_))
		return err_set(e, ERR_SERVER, "the server's pod has no valid name");
	*ret = t;
	return 0;
}

int container_choose(const cJSON *pod, const char *container, struct pod_target *ret, struct err *e)
{
	struct pod_target t;
	const char *name = NULL;
	const cJSON *status;
	int r = pod_identify(pod, &t, e);

	if (r == 0) r = pod_check(pod, &t, e);
	if (r == 0) r = choose(pod, container, &name, t.note, sizeof(t.note), e);
	if (r < 0) return r;
	if (!kube_name_is_valid(name))
		return err_set(e, ERR_SERVER, "the server's container has no valid name");
	snprintf(t.container, sizeof(t.container), "%s", name);
	container_find(pod, name, &status);
	copy_id(&t, json_doc_text(status, "containerID"));
	t.may_have_sidecar = sidecar_is_meant(pod);
	r = check_running(status, &t, e);
	if (r == 0) *ret = t;
	return r;
}
