#include "upload/s3_upload.h"
#include "base/hash.h"
#include "base/log.h"
#include "upload/s3_xml.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define MARK_HEADER "x-amz-meta-podsnap-upload"

enum {
	PART_BYTES_FIRST = 8 << 20,
	PARTS_PER_SIZE = 1000,
	PART_LIST_MAX = 4 << 20,
	ETAG_MAX = 256,
	UPLOAD_ID_MAX = 1024,
	/* A wrong address shall not take a minute to show. */
	FIRST_CONTACT_RETRIES = 1,
	ABORT_RETRIES = 2,
};
/* A store puts big parts together in silence. */
#define COMPLETE_STALL_NS (600 * (uint64_t)NS_PER_S)
#define ABORT_STALL_NS (15 * (uint64_t)NS_PER_S)

uint64_t s3_part_bytes(unsigned int number)
{
	unsigned int doublings = number > 0 ? (number - 1) / PARTS_PER_SIZE : 0;

	return (uint64_t)PART_BYTES_FIRST << MIN(doublings, 9u);
}

void s3_upload_init(struct s3_upload *u, struct s3_client *client, bool force)
{
	uint8_t random[(S3_MARK_SIZE - 1) / 2] = {0};

	*u = (struct s3_upload){
	    .client = client, .force = force, .part_list = BUF_INIT(PART_LIST_MAX)};
	/* Does not fail for so few bytes, getrandom(2). */
	if (getrandom(random, sizeof(random), 0) < 0) return;
	hex_encode(random, sizeof(random), u->mark);
}

void s3_upload_done(struct s3_upload *u)
{
	free(u->id);
	buf_done(&u->part_list);
}

static bool has_code(const struct s3_reply *reply, const char *code)
{
	return strcmp(reply->code, code) == 0;
}

static int exists(const struct s3_upload *u, struct err *e)
{
	return err_set(e, ERR_EXISTS, "%s: exists already", u->client->place.location);
}

/* HEAD has no body to say why: a GET of one byte fails in the same way, with one. */
static int ask_why(struct s3_upload *u, struct err *e)
{
	const struct s3_call call = {.method = "GET",
				     .doing = "look at it",
				     .headers = {{"range", "bytes=0-0"}},
				     .max_retries = FIRST_CONTACT_RETRIES};
	_cleanup_s3_reply_ struct s3_reply reply;
	int r = s3_perform(u->client, &call, &reply, e);

	if (has_code(&reply, "NoSuchKey")) return 0;
	/* Without the right to list, this also is the answer for what is not there. */
	if (has_code(&reply, "AccessDenied")) return 0;
	if (r == 0 || has_code(&reply, "InvalidRange")) return u->force ? 0 : exists(u, e);
	return r;
}

int s3_upload_look(struct s3_upload *u, struct err *e)
{
	const struct s3_call call = {
	    .method = "HEAD", .doing = "look at it", .max_retries = FIRST_CONTACT_RETRIES};
	_cleanup_s3_reply_ struct s3_reply reply;
	int r = s3_perform(u->client, &call, &reply, e);

	if (r == 0) return u->force ? 0 : exists(u, e);
	return reply.http.status == 0 ? r : ask_why(u, e);
}

/* The object is there and carries our mark. */
static bool is_ours(struct s3_upload *u)
{
	const struct s3_call call = {
	    .method = "HEAD", .doing = "look at it", .max_retries = u->client->retries};
	_cleanup_s3_reply_ struct s3_reply reply;
	const char *mark;

	if (s3_perform(u->client, &call, &reply, NULL) < 0) return false;
	mark = http_response_header(&reply.http, MARK_HEADER);
	return mark && strcmp(mark, u->mark) == 0;
}

/* The store may have done it all the same: a try ended without an answer, or this answer is what a
 * second try gets. The HTTP client, too, sends again when a kept connection turns out dead. */
static bool may_be_ours(int result, const struct s3_reply *reply)
{
	return result == -ERR_EXISTS || has_code(reply, "NoSuchUpload") ||
	       (reply->unsure && result != -ERR_CANCELLED);
}

/* Sends what makes the object visible; where the answer leaves doubt, the mark tells. */
static int publish(struct s3_upload *u, struct s3_call *call, struct err *e)
{
	bool conditional = !u->force && !u->unconditional;
	size_t at = 0;
	int r;

	while (call->headers[at].name)
		at++;
	if (conditional) call->headers[at] = (struct s3_pair){"if-none-match", "*"};
	for (;;) {
		_cleanup_s3_reply_ struct s3_reply reply;

		r = s3_perform(u->client, call, &reply, e);
		if (r == 0) return 0;
		if (conditional && has_code(&reply, "NotImplemented")) {
			log_debug("%s: the store knows no conditional writes",
				  u->client->place.location);
			u->unconditional = true;
			conditional = false;
			call->headers[at] = (struct s3_pair){0};
			continue;
		}
		return may_be_ours(r, &reply) && is_ours(u) ? 0 : r;
	}
}

int s3_upload_put(struct s3_upload *u, const void *data, size_t len, const char *body_sha256,
		  struct err *e)
{
	struct s3_call call = {
	    .method = "PUT",
	    .doing = "upload",
	    .headers = {{"content-type", "application/zstd"}, {MARK_HEADER, u->mark}},
	    .body = data,
	    .body_len = len,
	    .body_sha256 = body_sha256,
	    .max_retries = u->client->retries,
	};

	return publish(u, &call, e);
}

