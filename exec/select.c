#include "exec/container.h"
#include "exec/json_doc.h"
#include "exec/kube_internal.h"
#include "exec/pod_list.h"
#include "exec/selector.h"

#include <stdio.h>
#include <string.h>

enum { SELECTOR_MAX_BYTES = 4 << 10 };

/* What TYPE/NAME may name, in the order of kubectl's help. */
static const struct resource {
	const char *names[4]; /* plural first */
	const char *api, *group;
	bool bare_selector;
} resources[] = {
    {{"pods", "pod", "po"}, "/api/v1", ""},
    {{"deployments", "deployment", "deploy"}, "/apis/apps/v1", "apps"},
    {{"statefulsets", "statefulset", "sts"}, "/apis/apps/v1", "apps"},
    {{"daemonsets", "daemonset", "ds"}, "/apis/apps/v1", "apps"},
    {{"replicasets", "replicaset", "rs"}, "/apis/apps/v1", "apps"},
    {{"jobs", "job"}, "/apis/batch/v1", "batch"},
    {{"services", "service", "svc"}, "/api/v1", "", true},
    {{"replicationcontrollers", "replicationcontroller", "rc"}, "/api/v1", "", true},
};

/* "deployments.apps", "deploy.v1.apps", "svc" */
static bool type_matches(const struct resource *r, const char *type, size_t len)
{
	const char *dot = memchr(type, '.', len);
	size_t name_len = dot ? (size_t)(dot - type) : len;
	char group[32], versioned[40];

	snprintf(versioned, sizeof(versioned), "v1%s%s", *r->group ? "." : "", r->group);
	if (dot) {
		size_t group_len = len - name_len - 1;

		if (group_len >= sizeof(group)) return false;
		memcpy(group, dot + 1, group_len);
		group[group_len] = '\0';
		if (strcmp(group, r->group) != 0 && strcmp(group, versioned) != 0) return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(r->names) && r->names[i]; i++)
		if (strlen(r->names[i]) == name_len && memcmp(r->names[i], type, name_len) == 0)
			return true;
	return false;
}

static const struct resource *parse_source(const char *source, const char **ret_name)
{
	const char *slash = strchr(source, '/');

	if (!slash) {
		*ret_name = source;
		return &resources[0];
	}
	*ret_name = slash + 1;
	for (size_t i = 0; i < ARRAY_SIZE(resources); i++)
		if (type_matches(&resources[i], source, (size_t)(slash - source)))
			return &resources[i];
	return NULL;
}

bool pod_source_is_typed(const char *source)
{
	const char *name;

	return strchr(source, '/') && parse_source(source, &name) && *name && !strchr(name, '/');
}

const char *pod_source_name(const char *source)
{
	const char *name;

	return parse_source(source, &name) == &resources[0] ? name : NULL;
}

/* --- the pods of a workload --- */

struct search {
	kube_get_fn get;
	void *ctx;
	const char *namespace_;
};

static int get_doc(const struct search *s, const char *path, cJSON **ret, struct err *e)
{
	return kube_get_doc(s->get, s->ctx, path, KUBE_BODY_MAX, ret, e);
}

/* How a pod compares with others of its workload; the higher, the better. */
struct rank {
	bool live; /* has a node and is not being deleted */
	int phase; /* running 2, unknown 1, else 0 */
	bool ready;
	const char *ready_since; /* RFC 3339: the earlier, the better; so the last two */
	int restarts;
	const char *created;
};

static struct rank rank_of(const cJSON *pod)
{
	struct rank k = {.ready_since = "",
			 .created = json_doc_text(pod, "metadata.creationTimestamp")};
	const char *phase = json_doc_text(pod, "status.phase");
	const cJSON *item;

	k.live = *json_doc_text(pod, "spec.nodeName") &&
		 !json_doc_get(pod, "metadata.deletionTimestamp");
	k.phase = strcmp(phase, "Running") == 0 ? 2 : strcmp(phase, "Unknown") == 0;
	cJSON_ArrayForEach(item, json_doc_get(pod, "status.conditions"))
	{
		if (strcmp(json_doc_text(item, "type"), "Ready") != 0) continue;
		k.ready = strcmp(json_doc_text(item, "status"), "True") == 0;
		k.ready_since = json_doc_text(item, "lastTransitionTime");
	}
	cJSON_ArrayForEach(item, json_doc_get(pod, "status.containerStatuses"))
	{
		const cJSON *count = json_doc_get(item, "restartCount");

		if (cJSON_IsNumber(count)) k.restarts = MAX(k.restarts, count->valueint);
	}
	return k;
}

static bool is_better(const struct rank *a, const struct rank *b)
{
	if (a->live != b->live) return a->live;
	if (a->phase != b->phase) return a->phase > b->phase;
	if (a->ready != b->ready) return a->ready;
	if (a->ready && strcmp(a->ready_since, b->ready_since) != 0)
		return strcmp(a->ready_since, b->ready_since) < 0;
	if (a->restarts != b->restarts) return a->restarts < b->restarts;
	return strcmp(a->created, b->created) < 0;
}

struct best {
	cJSON *pod; /* NULL: none yet */
	uint64_t count;
};

