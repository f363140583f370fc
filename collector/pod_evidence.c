#include "collector/pod_evidence.h"

#include "base/log.h"
#include "collector/pod.h"
#include "exec/audit.h"

#include <stdio.h>
#include <string.h>

/* How long the kubelet may take to say that a container ended, where that is likely, and where the
 * stream may have been cut for another reason. */
#define ENDED_WAIT_NS (10ull * NS_PER_S)
#define CUT_WAIT_NS (3ull * NS_PER_S)

int pod_evidence_open(const struct options *options, struct kube *kube,
		      const struct pod_target *target, struct pod_evidence *ret, struct err *e)
{
	struct err why;
	ret->options = options;
	ret->kube = kube;
	ret->target = *target;
	int r = audit_whoami(ret->kube, &ret->who, &why);
	if (r == -ERR_CANCELLED) return err_set(e, ERR_CANCELLED, "cancelled");
	if (r) log_debug("whom the API server takes us for is unknown: %s", why.text);
	ret->meta = (struct meta_pod){.target = &ret->target,
				      .server = kube_server(ret->kube),
				      .credentials = kube_origin(ret->kube),
				      .who = ret->who};
	return evidence_new(ret->kube, &ret->target, &ret->evidence, e);
}

void pod_evidence_done(struct pod_evidence *p)
{
	evidence_free(p->evidence);
	cJSON_Delete(p->who);
}

/* Waits longest where the probe was killed, as all of a container is. */
static bool has_ended(struct pod_evidence *p, const struct err *why)
{
	if (why->code == ERR_CANCELLED) return false;
	return evidence_ended(p->evidence, why->code == ERR_GONE ? ENDED_WAIT_NS : CUT_WAIT_NS,
			      p->ended, sizeof p->ended);
}

int pod_evidence_rescue(struct pod_evidence *p, struct store *store, const struct err *why,
			struct err *e)
{
	struct err local = *why;
	bool broke_off = why->code == ERR_GONE || store;
	if (broke_off && has_ended(p, why)) {
		struct err cannot;
		if (store && !store_end_broken(store, p->ended, &cannot)) {
			log_warn("%s", why->text);
			log_warn("%s: what had come before is kept", p->ended);
			return 0;
		}
		if (store) log_debug("what came cannot be ended: %s", cannot.text);
		err_hint(&local, "%s", p->ended);
	}
	if (e) *e = local;
	return -local.code;
}

static int add_entry(void *ctx, const char *name, enum entry_status status, const char *reason,
		     const void *data, size_t len, struct err *e)
{
	struct packer *packer = ctx;
	if (!data) return packer_absent(packer, name, status, reason, e);
	int r = packer_begin(packer, name, len, e);
	if (!r) r = packer_write(packer, data, len, e);
	return r ? r : packer_end(packer, status, reason, e);
}

int pod_evidence_store(struct pod_evidence *p, struct store *store, struct err *e)
{
	struct evidence_config config = {
	    .log_lines = (unsigned)option_int(p->options, OPT_LOG_LINES),
	    .show_secrets = option_bool(p->options, OPT_SHOW_SECRETS),
	};
	struct packer *packer = NULL;
	if (!option_bool(p->options, OPT_KUBE)) return 0;
	int r = store_packer(store, &packer, e);
	if (!r) r = evidence_gather(p->evidence, &config, add_entry, packer, e);
	if (!r) r = packer_flush(packer, e);
	packer_free(packer);
	if (!r && !p->ended[0] && evidence_ended(p->evidence, 0, p->ended, sizeof p->ended))
		log_warn("%s", p->ended);
	return r;
}

void pod_evidence_event(const struct pod_evidence *p, const char *outcome)
{
	struct meta_from from;
	struct err e;
	if (!option_bool(p->options, OPT_EVENT)) return;
	meta_from(&from);
	struct audit_event event = {
	    .user = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(p->who, "username")),
	    .host = from.host[0] ? from.host : NULL,
	    .reason = option_string(p->options, OPT_REASON),
	    .outcome = outcome,
	    .container = p->target.container,
	    .when = time(NULL),
	};
	if (audit_post_event(p->kube, &p->target, &event, &e)) {
		err_wrap(&e, "there is no Event of this capture");
		log_warn_err(&e);
	}
}