static int nonsense(const struct s3_upload *u, const char *what, struct err *e)
{
	return err_set(e, ERR_SERVER, "%s: the store's answer has no usable %s",
		       u->client->place.location, what);
}

static int create(struct s3_upload *u, struct err *e)
{
	const struct s3_call call = {
	    .method = "POST",
	    .doing = "begin an upload",
	    .query = {{"uploads", ""}},
	    .headers = {{"content-type", "application/zstd"}, {MARK_HEADER, u->mark}},
	    .max_retries = u->client->retries,
	};
	_cleanup_s3_reply_ struct s3_reply reply;
	char id[UPLOAD_ID_MAX];
	int r = s3_perform(u->client, &call, &reply, e);

	if (r < 0) return r;
	if (reply.http.body.len == 0 ||
	    !s3_xml_text(reply.http.body.data, reply.http.body.len, "UploadId", id, sizeof(id)) ||
	    !id[0])
		return nonsense(u, "upload id", e);
	u->id = strdup(id);
	return u->id ? 0 : err_set(e, ERR_NO_MEMORY, "no memory for an upload's id");
}

/* Remembers a part for the completion. */
static int note_part(struct s3_upload *u, unsigned int number, const struct s3_reply *reply,
		     struct err *e)
{
	const char *etag = http_response_header(&reply->http, "etag");
	int r;

	if (!etag || !*etag || strlen(etag) > ETAG_MAX) return nonsense(u, "ETag", e);
	r = buf_printf(&u->part_list, e, "<Part><PartNumber>%u</PartNumber><ETag>", number);
	if (r == 0) r = s3_xml_escape(etag, &u->part_list, e);
	if (r == 0) r = buf_puts(&u->part_list, "</ETag></Part>", e);
	if (r == 0) u->parts = number;
	return r;
}

int s3_upload_part(struct s3_upload *u, const void *data, size_t len, const char *body_sha256,
		   struct err *e)
{
	_cleanup_s3_reply_ struct s3_reply reply = {0};
	unsigned int number = u->parts + 1;
	char digits[16], doing[32];
	struct s3_call call = {
	    .method = "PUT",
	    .doing = doing,
	    .body = data,
	    .body_len = len,
	    .body_sha256 = body_sha256,
	    .max_retries = u->client->retries,
	};
	int r = 0;

	if (number > S3_PARTS_MAX)
		return err_set(e, ERR_LIMIT, "%s: larger than S3 takes", u->client->place.location);
	if (!u->id) r = create(u, e);
	if (r < 0) return r;
	snprintf(digits, sizeof(digits), "%u", number);
	snprintf(doing, sizeof(doing), "upload part %u", number);
	call.query[0] = (struct s3_pair){"partNumber", digits};
	call.query[1] = (struct s3_pair){"uploadId", u->id};
	r = s3_perform(u->client, &call, &reply, e);
	return r == 0 ? note_part(u, number, &reply, e) : r;
}

int s3_upload_complete(struct s3_upload *u, struct err *e)
{
	_cleanup_buf_ struct buf body = BUF_INIT(PART_LIST_MAX + 256);
	struct s3_call call = {
	    .method = "POST",
	    .doing = "complete the upload",
	    .query = {{"uploadId", u->id}},
	    .headers = {{"content-type", "application/xml"}},
	    .error_in_200 = true,
	    .max_retries = u->client->retries,
	    .stall_timeout_ns = COMPLETE_STALL_NS,
	};
	int r = buf_printf(&body, e,
			   "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/"
			   "2006-03-01/\">%s</CompleteMultipartUpload>",
			   u->part_list.data);

	if (r < 0) return r;
	call.body = body.data;
	call.body_len = body.len;
	r = publish(u, &call, e);
	if (r < 0) return r;
	free(u->id);
	u->id = NULL;
	return 0;
}

int s3_upload_verify(struct s3_upload *u, uint64_t size, struct err *e)
{
	const struct s3_call call = {
	    .method = "HEAD", .doing = "check it", .max_retries = u->client->retries};
	_cleanup_s3_reply_ struct s3_reply reply;
	int r = s3_perform(u->client, &call, &reply, e);
	const char *length;
	char expected[24];

	if (reply.http.status == 403) {
		log_debug("%s: not checked: no right to read it", u->client->place.location);
		return 0;
	}
	if (r < 0) return r;
	length = http_response_header(&reply.http, "content-length");
	snprintf(expected, sizeof(expected), "%llu", (unsigned long long)size);
	if (length && strcmp(length, expected) == 0) return 0;
	err_set(e, ERR_IO, "%s: the store says %.20s bytes, %s were sent",
		u->client->place.location, length ? length : "not how many", expected);
	return err_hint(e, "another writer may have replaced it; do not trust it: aws s3 rm %s",
			u->client->place.location);
}

int s3_upload_abort(struct s3_upload *u, struct err *e)
{
	const struct s3_call call = {
	    .method = "DELETE",
	    .doing = "remove the parts",
	    .query = {{"uploadId", u->id}},
	    .max_retries = ABORT_RETRIES,
	    .stall_timeout_ns = ABORT_STALL_NS,
	};
	_cleanup_s3_reply_ struct s3_reply reply = {0};
	int r = 0;

	if (!u->id) return 0;
	r = s3_perform(u->client, &call, &reply, e);
	if (r < 0 && !has_code(&reply, "NoSuchUpload")) return r;
	free(u->id);
	u->id = NULL;
	return 0;
}
