#include "upload/s3_client.h"
#include "base/hash.h"
#include "base/log.h"
#include "upload/s3_error.h"
#include "upload/s3_xml.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>

enum { BACKOFF_FIRST_MS = 200, BACKOFF_MAX_MS = 20000, URL_MAX = 16 << 10, HEADER_MAX = 8192 };

int s3_client_init(struct s3_client *c, const char *destination, const struct sink_config *config,
		   struct err *e)
{
	struct s3_place_input in = {
	    .destination = destination, .name = config->name, .path_style = config->s3_path_style};
	struct http_config http = {.cancel = &c->cancelled};
	int r;

	*c = (struct s3_client){.retries = MAX(config->retries, 0), .cancel_fd = -1};
	atomic_init(&c->cancelled, false);
	r = s3_config_load(config, &c->config, e);
	if (r < 0) return r;
	in.endpoint = c->config.endpoint;
	in.region = c->config.region;
	r = s3_place_init(&c->place, &in, e);
	if (r < 0) return r;
	c->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->cancel_fd < 0) return err_errno(e, "%s: eventfd", c->place.location);
	http.tls.ca_file = c->config.ca_file;
	return http_new(&http, &c->http, e);
}

void s3_client_done(struct s3_client *c)
{
	http_free(c->http);
	close_fd(&c->cancel_fd);
	s3_place_done(&c->place);
	s3_config_done(&c->config);
}

void s3_client_cancel(struct s3_client *c)
{
	uint64_t one = 1;

	atomic_store(&c->cancelled, true);
	/* Fails only when it polls readable already. */
	if (write(c->cancel_fd, &one, sizeof(one)) < 0) return;
}

void s3_client_resume(struct s3_client *c)
{
	uint64_t count;

	atomic_store(&c->cancelled, false);
	/* Fails when nothing was written. */
	if (read(c->cancel_fd, &count, sizeof(count)) < 0) return;
}

void s3_reply_done(struct s3_reply *r)
{
	http_response_done(&r->http);
	r->http = (struct http_response){0};
}

static size_t count_pairs(const struct s3_pair *pairs)
{
	size_t n = 0;

	while (n < S3_CALL_PAIRS && pairs[n].name)
		n++;
	return n;
}

/* The headers of one try, as pairs to sign and as lines to send. */
struct signed_request {
	struct s3_pair pairs[S3_CALL_PAIRS + 4];
	size_t count;
	char date[AMZ_DATE_SIZE];
	struct buf query, url, lines; /* lines: each ended by NUL */
	const char *headers[S3_CALL_PAIRS + 4];
	size_t header_count;
};

static void signed_request_done(struct signed_request *s)
{
	buf_done(&s->query);
	buf_done(&s->url);
	buf_done(&s->lines);
}

static void collect_pairs(const struct s3_client *c, const struct s3_call *call, const char *sha256,
			  struct signed_request *s)
{
	s3_amz_date(time(NULL), s->date);
	s->pairs[s->count++] = (struct s3_pair){"host", c->place.host};
	s->pairs[s->count++] = (struct s3_pair){"x-amz-content-sha256", sha256};
	s->pairs[s->count++] = (struct s3_pair){"x-amz-date", s->date};
	if (c->config.session_token)
		s->pairs[s->count++] =
		    (struct s3_pair){"x-amz-security-token", c->config.session_token};
	for (size_t i = 0; i < count_pairs(call->headers); i++)
		s->pairs[s->count++] = call->headers[i];
}

/* Lines of all pairs but Host, which the HTTP client writes, and the authorization. */
static int write_lines(const struct s3_sign_input *in, struct signed_request *s, struct err *e)
{
	int r = 0;
	const char *line;

	for (size_t i = 1; i < s->count && r == 0; i++) {
		r = buf_printf(&s->lines, e, "%s: %s", s->pairs[i].name, s->pairs[i].value);
		if (r == 0) r = buf_append(&s->lines, "", 1, e);
	}
	if (r == 0) r = buf_puts(&s->lines, "Authorization: ", e);
	if (r == 0) r = s3_sign(in, &s->lines, e);
	if (r == 0) r = buf_append(&s->lines, "", 1, e);
	if (r < 0) return r;
	for (line = s->lines.data; line < s->lines.data + s->lines.len; line += strlen(line) + 1)
		s->headers[s->header_count++] = line;
	return 0;
}

static int sign_request(const struct s3_client *c, const struct s3_call *call, const char *sha256,
			struct signed_request *s, struct err *e)
{
	struct s3_sign_input in;
	int r = s3_query(call->query, count_pairs(call->query), &s->query, e);

