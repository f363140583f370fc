#include "base/human.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "collector/cancel.h"
#include "collector/local_capture.h"
#include "collector/pod.h"
#include "collector/pod_evidence.h"
#include "collector/progress.h"
#include "collector/source.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct capture_job {
	struct command_call *call;
	struct store *store;
	struct progress progress;
	struct buf result; /* members for the manifest's head */
	bool has_memory;   /* some of the core, or of what a probe sent */
};

static int on_check(void *ctx, struct err *e)
{
	return cancel_check(e);
}

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct capture_job *job = ctx;
	job->has_memory |= done > 0;
	progress_show(&job->progress, done, total);
}

static void on_wire_progress(void *ctx, const struct wire_progress *p, uint64_t wire_bytes)
{
	on_progress(ctx, p->plain_done, p->plain_total);
}

static size_t job_room(void *ctx)
{
	return store_room(((struct capture_job *)ctx)->store);
}

static int capture_local(struct capture_job *job, struct err *e)
{
	const struct options *options = job->call->options;
	struct capture_hooks hooks = {.check = on_check, .progress = on_progress, .ctx = job};
	struct packer *packer = NULL;
	struct packer_config config = {
	    .level = (int)option_int(options, OPT_LEVEL),
	    .threads = capture_threads(options),
	    .mtime_s = time(NULL),
	};
	int r = packer_new(&packer, &config, store_output(job->store), e);
	if (!r) r = capture_run(options, packer, &hooks, &job->result, e);
	packer_free(packer);
	return r;
}

static int capture_processes(struct capture_job *job, const struct pod_evidence *pod, struct err *e)
{
	struct wire_end end;
	struct pod_request request = {
	    .verb = "capture",
	    .out = store_output(job->store),
	    .room = job_room,
	    .room_fd = store_room_fd(job->store),
	    .progress = on_wire_progress,
	    .ctx = job,
	};
	int r = pod_run(pod->kube, &pod->target, job->call->options, &request, &end, e);
	return r ? r : buf_puts(&job->result, end.result_json, e);
}

/* Evidence outlives the pod: what came of a container that ended meanwhile is a bundle, too. */
static int capture_pod(struct capture_job *job, struct pod_evidence *pod, struct err *e)
{
	struct err why = {0};
	int r = capture_processes(job, pod, &why);
	progress_end(&job->progress);
	if (r) r = pod_evidence_rescue(pod, job->has_memory ? job->store : NULL, &why, e);
	return r ? r : pod_evidence_store(pod, job->store, e);
}

static int print_json(struct capture_job *job, const struct bundle_totals *t, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(MIB);
	struct json j;
	json_init(&j, &text, true);
	json_object(&j);
	json_kv_string(&j, "schema", "podsnap.capture/1");
	json_kv_string(&j, "bundle", store_location(job->store));
	json_kv_uint(&j, "bytes", t->written_bytes);
	json_kv_uint(&j, "plain_bytes", t->plain_bytes);
	json_kv_uint(&j, "entries", t->entries);
	json_kv_uint(&j, "not_ok", t->not_ok);
	json_object_end(&j);
	int r = json_finish(&j, e);
	return r ? r : io_write_all(STDOUT_FILENO, text.data, text.len, "stdout", e);
}

/* "process paused for 2 ms", "3 processes, each paused for at most 4 ms". */
static void describe_pauses(const struct capture_job *job, char *ret, size_t size)
{
	_cleanup_buf_ struct buf text = BUF_INIT(job->result.max + 2);
	char pause[HUMAN_MAX];
	double longest = 0;
	int count = 0;
	if (job->result.len) buf_printf(&text, NULL, "{%s}", job->result.data);
	cJSON *result = text.data ? cJSON_ParseWithLength(text.data, text.len) : NULL;
	const cJSON *process;
	cJSON_ArrayForEach(process, cJSON_GetObjectItemCaseSensitive(result, "processes"))
	{
		longest = MAX(longest, cJSON_GetNumberValue(
					   cJSON_GetObjectItemCaseSensitive(process, "pause_ns")));
		count++;
	}
	cJSON_Delete(result);
	human_duration((uint64_t)longest, pause);
	if (count == 0) {
		snprintf(ret, size, "pauses unknown");
	} else if (count == 1) {
		snprintf(ret, size, "process paused for %s", pause);
	} else {
		snprintf(ret, size, "%d processes, each paused for at most %s", count, pause);
	}
}

