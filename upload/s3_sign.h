/*
 * AWS Signature Version 4 in the Authorization header, and the query that goes with it.
 * Source: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)",
 * Amazon S3 API Reference. By hand because libcurl 7.88's CURLOPT_AWS_SIGV4 encodes paths and
 * queries in another way than S3 expects.
 */
#ifndef UPLOAD_S3_SIGN_H
#define UPLOAD_S3_SIGN_H

#include "base/buf.h"

enum { S3_SIGN_HEADERS_MAX = 16, S3_QUERY_MAX = 8, AMZ_DATE_SIZE = 17 };

struct s3_pair {
	const char *name, *value; /* a header: name in lower case, value without outer spaces */
};

struct s3_sign_input {
	const char *method;
	const char *path;  /* absolute, encoded by http_encode but for its slashes */
	const char *query; /* from s3_query, "" if none */
	/* All that are signed, in any order; host and x-amz-date must be among them. */
	const struct s3_pair *headers;
	size_t header_count;
	const char *payload_sha256; /* hex */
	const char *amz_date;       /* from s3_amz_date, as in the header */
	const char *region, *service;
	const char *access_key, *secret_key;
};

/* Appends the value of the Authorization header. -ERR_LIMIT with too many headers or a full
 * buffer, -ERR_NO_MEMORY. */
int s3_sign(const struct s3_sign_input *in, struct buf *ret, struct err *e);

/* Appends "name=value&..." encoded, in the order that signing wants (by encoded name). */
int s3_query(const struct s3_pair *pairs, size_t count, struct buf *ret, struct err *e);
/* "20130524T000000Z", UTC. Returns ret. */
char *s3_amz_date(time_t time, char ret[AMZ_DATE_SIZE]);

#endif
