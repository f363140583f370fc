#include "net/http.h"
#include "tests/unit/base/unit.h"
#include "tests/unit/net/loopback.h"

#include <pthread.h>
#include <signal.h>

/* A server on loopback that keeps what it was asked and answers each request of a connection with
 * the next of its answers; NULL: it closes the connection. */
struct server {
	const char *answers[8];
	int listen_fd, port, connections, requests;
	char seen[8][2048];
	pthread_t thread;
};

/* One whole request, with the body that Content-Length announces. */
static bool read_request(int fd, char *text, size_t size)
{
	size_t len = 0, want = 0;
	const char *end = NULL, *length;

	text[0] = '\0';
	while (!end || len < want) {
		ssize_t n = recv(fd, text + len, size - 1 - len, 0);

		if (n <= 0) return false;
		len += (size_t)n;
		text[len] = '\0';
		end = strstr(text, "\r\n\r\n");
		length = strstr(text, "Content-Length: ");
		if (end)
			want = (size_t)(end - text) + 4 +
			       (length ? strtoul(length + 16, NULL, 10) : 0);
	}
	return true;
}

static void *serve(void *ctx)
{
	struct server *s = ctx;

	for (;;) {
		int fd = accept(s->listen_fd, NULL, NULL);

		if (fd < 0) return NULL;
		s->connections++;
		while (read_request(fd, s->seen[s->requests % 8], sizeof(s->seen[0]))) {
			const char *answer = s->answers[s->requests++ % 8];

			if (!answer) break;
			send(fd, answer, strlen(answer), MSG_NOSIGNAL);
		}
		close(fd);
	}
}

static void server_start(struct server *s)
{
	s->listen_fd = loopback_listen(&s->port);
	assert_true(s->listen_fd >= 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
	shutdown(s->listen_fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listen_fd);
}

static struct http *new_http(void)
{
	struct http_config config = {0};
	struct http *h;
	struct err e;

	assert_int_equal(http_new(&config, &h, &e), 0);
	return h;
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag:  \"x\" \r\n\r\nhi"

static void a_connection_serves_all_methods(void **state)
{
	struct server s = {.answers = {OK, OK, OK, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
				       "HTTP/1.1 204 No\r\n\r\n", OK}};
	static const char *const headers[] = {"X-A: b", "Content-Type: text/x"};
	static const char *const methods[] = {"GET", "PUT", "POST", "HEAD", "DELETE", "GET"};
	struct http *h = new_http();
	char url[100];
	struct err e;

	server_start(&s);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/a/../b%%2fc?q=%%20", s.port);
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		struct http_request request = {.method = methods[i],
					       .url = url,
					       .headers = headers,
					       .header_count = i == 2 ? 1 : 2,
					       .body = i == 1 ? "body" : NULL,
					       .body_len = i == 1 ? 4 : 0};
		_cleanup_http_response_ struct http_response r = {0};
		char start[64];

		assert_int_equal(http_perform(h, &request, &r, &e), 0);
		snprintf(start, sizeof(start), "%s /a/../b%%2fc?q=%%20 HTTP/1.1\r\n", methods[i]);
		assert_int_equal(strncmp(s.seen[i], start, strlen(start)), 0);
		assert_contains(s.seen[i], "X-A: b\r\n");
		assert_null(strstr(s.seen[i], "Expect"));
		assert_int_equal(r.status, i == 4 ? 204 : 200);
		if (i < 3) {
			assert_string_equal(r.body.data, "hi");
			assert_string_equal(http_response_header(&r, "etag"), "\"x\"");
			assert_null(http_response_header(&r, "eta"));
		}
		if (i == 3) assert_string_equal(http_response_header(&r, "Content-Length"), "99");
	}
	assert_contains(s.seen[1], "Content-Length: 4\r\n");
	assert_contains(s.seen[1], "\r\n\r\nbody");
	assert_contains(s.seen[1], "Content-Type: text/x\r\n");
	assert_contains(s.seen[2], "Content-Length: 0\r\n");
	assert_null(strstr(s.seen[2], "Content-Type"));
	http_free(h);
	server_stop(&s);
	assert_int_equal(s.connections, 1);
}

static void bodies_are_capped(void **state)
{
	struct server s = {.answers = {OK, OK}};
	struct http *h = new_http();
	char url[100];
	struct err e;

	server_start(&s);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", s.port);
	for (size_t max = 1; max <= 2; max++) {
		struct http_request request = {.method = "GET", .url = url, .body_max = max};
		_cleanup_http_response_ struct http_response r = {0};

		assert_int_equal(http_perform(h, &request, &r, &e), max == 1 ? -ERR_LIMIT : 0);
	}
	http_free(h);
	server_stop(&s);
}

static void a_cut_answer_is_an_error(void **state)
{
	static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
					      NULL};

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct server s = {.answers = {answers[i]}};
		struct http *h = new_http();
		struct http_request request = {.method = "GET", .timeout_ns = 5ull * NS_PER_S};
		struct http_response r;
		char url[100];
		struct err e;

		server_start(&s);
		snprintf(url, sizeof(url), "http://127.0.0.1:%d/p?secret=1", s.port);
		request.url = url;
		if (answers[i]) {
			/* The announced rest does not come before the server is gone. */
			request.timeout_ns = 300 * NS_PER_MS;
			assert_int_equal(http_perform(h, &request, &r, &e), -ERR_TIMEOUT);
		} else {
			assert_int_equal(http_perform(h, &request, &r, &e), -ERR_NETWORK);
		}
		assert_contains(e.text, "GET http://127.0.0.1");
		assert_null(strstr(e.text, "secret"));
		http_free(h);
		server_stop(&s);
	}
}