/* Puts the best pod of the page in place of the one there is, if it is better. */
static int take_best(void *ctx, cJSON *items, bool is_first, struct err *e)
{
	struct best *best = ctx;
	cJSON *pod = items ? items->child : NULL;

	if (is_first) {
		cJSON_Delete(best->pod);
		*best = (struct best){0};
	}
	while (pod) {
		cJSON *next = pod->next;
		struct rank mine = rank_of(pod), its;

		best->count++;
		if (best->pod) its = rank_of(best->pod);
		if (!best->pod || is_better(&mine, &its)) {
			cJSON_Delete(best->pod);
			best->pod = cJSON_DetachItemViaPointer(items, pod);
		}
		pod = next;
	}
	return 0;
}

static int find_best(const struct search *s, const char *selector, cJSON **ret, uint64_t *ret_count,
		     struct err *e)
{
	struct pod_list list = {.namespace_ = s->namespace_, .labels = selector};
	struct best best = {0};
	int r = pod_list_each(s->get, s->ctx, &list, take_best, &best, e);

	if (r < 0) {
		cJSON_Delete(best.pod);
		return r;
	}
	*ret = best.pod;
	*ret_count = best.count;
	return 0;
}

/* "deployments/web" -> its best pod. */
static int pod_of_workload(const struct search *s, const struct resource *type, const char *name,
			   cJSON **ret, uint64_t *ret_count, struct err *e)
{
	_cleanup_buf_ struct buf selector = BUF_INIT(SELECTOR_MAX_BYTES);
	_cleanup_json_doc_ cJSON *doc = NULL;
	char path[700];
	int r;

	snprintf(path, sizeof(path), "%s/namespaces/%s/%s/%s", type->api, s->namespace_,
		 type->names[0], name);
	r = get_doc(s, path, &doc, e);
	if (r == -ERR_NOT_FOUND)
		return err_hint(e, "see what there is: kubectl get %s -n %s", type->names[0],
				s->namespace_);
	if (r < 0) return r;
	r = selector_text(json_doc_get(doc, "spec.selector"), type->bare_selector, &selector, e);
	if (r < 0) return err_wrap(e, "%s/%s", type->names[1], name);
	r = find_best(s, selector.data, ret, ret_count, e);
	if (r < 0 || *ret) return r;
	err_set(e, ERR_NOT_FOUND, "%s/%s in namespace %s has no pods", type->names[1], name,
		s->namespace_);
	return err_hint(e, "kubectl describe %s -n %s %s", type->names[1], s->namespace_, name);
}

static int pod_by_name(const struct search *s, const char *name, cJSON **ret, struct err *e)
{
	char path[600];
	int r;

	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods/%s", s->namespace_, name);
	r = get_doc(s, path, ret, e);
	if (r != -ERR_NOT_FOUND) return r;
	err_set(e, ERR_NOT_FOUND, "there is no pod \"%s\" in namespace %s", name, s->namespace_);
	return err_hint(e, "see what there is: kubectl get pods -n %s", s->namespace_);
}

int pod_find_from(kube_get_fn get, void *ctx, const char *namespace_, const char *source,
		  cJSON **ret, char ret_note[POD_NOTE_MAX], struct err *e)
{
	struct search s = {get, ctx, namespace_};
	const struct resource *type;
	char which[40] = "the only one";
	uint64_t count = 0;
	const char *name;
	int r;

	type = parse_source(source, &name);
	if (!type) {
		err_set(e, ERR_USAGE, "\"%.*s\" is no TYPE that has pods",
			(int)MIN(strcspn(source, "/"), 64u), source);
		return err_hint(e, "TYPE is pod, deploy, sts, ds, rs, job, svc or rc");
	}
	if (!kube_name_is_valid(name))
		return err_set(e, ERR_USAGE, "\"%.100s\" is no name of a Kubernetes object", name);
	ret_note[0] = '\0';
	if (type == &resources[0]) return pod_by_name(&s, name, ret, e);
	r = pod_of_workload(&s, type, name, ret, &count, e);
	if (r < 0) return r;
	if (count > 1) snprintf(which, sizeof(which), "one of the %llu", (unsigned long long)count);
	snprintf(ret_note, POD_NOTE_MAX, "pod %.253s, %s of %.30s/%.60s",
		 json_doc_text(*ret, "metadata.name"), which, type->names[1], name);
	return 0;
}

void pod_note_join(const char *pod_note, struct pod_target *t)
{
	char container_note[sizeof(t->note)];

	if (!*pod_note) return;
	memcpy(container_note, t->note, sizeof(container_note));
	snprintf(t->note, sizeof(t->note), "%s%s%.100s", pod_note, container_note[0] ? "; " : "",
		 container_note);
}

int pod_select_from(kube_get_fn get, void *ctx, const char *namespace_, const char *source,
		    const char *container, struct pod_target *ret, struct err *e)
{
	_cleanup_json_doc_ cJSON *pod = NULL;
	char note[POD_NOTE_MAX];
	int r = pod_find_from(get, ctx, namespace_, source, &pod, note, e);

	if (r == 0) r = container_choose(pod, container, ret, e);
	if (r == 0) pod_note_join(note, ret);
	return r;
}
