/*
 * What the API server would say, asked without doing it: access reviews, and a dry run of the patch
 * that route "ephemeral" sends. Nothing is created by any of these.
 */
#ifndef EXEC_ACCESS_H
#define EXEC_ACCESS_H

#include "exec/kube.h"

#include <cjson/cJSON.h>

struct access_right {
	const char *verb, *resource, *subresource; /* subresource NULL: none */
};

/* May we, in a namespace, for the object of that name (NULL: of any)?
 * https://kubernetes.io/docs/reference/access-authn-authz/authorization/ */
int access_review(struct kube *k, const char *namespace_, const struct access_right *right,
		  const char *name, bool *ret_allowed, struct err *e);
/*
 * Would the pod get its ephemeral container, as ephemeral_enter asks for it? The server goes
 * through admission (Pod Security, webhooks) and validation, and stores nothing. Errors as of
 * ephemeral_enter before the container starts.
 */
int access_try_ephemeral(struct kube *k, const cJSON *pod, const struct pod_target *target,
			 const char *image, struct err *e);

/* --- without a server, for tests --- */

/* The document to post, appended. */
int access_review_body(const char *namespace_, const struct access_right *right, const char *name,
		       struct buf *ret, struct err *e);
/* -ERR_SERVER where the answer says neither yes nor no. */
int access_review_parse(const char *text, size_t len, bool *ret_allowed, struct err *e);

#endif
