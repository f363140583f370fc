/*
 * Whom we are to S3 and where it is: from the options, the environment and the ~/.aws files, in the
 * AWS CLI's order. Source: AWS CLI User Guide, "Configuration and credential file settings" and
 * "Environment variables".
 */
#ifndef UPLOAD_S3_CONFIG_H
#define UPLOAD_S3_CONFIG_H

#include "upload/sink.h"

/* All strings are owned. */
struct s3_config {
	char *access_key;
	char *secret_key;
	char *session_token; /* NULL: none */
	char *region;
	char *endpoint; /* NULL: AWS itself */
	char *ca_file;  /* NULL: the system's */
	char *origin;   /* of the credentials, for errors: "AWS_ACCESS_KEY_ID", "FILE [default]" */
};

/*
 * Credentials: a profile named in the options wins; else AWS_ACCESS_KEY_ID and its kin; else the
 * profile of AWS_PROFILE, or "default". Region and endpoint: options, environment, profile;
 * the region falls back to us-east-1. -ERR_AUTH: no credentials; -ERR_NOT_FOUND: no such profile;
 * -ERR_UNSUPPORTED: the profile gets its credentials in a way we lack; -ERR_CORRUPT, -ERR_LIMIT,
 * -ERR_PERMISSION: of a file. No error holds a secret.
 */
int s3_config_load(const struct sink_config *options, struct s3_config *ret, struct err *e);
/* Wipes the secrets. Safe on a zeroed struct. */
void s3_config_done(struct s3_config *c);

#endif
