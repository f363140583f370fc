#include "exec/kube.h"

#include "base/log.h"
#include "exec/json_doc.h"
#include "exec/kube_internal.h"
#include "exec/rbac.h"

#include <stdio.h>
#include <string.h>

#define TIMEOUT_DEFAULT_NS (30ull * NS_PER_S)
#define BACK_OFF_FIRST_MS 250u
#define BACK_OFF_MAX_MS 10000u
#define CANCEL_POLL_MS 100u

bool kube_name_is_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < 254 && name[0] != '.' && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == len;
}

static int set_namespace(struct kube *k, const struct kube_options *options, struct err *e)
{
	const char *name = options->namespace_ && *options->namespace_     ? options->namespace_
			   : k->access.namespace_ && *k->access.namespace_ ? k->access.namespace_
									   : "default";

	if (!kube_name_is_valid(name))
		return err_set(e, ERR_USAGE, "\"%.100s\" is no name of a namespace", name);
	snprintf(k->namespace_, sizeof(k->namespace_), "%s", name);
	return 0;
}

static int set_up(struct kube *k, const struct kube_options *options, struct err *e)
{
	int r = kubeconfig_load(options, &k->access, e);

	if (r == 0) r = kube_share_join(k, options->sibling, e);
	if (r < 0) return r;
	buf_init(&k->authorization, CREDENTIAL_FILE_MAX);
	k->request_timeout_ns =
	    options->request_timeout_ns > 0 ? options->request_timeout_ns : TIMEOUT_DEFAULT_NS;
	k->plugin_timeout_ns = options->request_timeout_ns;
	k->cancel = options->cancel;
	return set_namespace(k, options, e);
}

int kube_open(const struct kube_options *options, struct kube **ret, struct err *e)
{
	struct kube *k = calloc(1, sizeof(*k));
	int r;

	if (!k) return err_set(e, ERR_NO_MEMORY, "no memory for a client of the API server");
	r = set_up(k, options, e);
	if (r < 0)
		kube_free(k);
	else
		*ret = k;
	return r;
}

void kube_free(struct kube *k)
{
	if (!k) return;
	http_free(k->http);
	kube_share_leave(k);
	kube_access_done(&k->access);
	buf_wipe(&k->authorization);
	buf_done(&k->authorization);
	free(k);
}

void kube_hang_up(struct kube *k)
{
	http_free(k->http);
	k->http = NULL;
}

const char *kube_namespace(const struct kube *k)
{
	return k->namespace_;
}

const char *kube_server(const struct kube *k)
{
	return k->access.server;
}

const char *kube_origin(const struct kube *k)
{
	return k->access.origin ? k->access.origin : "the command line";
}

/* --- answers --- */

/* The message of a Status document, else the start of what came, on one line. */
static void message_of(const char *body, size_t len, char *ret, size_t size)
{
	cJSON *doc = NULL;
	const char *message = "";

	if (json_doc_parse(body, len, "", &doc, NULL) == 0) message = json_doc_text(doc, "message");
	if (*message)
		snprintf(ret, size, "%s", message);
	else
		snprintf(ret, size, "%.*s", doc ? 0 : (int)MIN(len, 200u), body);
	cJSON_Delete(doc);
	for (char *p = ret; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f) *p = ' ';
}

int kube_tls_error(const struct kube *k, struct err *e)
{
	const char *origin = kube_origin(k);

	if (!e) return -ERR_AUTH;
	if (strstr(e->text, "subject name"))
		return err_hint(e,
				"the certificate is for another name: check the server of %s, or "
				"give the name with --tls-server-name",
				origin);
	if (strstr(e->text, "alert"))
		return err_hint(e,
				"the server refuses the client certificate of %s: renew it, or "
				"choose others with --context or --user",
				origin);
	return err_hint(e,
			"check the certificate-authority of %s, or give the right one with "
			"--certificate-authority",
			origin);
}