static void what_cannot_be_asked_is_refused(void **state)
{
	static const char *const bad_header[] = {"A: b\r\nC: d"};
	struct http_request requests[] = {
	    {.method = "GET", .url = "ftp://h/"},
	    {.method = "GET", .url = "file:///etc/passwd"},
	    {.method = "GET", .url = "no url"},
	    {.method = "GET", .url = "http://h/", .headers = bad_header, .header_count = 1},
	};
	struct http *h = new_http();
	struct http_response r;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		assert_int_equal(http_perform(h, &requests[i], &r, &e), -ERR_USAGE);
	http_free(h);
}

static void a_cancelled_request_ends(void **state)
{
	atomic_bool cancel = true;
	struct http_config config = {.cancel = &cancel};
	struct server s = {.answers = {""}};
	struct http_request request = {.method = "GET"};
	struct http_response r;
	struct http *h;
	char url[100];
	struct err e;

	server_start(&s);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", s.port);
	request.url = url;
	assert_int_equal(http_new(&config, &h, &e), 0);
	assert_int_equal(http_perform(h, &request, &r, &e), -ERR_CANCELLED);
	http_free(h);
	server_stop(&s);
}

static void nobody_there_is_a_matter_of_the_network(void **state)
{
	struct server s = {.answers = {NULL}};
	struct http *h = new_http();
	struct http_request request = {.method = "GET"};
	struct http_response r;
	char url[100];
	struct err e;

	server_start(&s);
	server_stop(&s);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", s.port);
	request.url = url;
	assert_int_equal(http_perform(h, &request, &r, &e), -ERR_NETWORK);
	http_free(h);
}

static void texts_are_encoded(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(100);
	struct err e;

	assert_int_equal(http_encode(&b, "a/b c\n\xff~", "/", &e), 0);
	assert_string_equal(b.data, "a/b%20c%0A%FF~");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_connection_serves_all_methods),
	    cmocka_unit_test(bodies_are_capped),
	    cmocka_unit_test(a_cut_answer_is_an_error),
	    cmocka_unit_test(what_cannot_be_asked_is_refused),
	    cmocka_unit_test(a_cancelled_request_ends),
	    cmocka_unit_test(nobody_there_is_a_matter_of_the_network),
	    cmocka_unit_test(texts_are_encoded),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
