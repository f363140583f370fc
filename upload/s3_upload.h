/*
 * One object's way into its bucket: a look before, one PUT or a multipart upload, a look after.
 * Source: Amazon S3 API Reference and User Guide, "Uploading and copying objects using multipart
 * upload", "Conditional writes".
 */
#ifndef UPLOAD_S3_UPLOAD_H
#define UPLOAD_S3_UPLOAD_H

#include "upload/s3_client.h"

enum { S3_PARTS_MAX = 10000, S3_MARK_SIZE = 33 };

struct s3_upload {
	struct s3_client *client; /* borrowed */
	bool force;               /* replace an object */
	bool unconditional;       /* the store knows no conditional writes */
	char *id;                 /* of the multipart upload, owned; NULL: none is open */
	unsigned int parts;       /* uploaded */
	struct buf part_list;     /* <Part> elements of the completion */
	char mark[S3_MARK_SIZE];  /* random; in the object's metadata, tells ours from others' */
};

void s3_upload_init(struct s3_upload *u, struct s3_client *client, bool force);
void s3_upload_done(struct s3_upload *u); /* forgets; s3_upload_abort removes */

/*
 * Bytes of part number (1 to S3_PARTS_MAX): 8 MiB, doubled every 1,000 parts. So 10,000 parts hold
 * 7.8 TiB, more than S3's 5 TiB for an object, none is over its 5 GiB for a part, and up to 7.8 GiB
 * the memory for one part is 8 MiB.
 */
uint64_t s3_part_bytes(unsigned int number);

/* Do we get in, is there a bucket, is the key free? -ERR_EXISTS without force, and all of s3_error.
 * A store that lets us write but not read is fine. */
int s3_upload_look(struct s3_upload *u, struct err *e);
/* The whole object in one request; body_sha256 in hex. */
int s3_upload_put(struct s3_upload *u, const void *data, size_t len, const char *body_sha256,
		  struct err *e);
/* The next part; opens the multipart upload before the first. -ERR_LIMIT past S3_PARTS_MAX. */
int s3_upload_part(struct s3_upload *u, const void *data, size_t len, const char *body_sha256,
		   struct err *e);
/* Makes the object of its parts. -ERR_EXISTS if one came there meanwhile and force is off. */
int s3_upload_complete(struct s3_upload *u, struct err *e);
/* Has the store as many bytes as were sent? -ERR_IO if not. Skipped where we may not read. */
int s3_upload_verify(struct s3_upload *u, uint64_t size, struct err *e);
/* Removes the parts of an upload that is open. */
int s3_upload_abort(struct s3_upload *u, struct err *e);

#endif
