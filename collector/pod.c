#include "collector/pod.h"

#include "base/log.h"
#include "collector/cancel.h"
#include "collector/local_answer.h"
#include "exec/ephemeral.h"

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

int pod_check_route(const struct options *options, struct err *e)
{
	if (strcmp(option_string(options, OPT_ROUTE), "ephemeral") != 0 ||
	    option_string(options, OPT_PROBE_IMAGE))
		return 0;
	err_set(e, ERR_USAGE, "--route=ephemeral needs the image that holds the probe");
	return err_hint(e,
			"name it with --probe-image, or in the configuration as kube.probe-image");
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

static int write_request(const struct options *options, const char *verb, struct buf *ret,
			 struct err *e)
{
	int r = buf_printf(ret, e, "verb=%s", verb);
	if (!r) r = buf_append(ret, "", 1, e);
	if (!r) r = options_write_request(options, probe_option_ids, probe_option_count, ret, e);
	return r;
}

/* By an ephemeral container beside the target's. */
static int run_beside(struct kube *kube, const struct pod_target *target, const char *image,
		      struct session_config *config, struct bundle_output *out,
		      struct wire_end *ret_end, struct err *e)
{
	struct pod_target beside;
	bool greeted;
	int r = ephemeral_enter(kube, target, image, &beside, e);
	if (r) return r;
	config->installed = EPHEMERAL_PROBE;
	return session_run(kube, &beside, config, out, ret_end, &greeted, e);
}

/* The first way that leads into the pod. One that the probe came in by is the right one, whatever
 * it says then. */
static int run_by_route(struct kube *kube, const struct pod_target *target,
			const struct options *options, struct session_config *config,
			struct bundle_output *out, struct wire_end *ret_end, struct err *e)
{
	const char *route = option_string(options, OPT_ROUTE);
	const char *image = option_string(options, OPT_PROBE_IMAGE);
	bool only_beside = !strcmp(route, "ephemeral"), only_exec = !strcmp(route, "exec");
	struct err why = {0};
	bool greeted;
	if (!only_beside) {
		int r = session_run(kube, target, config, out, ret_end, &greeted, &why);
		if (!r) return 0;
		if (r != -ERR_UNSUPPORTED || greeted || only_exec || !image) {
			if (e) *e = why;
			return r;
		}
		log_info("not by exec: %s", why.text);
	}
	return run_beside(kube, target, image, config, out, ret_end, e);
}

int pod_run(struct kube *kube, const struct pod_target *target, const struct options *options,
	    const struct pod_request *request, struct wire_end *ret_end, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(64 * KIB);
	int r = write_request(options, request->verb, &text, e);
	if (r) return r;
	struct session_config config = {
	    .request = text.data,
	    .request_len = text.len,
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
	};
	config.probe = embedded_probe(EM_X86_64, &config.probe_len);
	return run_by_route(kube, target, options, &config, request->out, ret_end, e);
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

int pod_answer(const struct options *options, struct kube *kube, const struct pod_target *target,
	       const char *verb, struct buf *ret, struct err *e)
{
	struct answer_output a = {
	    .out = {.frame = answer_frame, .entry = answer_entry},
	    .plain = BUF_INIT(ANSWER_MAX + MIB),
	};
	struct pod_request request = {.verb = verb, .out = &a.out, .room_fd = -1};
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
