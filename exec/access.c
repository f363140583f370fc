#include "exec/access.h"

#include "exec/json_doc.h"

#include <stdio.h>
#include <string.h>

#define REVIEW_PATH "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

enum { ANSWER_BYTES_MAX = 256 << 10 };

int access_review_body(const char *namespace_, const struct access_right *right, const char *name,
		       struct buf *ret, struct err *e)
{
	_cleanup_json_doc_ cJSON *doc = cJSON_CreateObject();
	cJSON *spec = cJSON_AddObjectToObject(doc, "spec");
	cJSON *what = cJSON_AddObjectToObject(spec, "resourceAttributes");
	_cleanup_free_ char *text = NULL;

	cJSON_AddStringToObject(doc, "apiVersion", "authorization.k8s.io/v1");
	cJSON_AddStringToObject(doc, "kind", "SelfSubjectAccessReview");
	cJSON_AddStringToObject(what, "namespace", namespace_);
	cJSON_AddStringToObject(what, "verb", right->verb);
	cJSON_AddStringToObject(what, "resource", right->resource);
	if (right->subresource) cJSON_AddStringToObject(what, "subresource", right->subresource);
	if (name) cJSON_AddStringToObject(what, "name", name);
	text = cJSON_PrintUnformatted(doc);
	if (!text) return err_set(e, ERR_NO_MEMORY, "no memory for an access review");
	return buf_puts(ret, text, e);
}

int access_review_parse(const char *text, size_t len, bool *ret_allowed, struct err *e)
{
	_cleanup_json_doc_ cJSON *doc = NULL;
	const cJSON *allowed;
	int r = json_doc_parse(text, len, REVIEW_PATH, &doc, e);

	if (r < 0) return r;
	allowed = json_doc_get(doc, "status.allowed");
	if (!cJSON_IsBool(allowed))
		return err_set(e, ERR_SERVER, "the server's access review has no answer");
	*ret_allowed = cJSON_IsTrue(allowed);
	return 0;
}

int access_review(struct kube *k, const char *namespace_, const struct access_right *right,
		  const char *name, bool *ret_allowed, struct err *e)
{
	_cleanup_buf_ struct buf body = BUF_INIT(64 << 10), answer = BUF_INIT(ANSWER_BYTES_MAX);
	int r = access_review_body(namespace_, right, name, &body, e);

	if (r == 0) r = kube_post(k, REVIEW_PATH, body.data, body.len, &answer, e);
	return r < 0 ? r : access_review_parse(answer.data, answer.len, ret_allowed, e);
}