/* "cannot impersonate resource "users" in API group "": the rule for it. */
static bool impersonation_rule(const char *message, char *ret, size_t size)
{
	static const char cannot[] = "cannot impersonate resource \"", in[] = "in API group \"";
	const char *resource = strstr(message, cannot);
	const char *group = resource ? strstr(resource, in) : NULL;

	if (!group) return false;
	resource += sizeof(cannot) - 1;
	group += sizeof(in) - 1;
	snprintf(ret, size,
		 "to impersonate, a ClusterRole needs this rule:\n"
		 "- apiGroups: [\"%.*s\"]\n"
		 "  resources: [\"%.*s\"]\n"
		 "  verbs: [\"impersonate\"]",
		 (int)strcspn(group, "\""), group, (int)strcspn(resource, "\""), resource);
	return true;
}

static int unauthorized(const struct kube *k, const char *message, struct err *e)
{
	const char *origin = kube_origin(k);

	if (k->authorization.len == 0 && k->access.cert.len == 0)
		err_set(e, ERR_AUTH, "%s asks for credentials, and %s has none: %s",
			k->access.server, origin, message);
	else
		err_set(e, ERR_AUTH, "%s does not accept the credentials of %s: %s",
			k->access.server, origin, message);
	return err_hint(e, "renew the credentials, or choose others with --context, --user "
			   "or --token");
}

int kube_answer_error(const struct kube *k, const char *doing, const char *path, int status,
		      const char *body, size_t len, struct err *e)
{
	char message[512], rule[ERR_HINT_MAX];

	message_of(body, len, message, sizeof(message));
	if (!*message) snprintf(message, sizeof(message), "%s: HTTP status %d", doing, status);
	switch (status) {
	case 401:
		return unauthorized(k, message, e);
	case 403:
		err_set(e, ERR_FORBIDDEN, "%s", message);
		if (impersonation_rule(message, rule, sizeof(rule)) ||
		    rbac_rule(strncmp(doing, "POST ", 5) == 0 ? "POST" : "GET", path, rule,
			      sizeof(rule), NULL) == 0)
			err_hint(e, "%s", rule);
		return -ERR_FORBIDDEN;
	case 400:
	case 404:
	case 410:
		return err_set(e, ERR_NOT_FOUND, "%s", message);
	case 409:
		return err_set(e, ERR_EXISTS, "%s", message);
	default:
		return err_set(e, ERR_SERVER, "%s (%s: HTTP status %d)", message, doing, status);
	}
}

bool kube_status_passes(int status)
{
	return status == 429 || (status >= 500 && status != 501);
}

void kube_back_off(const struct kube *k, int attempt, unsigned retry_after_s)
{
	/* Signals end the sleep of the thread that handles them only. */
	const struct timespec piece = {.tv_nsec = (long)(CANCEL_POLL_MS * NS_PER_MS)};
	uint64_t ms = BACK_OFF_FIRST_MS << MIN(attempt - 1, 10);

	ms = MIN(MAX(ms, (uint64_t)retry_after_s * 1000), (uint64_t)BACK_OFF_MAX_MS);
	for (uint64_t slept = 0; slept < ms; slept += CANCEL_POLL_MS) {
		if (k->cancel && atomic_load(k->cancel)) return;
		nanosleep(&piece, NULL);
	}
}

/* A request but for what every request has. */
struct call {
	const char *method, *path, *content_type;
	const void *body;
	size_t body_len;
};

/* One attempt with the credentials there are now. */
static int call_once(struct kube *k, const struct call *call, const char *url,
		     struct http_response *ret, struct err *e)
{
	const char *headers[KUBE_HEADERS_MAX + 1];
	char content_type[100];
	struct http_request request = {
	    .method = call->method,
	    .url = url,
	    .headers = headers,
	    .body = call->body,
	    .body_len = call->body_len,
	    .timeout_ns = k->request_timeout_ns,
	    .body_max = KUBE_BODY_MAX,
	};
	int r = kube_authorize(k, e);

