/* The RBAC rule that a request needs, as YAML to paste into a Role. */
#ifndef EXEC_RBAC_H
#define EXEC_RBAC_H

#include "base/err.h"

/*
 * Writes "a Role in namespace NS needs:\n- apiGroups: ..." for a request by method ("GET", "POST")
 * of an API path (a query is ignored); exec over WebSocket needs get and create,
 * ephemeralcontainers is patched. -ERR_USAGE if the path is of no resource.
 * https://kubernetes.io/docs/reference/access-authn-authz/rbac/
 */
int rbac_rule(const char *method, const char *path, char *ret, size_t size, struct err *e);

#endif
