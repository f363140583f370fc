/* The ways from another container that has the probe: what keeps them is asked of that probe. */
#include "collector/doctor.h"
#include "collector/local_answer.h"
#include "collector/pod.h"
#include "dumpers/proc/capturable.h"
#include "exec/json_doc.h"
#include "exec/node_agent.h"
#include "exec/sidecar.h"

#include <stdio.h>
#include <string.h>

/* Its word for a blocker, as doctor_inside.c has it; "": none. */
static const char *kind_of_blocker(const char *name)
{
	for (enum blocker i = BLOCKER_NONE; i < BLOCKER_COUNT; i++) {
		if (strcmp(name, blocker_name(i)) == 0)
			return i == BLOCKER_CAPS ? "capability" : blocker_name(i);
	}
	return "probe";
}

static void fix_sidecar(struct doctor *d, const char *kind, const cJSON *answer)
{
	const cJSON *uid = json_doc_get(answer, "uid"), *gid = json_doc_get(answer, "gid");
	char user[96] = "{runAsUser: 0, capabilities: {add: [SYS_PTRACE, DAC_OVERRIDE]}}";

	if (strcmp(kind, "uid") == 0 && cJSON_IsNumber(uid) && cJSON_IsNumber(gid))
		snprintf(user, sizeof user, "{runAsUser: %.0f, runAsGroup: %.0f}", uid->valuedouble,
			 gid->valuedouble);
	doctor_fix(d, ON_SIDECAR,
		   "make the pod with\n"
		   "spec:\n"
		   "  containers:\n"
		   "  - name: %s\n"
		   "    securityContext: %s",
		   d->sidecar, user);
}

/* What the probe there says of the process. */
static int take_answer(struct doctor *d, enum route route, const struct buf *text, struct err *e)
{
	_cleanup_json_doc_ cJSON *answer = NULL;
	int r = json_doc_parse(text->data ? text->data : "", text->len, "the probe's answer",
			       &answer, e);
	if (r) return r;
	const char *kind = kind_of_blocker(json_doc_text(answer, "blocker"));
	if (!*kind) return 0;
	doctor_block(d, 1u << route, kind, "%s", json_doc_text(answer, "reason"));
	if (route == ROUTE_SIDECAR && strcmp(kind, "traced") != 0)
		fix_sidecar(d, kind, answer);
	else
		doctor_fix(d, 1u << route, "%s", json_doc_text(answer, "hint"));
	return 0;
}

static const char *kind_of(int r)
{
	switch (-r) {
	case ERR_NOT_FOUND:
		return "process";
	case ERR_FORBIDDEN:
		return "rbac";
	case ERR_NO_MEMORY:
		return "memory";
	default:
		return "probe";
	}
}

/* What keeps us from finding out, not what stands in the way. */
static bool is_failure(int r)
{
	return r == -ERR_CANCELLED || r == -ERR_AUTH || r == -ERR_NETWORK || r == -ERR_TIMEOUT;
}

static int ask_probe(struct doctor *d, struct kube *k, const struct options *options,
		     enum route route, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(ANSWER_MAX);
	struct err why = {0};

	if (option_bool(options, OPT_NO_EXEC)) {
		doctor_note(d, 1u << route, "not checked: what its probe may do (--no-exec)");
		return 0;
	}
	int r = pod_answer(k, &d->target, options, "check", &route, &text, &why);
	if (!r) r = take_answer(d, route, &text, &why);
	if (r && is_failure(r)) {
		if (e) *e = why;
		return r;
	}
	if (r) doctor_block_by(d, 1u << route, kind_of(r), &why);
	return 0;
}

int doctor_judge_sidecar(struct doctor *d, struct kube *k, const struct options *options,
			 const cJSON *pod, bool may_exec, struct err *e)
{
	const char *name;
	struct err why = {0};
	int r = sidecar_find(pod, d->target.container, &name, &why);

	if (r) {
		doctor_block_by(d, ON_SIDECAR, r == -ERR_NOT_FOUND ? "sidecar" : "state", &why);
		return 0;
	}
	snprintf(d->sidecar, sizeof d->sidecar, "%s", name);
	return may_exec ? ask_probe(d, k, options, ROUTE_SIDECAR, e) : 0;
}

int doctor_judge_agent(struct doctor *d, struct kube *k, const struct options *options,
		       struct err *e)
{
	struct pod_target agent;
	struct err why = {0};
	int r = node_agent_enter(k, &d->target, option_string(options, OPT_AGENT_NAMESPACE), &agent,
				 &why);

	if (r && (is_failure(r) || r == -ERR_USAGE)) {
		if (e) *e = why;
		return r;
	}
	if (!r) return ask_probe(d, k, options, ROUTE_NODE, e);
	doctor_block_by(d, ON_NODE,
			r == -ERR_NOT_FOUND   ? "agent"
			: r == -ERR_FORBIDDEN ? "rbac"
					      : "state",
			&why);
	return 0;
}
