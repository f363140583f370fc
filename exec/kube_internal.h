/* What the files of exec/ know of struct kube. */
#ifndef EXEC_KUBE_INTERNAL_H
#define EXEC_KUBE_INTERNAL_H

#include "exec/kube.h"
#include "exec/kubeconfig.h"

enum {
	KUBE_ATTEMPTS = 4,
	KUBE_BODY_MAX = 32 << 20, /* 500 pods of 64 KiB */
};

struct kube {
	struct kube_access access;
	struct http *http;
	char *authorization; /* "Authorization: Bearer ..." or NULL */
	char namespace_[254];
	uint64_t request_timeout_ns;
};

/* An answer that is no success, in our words: the server's message, and for 403 the missing rule.
 * doing: "GET /api/..." or the like; path: what RBAC sees. Returns the negative code. */
int kube_answer_error(const struct kube *k, const char *doing, const char *path, int status,
		      const char *body, size_t len, struct err *e);
/* Is it worth to ask again? 429, and what a server that starts or restarts answers. */
bool kube_status_passes(int status);
/* Waits before attempt 1, 2, ...: 0.25 s and twice as long each time, or what Retry-After asks for
 * (in seconds, NULL: nothing), at most 10 s. */
void kube_back_off(int attempt, const char *retry_after);
/* True for what may stand in a path as a name: DNS-1123 subdomain, at most 253 bytes. */
bool kube_name_is_valid(const char *name);

/* How pod_select asks: path to body. */
typedef int (*kube_get_fn)(void *ctx, const char *path, struct buf *ret, struct err *e);
/* pod_select with the answers from elsewhere, in a namespace. */
int pod_select_from(kube_get_fn get, void *ctx, const char *namespace_, const char *source,
		    const char *container, struct pod_target *ret, struct err *e);

#endif
