#include "exec/kube_internal.h"
#include "tests/unit/base/unit.h"
#include "tests/unit/net/loopback.h"

#include <pthread.h>
#include <stdio.h>

/* A server on loopback that gives each connection the next of its answers. */
struct server {
	const char *answers[8];
	int listen_fd, requests;
	atomic_bool *cancel; /* set once the first request is there */
	char seen[4096];     /* the last request */
	char url[64];
	pthread_t thread;
};

static void *serve(void *ctx)
{
	struct server *s = ctx;
	int fd;

	while ((fd = accept(s->listen_fd, NULL, NULL)) >= 0) {
		size_t len = 0;
		ssize_t n;

		memset(s->seen, 0, sizeof(s->seen));
		while (!strstr(s->seen, "\r\n\r\n") &&
		       (n = recv(fd, s->seen + len, sizeof(s->seen) - 1 - len, 0)) > 0)
			len += (size_t)n;
		if (s->cancel) atomic_store(s->cancel, true);
		send(fd, s->answers[s->requests % 8], strlen(s->answers[s->requests % 8]),
		     MSG_NOSIGNAL);
		s->requests++;
		close(fd);
	}
	return NULL;
}

static void start(struct server *s)
{
	int port;

	s->listen_fd = loopback_listen(&port);
	assert_true(s->listen_fd >= 0);
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d", port);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop(struct server *s)
{
	shutdown(s->listen_fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listen_fd);
}

static int get(struct server *s, const struct kube_options *more, struct err *e)
{
	struct kube_options options = more ? *more : (struct kube_options){0};
	_cleanup_buf_ struct buf body = BUF_INIT(1000);
	_cleanup_kube_ struct kube *k = NULL;
	int r;

	start(s);
	options.server = s->url;
	assert_int_equal(kube_open(&options, &k, e), 0);
	r = kube_get(k, "/api/v1/namespaces/n/pods/p?a=b", &body, e);
	if (r == 0) assert_string_equal(body.data, "{}");
	stop(s);
	return r;
}

#define ANSWER(status, more) "HTTP/1.1 " status "\r\nConnection: close\r\n" more
#define OK ANSWER("200 OK", "Content-Length: 2\r\n\r\n{}")
#define BUSY ANSWER("429 Too Many", "Retry-After: 0\r\nContent-Length: 0\r\n\r\n")
#define DOWN ANSWER("503 Unavailable", "Content-Length: 18\r\n\r\n{\"message\":\"soon\"}")

static void what_may_pass_is_tried_again(void **state)
{
	struct server s = {.answers = {BUSY, DOWN, OK}};
	struct err e;

	assert_int_equal(get(&s, NULL, &e), 0);
	assert_int_equal(s.requests, 3);
	assert_contains(s.seen, "GET /api/v1/namespaces/n/pods/p?a=b HTTP/1.1\r\n");
	assert_contains(s.seen, "Accept: application/json, */*\r\n");
}

static void what_does_not_pass_is_said(void **state)
{
	struct server s = {.answers = {DOWN, DOWN, DOWN, DOWN, OK}};
	struct server no = {.answers = {ANSWER("501 No", "Content-Length: 0\r\n\r\n"), OK}};
	struct server who = {.answers = {ANSWER("401 Who", "Content-Length: 0\r\n\r\n"), OK}};
	struct err e;

	assert_int_equal(get(&s, NULL, &e), -ERR_SERVER);
	assert_int_equal(s.requests, KUBE_ATTEMPTS);
	assert_contains(e.text, "soon (GET /api/v1/namespaces/n/pods/p: HTTP status 503)");
	assert_int_equal(get(&no, NULL, &e), -ERR_SERVER);
	assert_int_equal(no.requests, 1);
	/* Nothing that could be renewed. */
	assert_int_equal(get(&who, NULL, &e), -ERR_AUTH);
	assert_int_equal(who.requests, 1);
	assert_contains(e.text, "asks for credentials");
}

static void a_cancellation_ends_the_tries(void **state)
{
	atomic_bool cancel = false;
	struct kube_options options = {.cancel = &cancel};
	struct server s = {.answers = {DOWN, DOWN, DOWN, OK}, .cancel = &cancel};
	struct err e;

	assert_int_equal(get(&s, &options, &e), -ERR_CANCELLED);
	assert_true(s.requests <= 1);
}

static void a_missing_right_to_impersonate_is_named(void **state)
{
	static const char text[] =
	    "{\"message\":\"userextras.authentication.k8s.io \\\"a\\\" is forbidden: User "
	    "\\\"anna\\\" "
	    "cannot impersonate resource \\\"userextras/scopes\\\" in API group "
	    "\\\"authentication.k8s.io\\\" at the cluster scope\"}";
	struct kube k = {.header_count = 0};
	struct err e;

	assert_int_equal(kube_answer_error(&k, "GET x", "/api/v1/namespaces/n/pods/p", 403, text,
					   sizeof(text) - 1, &e),
			 -ERR_FORBIDDEN);
	assert_contains(e.hint, "apiGroups: [\"authentication.k8s.io\"]");
	assert_contains(e.hint, "resources: [\"userextras/scopes\"]");
	assert_contains(e.hint, "verbs: [\"impersonate\"]");
}

static int set_up(void **state)
{
	setenv("HOME", "/nowhere", 1);
	unsetenv("KUBECONFIG");
	unsetenv("KUBERNETES_SERVICE_HOST");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_may_pass_is_tried_again),
	    cmocka_unit_test(what_does_not_pass_is_said),
	    cmocka_unit_test(a_cancellation_ends_the_tries),
	    cmocka_unit_test(a_missing_right_to_impersonate_is_named),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
