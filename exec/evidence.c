#include "exec/evidence_internal.h"

#include "base/log.h"
#include "exec/container.h"
#include "exec/redact.h"

#include <stdio.h>
#include <string.h>

#define POLL_NS (250ull * NS_PER_MS)

enum {
	OBJECT_MAX = 4 << 20, /* bytes; etcd takes 1.5 MiB */
	EVENTS_PAGE = 500,
	EVENTS_PAGES_MAX = 4,
};

/* --- entries --- */

int evidence_get(struct evidence *ev, const char *path, cJSON **ret, struct err *e)
{
	return kube_get_doc(ev->get, ev->get_ctx, path, OBJECT_MAX, ret, e);
}

/* A missing right as one line: of the hint's YAML, which has one for each key. */
static void rule_line(const char *hint, char *ret, size_t size)
{
	size_t len = (size_t)snprintf(ret, size, "not allowed: ");

	for (; *hint && len + 2 < size; hint++) {
		if (*hint != '\n') {
			ret[len++] = *hint;
			continue;
		}
		ret[len] = '\0';
		if (hint[1] == ' ') ret[len++] = ',';
		ret[len++] = ' ';
		hint += strspn(hint + 1, "- ");
	}
	ret[len] = '\0';
}

int evidence_put_failure(struct evidence *ev, const char *name, int code, const struct err *why,
			 struct err *e)
{
	bool no = code == -ERR_FORBIDDEN, absent = code == -ERR_NOT_FOUND;
	char reason[BUNDLE_REASON_MAX];

	if (code == -ERR_CANCELLED) {
		if (e) *e = *why;
		return code;
	}
	if (no && why->hint[0])
		rule_line(why->hint, reason, sizeof(reason));
	else
		snprintf(reason, sizeof(reason), "%.*s", (int)sizeof(reason) - 1, why->text);
	log_debug("%s: %s", name, reason);
	return ev->add(ev->add_ctx, name, no || absent ? ENTRY_SKIPPED : ENTRY_FAILED, reason, NULL,
		       0, e);
}

/* Who changed which field when: long, and nobody reads it. */
static void drop_managed_fields(cJSON *object)
{
	cJSON *item;

	cJSON_DeleteItemFromObject(cJSON_GetObjectItem(object, "metadata"), "managedFields");
	cJSON_ArrayForEach(item, cJSON_GetObjectItem(object, "items"))
	{
		cJSON_DeleteItemFromObject(cJSON_GetObjectItem(item, "metadata"), "managedFields");
	}
}

/* What of an object is kept, as text that the caller frees. */
static int text_of(struct evidence *ev, const cJSON *object, bool every_member, char **ret,
		   struct err *e)
{
	_cleanup_json_doc_ cJSON *copy = cJSON_Duplicate(object, true);
	int r = copy ? 0 : err_set(e, ERR_NO_MEMORY, "no memory to keep an object");

	drop_managed_fields(copy);
	if (r == 0 && !ev->config->show_secrets) r = redact_object(copy, every_member, e);
	if (r < 0) return r;
	*ret = cJSON_Print(copy);
	return *ret ? 0 : err_set(e, ERR_NO_MEMORY, "no memory to keep an object");
}

int evidence_put(struct evidence *ev, const char *name, const cJSON *object, bool every_member,
		 const char *reason, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	struct err why = {0};
	int r = text_of(ev, object, every_member, &text, &why);

	if (r < 0) return evidence_put_failure(ev, name, r, &why, e);
	return ev->add(ev->add_ctx, name, reason ? ENTRY_PARTIAL : ENTRY_OK, reason ? reason : "",
		       text, strlen(text), e);
}

/* --- the pod --- */

static void pod_path(const struct evidence *ev, char ret[EVIDENCE_PATH_MAX])
{
	snprintf(ret, EVIDENCE_PATH_MAX, "/api/v1/namespaces/%s/pods/%s", ev->target->namespace_,
		 ev->target->pod);
}

/* Looks again. -ERR_GONE, and what was seen last stays, if there is no such pod any more, or
 * another of its name. */
