#include "collector/doctor.h"

#include "collector/pod.h"
#include "exec/access.h"
#include "exec/audit.h"
#include "exec/container.h"
#include "exec/ephemeral.h"
#include "exec/json_doc.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

void doctor_done(struct doctor *d)
{
	inside_done(&d->inside);
}

/* --- writing it down --- */

void doctor_block(struct doctor *d, unsigned routes, const char *kind, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		struct doctor_report *report = &d->reports[i];
		if (!(routes >> i & 1) || report->blocker_count == DOCTOR_BLOCKERS_MAX) continue;
		struct doctor_blocker *blocker = &report->blockers[report->blocker_count++];
		blocker->kind = kind;
		memcpy(blocker->text, text, sizeof text);
		blocker->fix[0] = '\0';
	}
}

void doctor_fix(struct doctor *d, unsigned routes, const char *fmt, ...)
{
	char text[ERR_HINT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		struct doctor_report *report = &d->reports[i];
		if (!(routes >> i & 1) || !report->blocker_count) continue;
		memcpy(report->blockers[report->blocker_count - 1].fix, text, sizeof text);
	}
}

void doctor_note(struct doctor *d, unsigned routes, const char *fmt, ...)
{
	char text[sizeof d->reports[0].notes[0]];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		struct doctor_report *report = &d->reports[i];
		if (!(routes >> i & 1) || report->note_count == DOCTOR_NOTES_MAX) continue;
		memcpy(report->notes[report->note_count++], text, sizeof text);
	}
}

void doctor_block_by(struct doctor *d, unsigned routes, const char *kind, const struct err *why)
{
	doctor_block(d, routes, kind, "%s", why->text);
	doctor_fix(d, routes, "%s", why->hint);
}

/* --- rights --- */

/* For a shell; a name may hold anything. */
static void quote(const char *text, char *ret, size_t size)
{
	size_t len = 0;

	if (*text && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				  "-_.:@/=,+") == strlen(text)) {
		snprintf(ret, size, "%s", text);
		return;
	}
	ret[len++] = '\'';
	for (; *text && len + 6 < size; text++) {
		int n = snprintf(ret + len, size - len, *text == '\'' ? "'\\''" : "%c", *text);
		len += (size_t)n;
	}
	snprintf(ret + len, size - len, "'");
}

static void fix_right(struct doctor *d, unsigned routes, const struct access_right *right)
{
	char resource[64], role[96], user[600] = "USER";

	if (d->user[0]) quote(d->user, user, sizeof user);
	snprintf(resource, sizeof resource, "%s%s%s", right->resource,
		 right->subresource ? "/" : "", right->subresource ? right->subresource : "");
	snprintf(role, sizeof role, "podsnap-%s-%s", right->verb,
		 right->subresource ? right->subresource : right->resource);
	doctor_fix(d, routes,
		   "kubectl create role %s -n %s --verb=%s --resource=%s\n"
		   "kubectl create rolebinding %s -n %s --role=%s --user=%s",
		   role, d->target.namespace_, right->verb, resource, role, d->target.namespace_,
		   role, user);
}

/* Adds a blocker if the right is missing. */
static int check_right(struct doctor *d, struct kube *k, unsigned routes,
		       const struct access_right *right, const char *pod, bool *ret_allowed,
		       struct err *e)
{
	int r = access_review(k, d->target.namespace_, right, pod, ret_allowed, e);
	if (r == -ERR_FORBIDDEN || r == -ERR_NOT_FOUND) {
		doctor_note(d, routes, "%s %s is not checked: no access reviews here", right->verb,
			    right->subresource ? right->subresource : right->resource);
		*ret_allowed = true;
		return 0;
	}
	if (r || *ret_allowed) return r;
	doctor_block(d, routes, "rbac", "%s %s%s%s in namespace %s is not allowed", right->verb,
		     right->resource, right->subresource ? "/" : "",
		     right->subresource ? right->subresource : "", d->target.namespace_);
	fix_right(d, routes, right);
	return 0;
}

