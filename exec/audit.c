#include "exec/audit.h"

#include "base/rfc3339.h"
#include "exec/json_doc.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define REVIEWS "/apis/authentication.k8s.io/v1/selfsubjectreviews"

enum {
	REVIEW_MAX = 1 << 20,
	MESSAGE_MAX = 1024, /* the API server takes no more */
};

int audit_whoami(struct kube *k, cJSON **ret, struct err *e)
{
	static const char review[] =
	    "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"SelfSubjectReview\"}";
	_cleanup_buf_ struct buf body = BUF_INIT(REVIEW_MAX);
	_cleanup_json_doc_ cJSON *doc = NULL;
	int r = kube_post(k, REVIEWS, review, strlen(review), &body, e);

	if (r == 0) r = json_doc_parse(body.data, body.len, REVIEWS, &doc, e);
	if (r < 0) return r;
	if (!*json_doc_text(doc, "status.userInfo.username"))
		return err_set(e, ERR_SERVER, "a review without a user");
	*ret = cJSON_DetachItemFromObject(cJSON_GetObjectItem(doc, "status"), "userInfo");
	return 0;
}

/* --- the event --- */

static void add_pod(cJSON *event, const struct pod_target *target, const char *container)
{
	cJSON *pod = cJSON_AddObjectToObject(event, "involvedObject");
	char path[300];

	snprintf(path, sizeof(path), "spec.containers{%s}", container);
	cJSON_AddStringToObject(pod, "apiVersion", "v1");
	cJSON_AddStringToObject(pod, "kind", "Pod");
	cJSON_AddStringToObject(pod, "namespace", target->namespace_);
	cJSON_AddStringToObject(pod, "name", target->pod);
	cJSON_AddStringToObject(pod, "uid", target->uid);
	cJSON_AddStringToObject(pod, "fieldPath", path);
}

static void add_message(cJSON *event, const struct audit_event *of)
{
	char text[MESSAGE_MAX];

	snprintf(text, sizeof(text), "%s%s%s captured container %s: %s%s%.700s",
		 of->user ? of->user : "somebody", of->host ? " on " : "", of->host ? of->host : "",
		 of->container, of->outcome, of->reason ? "; reason: " : "",
		 of->reason ? of->reason : "");
	cJSON_AddStringToObject(event, "message", text);
}

char *audit_event_body(const struct pod_target *target, const struct audit_event *of,
		       const char *name)
{
	_cleanup_json_doc_ cJSON *event = cJSON_CreateObject();
	cJSON *meta = cJSON_AddObjectToObject(event, "metadata");
	cJSON *source = cJSON_AddObjectToObject(event, "source");
	const char *host = of->host ? of->host : "unknown";
	char when[RFC3339_SIZE];

	rfc3339_utc(of->when, when);
	cJSON_AddStringToObject(event, "apiVersion", "v1");
	cJSON_AddStringToObject(event, "kind", "Event");
	cJSON_AddStringToObject(meta, "namespace", target->namespace_);
	cJSON_AddStringToObject(meta, "name", name);
	add_pod(event, target, of->container);
	cJSON_AddStringToObject(event, "type", "Normal");
	cJSON_AddStringToObject(event, "reason", "PodsnapCapture");
	cJSON_AddStringToObject(event, "action", "Capture");
	add_message(event, of);
	cJSON_AddStringToObject(source, "component", "podsnap");
	cJSON_AddStringToObject(source, "host", host);
	cJSON_AddStringToObject(event, "reportingComponent", "podsnap");
	cJSON_AddStringToObject(event, "reportingInstance", host);
	cJSON_AddStringToObject(event, "firstTimestamp", when);
	cJSON_AddStringToObject(event, "lastTimestamp", when);
	cJSON_AddNumberToObject(event, "count", 1);
	return cJSON_PrintUnformatted(event);
}

int audit_post_event(struct kube *k, const struct pod_target *target,
		     const struct audit_event *event, struct err *e)
{
	_cleanup_free_ char *body = NULL;
	char path[300], name[40];
	uint64_t random;
	int r;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_errno(e, "no random numbers");
	snprintf(name, sizeof(name), "podsnap-%016llx", (unsigned long long)random);
	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/events", target->namespace_);
	body = audit_event_body(target, event, name);
	if (!body) return err_set(e, ERR_NO_MEMORY, "no memory for an event");
	r = kube_post(k, path, body, strlen(body), NULL, e);
	/* The name is ours alone: an answer was lost, and the event is there. */
	return r == -ERR_EXISTS ? 0 : r;
}
