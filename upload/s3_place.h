/* Where an object is: s3://BUCKET/KEY and an endpoint made into a URL and a path to sign. */
#ifndef UPLOAD_S3_PLACE_H
#define UPLOAD_S3_PLACE_H

#include "base/err.h"

enum { S3_KEY_MAX = 1024 };

/* All owned. */
struct s3_place {
	char *bucket;
	char *key;
	char *location; /* "s3://BUCKET/KEY" */
	char *origin;   /* "https://HOST[:PORT]", the bucket in HOST unless path style */
	char *host;     /* of the Host header: HOST, with a port that is not the scheme's */
	char *path;     /* encoded, absolute, as sent and as signed */
	char *endpoint; /* "https://HOST[:PORT][/PREFIX]" without the bucket, for messages */
};

struct s3_place_input {
	const char *destination; /* s3://BUCKET/KEY; with no key or one that ends in "/", name is
				    appended */
	const char *name;        /* may be NULL if the key is whole */
	const char *endpoint;    /* "http[s]://HOST[:PORT][/PREFIX]"; NULL: AWS in region */
	const char *region;
	bool path_style; /* also taken with an endpoint, and for a bucket that is no DNS label */
};

/* -ERR_USAGE: a malformed destination, endpoint or region; -ERR_NO_MEMORY. */
int s3_place_init(struct s3_place *p, const struct s3_place_input *in, struct err *e);
void s3_place_done(struct s3_place *p); /* safe on a zeroed struct */

#endif
