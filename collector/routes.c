#include "collector/routes.h"

#include "base/log.h"
#include "exec/ephemeral.h"
#include "exec/node_agent.h"
#include "exec/sidecar.h"

#include <stdio.h>
#include <string.h>

enum { REQUEST_MAX = 64 << 10 };

/* --- each by itself --- */

static int enter_sidecar(const struct visit *v, struct pod_target *ret, struct err *e)
{
	return sidecar_enter(v->kube, v->target, ret, e);
}

static int enter_target(const struct visit *v, struct pod_target *ret, struct err *e)
{
	*ret = *v->target;
	return 0;
}

static int enter_ephemeral(const struct visit *v, struct pod_target *ret, struct err *e)
{
	const struct ephemeral_spec spec = {option_string(v->options, OPT_PROBE_IMAGE),
					    option_bool(v->options, OPT_PTRACE)};
	if (spec.image) return ephemeral_enter(v->kube, v->target, &spec, ret, e);
	return err_set(e, ERR_NOT_FOUND, "no image is named with --probe-image");
}

static int enter_agent(const struct visit *v, struct pod_target *ret, struct err *e)
{
	return node_agent_enter(v->kube, v->target, option_string(v->options, OPT_AGENT_NAMESPACE),
				ret, e);
}

static const struct route_type {
	const char *name;
	/* The container to run the probe in. -ERR_NOT_FOUND: there is none of that kind. */
	int (*enter)(const struct visit *v, struct pod_target *ret, struct err *e);
	bool beside; /* it is not the target's, and has the probe */
} types[ROUTE_COUNT] = {
    [ROUTE_SIDECAR] = {"sidecar", enter_sidecar, true},
    [ROUTE_EXEC] = {"exec", enter_target, false},
    [ROUTE_EPHEMERAL] = {"ephemeral", enter_ephemeral, true},
    [ROUTE_NODE] = {"node", enter_agent, true},
};

const char *route_name(enum route route)
{
	return types[route].name;
}

static int put_option(const char *name, const char *value, struct buf *ret, struct err *e)
{
	int r = buf_printf(ret, e, "%s=%s", name, value);
	return r ? r : buf_append(ret, "", 1, e);
}

static int write_request(const struct visit *v, bool beside, struct buf *ret, struct err *e)
{
	int r = put_option("verb", v->verb, ret, e);
	if (!r && beside && !v->target->container_id[0]) {
		r = err_set(e, ERR_SERVER, "the server does not say the id of container %s",
			    v->target->container);
	}
	if (!r && beside) r = put_option("container-id", v->target->container_id, ret, e);
	return r ? r
		 : options_write_request(v->options, probe_option_ids, probe_option_count, ret, e);
}

/* How far it led. */
enum reach { REACH_NONE, REACH_CONTAINER, REACH_PROBE, REACH_ANSWER };

static int try_route(const struct visit *v, enum route route, enum reach *ret_reach, struct err *e)
{
	static const enum reach reaches[] = {
	    [SESSION_NOWHERE] = REACH_CONTAINER,
	    [SESSION_GREETED] = REACH_PROBE,
	    [SESSION_DELIVERED] = REACH_ANSWER,
	};
	const struct route_type *type = &types[route];
	_cleanup_buf_ struct buf request = BUF_INIT(REQUEST_MAX);
	struct session_config config = *v->config;
	enum session_reach reach;
	struct pod_target at;
	*ret_reach = REACH_NONE;
	int r = type->enter(v, &at, e);
	if (!r) r = write_request(v, type->beside, &request, e);
	if (r) return r;
	config.request = request.data;
	config.request_len = request.len;
	config.installed = type->beside ? PROBE_INSTALLED : NULL;
	r = session_run(v->kube, &at, &config, v->out, v->ret_end, &reach, e);
	*ret_reach = reaches[reach];
	if (reach != SESSION_NOWHERE)
		log_debug("route %s: pod %s, container %s", type->name, at.pod, at.container);
	return r;
}

int route_run(const struct visit *v, enum route route, struct err *e)
{
	enum reach reach;
	return try_route(v, route, &reach, e);
}

