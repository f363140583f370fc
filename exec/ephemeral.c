#include "exec/ephemeral.h"

#include "base/log.h"
#include "exec/container.h"
#include "exec/json_doc.h"
#include "exec/kube_internal.h"
#include "exec/session.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* Then eight hex digits. */
#define NAME_PREFIX "podsnap-"
#define PTRACE_PREFIX "podsnap-ptrace-"
/* Then it ends by itself: nobody may come back. */
#define IDLE_S "3600"
#define START_NS (120ull * NS_PER_S) /* the image may have to be pulled */
#define POLL_NS (250ull * NS_PER_MS)

enum { PATH_SIZE = 640 };

static const cJSON *status_of(const cJSON *pod, const char *name)
{
	const cJSON *status;

	container_find(pod, name, &status);
	return status;
}

/* By its name: a container may have the right to trace from its target, too. */
static bool is_named_for(const char *name, const struct ephemeral_spec *spec)
{
	bool may_ptrace = strncmp(name, PTRACE_PREFIX, strlen(PTRACE_PREFIX)) == 0;

	return may_ptrace == spec->ptrace && strncmp(name, NAME_PREFIX, strlen(NAME_PREFIX)) == 0;
}

const char *ephemeral_find(const cJSON *pod, const char *target, const struct ephemeral_spec *spec)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, json_doc_get(pod, "spec.ephemeralContainers"))
	{
		const char *name = json_doc_text(item, "name");

		if (is_named_for(name, spec) &&
		    strcmp(json_doc_text(item, "targetContainerName"), target) == 0 &&
		    strcmp(json_doc_text(item, "image"), spec->image) == 0 &&
		    json_doc_get(status_of(pod, name), "state.running"))
			return name;
	}
	return NULL;
}

/* --- the container --- */

/* What the kubelet saw: the image may name the user (KEP-3619; Linux only). */
static void add_id(cJSON *security, const char *field, const cJSON *pod, const cJSON *status,
		   const char *seen)
{
	char of_pod[64];
	const cJSON *id = json_doc_get(status, seen);

	snprintf(of_pod, sizeof(of_pod), "spec.securityContext.%s", field);
	if (json_doc_get(security, field) || json_doc_get(pod, of_pod) || !cJSON_IsNumber(id))
		return;
	cJSON_AddNumberToObject(security, field, cJSON_GetNumberValue(id));
}

static cJSON *derive_security(const cJSON *pod, const char *target)
{
	const cJSON *status;
	const cJSON *its = json_doc_get(container_find(pod, target, &status), "securityContext");
	cJSON *security = its ? cJSON_Duplicate(its, true) : cJSON_CreateObject();

	if (!security) return NULL;
	add_id(security, "runAsUser", pod, status, "user.linux.uid");
	add_id(security, "runAsGroup", pod, status, "user.linux.gid");
	return security;
}

static void set(cJSON *object, const char *key, cJSON *value)
{
	cJSON_DeleteItemFromObjectCaseSensitive(object, key);
	cJSON_AddItemToObject(object, key, value);
}

/* DAC_OVERRIDE for what /proc shows to the process's own user only. The rest, as the seccomp
 * profile, stays as the target has it. */
static void allow_ptrace(cJSON *security)
{
	static const char *const all[] = {"ALL"}, *const added[] = {"SYS_PTRACE", "DAC_OVERRIDE"};
	cJSON *capabilities = cJSON_CreateObject();

	set(capabilities, "drop", cJSON_CreateStringArray(all, ARRAY_SIZE(all)));
	set(capabilities, "add", cJSON_CreateStringArray(added, ARRAY_SIZE(added)));
	set(security, "capabilities", capabilities);
	set(security, "runAsUser", cJSON_CreateNumber(0));
	set(security, "runAsGroup", cJSON_CreateNumber(0));
	set(security, "runAsNonRoot", cJSON_CreateBool(false));
}

static cJSON *container_of(const cJSON *pod, const char *target, const struct ephemeral_spec *spec,
			   const char *name)
{
	static const char *const command[] = {PROBE_INSTALLED, "idle", IDLE_S};
	cJSON *c = cJSON_CreateObject(), *security = derive_security(pod, target);

	if (spec->ptrace && security) allow_ptrace(security);
	cJSON_AddStringToObject(c, "name", name);
	cJSON_AddStringToObject(c, "image", spec->image);
	cJSON_AddStringToObject(c, "imagePullPolicy", "IfNotPresent");
	cJSON_AddStringToObject(c, "targetContainerName", target);
	cJSON_AddItemToObject(c, "command", cJSON_CreateStringArray(command, ARRAY_SIZE(command)));
	cJSON_AddItemToObject(c, "securityContext", security);
	return c;
}

char *ephemeral_patch(const cJSON *pod, const char *target, const struct ephemeral_spec *spec,
		      const char *name)
{
	_cleanup_json_doc_ cJSON *patch = cJSON_CreateObject();
	cJSON *list =
	    cJSON_AddArrayToObject(cJSON_AddObjectToObject(patch, "spec"), "ephemeralContainers");

	cJSON_AddItemToArray(list, container_of(pod, target, spec, name));
	return cJSON_PrintUnformatted(patch);
}

/* --- until it runs --- */

