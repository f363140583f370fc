/*
 * S3 and what speaks it. Bytes gather in one part's buffer; a full one is sent when more bytes
 * come, so that an object of one part needs one PUT. There is one buffer: the queue of
 * sink_threaded fills while a part is under way.
 */
#include "base/hash.h"
#include "base/log.h"
#include "upload/s3_upload.h"
#include "upload/sink_types.h"

#include <string.h>

struct s3_sink {
	struct sink sink;
	struct s3_client client;
	struct s3_upload upload;
	char *part;            /* part_size bytes; NULL while nothing came */
	size_t part_size;      /* bytes of the part that is filling */
	size_t part_len;       /* of them filled */
	struct sha256 hash;    /* of the filled */
	uint64_t total;        /* bytes taken */
	bool failed, finished; /* finished: committed or aborted */
};

static bool s3_matches(const char *destination)
{
	return strncmp(destination, "s3://", 5) == 0;
}

static void part_sha256(struct s3_sink *s, char ret[SHA256_HEX])
{
	uint8_t digest[SHA256_BYTES];

	sha256_final(&s->hash, digest);
	hex_encode(digest, sizeof(digest), ret);
	sha256_init(&s->hash);
}

static int send_part(struct s3_sink *s, struct err *e)
{
	char sha256[SHA256_HEX];
	uint64_t next;
	int r;

	part_sha256(s, sha256);
	r = s3_upload_part(&s->upload, s->part, s->part_len, sha256, e);
	if (r < 0) return r;
	s->part_len = 0;
	next = s3_part_bytes(s->upload.parts + 1);
	if (next != s->part_size) {
		free(s->part);
		s->part = NULL;
		s->part_size = next;
	}
	return 0;
}

/* Copies as much as the part has room for; returns the bytes taken, 0 without memory. */
static size_t fill_part(struct s3_sink *s, const char *data, size_t len)
{
	size_t n = MIN(len, s->part_size - s->part_len);

	if (!s->part) s->part = malloc(s->part_size);
	if (!s->part) return 0;
	memcpy(s->part + s->part_len, data, n);
	sha256_update(&s->hash, data, n);
	s->part_len += n;
	s->total += n;
	return n;
}

static int s3_write(struct sink *sink, const void *data, size_t len, struct err *e)
{
	struct s3_sink *s = (struct s3_sink *)sink;
	const char *p = data;
	int r = 0;

	while (len > 0 && r == 0) {
		size_t n;

		if (s->part_len == s->part_size) r = send_part(s, e);
		if (r < 0) break;
		n = fill_part(s, p, len);
		if (n == 0)
			r = err_set(e, ERR_NO_MEMORY, "%s: no memory for a part of %zu bytes",
				    sink->location, s->part_size);
		p += n;
		len -= n;
	}
	if (r < 0) s->failed = true;
	return r;
}

static int publish_object(struct s3_sink *s, struct err *e)
{
	char sha256[SHA256_HEX];
	int r;

	if (s->upload.parts == 0) {
		part_sha256(s, sha256);
		return s3_upload_put(&s->upload, s->part, s->part_len, sha256, e);
	}
	r = s->part_len > 0 ? send_part(s, e) : 0;
	return r == 0 ? s3_upload_complete(&s->upload, e) : r;
}

static int s3_commit(struct sink *sink, struct err *e)
{
	struct s3_sink *s = (struct s3_sink *)sink;
	int r;

	if (s->failed) return err_set(e, ERR_IO, "%s: an earlier write failed", sink->location);
	r = publish_object(s, e);
	if (r == 0) {
		s->finished = true;
		r = s3_upload_verify(&s->upload, s->total, e);
	}
	return r;
}

static void s3_abort(struct sink *sink, bool keep_partial, char **ret_kept)
{
	struct s3_sink *s = (struct s3_sink *)sink;
	struct err e = {0};

	if (s->finished) return;
	s->finished = true;
	s3_client_resume(&s->client);
	if (s3_upload_abort(&s->upload, &e) == 0) return;
	log_warn("%s", e.text);
	log_warn("the parts that came stay and cost; remove them: aws s3api abort-multipart-upload "
		 "--bucket %s --key '%s' --upload-id '%s'",
		 s->client.place.bucket, s->client.place.key, s->upload.id);
}

static void s3_free(struct sink *sink)
{
	struct s3_sink *s = (struct s3_sink *)sink;

	s3_abort(sink, false, NULL);
	s3_upload_done(&s->upload);
	s3_client_done(&s->client);
	free(s->part);
	free(sink->location);
	free(s);
}

static void s3_cancel(struct sink *sink)
{
	s3_client_cancel(&((struct s3_sink *)sink)->client);
}

static const struct sink_ops s3_ops = {
    .write = s3_write,
    .commit = s3_commit,
    .abort = s3_abort,
    .free = s3_free,
    .cancel = s3_cancel,
};

static int s3_open(const char *destination, const struct sink_config *config, struct sink **ret,
		   struct err *e)
{
	struct s3_sink *s = calloc(1, sizeof(*s));
	int r;

	if (!s) return err_set(e, ERR_NO_MEMORY, "%s: out of memory", destination);
	s->sink.ops = &s3_ops;
	s->part_size = s3_part_bytes(1);
	sha256_init(&s->hash);
	r = s3_client_init(&s->client, destination, config, e);
	s3_upload_init(&s->upload, &s->client, config->force);
	if (r == 0) r = s3_upload_look(&s->upload, e);
	if (r == 0 && !(s->sink.location = strdup(s->client.place.location)))
		r = err_set(e, ERR_NO_MEMORY, "%s: out of memory", destination);
	if (r < 0) {
		s3_free(&s->sink);
		return r;
	}
	*ret = &s->sink;
	return 0;
}

const struct sink_type sink_s3 = {
    .name = "s3",
    .matches = s3_matches,
    .open = s3_open,
};