	if (r < 0) return r;
	collect_pairs(c, call, sha256, s);
	in = (struct s3_sign_input){
	    .method = call->method,
	    .path = c->place.path,
	    .query = s->query.data ? s->query.data : "",
	    .headers = s->pairs,
	    .header_count = s->count,
	    .payload_sha256 = sha256,
	    .amz_date = s->date,
	    .region = c->config.region,
	    .service = "s3",
	    .access_key = c->config.access_key,
	    .secret_key = c->config.secret_key,
	};
	r = buf_printf(&s->url, e, "%s%s%s%s", c->place.origin, c->place.path,
		       s->query.len > 0 ? "?" : "", in.query);
	return r == 0 ? write_lines(&in, s, e) : r;
}

/* One try. Signed anew each time: a signature holds for 15 minutes. */
static int perform_once(struct s3_client *c, const struct s3_call *call, const char *sha256,
			struct s3_reply *ret, struct err *e)
{
	_cleanup_(signed_request_done) struct signed_request s = {.query = BUF_INIT(URL_MAX),
								  .url = BUF_INIT(URL_MAX),
								  .lines =
								      BUF_INIT(4 * HEADER_MAX)};
	struct http_request request = {
	    .method = call->method,
	    .body = call->body,
	    .body_len = call->body_len,
	    .stall_timeout_ns = call->stall_timeout_ns,
	};
	int r = sign_request(c, call, sha256, &s, e);

	if (r < 0) return r;
	request.url = s.url.data;
	request.headers = s.headers;
	request.header_count = s.header_count;
	r = http_perform(c->http, &request, &ret->http, e);
	if (r == 0) log_trace("%s: %s: HTTP %d", c->place.location, call->doing, ret->http.status);
	return r;
}

/* After it, 0: done; else a code of s3_error's. */
static bool is_success(const struct s3_call *call, struct s3_reply *reply)
{
	const struct buf *body = &reply->http.body;
	bool has_code = body->len > 0 && s3_xml_text(body->data, body->len, "Code", reply->code,
						     sizeof(reply->code));

	if (reply->http.status < 200 || reply->http.status > 299) return false;
	if (has_code && call->error_in_200) return false;
	reply->code[0] = '\0';
	return true;
}

static bool is_passing(int result, const struct s3_reply *reply)
{
	static const char *const codes[] = {"SlowDown", "InternalError", "RequestTimeout",
					    "ServiceUnavailable", "OperationAborted"};
	int status = reply->http.status;

	if (status == 0)
		return result == -ERR_NETWORK || result == -ERR_TIMEOUT || result == -ERR_TRUNCATED;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (strcmp(reply->code, codes[i]) == 0) return true;
	return status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504);
}

/* Doubled each time, less up to a half of it by chance so that many uploads do not come back
 * together. -ERR_CANCELLED if the wait was ended. */
static int back_off(struct s3_client *c, const struct s3_call *call, int attempt, const char *why,
		    struct err *e)
{
	struct pollfd p = {.fd = c->cancel_fd, .events = POLLIN};
	int delay_ms = MIN(BACKOFF_FIRST_MS << MIN(attempt, 10), BACKOFF_MAX_MS);
	uint16_t random = 0;
	int r;

	if (getrandom(&random, sizeof(random), 0) < 0) random = 0;
	delay_ms -= (int)(random % (unsigned int)(delay_ms / 2));
	log_info("%s; trying again in %d ms", why, delay_ms);
	do {
		r = poll(&p, 1, delay_ms);
	} while (r < 0 && errno == EINTR);
	if (r > 0)
		return err_set(e, ERR_CANCELLED, "%s: %s: cancelled", c->place.location,
			       call->doing);
	return 0;
}

int s3_perform(struct s3_client *c, const struct s3_call *call, struct s3_reply *ret, struct err *e)
{
	int retries = MIN(c->retries, call->max_retries), r;
	char sha256[SHA256_HEX];
	struct err local;
	struct err *why = e ? e : &local;

	*ret = (struct s3_reply){0};
	if (!call->body_sha256) {
		uint8_t digest[SHA256_BYTES];

		sha256_of(call->body, call->body_len, digest);
		hex_encode(digest, sizeof(digest), sha256);
	}
	for (int attempt = 0;; attempt++) {
		s3_reply_done(ret);
		ret->code[0] = '\0';
		r = perform_once(c, call, call->body_sha256 ? call->body_sha256 : sha256, ret, why);
		if (r == 0 && is_success(call, ret)) return 0;
		r = r < 0 ? s3_no_reply(c, call, r, why) : s3_error(c, call, ret, why);
		if (!is_passing(r, ret)) return r;
		ret->unsure = true;
		if (attempt >= retries) return r;
		r = back_off(c, call, attempt, why->text, why);
		if (r < 0) return r;
	}
}