struct rights {
	bool get, exec;
};

static int check_rights(struct doctor *d, struct kube *k, const char *pod, struct rights *ret,
			struct err *e)
{
	static const struct access_right get = {"get", "pods", NULL};
	static const struct access_right execs[] = {{"get", "pods", "exec"},
						    {"create", "pods", "exec"}};
	int r = check_right(d, k, ON_ALL, &get, pod, &ret->get, e);

	ret->exec = true;
	for (size_t i = 0; !r && i < ARRAY_SIZE(execs); i++) {
		bool allowed;
		r = check_right(d, k, ON_POD, &execs[i], pod, &allowed, e);
		if (!r && !allowed) ret->exec = false;
	}
	return r;
}

/* --- the pod --- */

/* A failure of these kinds is a finding. */
static bool is_state(int r)
{
	return r == -ERR_NOT_FOUND || r == -ERR_GONE || r == -ERR_UNSUPPORTED;
}

/* *ret stays NULL where a finding says why. */
static int find_pod(struct doctor *d, struct kube *k, const struct options *options,
		    const char *source, const struct rights *rights, cJSON **ret, struct err *e)
{
	struct pod_target target;
	struct err why = {0};
	int r = pod_select(k, source, option_string(options, OPT_CONTAINER), &target, &why);
	if (!r) {
		d->target = target;
		r = pod_read(k, &target, ret, &why);
	}
	if (is_state(r)) {
		doctor_block_by(d, ON_ALL, "state", &why);
		return 0;
	}
	if (r == -ERR_FORBIDDEN) {
		/* The review has said so already. */
		if (rights->get) doctor_block_by(d, ON_ALL, "rbac", &why);
		return 0;
	}
	if (r && e) *e = why;
	return r;
}

/* --- an ephemeral container --- */

/* Which level the server holds against us, and which one would let us in. The words that baseline
 * has are those of https://kubernetes.io/docs/concepts/security/pod-security-standards/ */
static const char *level_that_admits(const char *message)
{
	static const char *const beyond_baseline[] = {
	    "privileged (", "host namespaces", "hostPath",    "non-default capabilities",
	    "hostPort",     "host port",       "seLinux",     "procMount",
	    "Unconfined",   "sysctl",          "hostProcess", "AppArmor",
	};
	if (!strstr(message, "\"restricted:")) return "privileged";
	for (size_t i = 0; i < ARRAY_SIZE(beyond_baseline); i++) {
		if (strstr(message, beyond_baseline[i])) return "privileged";
	}
	return "baseline";
}

static int dry_run(struct doctor *d, struct kube *k, const cJSON *pod,
		   const struct ephemeral_spec *spec, struct err *e)
{
	struct err why = {0};
	int r = ephemeral_try(k, pod, &d->target, spec, &why);
	if (!r) {
		doctor_note(d, ON_EPHEMERAL, "not checked: whether the node can pull %s",
			    spec->image);
		return 0;
	}
	if (r == -ERR_FORBIDDEN && strstr(why.text, "PodSecurity")) {
		doctor_block(d, ON_EPHEMERAL, "pod-security", "%s", why.text);
		doctor_fix(
		    d, ON_EPHEMERAL,
		    "kubectl label namespace %s pod-security.kubernetes.io/enforce=%s --overwrite",
		    d->target.namespace_, level_that_admits(why.text));
		return 0;
	}
	if (r == -ERR_FORBIDDEN || r == -ERR_SERVER || is_state(r)) {
		doctor_block_by(d, ON_EPHEMERAL, "admission", &why);
		return 0;
	}
	if (e) *e = why;
	return r;
}

