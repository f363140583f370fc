#include "exec/session.h"

#include "base/human.h"
#include "base/log.h"
#include "exec/kube_internal.h"
#include "exec/session_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define NAP_FIRST_NS (250ull * NS_PER_MS)
#define NAP_MAX_NS (4ull * NS_PER_S)
/* A kubelet that was restarted does not know its pods for a moment. */
#define GONE_NS (10ull * NS_PER_S)

/* Connections one after the other that bring nothing: each costs the container's shim some
 * descriptors for good. */
enum { FUTILE_MAX = 5 };

static bool is_cancelled(const struct session *s)
{
	return s->config->cancel && atomic_load(s->config->cancel);
}

static int cancelled(struct session *s, struct err *e)
{
	char window[HUMAN_MAX];

	err_set(e, ERR_CANCELLED, "cancelled while the connection to the probe was lost");
	return err_hint(e, "the probe in pod %s ends by itself within %s", s->target->pod,
			human_duration(s->config->resume_ns, window));
}

static void nap(const struct session *s, int attempt)
{
	uint64_t ns = MIN(NAP_FIRST_NS << MIN(attempt - 1, 10), NAP_MAX_NS);
	struct pollfd cancel = {.fd = s->config->cancel_fd, .events = POLLIN};

	poll(&cancel, 1, (int)(ns / NS_PER_MS));
}

/* Could the same work a moment later? */
static bool is_passing(const struct session *s, int r, uint64_t waited_ns)
{
	switch (-r) {
	case ERR_CANCELLED:
	case ERR_AUTH:
	case ERR_FORBIDDEN:
	case ERR_PROTOCOL:
	case ERR_UNSUPPORTED:
		return false;
	case ERR_GONE:
	case ERR_NOT_FOUND:
		return !s->now.refused && waited_ns < GONE_NS;
	default:
		return !s->now.refused && waited_ns < s->config->resume_ns;
	}
}

/* loss: of the connection before. */
static int no_way_back(const struct err *loss, struct err *e)
{
	struct err why = *e;

	err_set(e, ERR_NETWORK, "%.300s; and there was no way back: %.300s", loss->text, why.text);
	return err_hint(e, "%s", why.hint[0] ? why.hint : loss->hint);
}

/* By other connections until one goes on with the stream; then its result. */
static int come_back(struct session *s, struct err *e)
{
	struct err loss = *e;
	uint64_t since = now_ns();
	int r;

	log_info("%s", loss.text);
	kube_hang_up(s->kube);
	s->resuming = true;
	for (int attempt = 1;; attempt++) {
		if (is_cancelled(s)) return cancelled(s, e);
		s->now = (struct connection){0};
		r = session_converse(s, e);
		if (r == 0 || s->now.went_on) return r;
		log_debug("not back yet: %s", e->text);
		if (r == -ERR_CANCELLED) return r;
		if (!is_passing(s, r, now_ns() - since)) return no_way_back(&loss, e);
		nap(s, attempt);
	}
}

/* Grows with all that a connection brings. */
static uint64_t brought(const struct session *s)
{
	return wire_received(s->wire) + s->replies;
}

static int converse_until_done(struct session *s, struct err *e)
{
	uint64_t before = 0;
	int futile = 0, r = session_converse(s, e);

	while (r < 0 && s->now.lost && s->greeted && s->config->resume_ns > 0) {
		futile = brought(s) > before ? 0 : futile + 1;
		before = brought(s);
		if (futile > FUTILE_MAX) return r;
		r = come_back(s, e);
	}
	return r;
}

int session_run(struct kube *k, const struct pod_target *target,
		const struct session_config *config, struct bundle_output *out,
		struct wire_end *ret_end, enum session_reach *ret_reach, struct err *e)
{
	struct session *s = calloc(1, sizeof(*s));
	struct err why = {0};
	int r;

	*ret_reach = SESSION_NOWHERE;
	if (!s) return err_set(e, ERR_NO_MEMORY, "no memory for a session");
	s->kube = k;
	s->target = target;
	s->config = config;
	s->out = out;
	s->ret_end = ret_end;
	if (config->held) {
		memcpy(s->token, config->held, sizeof(s->token));
		s->resuming = s->held = true;
	}
	r = converse_until_done(s, &why);
	if (r < 0 && e) *e = why;
	if (s->greeted) *ret_reach = wire_received(s->wire) ? SESSION_DELIVERED : SESSION_GREETED;
	wire_free(s->wire);
	free(s);
	return r;
}
