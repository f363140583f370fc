/*
 * The dialect of ini that ~/.aws/credentials and ~/.aws/config use. Source: AWS SDKs and Tools
 * Reference Guide, "Location of the shared config and credentials files" and "Format of the config
 * file".
 */
#ifndef UPLOAD_S3_INI_H
#define UPLOAD_S3_INI_H

#include "base/err.h"

enum { S3_INI_FILE_MAX = 1 << 20, S3_INI_LINE_MAX = 8192 };

/* Called for every "key = value" in order; section without brackets, inner spaces made one; key in
 * lower case. A negative result ends the parsing and is its result. */
typedef int (*s3_ini_fn)(void *ctx, const char *section, const char *key, const char *value,
			 struct err *e);

/*
 * Parses text. Settings below an indented line (nested ones) are skipped; "#" and ";" begin a
 * comment at a line's start and after a space. -ERR_CORRUPT names file and line, never content: it
 * may be a secret; -ERR_LIMIT for a line over S3_INI_LINE_MAX bytes.
 */
int s3_ini_parse(const char *text, size_t len, const char *file, s3_ini_fn visit, void *ctx,
		 struct err *e);

#endif
