#include "collector/pod.h"

#include "base/log.h"
#include "collector/cancel.h"
#include "collector/local_answer.h"
#include "collector/routes.h"

#include <elf.h>
#include <string.h>
#include <zstd.h>

extern const uint8_t embedded_probe_x86_64[], embedded_probe_x86_64_end[];

#define PING_NS (1ull * NS_PER_S)
#define SILENCE_NS (15ull * NS_PER_S)

const void *embedded_probe(uint16_t e_machine, size_t *ret_len)
{
	if (e_machine != EM_X86_64) return NULL;
	*ret_len = (size_t)(embedded_probe_x86_64_end - embedded_probe_x86_64);
	return embedded_probe_x86_64;
}

enum { LIST_MAX = 64 }; /* of groups and extras to impersonate */

/* The items of a list, borrowed. */
static int read_list(const struct options *options, size_t id, const char *ret[LIST_MAX],
		     size_t *ret_count, struct err *e)
{
	size_t count = option_list_count(options, id);
	if (count > LIST_MAX)
		return err_set(e, ERR_USAGE, "--%s is given more than %d times",
			       options_def(options, id)->name, LIST_MAX);
	for (size_t i = 0; i < count; i++)
		ret[i] = option_list_at(options, id, i);
	*ret_count = count;
	return 0;
}

int pod_connect(const struct options *options, const struct kube *sibling, struct kube **ret,
		struct err *e)
{
	const char *groups[LIST_MAX], *extras[LIST_MAX];
	struct kube_options ko = {
	    .kubeconfig = option_string(options, OPT_KUBECONFIG),
	    .context = option_string(options, OPT_CONTEXT),
	    .cluster = option_string(options, OPT_CLUSTER),
	    .user = option_string(options, OPT_USER),
	    .server = option_string(options, OPT_SERVER),
	    .tls_server_name = option_string(options, OPT_TLS_SERVER_NAME),
	    .token = option_string(options, OPT_TOKEN),
	    .certificate_authority = option_string(options, OPT_CERTIFICATE_AUTHORITY),
	    .client_certificate = option_string(options, OPT_CLIENT_CERTIFICATE),
	    .client_key = option_string(options, OPT_CLIENT_KEY),
	    .as = option_string(options, OPT_AS),
	    .as_uid = option_string(options, OPT_AS_UID),
	    .as_groups = groups,
	    .as_user_extra = extras,
	    .insecure_skip_tls_verify = option_bool(options, OPT_INSECURE_SKIP_TLS_VERIFY),
	    .namespace_ = option_string(options, OPT_NAMESPACE),
	    .cancel = &cancel_requested,
	    .sibling = sibling,
	};
	/* The default is kube.h's, which allows a plugin more. */
	if (option_is_set(options, OPT_REQUEST_TIMEOUT))
		ko.request_timeout_ns = (uint64_t)option_int(options, OPT_REQUEST_TIMEOUT);
	int r = read_list(options, OPT_AS_GROUP, groups, &ko.as_group_count, e);
	if (!r) r = read_list(options, OPT_AS_USER_EXTRA, extras, &ko.as_user_extra_count, e);
	return r ? r : kube_open(&ko, ret, e);
}

static void on_log(void *ctx, int level, const char *text)
{
	log_line((enum log_level)MIN(MAX(level, LOG_ERROR), LOG_TRACE), "probe: %s", text);
}

int pod_run(struct kube *kube, const struct pod_target *target, const struct options *options,
	    const struct pod_request *request, struct wire_end *ret_end, struct err *e)
{
	struct session_config config = {
	    .ping_ns = PING_NS,
	    .silence_ns = SILENCE_NS,
	    .resume_ns = (uint64_t)option_int(options, OPT_RESUME_WINDOW),
	    .cancel = &cancel_requested,
	    .cancel_fd = cancel_fd(),
	    .progress = request->progress,
	    .log = on_log,
	    .ctx = request->ctx,
	    .room = request->room,
	    .room_fd = request->room ? request->room_fd : -1,
	    .reads = request->reads,
	    .held = request->held,
	};
	config.probe = embedded_probe(EM_X86_64, &config.probe_len);
	const struct visit visit = {
	    .kube = kube,
	    .target = target,
	    .options = options,
	    .verb = request->verb,
	    .config = &config,
	    .out = request->out,
	    .ret_end = ret_end,
	};
	return request->route ? route_run(&visit, *request->route, e) : routes_run(&visit, e);
}

/* Collects the plain bytes of an answer; its one entry says which of them count. */
struct answer_output {
	struct bundle_output out;
	struct buf plain;
	uint64_t offset, size;
	bool have_entry;
};

static int answer_frame(struct bundle_output *out, const struct bundle_frame *frame, struct err *e)
{
	struct answer_output *a = (struct answer_output *)out;
	char *room;
	if (frame->plain_len > BUNDLE_FRAME_PLAIN_MAX)
		return err_set(e, ERR_PROTOCOL, "oversized frame");
	int r = buf_reserve(&a->plain, frame->plain_len, &room, e);
	if (r) return r;
	size_t n = ZSTD_decompress(room, frame->plain_len, frame->data, frame->len);
	if (ZSTD_isError(n) || n != frame->plain_len) {
		return err_set(e, ERR_PROTOCOL, "the probe sent a broken frame");
	}
	a->plain.len += n;
	return 0;
}

static int answer_entry(struct bundle_output *out, const struct bundle_entry *entry, struct err *e)
{
	struct answer_output *a = (struct answer_output *)out;
	if (strcmp(entry->name, "answer") != 0) return 0;
	a->offset = entry->data_offset;
	a->size = entry->size;
	a->have_entry = true;
	return 0;
}

int pod_answer(struct kube *kube, const struct pod_target *target, const struct options *options,
	       const char *verb, const enum route *route, struct buf *ret, struct err *e)
{
	struct answer_output a = {
	    .out = {.frame = answer_frame, .entry = answer_entry},
	    .plain = BUF_INIT(ANSWER_MAX + MIB),
	};
	struct pod_request request = {.verb = verb, .route = route, .out = &a.out, .room_fd = -1};
	struct wire_end end;
	int r = pod_run(kube, target, options, &request, &end, e);
	uint64_t last;
	if (!r && (!a.have_entry || add_overflows(a.offset, a.size, &last) || last > a.plain.len)) {
		r = err_set(e, ERR_PROTOCOL, "the probe gave no answer");
	}
	if (!r) r = buf_append(ret, a.plain.data + a.offset, a.size, e);
	buf_done(&a.plain);
	return r;
}