static int see_pod(struct evidence *ev, struct err *e)
{
	_cleanup_json_doc_ cJSON *pod = NULL;
	char path[EVIDENCE_PATH_MAX];
	int r;

	pod_path(ev, path);
	r = evidence_get(ev, path, &pod, e);
	ev->gone = r == -ERR_NOT_FOUND ||
		   (r == 0 && strcmp(json_doc_text(pod, "metadata.uid"), ev->target->uid) != 0);
	if (ev->gone) return err_set(e, ERR_GONE, "pod %s is gone", ev->target->pod);
	if (r < 0) return r;
	cJSON_Delete(ev->pod);
	ev->pod = STEAL_PTR(pod);
	return 0;
}

static int put_pod(struct evidence *ev, struct err *e)
{
	static const char name[] = "kube/pod.json";
	struct err why = {0};
	int r = see_pod(ev, &why);

	if (r == -ERR_GONE && ev->pod)
		return evidence_put(ev, name, ev->pod, false,
				    "the pod is gone: this is what it was before", e);
	return r < 0 ? evidence_put_failure(ev, name, r, &why, e)
		     : evidence_put(ev, name, ev->pod, false, NULL, e);
}

static int put_node(struct evidence *ev, struct err *e)
{
	static const char name[] = "kube/node.json";
	_cleanup_json_doc_ cJSON *node = NULL;
	char path[EVIDENCE_PATH_MAX];
	struct err why = {0};
	int r;

	if (!kube_name_is_valid(ev->target->node)) return 0;
	snprintf(path, sizeof(path), "/api/v1/nodes/%s", ev->target->node);
	r = evidence_get(ev, path, &node, &why);
	return r < 0 ? evidence_put_failure(ev, name, r, &why, e)
		     : evidence_put(ev, name, node, false, NULL, e);
}

static int put_metrics(struct evidence *ev, struct err *e)
{
	static const char name[] = "kube/metrics.json";
	_cleanup_json_doc_ cJSON *object = NULL;
	char path[EVIDENCE_PATH_MAX];
	struct err why = {0};
	int r;

	snprintf(path, sizeof(path), "/apis/metrics.k8s.io/v1beta1/namespaces/%s/pods/%s",
		 ev->target->namespace_, ev->target->pod);
	r = evidence_get(ev, path, &object, &why);
	if (r == -ERR_NOT_FOUND)
		r = err_set(&why, ERR_NOT_FOUND,
			    "there is no metrics API, or it has nothing of this pod");
	return r < 0 ? evidence_put_failure(ev, name, r, &why, e)
		     : evidence_put(ev, name, object, false, NULL, e);
}

/* --- events --- */

static int events_path(const struct evidence *ev, const char *token, struct buf *ret, struct err *e)
{
	int r = buf_printf(
	    ret, e, "/api/v1/namespaces/%s/events?limit=%d&fieldSelector=involvedObject.uid%%3D",
	    ev->target->namespace_, EVENTS_PAGE);

	if (r == 0) r = http_encode(ret, ev->target->uid, "", e);
	if (r == 0 && *token) r = buf_puts(ret, "&continue=", e);
	return r < 0 ? r : http_encode(ret, token, "", e);
}

/* Moves the items of a page behind those of the list, which the first page becomes. Returns the
 * token of what follows, which the caller frees; NULL: no memory. */
static char *take_page(cJSON **list, cJSON *page)
{
	cJSON *meta = cJSON_GetObjectItemCaseSensitive(page, "metadata");
	char *token = strdup(json_doc_text(page, "metadata.continue"));
	cJSON *to = cJSON_GetObjectItemCaseSensitive(*list, "items"), *from;

	cJSON_DeleteItemFromObject(meta, "continue");
	cJSON_DeleteItemFromObject(meta, "remainingItemCount");
	if (!*list) {
		*list = page;
		return token;
	}
	from = cJSON_GetObjectItemCaseSensitive(page, "items");
	while (to && from && from->child)
		cJSON_AddItemToArray(to, cJSON_DetachItemViaPointer(from, from->child));
	cJSON_Delete(page);
	return token;
}

