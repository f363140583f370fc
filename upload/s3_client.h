/* Signed requests to one object of one bucket, tried again where the reason passes. */
#ifndef UPLOAD_S3_CLIENT_H
#define UPLOAD_S3_CLIENT_H

#include "net/http.h"
#include "upload/s3_config.h"
#include "upload/s3_place.h"
#include "upload/s3_sign.h"

#include <stdatomic.h>

enum { S3_CALL_PAIRS = 4, S3_CODE_SIZE = 64 };

struct s3_client {
	struct s3_config config;
	struct s3_place place;
	struct http *http;
	int retries;
	atomic_bool cancelled;
	int cancel_fd; /* an eventfd that ends a wait between tries */
};

struct s3_call {
	const char *method;
	const char *doing; /* "upload part 3", for errors */
	struct s3_pair query[S3_CALL_PAIRS], headers[S3_CALL_PAIRS]; /* a NULL name ends them */
	const void *body;
	size_t body_len;
	const char *body_sha256; /* hex; NULL: computed here */
	bool error_in_200;       /* a status of 200 may come with an Error body */
	int max_retries;         /* cap on the client's */
	uint64_t stall_timeout_ns;
};

struct s3_reply {
	struct http_response http; /* of the last try; status 0: none came */
	char code[S3_CODE_SIZE];   /* S3's error code, "" if none */
	bool unsure; /* a try ended so that the store may have done what was asked all the same */
};

/* Loads configuration and place. Errors: s3_config_load, s3_place_init, http_new. */
int s3_client_init(struct s3_client *c, const char *destination, const struct sink_config *config,
		   struct err *e);
void s3_client_done(struct s3_client *c); /* after s3_client_init, also a failed one */

/*
 * Sends the call until it succeeds (2xx), fails for good or was retried often enough. 0 or an
 * error; *ret is filled in both cases and s3_reply_done is due. -ERR_CANCELLED after
 * s3_client_cancel; the rest as in s3_error and http_perform.
 */
int s3_perform(struct s3_client *c, const struct s3_call *call, struct s3_reply *ret,
	       struct err *e);
void s3_reply_done(struct s3_reply *r);
#define _cleanup_s3_reply_ _cleanup_(s3_reply_done)

/* Ends what runs and refuses what follows; from any thread. */
void s3_client_cancel(struct s3_client *c);
/* Takes that back, so that an upload can be removed. */
void s3_client_resume(struct s3_client *c);

#endif
