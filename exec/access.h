/* What the API server lets us do, asked without doing it: access reviews, which create nothing. */
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
/* --- without a server, for tests --- */

/* The document to post, appended. */
int access_review_body(const char *namespace_, const struct access_right *right, const char *name,
		       struct buf *ret, struct err *e);
/* -ERR_SERVER where the answer says neither yes nor no. */
int access_review_parse(const char *text, size_t len, bool *ret_allowed, struct err *e);

#endif