	if (r < 0) return r;
	for (size_t i = 0; i < k->header_count; i++)
		headers[request.header_count++] = k->headers[i];
	if (call->content_type) {
		snprintf(content_type, sizeof(content_type), "Content-Type: %s",
			 call->content_type);
		headers[request.header_count++] = content_type;
	}
	r = http_perform(k->http, &request, ret, e);
	if (r == -ERR_AUTH) return kube_tls_error(k, e);
	if (r == 0)
		log_debug("%s %s: %d, %zu bytes", call->method, call->path, ret->status,
			  ret->body.len);
	return r;
}

/* Until it succeeds, or fails for good. ret: the body; NULL: not wanted. */
static int call(struct kube *k, const struct call *call, struct buf *ret, struct err *e)
{
	_cleanup_free_ char *url = NULL;
	bool renewed = false;
	int r;

	if (asprintf(&url, "%s%s", k->access.server, call->path) < 0) {
		url = NULL;
		return err_set(e, ERR_NO_MEMORY, "no memory for a URL");
	}
	for (int attempt = 1;; attempt++) {
		_cleanup_http_response_ struct http_response answer = {0};
		const char *asked;
		bool again = false;
		char doing[300];

		r = call_once(k, call, url, &answer, e);
		if (r < 0) return r;
		if (answer.status == 200 || answer.status == 201)
			return ret ? buf_append(ret, answer.body.data, answer.body.len, e) : 0;
		if (answer.status == 401 && !renewed) {
			r = kube_refused(k, &again, e);
			if (r < 0) return r;
			renewed = true;
			if (again) continue;
		}
		if (!kube_status_passes(answer.status) || attempt >= KUBE_ATTEMPTS) {
			snprintf(doing, sizeof(doing), "%s %.*s", call->method,
				 (int)strcspn(call->path, "?"), call->path);
			return kube_answer_error(k, doing, call->path, answer.status,
						 answer.body.data, answer.body.len, e);
		}
		asked = http_response_header(&answer, "Retry-After");
		/* A date instead of seconds reads as 0. */
		kube_back_off(k, attempt, asked ? (unsigned)strtoul(asked, NULL, 10) : 0);
	}
}

int kube_get(struct kube *k, const char *path, struct buf *ret, struct err *e)
{
	const struct call get = {.method = "GET", .path = path};

	return call(k, &get, ret, e);
}

int kube_patch(struct kube *k, const char *path, const void *body, size_t len, struct err *e)
{
	const struct call patch = {.method = "PATCH",
				   .path = path,
				   .content_type = "application/strategic-merge-patch+json",
				   .body = body,
				   .body_len = len};

	return call(k, &patch, NULL, e);
}

int kube_post(struct kube *k, const char *path, const void *body, size_t len, struct buf *ret,
	      struct err *e)
{
	const struct call post = {.method = "POST",
				  .path = path,
				  .content_type = "application/json",
				  .body = body,
				  .body_len = len};

	return call(k, &post, ret, e);
}

int kube_get_from(void *ctx, const char *path, struct buf *ret, struct err *e)
{
	return kube_get(ctx, path, ret, e);
}

int kube_get_doc(kube_get_fn get, void *ctx, const char *path, size_t max_bytes, cJSON **ret,
		 struct err *e)
{
	_cleanup_buf_ struct buf body = BUF_INIT(max_bytes);
	int r = get(ctx, path, &body, e);

	return r < 0 ? r : json_doc_parse(body.data, body.len, path, ret, e);
}

int pod_select(struct kube *k, const char *source, const char *container, struct pod_target *ret,
	       struct err *e)
{
	return pod_select_from(kube_get_from, k, k->namespace_, source, container, ret, e);
}

int pods_query(struct kube *k, const struct pod_query *query, struct pod_set *set, struct err *e)
{
	return pods_query_from(kube_get_from, k, k->namespace_, query, set, e);
}

int pods_source(struct kube *k, const char *source, const struct pod_query *query,
		struct pod_set *set, struct err *e)
{
	return pods_source_from(kube_get_from, k, k->namespace_, source, query, set, e);
}
