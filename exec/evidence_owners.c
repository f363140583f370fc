#include "exec/evidence_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* A pod, its ReplicaSet, its Deployment, and what an operator made that of. */
enum { OWNERS_MAX = 5 };

/* Who made an object, as its metadata.ownerReferences have it. */
struct owner {
	char api[200]; /* "/apis/apps/v1" */
	char kind[100], name[254], uid[64];
	bool foreign; /* of a group that is not Kubernetes' own */
};

static bool is_of(const char *text, const char *more)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr(more, *text)) return false;
	return true;
}

/* "apps/v1" -> "/apis/apps/v1", "v1" -> "/api/v1"; false if it is neither. */
static bool api_path(const char *version, char *ret, size_t size)
{
	const char *slash = strchr(version, '/');
	int len = snprintf(ret, size, "/%s/%s", slash ? "apis" : "api", version);

	return *version && *version != '/' && *version != '.' && is_of(version, "./-") &&
	       (!slash || (slash[1] && !strchr(slash + 1, '/'))) && !strstr(version, "..") &&
	       len > 0 && (size_t)len < size;
}

/* False: nothing controls it, or nothing that can be asked for. */
static bool controller_of(const cJSON *object, struct owner *ret)
{
	const cJSON *ref;

	cJSON_ArrayForEach(ref, json_doc_get(object, "metadata.ownerReferences"))
	{
		const char *version = json_doc_text(ref, "apiVersion");

		if (!cJSON_IsTrue(json_doc_get(ref, "controller"))) continue;
		snprintf(ret->kind, sizeof(ret->kind), "%s", json_doc_text(ref, "kind"));
		snprintf(ret->name, sizeof(ret->name), "%s", json_doc_text(ref, "name"));
		snprintf(ret->uid, sizeof(ret->uid), "%s", json_doc_text(ref, "uid"));
		ret->foreign = strcmp(version, "v1") != 0 && strcmp(version, "apps/v1") != 0 &&
			       strcmp(version, "batch/v1") != 0;
		return api_path(version, ret->api, sizeof(ret->api)) && *ret->kind &&
		       is_of(ret->kind, "") && kube_name_is_valid(ret->name);
	}
	return false;
}

/* The path of the object: what is its kind called there, and has it a namespace? */
static int owner_path(struct evidence *ev, const struct owner *owner, char ret[EVIDENCE_PATH_MAX],
		      struct err *e)
{
	_cleanup_json_doc_ cJSON *list = NULL;
	const cJSON *item;
	int r = evidence_get(ev, owner->api, &list, e);

	if (r < 0) return r;
	cJSON_ArrayForEach(item, json_doc_get(list, "resources"))
	{
		const char *name = json_doc_text(item, "name");
		bool in_namespace = cJSON_IsTrue(json_doc_get(item, "namespaced"));

		/* "deployments/status" is of the same kind. */
		if (strcmp(json_doc_text(item, "kind"), owner->kind) != 0 ||
		    !kube_name_is_valid(name))
			continue;
		snprintf(ret, EVIDENCE_PATH_MAX, "%s/%s%s%s%s/%s", owner->api,
			 in_namespace ? "namespaces/" : "",
			 in_namespace ? ev->target->namespace_ : "", in_namespace ? "/" : "", name,
			 owner->name);
		return 0;
	}
	return err_set(e, ERR_NOT_FOUND, "%s has no kind %s", owner->api + 1, owner->kind);
}

static int get_owner(struct evidence *ev, const struct owner *owner, cJSON **ret, struct err *e)
{
	_cleanup_json_doc_ cJSON *object = NULL;
	char path[EVIDENCE_PATH_MAX];
	int r;

	if (strcasecmp(owner->kind, "Secret") == 0)
		return err_set(e, ERR_NOT_FOUND, "a Secret is never read");
	r = owner_path(ev, owner, path, e);
	if (r == 0) r = evidence_get(ev, path, &object, e);
	if (r < 0) return r;
	if (strcmp(json_doc_text(object, "metadata.uid"), owner->uid) != 0)
		return err_set(e, ERR_NOT_FOUND, "%s %s is gone, and another has its name",
			       owner->kind, owner->name);
	*ret = STEAL_PTR(object);
	return 0;
}

static void entry_name(const struct owner *owner, int number, char ret[BUNDLE_NAME_MAX])
{
	int len = snprintf(ret, BUNDLE_NAME_MAX, "kube/owners/%d-%s-%s.json", number, owner->kind,
			   owner->name);

	for (int i = 0; i < len; i++)
		ret[i] = (char)tolower((unsigned char)ret[i]);
}

int evidence_put_owners(struct evidence *ev, struct err *e)
{
	_cleanup_json_doc_ cJSON *object = NULL;
	struct owner owner;

	for (int i = 1; i <= OWNERS_MAX && controller_of(object ? object : ev->pod, &owner); i++) {
		char name[BUNDLE_NAME_MAX];
		struct err why = {0};
		cJSON *next = NULL;
		int r = get_owner(ev, &owner, &next, &why);

		entry_name(&owner, i, name);
		/* Whose an object is that could not be read is not known. */
		if (r < 0) return evidence_put_failure(ev, name, r, &why, e);
		cJSON_Delete(object);
		object = next;
		r = evidence_put(ev, name, object, owner.foreign, NULL, e);
		if (r < 0) return r;
	}
	return 0;
}
