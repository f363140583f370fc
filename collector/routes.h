/* The ways into a pod. */
#ifndef COLLECTOR_ROUTES_H
#define COLLECTOR_ROUTES_H

#include "collector/options.h"
#include "exec/session.h"

/* In the order in which they are tried. */
enum route { ROUTE_SIDECAR, ROUTE_EXEC, ROUTE_EPHEMERAL, ROUTE_NODE, ROUTE_COUNT };
/* As --route has it. */
const char *route_name(enum route route);

/* A request to a probe beside the target, whichever way it is come by; all borrowed. */
struct visit {
	struct kube *kube;
	const struct pod_target *target;
	const struct options *options;
	const char *verb;
	const struct session_config *config; /* without installed and request */
	struct bundle_output *out;
	struct wire_end *ret_end;
};

/* -ERR_USAGE if --route names one that lacks an option. */
int routes_check(const struct options *options, struct err *e);
/*
 * By the route that --route names, else by the first that leads in. The next one is tried where a
 * probe cannot be had, or may not trace the target and nothing came of it; what else a probe says
 * is the answer. Where none leads in, the error says of each why.
 */
int routes_run(const struct visit *v, struct err *e);
/* By this one only. */
int route_run(const struct visit *v, enum route route, struct err *e);

#endif