int routes_check(const struct options *options, struct err *e)
{
	if (strcmp(option_string(options, OPT_ROUTE), types[ROUTE_EPHEMERAL].name) != 0 ||
	    option_string(options, OPT_PROBE_IMAGE))
		return 0;
	err_set(e, ERR_USAGE, "--route=ephemeral needs the image that holds the probe");
	return err_hint(e,
			"name it with --probe-image, or in the configuration as kube.probe-image");
}

/* --- the ladder --- */

struct attempt {
	int r;
	enum reach reach;
	struct err why;
};

/* Could another route do better? */
static bool may_go_on(const struct attempt *a)
{
	switch (-a->r) {
	case ERR_NOT_FOUND:
	case ERR_TIMEOUT:
		return a->reach == REACH_NONE;
	case ERR_UNSUPPORTED:
	case ERR_FORBIDDEN:
		return a->reach < REACH_PROBE;
	case ERR_PERMISSION:
		return a->reach < REACH_ANSWER;
	default:
		return false;
	}
}

/* What need not be tried. An ephemeral container stays in the pod's description for ever, and has
 * the rights that exec has. NULL: it may. */
static const char *futile(const struct visit *v, enum route route, const struct attempt attempts[])
{
	int by_exec = attempts[ROUTE_EXEC].r;
	if (route == ROUTE_SIDECAR && !v->target->may_have_sidecar)
		return "the pod has no container " SIDECAR_NAME;
	if (route != ROUTE_EPHEMERAL) return NULL;
	if (by_exec == -ERR_FORBIDDEN) return "it takes exec, too";
	if (by_exec == -ERR_PERMISSION && !option_bool(v->options, OPT_PTRACE))
		return "it would have no other rights than exec has, without --ptrace";
	return NULL;
}

/* Is there something of the kind that could come to work? Its next step comes first. */
static bool is_there(enum route route, const struct attempt *a)
{
	if (a->reach > REACH_NONE) return true;
	return a->r != -ERR_NOT_FOUND && (route != ROUTE_NODE || a->r != -ERR_FORBIDDEN);
}

static int none_leads_in(const struct visit *v, const struct attempt attempts[], struct err *e)
{
	const struct err *why = &attempts[ROUTE_EXEC].why;
	char text[ERR_TEXT_MAX] = "";
	size_t len = 0;
	for (enum route i = 0; i < ROUTE_COUNT; i++) {
		const struct attempt *a = &attempts[i];
		bool there = is_there(i, a);
		if (there) why = &a->why;
		int n = snprintf(text + len, sizeof text - len, "%s%s: %.*s", len ? "; " : "",
				 types[i].name, there ? 260 : 100, a->why.text);
		len = MIN(len + (size_t)MAX(n, 0), sizeof text - 1);
	}
	err_set(e, (enum err_code)why->code, "no way leads into pod %.60s: %s", v->target->pod,
		text);
	return err_hint(e, "%s", why->hint);
}

static int run_ladder(const struct visit *v, struct err *e)
{
	struct attempt attempts[ROUTE_COUNT] = {0};
	for (enum route i = 0; i < ROUTE_COUNT; i++) {
		struct attempt *a = &attempts[i];
		const char *skip = futile(v, i, attempts);
		a->r = skip ? err_set(&a->why, ERR_NOT_FOUND, "%s", skip)
			    : try_route(v, i, &a->reach, &a->why);
		if (!a->r || !may_go_on(a)) {
			if (e) *e = a->why;
			return a->r;
		}
		if (is_there(i, a))
			log_info("not by %s: %s", types[i].name, a->why.text);
		else
			log_debug("not by %s: %s", types[i].name, a->why.text);
	}
	return none_leads_in(v, attempts, e);
}

int routes_run(const struct visit *v, struct err *e)
{
	const char *wanted = option_string(v->options, OPT_ROUTE);
	for (enum route i = 0; i < ROUTE_COUNT; i++) {
		if (!strcmp(types[i].name, wanted)) return route_run(v, i, e);
	}
	return run_ladder(v, e);
}
