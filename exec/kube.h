/*
 * A Kubernetes API client: where (kubeconfig or in-cluster), who, and a few verbs. Everything the
 * server sends is capped and hostile.
 */
#ifndef EXEC_KUBE_H
#define EXEC_KUBE_H

#include "base/buf.h"

#include <stdatomic.h>

struct kube_options { /* NULL or 0: not given */
	const char
	    *kubeconfig; /* a path; NULL: $KUBECONFIG (a path list), ~/.kube/config, in-cluster */
	const char *context, *cluster, *user, *server, *tls_server_name, *certificate_authority;
	const char *token, *client_certificate, *client_key; /* the last two: paths of PEM files */
	const char *as, *as_uid;                             /* whom to impersonate */
	const char *const *as_groups;
	size_t as_group_count;
	const char *const *as_user_extra; /* "KEY=VALUE" */
	size_t as_user_extra_count;
	bool insecure_skip_tls_verify;
	const char *namespace_;
	uint64_t request_timeout_ns; /* of one request, and of a credential plugin */
	const atomic_bool *cancel;   /* ends requests, waits and plugins with -ERR_CANCELLED */
	/* Another client by the same options, from which this one takes what a credential plugin
	 * printed, and to which it gives that, too: the plugin is run once for all of them. */
	const struct kube *sibling;
};

/* One thread's at a time; siblings may be used at once. */
struct kube;
/* -ERR_NOT_FOUND no configuration, -ERR_CORRUPT malformed (file:line), -ERR_AUTH expired client
 * certificate (named, with its date). Makes no request. */
int kube_open(const struct kube_options *options, struct kube **ret, struct err *e);
void kube_free(struct kube *k); /* NULL-safe */
static inline void kube_free_ptr(struct kube **k)
{
	kube_free(*k);
}
#define _cleanup_kube_ _cleanup_(kube_free_ptr)

/* The namespace commands act in: option, context, "default". */
const char *kube_namespace(const struct kube *k);
/* "https://10.96.0.1", for messages. */
const char *kube_server(const struct kube *k);
/* Where address and credentials are from, for messages: "context a of FILE". */
const char *kube_origin(const struct kube *k);
/* GET path ("/api/v1/..."), JSON body appended to ret. Errors carry the server's message; 403 adds
 * the missing RBAC rule as YAML in the hint. 429 and 5xx are tried again with back-off, 401 once
 * where there may be newer credentials. */
int kube_get(struct kube *k, const char *path, struct buf *ret, struct err *e);

/* PATCH path with a strategic merge patch (JSON; borrowed). Tried again as kube_get is: a patch of
 * named items has the same effect twice. */
int kube_patch(struct kube *k, const char *path, const void *body, size_t len, struct err *e);

/* POST a JSON document (borrowed) to path; the answer is appended to ret (NULL: not wanted). Tried
 * again as kube_get is: for reviews, which create nothing, and objects whose name is chosen here,
 * of which a second one is refused (-ERR_EXISTS). */
int kube_post(struct kube *k, const char *path, const void *body, size_t len, struct buf *ret,
	      struct err *e);

/* One container that was chosen. */
struct pod_target {
	char namespace_[254], pod[254], container[254];
	char container_id[129]; /* as its runtime has it, without "containerd://"; "" not known */
	char uid[64], node[254];
	char note[512]; /* what was chosen among several, for the user; "" if there was no choice */
	bool may_have_sidecar; /* as it was when it was chosen: exec/sidecar.h */
};
/*
 * source: "NAME", "pod/NAME", "deploy/NAME" and the other TYPEs kubectl knows (sts, ds, rs, job,
 * svc, rc, long, short and .group forms): one ready pod is picked and named in note. container
 * NULL: the annotation kubectl.kubernetes.io/default-container, else the first, named in note when
 * there are several.
 */
int pod_select(struct kube *k, const char *source, const char *container, struct pod_target *ret,
	       struct err *e);
/* True if the text is TYPE/NAME of a TYPE that pod_select takes. */
bool pod_source_is_typed(const char *source);

/* Which pods, and which of their containers. */
struct pod_query {
	const char *labels; /* a selector as kubectl takes it; NULL: any */
	const char *node;   /* NULL: any */
	bool all_namespaces;
	const char *container; /* as for pod_select */
	bool all_containers;   /* each but ephemeral and init ones that end */
};
enum { PODS_MAX = 1000 };
/* What was selected. */
struct pod_choice {
	/* Where why is set, only what is known of pod, namespace and container; of a source that
	 * was not found, pod is the source. */
	struct pod_target target;
	struct err why;   /* code 0: it can be entered */
	bool not_running; /* why says that the pod, or its container, does not run */
};
struct pod_set {
	struct pod_choice *items; /* in the server's order; none twice */
	size_t count;
};
void pod_set_done(struct pod_set *set);
#define _cleanup_pod_set_ _cleanup_(pod_set_done)
/*
 * Adds the pods that the query selects; those that do not run, too. -ERR_NOT_FOUND: there are none;
 * -ERR_LIMIT: more than PODS_MAX containers.
 */
int pods_query(struct kube *k, const struct pod_query *query, struct pod_set *set, struct err *e);
/* Adds the pod of a source (pod_select). Only what would be the same for each other source is an
 * error: -ERR_CANCELLED, -ERR_USAGE, -ERR_LIMIT. */
int pods_source(struct kube *k, const char *source, const struct pod_query *query,
		struct pod_set *set, struct err *e);

/* The name of the pod that is named itself; NULL if one is picked. Borrowed from source. */
const char *pod_source_name(const char *source);

#endif