static int get_events(struct evidence *ev, cJSON **list, bool *ret_more, struct err *e)
{
	_cleanup_free_ char *token = strdup("");

	for (int page = 0; page < EVENTS_PAGES_MAX; page++) {
		_cleanup_buf_ struct buf path = BUF_INIT(64 << 10);
		cJSON *got = NULL;
		int r = token ? events_path(ev, token, &path, e)
			      : err_set(e, ERR_NO_MEMORY, "no memory for events");

		if (r == 0) r = evidence_get(ev, path.data, &got, e);
		if (r < 0) return r;
		free(token);
		token = take_page(list, got);
		*ret_more = !token || *token;
		if (!*ret_more) break;
	}
	return 0;
}

static int put_events(struct evidence *ev, struct err *e)
{
	static const char name[] = "kube/events.json";
	_cleanup_json_doc_ cJSON *list = NULL;
	struct err why = {0};
	bool more = false;
	char reason[BUNDLE_REASON_MAX];
	int r = get_events(ev, &list, &more, &why);

	if (r < 0 && (!list || r == -ERR_CANCELLED))
		return evidence_put_failure(ev, name, r, &why, e);
	snprintf(reason, sizeof(reason), "there are more%s%.200s", r < 0 ? ": " : "",
		 r < 0 ? why.text : "");
	return evidence_put(ev, name, list, false, more ? reason : NULL, e);
}

/* --- all of it --- */

int evidence_gather(struct evidence *ev, const struct evidence_config *config, evidence_add_fn add,
		    void *ctx, struct err *e)
{
	int r;

	ev->config = config;
	ev->add = add;
	ev->add_ctx = ctx;
	r = put_pod(ev, e);
	if (r == 0) r = evidence_put_owners(ev, e);
	if (r == 0) r = put_node(ev, e);
	if (r == 0) r = put_events(ev, e);
	if (r == 0) r = put_metrics(ev, e);
	if (r == 0 && config->log_lines > 0) r = evidence_put_logs(ev, e);
	return r;
}

/* --- the end of a container --- */

static bool has_ended(struct evidence *ev, char *ret, size_t size)
{
	if (!ev->gone)
		return container_ended(ev->pod, ev->target->container, ev->container_id, ret, size);
	snprintf(ret, size, "pod %s is gone", ev->target->pod);
	return true;
}

int evidence_ended(struct evidence *ev, uint64_t wait_ns, char *ret, size_t size)
{
	const struct timespec nap = {.tv_nsec = (long)POLL_NS};
	uint64_t deadline = now_ns() + wait_ns;

	for (;;) {
		struct err why;
		int r = see_pod(ev, &why);

		if (r < 0 && r != -ERR_GONE) {
			log_debug("what became of the container is unknown: %s", why.text);
			return 0;
		}
		if (has_ended(ev, ret, size)) return 1;
		if (now_ns() >= deadline || (ev->cancel && atomic_load(ev->cancel))) return 0;
		nanosleep(&nap, NULL);
	}
}

/* --- life --- */

int evidence_new_from(kube_get_fn get, void *ctx, const atomic_bool *cancel,
		      const struct pod_target *target, struct evidence **ret, struct err *e)
{
	struct evidence *ev = calloc(1, sizeof(*ev));
	const cJSON *status = NULL;
	struct err why;
	int r;

	if (!ev) return err_set(e, ERR_NO_MEMORY, "no memory for evidence");
	*ev = (struct evidence){.get = get, .get_ctx = ctx, .cancel = cancel, .target = target};
	r = see_pod(ev, &why);
	if (r == -ERR_CANCELLED) {
		evidence_free(ev);
		if (e) *e = why;
		return r;
	}
	if (r < 0) log_debug("the pod before the capture: %s", why.text);
	if (ev->pod) container_find(ev->pod, target->container, &status);
	snprintf(ev->container_id, sizeof(ev->container_id), "%s",
		 json_doc_text(status, "containerID"));
	*ret = ev;
	return 0;
}

int evidence_new(struct kube *k, const struct pod_target *target, struct evidence **ret,
		 struct err *e)
{
	return evidence_new_from(kube_get_from, k, k->cancel, target, ret, e);
}

void evidence_free(struct evidence *ev)
{
	if (!ev) return;
	cJSON_Delete(ev->pod);
	free(ev);
}