static bool is_failure(const char *reason)
{
	static const char *const failures[] = {
	    "ErrImagePull",         "ImagePullBackOff",           "InvalidImageName",
	    "ErrImageNeverPull",    "ImageInspectError",          "RegistryUnavailable",
	    "CreateContainerError", "CreateContainerConfigError", "RunContainerError",
	};

	for (size_t i = 0; i < ARRAY_SIZE(failures); i++)
		if (strcmp(reason, failures[i]) == 0) return true;
	return false;
}

int ephemeral_judge(const cJSON *pod, const char *name, struct err *e)
{
	const cJSON *status = status_of(pod, name);
	const cJSON *ended = json_doc_get(status, "state.terminated");
	const char *reason = json_doc_text(status, "state.waiting.reason");
	const char *phase = json_doc_text(pod, "status.phase");

	if (json_doc_get(status, "state.running")) return 1;
	if (strcmp(phase, "Running") != 0 && strcmp(phase, "Pending") != 0)
		return err_set(e, ERR_GONE, "pod %s has ended: %s",
			       json_doc_text(pod, "metadata.name"), phase);
	if (ended) {
		err_set(e, ERR_UNSUPPORTED, "ephemeral container %s ended at once: %s, status %.0f",
			name, json_doc_text(ended, "reason"),
			cJSON_GetNumberValue(json_doc_get(ended, "exitCode")));
		return err_hint(e, "its image must hold this version's probe as " PROBE_INSTALLED);
	}
	if (!is_failure(reason)) return 0;
	err_set(e, ERR_UNSUPPORTED, "ephemeral container %s does not start: %s: %.300s", name,
		reason, json_doc_text(status, "state.waiting.message"));
	return err_hint(e, "name an image that the node can pull and run with --probe-image");
}

static int await_running(struct kube *k, const struct pod_target *target, const char *name,
			 struct err *e)
{
	const struct timespec nap = {.tv_nsec = (long)POLL_NS};
	uint64_t deadline = now_ns() + START_NS;

	for (;;) {
		_cleanup_json_doc_ cJSON *pod = NULL;
		int r = pod_read(k, target, &pod, e);

		if (r == 0) r = ephemeral_judge(pod, name, e);
		if (r != 0) return MIN(r, 0);
		if (k->cancel && atomic_load(k->cancel))
			return err_set(e, ERR_CANCELLED, "cancelled");
		if (now_ns() >= deadline) {
			err_set(e, ERR_TIMEOUT, "ephemeral container %s did not start in %llu s",
				name, START_NS / NS_PER_S);
			return err_hint(e, "see why: kubectl describe pod %s",
					json_doc_text(pod, "metadata.name"));
		}
		nanosleep(&nap, NULL);
	}
}

static int forbidden(const struct ephemeral_spec *spec, struct err *e)
{
	if (!e || !strstr(e->text, "PodSecurity")) return -ERR_FORBIDDEN;
	if (spec->ptrace)
		return err_hint(e, "Pod Security of this namespace lets in no container that may "
				   "trace others (--ptrace): enter by the node agent");
	return err_hint(e, "Pod Security holds for ephemeral containers too, and this one "
			   "gets the target's own securityContext: the namespace is "
			   "stricter now than when the pod was made");
}

/* query: "" or "?dryRun=All". */
static int send_patch(struct kube *k, const cJSON *pod, const struct pod_target *target,
		      const struct ephemeral_spec *spec, const char *name, const char *query,
		      struct err *e)
{
	_cleanup_free_ char *body = ephemeral_patch(pod, target->container, spec, name);
	char path[PATH_SIZE];
	int r;

	if (!body) return err_set(e, ERR_NO_MEMORY, "no memory for an ephemeral container");
	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods/%s/ephemeralcontainers%s",
		 target->namespace_, target->pod, query);
	r = kube_patch(k, path, body, strlen(body), e);
	return r == -ERR_FORBIDDEN ? forbidden(spec, e) : r;
}

int ephemeral_try(struct kube *k, const cJSON *pod, const struct pod_target *target,
		  const struct ephemeral_spec *spec, struct err *e)
{
	/* No container has this name. */
	return send_patch(k, pod, target, spec, NAME_PREFIX "dry-run", "?dryRun=All", e);
}

static int create(struct kube *k, const cJSON *pod, const struct pod_target *target,
		  const struct ephemeral_spec *spec, const char *name, struct err *e)
{
	int r = send_patch(k, pod, target, spec, name, "", e);

	if (r < 0) return r;
	log_info("pod %s has a new ephemeral container %s, which stays in its description",
		 target->pod, name);
	return await_running(k, target, name, e);
}

int ephemeral_enter(struct kube *k, const struct pod_target *target,
		    const struct ephemeral_spec *spec, struct pod_target *ret, struct err *e)
{
	_cleanup_json_doc_ cJSON *pod = NULL;
	char name[32];
	const char *found;
	uint32_t random;
	int r;

	r = pod_read(k, target, &pod, e);
	if (r < 0) return r;
	found = ephemeral_find(pod, target->container, spec);
	if (!found) {
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return err_errno(e, "no random numbers");
		snprintf(name, sizeof(name), "%s%08x", spec->ptrace ? PTRACE_PREFIX : NAME_PREFIX,
			 random);
		r = create(k, pod, target, spec, name, e);
		if (r < 0) return r;
	}
	*ret = *target;
	snprintf(ret->container, sizeof(ret->container), "%s", found ? found : name);
	log_debug("ephemeral container %s of pod %s", ret->container, ret->pod);
	return 0;
}
