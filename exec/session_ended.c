#include "exec/session_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CUT_HINT                                                                                   \
	"the API server, kubelet or container runtime was restarted, or the network failed: try "  \
	"again"

static const char *signal_note(int exit_code)
{
	switch (exit_code) {
	case 137:
		return " (killed: by the memory limit, or with the container)";
	case 126:
		return " (it may not be executed)";
	case 127:
		return " (not found)";
	default:
		return "";
	}
}

static int stopped_text(struct session *s, int exit_code, struct err *e)
{
	uint64_t bytes = s->wire ? wire_received(s->wire) : 0;
	const char *text = s->now.push.text;

	err_set(
	    e, exit_code == 137 ? ERR_GONE : ERR_TRUNCATED,
	    "the probe in pod %s, container %s, ended early with exit status %d%s, after %" PRIu64
	    " bytes%s%.*s",
	    s->target->pod, s->target->container, exit_code, signal_note(exit_code), bytes,
	    *text ? ": " : "", (int)MIN(strcspn(text, "\n"), 300u), text);
	if (exit_code == 137)
		return err_hint(e,
				"see what became of the container: kubectl describe pod -n %s %s",
				s->target->namespace_, s->target->pod);
	return -e->code;
}

static bool is_out_of_tasks(const char *text)
{
	return strstr(text, "fork") || strstr(text, "Resource temporarily unavailable");
}

static int tasks_hint(struct err *e)
{
	return err_hint(e,
			"it may have as many processes and threads as its pids limit allows: try "
			"again when it has fewer, or raise podPidsLimit of the kubelet");
}

/* A program that is said to be in the image was not run. */
static int installed_error(struct session *s, const struct remote_status *status, struct err *e)
{
	const char *reason = strstr(status->message, "exec: \"");

	err_set(e, ERR_UNSUPPORTED, "container %s of pod %s does not run %s: %s",
		s->target->container, s->target->pod, s->config->installed,
		reason ? reason : status->message);
	return err_hint(e, "its image must hold this version's probe as %s", s->config->installed);
}

static bool is_not_run(const struct remote_status *status)
{
	return strstr(status->message, "executable file not found") ||
	       strstr(status->message, "no such file or directory") || status->exit_code == 126 ||
	       status->exit_code == 127;
}

/* The script did not come far enough to say something itself, or was not run at all. */
static int start_error(struct session *s, const struct remote_status *status, struct err *e)
{
	/* What wraps the runtime's own words is long and says nothing. */
	const char *reason = strstr(status->message, "exec: \"");

	if (strstr(status->message, "container not found"))
		return err_set(e, ERR_GONE, "container %s of pod %s does not run: %s",
			       s->target->container, s->target->pod, status->message);
	if (strstr(status->message, "executable file not found") || status->exit_code == 126 ||
	    status->exit_code == 127) {
		err_set(e, ERR_UNSUPPORTED, "container %s of pod %s has no shell: %s",
			s->target->container, s->target->pod, reason ? reason : status->message);
		return err_hint(e, "the probe is started by `sh`: enter by an ephemeral container "
				   "(--probe-image), or choose another container with -c");
	}
	if (s->now.push.text[0]) {
		err_set(e, ERR_LIMIT, "the shell in pod %s, container %s, gave up: %.*s",
			s->target->pod, s->target->container,
			(int)MIN(strcspn(s->now.push.text, "\n"), 300u), s->now.push.text);
		return is_out_of_tasks(s->now.push.text) ? tasks_hint(e) : -ERR_LIMIT;
	}
	err_set(e, ERR_SERVER, "exec into pod %s, container %s: %s", s->target->pod,
		s->target->container, status->message);
	return strstr(status->message, "unable to start container process") ? tasks_hint(e)
									    : -ERR_SERVER;
}

int session_lost(struct session *s, const char *why, struct err *e)
{
	s->now.lost = true;
	err_set(e, ERR_NETWORK,
		"the stream from pod %s, container %s, was cut after %" PRIu64 " bytes: %s",
		s->target->pod, s->target->container, s->wire ? wire_received(s->wire) : 0, why);
	return err_hint(e, CUT_HINT);
}

int session_ended_error(struct session *s, struct err *e)
{
	const struct remote_status *status = remote_status(s->now.remote);

	if (s->now.push.state == PUSH_FAILED) return push_error(&s->now.push, e);
	if (s->now.push.state == PUSH_EXITED) return stopped_text(s, s->now.push.exit_code, e);
	if (!status->known) return session_lost(s, remote_end_text(s->now.remote), e);
	if (status->success)
		return session_lost(s,
				    "the server reports success although the probe did not say it "
				    "is done",
				    e);
	if (s->now.push.state == PUSH_PREPARING) return start_error(s, status, e);
	if (s->config->installed && !s->greeted && is_not_run(status))
		return installed_error(s, status, e);
	if (status->exit_code >= 0) return stopped_text(s, status->exit_code, e);
	return session_lost(s, status->message, e);
}

bool session_has_ended(const struct session *s)
{
	return remote_ended(s->now.remote) || remote_status(s->now.remote)->known ||
	       s->now.push.state >= PUSH_FAILED;
}
