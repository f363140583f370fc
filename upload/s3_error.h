/* What S3 says when it says no, in our words, with the next step. */
#ifndef UPLOAD_S3_ERROR_H
#define UPLOAD_S3_ERROR_H

#include "upload/s3_client.h"

/*
 * Sets the error of an answer that is none of success. The code follows S3's error code, else the
 * HTTP status. Only S3's Code and Message are shown: other elements repeat what was signed.
 * Source: Amazon S3 API Reference, "Error responses", "List of error codes".
 */
int s3_error(const struct s3_client *c, const struct s3_call *call, const struct s3_reply *reply,
	     struct err *e);
/* Adds the object and a hint to the HTTP client's error result. Returns result. */
int s3_no_reply(const struct s3_client *c, const struct s3_call *call, int result, struct err *e);

#endif
