/* What the files of exec/ know of struct kube. */
#ifndef EXEC_KUBE_INTERNAL_H
#define EXEC_KUBE_INTERNAL_H

#include "exec/kube.h"
#include "exec/kubeconfig.h"
#include "net/http.h"

#include <cjson/cJSON.h>
#include <pthread.h>

enum {
	KUBE_ATTEMPTS = 4,
	KUBE_BODY_MAX = 32 << 20, /* 500 pods of 64 KiB */
	KUBE_HEADERS_MAX = 128,
};

/* What a plugin printed last, for a client and its siblings. */
struct plugin_share {
	pthread_mutex_t lock; /* over what follows, and while the plugin runs */
	int users;
	struct plugin_credential credential;
	uint64_t run; /* how often it was run with success */
};

struct kube {
	struct kube_access access;
	struct plugin_share *share;
	uint64_t run;             /* of the share's, the one whose credential is in access */
	struct http *http;        /* NULL: to be made with the credentials there are */
	struct buf authorization; /* "Authorization: ...", or empty */
	const char *headers[KUBE_HEADERS_MAX]; /* of every request */
	size_t header_count;
	bool has_credential; /* the plugin was run */
	time_t expires;      /* of what it gave; 0: never */
	char namespace_[254];
	uint64_t request_timeout_ns, plugin_timeout_ns;
	const atomic_bool *cancel;
};

/* --- kube_auth.c: credentials that change --- */

/* Before each request: sets k->headers and k->http by what is valid now. Reads a token file again;
 * runs a plugin the first time and when its credential has expired. */
int kube_authorize(struct kube *k, struct err *e);
/* After a 401: *ret_again is whether there may be better credentials now, as a plugin that was run
 * again gave them. */
int kube_refused(struct kube *k, bool *ret_again, struct err *e);
/* A share of the sibling's, or of its own where there is none. */
int kube_share_join(struct kube *k, const struct kube *sibling, struct err *e);
void kube_share_leave(struct kube *k);
/* The TLS side, proxy and cancellation of a connection. */
struct http_config kube_http_config(const struct kube *k);

/* The next request is made over a new connection: the one there is may be dead without a word. */
void kube_hang_up(struct kube *k);

/* An answer that is no success, in our words: the server's message, and for 403 the missing rule.
 * doing: "GET /api/..." or the like; path: what RBAC sees. Returns the negative code. */
int kube_answer_error(const struct kube *k, const char *doing, const char *path, int status,
		      const char *body, size_t len, struct err *e);
/* Adds the next step to an error of the TLS handshake (-ERR_AUTH). Returns the code. */
int kube_tls_error(const struct kube *k, struct err *e);
/* Is it worth to ask again? 429, and what a server that starts or restarts answers. */
bool kube_status_passes(int status);
/* Waits before attempt 1, 2, ...: 0.25 s and twice as long each time, or what Retry-After asks for,
 * at most 10 s. A cancellation ends the wait. */
void kube_back_off(const struct kube *k, int attempt, unsigned retry_after_s);
/* True for what may stand in a path as a name: DNS-1123 subdomain, at most 253 bytes. */
bool kube_name_is_valid(const char *name);

/* How pod_select asks: path to body. */
typedef int (*kube_get_fn)(void *ctx, const char *path, struct buf *ret, struct err *e);
/* kube_get as one; ctx: the struct kube. */
int kube_get_from(void *ctx, const char *path, struct buf *ret, struct err *e);
/* A document of at most max_bytes, which the caller deletes. */
int kube_get_doc(kube_get_fn get, void *ctx, const char *path, size_t max_bytes, cJSON **ret,
		 struct err *e);
/* pod_select with the answers from elsewhere, in a namespace. */
int pod_select_from(kube_get_fn get, void *ctx, const char *namespace_, const char *source,
		    const char *container, struct pod_target *ret, struct err *e);
enum { POD_NOTE_MAX = 400 };
/* The pod alone, as the server has it, and in *ret_note how it was picked, "" if it was not. */
int pod_find_from(kube_get_fn get, void *ctx, const char *namespace_, const char *source,
		  cJSON **ret, char ret_note[POD_NOTE_MAX], struct err *e);
/* Puts how the pod was picked in front of how its container was. */
void pod_note_join(const char *pod_note, struct pod_target *t);
/* pods_query and pods_source with the answers from elsewhere. */
int pods_query_from(kube_get_fn get, void *ctx, const char *namespace_,
		    const struct pod_query *query, struct pod_set *set, struct err *e);
int pods_source_from(kube_get_fn get, void *ctx, const char *namespace_, const char *source,
		     const struct pod_query *query, struct pod_set *set, struct err *e);

#endif