static int check_ephemeral(struct doctor *d, struct kube *k, const struct options *options,
			   const cJSON *pod, struct err *e)
{
	static const struct access_right patch = {"patch", "pods", "ephemeralcontainers"};
	const struct ephemeral_spec spec = {option_string(options, OPT_PROBE_IMAGE),
					    option_bool(options, OPT_PTRACE)};
	const char *found = NULL;
	bool allowed = true;

	if (!spec.image) {
		doctor_block(d, ON_EPHEMERAL, "image", "no image with the probe is named");
		doctor_fix(d, ON_EPHEMERAL,
			   "--probe-image=IMAGE, or kube.probe-image in the "
			   "configuration: an image that holds podsnap-probe");
	} else if (pod) {
		found = ephemeral_find(pod, d->target.container, &spec);
	}
	if (found) {
		doctor_note(d, ON_EPHEMERAL, "ephemeral container %s is there and is used again",
			    found);
		return 0;
	}
	int r = check_right(d, k, ON_EPHEMERAL, &patch, d->target.pod[0] ? d->target.pod : NULL,
			    &allowed, e);
	if (r || !spec.image || !pod || !allowed) return r;
	return dry_run(d, k, pod, &spec, e);
}

/* --- inside --- */

static void block_look(struct doctor *d, int r, const struct err *why)
{
	if (r != -ERR_UNSUPPORTED) {
		doctor_block_by(d, r == -ERR_FORBIDDEN ? ON_POD : ON_EXEC,
				r == -ERR_FORBIDDEN ? "rbac" : "exec", why);
		return;
	}
	doctor_block(d, ON_EXEC, "shell", "%s", why->text);
	doctor_fix(d, ON_EXEC, "enter by an ephemeral container: --probe-image=IMAGE");
}

static int check_inside(struct doctor *d, struct kube *k, const struct options *options,
			const cJSON *pod, const struct rights *rights, struct err *e)
{
	int64_t pid = option_is_set(options, OPT_PID) ? option_int(options, OPT_PID) : 0;
	struct err why = {0};
	size_t probe_bytes = 0;

	if (!pod || !rights->exec) return 0;
	if (option_bool(options, OPT_NO_EXEC)) {
		doctor_note(d, ON_TARGET, "not checked: what only shows inside (--no-exec)");
		return 0;
	}
	int r = inside_look(k, &d->target, pid, &d->inside, &why);
	if (r == -ERR_CANCELLED || r == -ERR_NO_MEMORY || r == -ERR_AUTH) {
		if (e) *e = why;
		return r;
	}
	if (r) {
		block_look(d, r, &why);
		doctor_note(d, ON_EPHEMERAL, "not checked: what only shows inside");
		return 0;
	}
	d->looked = true;
	embedded_probe(EM_X86_64, &probe_bytes);
	doctor_judge_inside(d, pod, probe_bytes);
	return 0;
}

/* Only the fixes name the user. */
static int ask_who(struct doctor *d, struct kube *k, struct err *e)
{
	_cleanup_json_doc_ cJSON *who = NULL;
	int r = audit_whoami(k, &who, e);
	if (r == -ERR_NOT_FOUND || r == -ERR_FORBIDDEN) return 0;
	snprintf(d->user, sizeof d->user, "%s", json_doc_text(who, "username"));
	return r;
}

int doctor_examine(struct kube *k, const struct options *options, const char *source,
		   struct doctor *ret, struct err *e)
{
	_cleanup_json_doc_ cJSON *pod = NULL;
	struct rights rights = {0};

	*ret = (struct doctor){.as_target = option_bool(options, OPT_PTRACE) ? ON_EXEC : ON_TARGET};
	snprintf(ret->target.namespace_, sizeof ret->target.namespace_, "%s", kube_namespace(k));
	int r = ask_who(ret, k, e);
	if (!r) r = check_rights(ret, k, pod_source_name(source), &rights, e);
	if (!r) r = find_pod(ret, k, options, source, &rights, &pod, e);
	if (!r) r = check_ephemeral(ret, k, options, pod, e);
	if (!r) r = check_inside(ret, k, options, pod, &rights, e);
	if (!r && pod) r = doctor_judge_sidecar(ret, k, options, pod, rights.exec, e);
	if (!r && pod) r = doctor_judge_agent(ret, k, options, e);
	return r;
}
