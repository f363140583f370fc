/* Many pods at once: those of a query, page by page, and those of several sources. */
#include "exec/container.h"
#include "exec/json_doc.h"
#include "exec/pod_list.h"

#include <stdio.h>
#include <string.h>

void pod_set_done(struct pod_set *set)
{
	free(set->items);
	*set = (struct pod_set){0};
}

static bool is_same(const struct pod_target *a, const struct pod_target *b)
{
	return strcmp(a->pod, b->pod) == 0 && strcmp(a->container, b->container) == 0 &&
	       strcmp(a->namespace_, b->namespace_) == 0;
}

static int add(struct pod_set *set, const struct pod_choice *choice, struct err *e)
{
	struct pod_choice *items;

	for (size_t i = 0; i < set->count; i++)
		if (is_same(&set->items[i].target, &choice->target)) return 0;
	if (set->count == PODS_MAX) {
		err_set(e, ERR_LIMIT, "more than %d containers are selected", PODS_MAX);
		return err_hint(e, "narrow the selection: -l SELECTOR, --node NAME, -n NAMESPACE");
	}
	/* Doubles whenever the count is a power of two. */
	if ((set->count & (set->count - 1)) == 0) {
		items = realloc(set->items, MAX(set->count * 2, (size_t)1) * sizeof(*items));
		if (!items) return err_set(e, ERR_NO_MEMORY, "no memory for a list of pods");
		set->items = items;
	}
	set->items[set->count++] = *choice;
	return 0;
}

/* name NULL: the container that is taken by default. */
static int add_container(struct pod_set *set, const cJSON *pod, const struct pod_target *identity,
			 const char *name, struct err *e)
{
	struct pod_choice choice = {.target = *identity};

	if (container_choose(pod, name, &choice.target, &choice.why) < 0) {
		choice.not_running = true;
		if (name)
			snprintf(choice.target.container, sizeof(choice.target.container), "%s",
				 name);
	}
	return add(set, &choice, e);
}

/* An init container that restarts runs beside the others: a sidecar. */
static bool runs_beside(const cJSON *container)
{
	return strcmp(json_doc_text(container, "restartPolicy"), "Always") == 0;
}

static int add_containers(struct pod_set *set, const cJSON *pod, const struct pod_target *identity,
			  struct err *e)
{
	const cJSON *container;

	cJSON_ArrayForEach(container, json_doc_get(pod, "spec.containers"))
	{
		int r = add_container(set, pod, identity, json_doc_text(container, "name"), e);

		if (r < 0) return r;
	}
	cJSON_ArrayForEach(container, json_doc_get(pod, "spec.initContainers"))
	{
		int r = runs_beside(container)
			    ? add_container(set, pod, identity, json_doc_text(container, "name"), e)
			    : 0;

		if (r < 0) return r;
	}
	return 0;
}

static int add_pod(struct pod_set *set, const cJSON *pod, const struct pod_query *query,
		   struct err *e)
{
	struct pod_choice choice = {.not_running = true};
	int r = pod_identify(pod, &choice.target, e);

	if (r < 0) return r;
	if (pod_check(pod, &choice.target, &choice.why) < 0) return add(set, &choice, e);
	if (query->all_containers) return add_containers(set, pod, &choice.target, e);
	return add_container(set, pod, &choice.target, query->container, e);
}

struct page_context {
	const struct pod_query *query;
	struct pod_set *set;
	size_t before; /* what was in the set before the query */
};

static int add_page(void *ctx, cJSON *items, bool is_first, struct err *e)
{
	struct page_context *c = ctx;
	const cJSON *pod;

	if (is_first) c->set->count = c->before;
	cJSON_ArrayForEach(pod, items)
	{
		int r = add_pod(c->set, pod, c->query, e);

		if (r < 0) return r;
	}
	return 0;
}

static int nothing_found(const struct pod_list *list, struct err *e)
{
	char where[300] = "the cluster";

	if (list->namespace_) snprintf(where, sizeof(where), "namespace %s", list->namespace_);
	err_set(e, ERR_NOT_FOUND, "no pods in %s%s%.300s%s%s%.253s", where,
		list->labels ? " that match the selector " : "", list->labels ? list->labels : "",
		list->node ? (list->labels ? ", " : " that are ") : "",
		list->node ? "on node " : "", list->node ? list->node : "");
	if (!list->namespace_)
		return err_hint(e, "see what there is: kubectl get pods -A -o wide "
				   "--show-labels");
	return err_hint(e,
			"see what there is: kubectl get pods -n %s -o wide --show-labels; or "
			"look in all namespaces: -A",
			list->namespace_);
}

int pods_query_from(kube_get_fn get, void *ctx, const char *namespace_,
		    const struct pod_query *query, struct pod_set *set, struct err *e)
{
	struct pod_list list = {
	    .namespace_ = query->all_namespaces ? NULL : namespace_,
	    .labels = query->labels,
	    .node = query->node,
	};
	struct page_context c = {query, set, set->count};
	int r;

	if (query->node && !kube_name_is_valid(query->node))
		return err_set(e, ERR_USAGE, "\"%.100s\" is no name of a node", query->node);
	r = pod_list_each(get, ctx, &list, add_page, &c, e);
	if (r == 0 && set->count == c.before) return nothing_found(&list, e);
	return r;
}

int pods_source_from(kube_get_fn get, void *ctx, const char *namespace_, const char *source,
		     const struct pod_query *query, struct pod_set *set, struct err *e)
{
	_cleanup_json_doc_ cJSON *pod = NULL;
	struct pod_choice missing = {0};
	char note[POD_NOTE_MAX];
	size_t before = set->count;
	int r = pod_find_from(get, ctx, namespace_, source, &pod, note, &missing.why);

	if (r == 0) {
		r = add_pod(set, pod, query, e);
		for (size_t i = before; i < set->count; i++)
			pod_note_join(note, &set->items[i].target);
		return r;
	}
	if (r == -ERR_CANCELLED || r == -ERR_USAGE) {
		if (e) *e = missing.why;
		return r;
	}
	snprintf(missing.target.namespace_, sizeof(missing.target.namespace_), "%s", namespace_);
	snprintf(missing.target.pod, sizeof(missing.target.pod), "%s", source);
	return add(set, &missing, e);
}