static int print_result(struct capture_job *job, struct err *e)
{
	struct bundle_totals t;
	char size[HUMAN_MAX], plain[HUMAN_MAX], pauses[128];
	store_totals(job->store, &t);
	job->call->partial = t.incomplete > 0;
	human_size(t.written_bytes, size);
	human_size(t.plain_bytes, plain);
	describe_pauses(job, pauses, sizeof pauses);
	log_info("%s bundle: %s (%s of evidence, %llu entries), %s",
		 job->call->partial ? "partial" : "complete", size, plain,
		 (unsigned long long)t.entries, pauses);
	if (job->call->partial) {
		log_warn("incomplete entries: %llu; see: podsnap show %s",
			 (unsigned long long)t.incomplete, store_location(job->store));
	}
	log_info("it holds the memory of what was captured, and with it every secret in there");
	if (!strcmp(option_string(job->call->options, OPT_OUTPUT), "-")) return 0;
	if (option_bool(job->call->options, OPT_JSON)) return print_json(job, &t, e);
	const char *location = store_location(job->store);
	int r = io_write_all(STDOUT_FILENO, location, strlen(location), "stdout", e);
	return r ? r : io_write_all(STDOUT_FILENO, "\n", 1, "stdout", e);
}

static void leave_event(const struct capture_job *job, const struct pod_evidence *pod, int r,
			const struct err *e)
{
	struct bundle_totals t;
	char outcome[300];
	store_totals(job->store, &t);
	if (r)
		snprintf(outcome, sizeof outcome, "failed: %.250s", e->text);
	else
		snprintf(outcome, sizeof outcome, "%s bundle of %llu entries%s%.200s",
			 t.incomplete ? "partial" : "complete", (unsigned long long)t.entries,
			 pod->ended[0] ? ", " : "", pod->ended);
	pod_evidence_event(pod, outcome);
}

static int capture(struct capture_job *job, struct pod_evidence *pod, struct err *e)
{
	int r = pod ? capture_pod(job, pod, e) : capture_local(job, e);
	progress_end(&job->progress);
	if (!r) r = cancel_check(e);
	if (!r) r = store_commit(job->store, job->result.data, e);
	/* A bundle that broke off is still evidence; one the user cancelled is not wanted, nor one
	 * that only says that there was a process. */
	if (r) store_abort(job->store, job->has_memory && r != -ERR_CANCELLED);
	if (pod) leave_event(job, pod, r, e);
	return r ? r : print_result(job, e);
}

static int open_source(struct command_call *call, struct source *ret, struct err *e)
{
	int r = source_open(call, ret, e);
	if (r) return r;
	if (ret->kind == SOURCE_CORE || ret->kind == SOURCE_BUNDLE)
		return err_set(e, ERR_USAGE, "%s is evidence already: capture takes a pod or --pid",
			       ret->text);
	if (ret->kind != SOURCE_POD && option_bool(call->options, OPT_EVENT))
		return err_set(e, ERR_USAGE, "--event is for pods: a local process has none");
	return 0;
}

static int run(struct command_call *call, struct err *e)
{
	_cleanup_source_ struct source source = {0};
	_cleanup_pod_evidence_ struct pod_evidence evidence = {0};
	struct capture_job job = {.call = call, .result = BUF_INIT(WIRE_RESULT_MAX)};
	struct pod_evidence *pod = NULL;
	int r = open_source(call, &source, e);
	if (!r && source.kind == SOURCE_POD) {
		pod = &evidence;
		r = pod_evidence_open(call->options, source.text, pod, e);
	}
	if (!r) r = store_new(&job.store, call->options, pod ? &pod->meta : NULL, e);
	if (!r) r = capture(&job, pod, e);
	store_free(job.store);
	buf_done(&job.result);
	return r;
}

const struct command cmd_capture = {
    .name = "capture",
    .verb = VERB_CAPTURE,
    .usage = "[SOURCE]",
    .summary = "take a bundle: core, stacks and facts of a process",
    .details = "SOURCE is a pod (NAME, pod/NAME, deploy/NAME ...); without one, --pid names a "
	       "local process.",
    .operands_max = 1,
    .run = run,
};
