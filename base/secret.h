/*
 * What looks like a secret in an environment, a command line or an object's description, and its
 * replacement. A guess by name and by form, made to err on the side of hiding.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/buf.h"

#define SECRET_MASK "[redacted]"

/* Does a variable, option or key of this name hold a secret? TOKEN, SECRET, PASS, KEY, CREDENTIAL,
 * AUTH, ... anywhere in it, in any case. */
bool secret_name(const char *name, size_t len);
/* Does the whole value look like one? A JWT, an AWS key id, a PEM block, tokens with the known
 * prefixes of GitHub, GitLab, Slack, ... */
bool secret_value(const char *value, size_t len);
/*
 * Appends the value, or what may be shown of it: the mask if name (may be empty) or value is
 * secret, else the value with user:password@ of URLs and the secret keys of key=value lists
 * ("Server=x;Password=y", "?token=z&...") masked inside it. *ret_masked is set to true when
 * anything was hidden and is not touched otherwise. Errors of buf_append.
 */
int secret_redact(const char *name, size_t name_len, const char *value, size_t len, struct buf *ret,
		  bool *ret_masked, struct err *e);

#endif
