/*
 * Secrets in objects of the API server: hidden before an object is kept. What looks like one is
 * base/secret.h's to say; this knows where in an object such values stand.
 */
#ifndef EXEC_REDACT_H
#define EXEC_REDACT_H

#include "base/err.h"

#include <cjson/cJSON.h>

/*
 * Masks in place, at any depth: the value of {"name", "value"} pairs (environment, HTTP headers),
 * the words of command and args, and annotations, inside of which JSON is read, as
 * kubectl.kubernetes.io/last-applied-configuration repeats the whole object. With every_member also
 * any text whose key is a secret's name: for kinds that are not Kubernetes' own. On failure
 * (-ERR_NO_MEMORY, -ERR_LIMIT) the object must not be shown.
 */
int redact_object(cJSON *object, bool every_member, struct err *e);

#endif
