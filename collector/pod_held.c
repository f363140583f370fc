#include "collector/pod_held.h"

#include "base/human.h"
#include "base/log.h"
#include "base/thread.h"
#include "collector/pod.h"
#include "exec/held.h"

#include <inttypes.h>
#include <string.h>

struct pod_held {
	const struct options *options;
	struct kube *kube;
	struct pod_target target;
	struct held *held;
	struct pod_request request;
	uint8_t token[WIRE_TOKEN_BYTES]; /* of the one that was named */
	pthread_t thread;
	bool has_thread, keep, is_there;
};

bool pod_held_is_meant(const struct options *options, const char *source)
{
	return strchr(source, '@') || option_int(options, OPT_HOLD) > 0;
}

static void *run_session(void *arg)
{
	struct pod_held *p = arg;
	struct wire_end *end = calloc(1, sizeof *end);
	struct err why = {0};
	if (!end)
		err_set(&why, ERR_NO_MEMORY, "no memory for a session");
	else
		pod_run(p->kube, &p->target, p->options, &p->request, end, &why);
	held_over(p->held, &why);
	free(end);
	return NULL;
}

/* "POD@ID" -> POD, and the token; else the source, and no token. */
static int split(const char *source, char **ret_pod, bool *ret_named,
		 uint8_t token[WIRE_TOKEN_BYTES], struct err *e)
{
	const char *at = strchr(source, '@');
	*ret_named = at != NULL;
	*ret_pod = at ? strndup(source, (size_t)(at - source)) : strdup(source);
	if (!*ret_pod) return err_set(e, ERR_NO_MEMORY, "no memory");
	if (!at || !hex_decode(at + 1, token, WIRE_TOKEN_BYTES, NULL)) return 0;
	err_set(e, ERR_USAGE, "\"%.64s\" is no id of a held snapshot", at + 1);
	return err_hint(e, "it has 32 hex digits: podsnap ps %s lists those that are held",
			*ret_pod);
}

static int start(struct pod_held *p, struct err *e)
{
	int r = thread_start(&p->thread, run_session, p, e);
	p->has_thread = !r;
	if (!r) r = held_await(p->held, e);
	p->is_there = !r;
	return r;
}

static int select_pod(struct pod_held *p, const char *source, struct err *e)
{
	int r = routes_check(p->options, e);
	if (!r) r = pod_connect(p->options, NULL, &p->kube, e);
	if (!r)
		r = pod_select(p->kube, source, option_string(p->options, OPT_CONTAINER),
			       &p->target, e);
	if (!r && p->target.note[0]) log_info("%s", p->target.note);
	return r;
}

static int open_pod(struct pod_held *p, const char *source, struct err *e)
{
	_cleanup_free_ char *pod = NULL;
	bool named, ends = option_is_set(p->options, OPT_HOLD) && !option_int(p->options, OPT_HOLD);
	int r = split(source, &pod, &named, p->token, e);
	if (!r) r = select_pod(p, pod, e);
	p->keep = named ? !ends : option_int(p->options, OPT_HOLD) > 0;
	if (!r) r = held_new(p->keep, &p->held, e);
	if (r) return r;
	p->request = (struct pod_request){.verb = "hold",
					  .out = held_output(p->held),
					  .room_fd = -1,
					  .reads = held_reads(p->held),
					  .held = named ? p->token : NULL};
	return start(p, e);
}

int pod_held_open(const struct options *options, const char *source, struct pod_held **ret,
		  struct err *e)
{
	struct pod_held *p = calloc(1, sizeof *p);
	if (!p) return err_set(e, ERR_NO_MEMORY, "no memory");
	p->options = options;
	int r = open_pod(p, source, e);
	if (r) {
		pod_held_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

const struct archive *pod_held_archive(const struct pod_held *p)
{
	return held_archive(p->held);
}

static void tell(const struct pod_held *p)
{
	char size[HUMAN_MAX];
	uint64_t asked;
	human_size(held_bytes(p->held, &asked), size);
	log_debug("%s were read of the snapshot, in %" PRIu64 " reads", size, asked);
	if (!p->keep) return;
	log_info("the snapshot is held: name it as %s@%s (-n %s -c %s)", p->target.pod,
		 held_id(p->held), p->target.namespace_, p->target.container);
}

void pod_held_close(struct pod_held *p)
{
	if (!p) return;
	if (p->has_thread) {
		held_finish(p->held);
		pthread_join(p->thread, NULL);
	}
	if (p->is_there) tell(p);
	held_free(p->held);
	kube_free(p->kube);
	free(p);
}
