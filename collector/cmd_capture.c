#include "base/log.h"
#include "collector/cancel.h"
#include "collector/capture_result.h"
#include "collector/local_capture.h"
#include "collector/pod.h"
#include "collector/pod_evidence.h"
#include "collector/progress.h"
#include "collector/source.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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

/* What the probe said of the pauses. */
static void read_pauses(const struct buf *said, struct capture_result *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT(said->max + 2);
	double longest = 0;
	if (said->len) buf_printf(&text, NULL, "{%s}", said->data);
	cJSON *result = text.data ? cJSON_ParseWithLength(text.data, text.len) : NULL;
	const cJSON *process;
	cJSON_ArrayForEach(process, cJSON_GetObjectItemCaseSensitive(result, "processes"))
	{
		longest = MAX(longest, cJSON_GetNumberValue(
					   cJSON_GetObjectItemCaseSensitive(process, "pause_ns")));
		ret->processes++;
	}
	cJSON_Delete(result);
	ret->pause_ns = (uint64_t)longest;
}

static int take_result(const struct capture_job *job, const struct pod_evidence *pod,
		       struct capture_result *ret, struct err *e)
{
	store_totals(job->store, &ret->totals);
	read_pauses(&job->result, ret);
	if (pod) snprintf(ret->ended, sizeof ret->ended, "%s", pod->ended);
	ret->bundle = strdup(store_location(job->store));
	if (!ret->bundle) return err_set(e, ERR_NO_MEMORY, "no memory for the bundle's name");
	ret->status = ret->totals.incomplete ? CAPTURE_PARTIAL : CAPTURE_COMPLETE;
	return 0;
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
	return r;
}

/* What is captured at once, and what came of it. */
struct capture_run {
	struct command_call *call;
	const struct targets *targets; /* NULL: a process of this machine */
	size_t at_a_time;
	struct progress_sum *sum; /* NULL: each has a progress line of its own */
	struct capture_result *results;
};

static void capture_one(const struct capture_run *run, struct pod_evidence *pod,
			struct capture_result *result)
{
	struct capture_job job = {
	    .call = run->call,
	    .progress = {.sum = run->sum},
	    .result = BUF_INIT(WIRE_RESULT_MAX),
	};
	struct err *e = &result->err;
	int r =
	    store_new(&job.store, run->call->options, pod ? &pod->meta : NULL, run->at_a_time, e);
	if (!r) r = capture(&job, pod, e);
	if (!r) r = take_result(&job, pod, result, e);
	if (r) result->status = CAPTURE_FAILED;
	store_free(job.store);
	buf_done(&job.result);
}

static void capture_target(void *ctx, size_t i, struct kube *kube)
{
	const struct capture_run *run = ctx;
	struct capture_result *result = &run->results[i];
	_cleanup_pod_evidence_ struct pod_evidence pod = {0};
	if (pod_evidence_open(run->call->options, kube, &run->targets->set.items[i].target, &pod,
			      &result->err))
		result->status = CAPTURE_FAILED;
	else
		capture_one(run, &pod, result);
	if (!run->targets->several) return;
	progress_sum_step(run->sum);
	if (result->status == CAPTURE_FAILED)
		log_err(&result->err);
	else
		capture_result_log(result);
}

static void say_what_it_holds(void)
{
	log_info("it holds the memory of what was captured, and with it every secret in there");
}

static int finish_one(struct command_call *call, const struct capture_result *result, struct err *e)
{
	if (result->status == CAPTURE_NOT_BEGUN) return cancel_check(e);
	if (result->status == CAPTURE_FAILED) {
		if (e) *e = result->err;
		return -result->err.code;
	}
	call->partial = result->status == CAPTURE_PARTIAL;
	capture_result_log(result);
	say_what_it_holds();
	if (!strcmp(option_string(call->options, OPT_OUTPUT), "-")) return 0;
	return capture_result_print(result, option_bool(call->options, OPT_JSON), e);
}

static int finish_several(struct command_call *call, const struct targets *targets,
			  const struct capture_result *results, struct err *e)
{
	size_t complete = 0, partial = 0;
	for (size_t i = 0; i < targets->set.count; i++) {
		complete += results[i].status == CAPTURE_COMPLETE;
		partial += results[i].status == CAPTURE_PARTIAL;
	}
	if (complete + partial) say_what_it_holds();
	int r = capture_results_print(targets, results, option_bool(call->options, OPT_JSON), e);
	if (!r) r = cancel_check(e);
	if (!r) r = targets_verdict(call, targets, complete, partial, e);
	return r;
}

static int capture_targets(struct command_call *call, struct targets *targets, struct err *e)
{
	size_t count = targets->set.count;
	struct progress_sum sum;
	struct capture_run run = {
	    .call = call,
	    .targets = targets,
	    .at_a_time = targets->workers,
	    .sum = targets->several ? &sum : NULL,
	    .results = calloc(count, sizeof *run.results),
	};
	if (!run.results) return err_set(e, ERR_NO_MEMORY, "no memory for %zu results", count);
	progress_sum_init(&sum, count);
	targets_each(targets, capture_target, &run);
	progress_sum_done(&sum);
	int r = targets->several ? finish_several(call, targets, run.results, e)
				 : finish_one(call, run.results, e);
	for (size_t i = 0; i < count; i++)
		capture_result_done(&run.results[i]);
	free(run.results);
	return r;
}

static int capture_pods(struct command_call *call, struct err *e)
{
	_cleanup_targets_ struct targets targets = {0};
	int r = targets_open(call, &targets, e);
	return r ? r : capture_targets(call, &targets, e);
}

static int capture_here(struct command_call *call, struct err *e)
{
	_cleanup_(capture_result_done) struct capture_result result = {0};
	struct capture_run run = {.call = call, .at_a_time = 1, .results = &result};
	if (option_bool(call->options, OPT_EVENT))
		return err_set(e, ERR_USAGE, "--event is for pods: a local process has none");
	capture_one(&run, NULL, &result);
	return finish_one(call, &result, e);
}

/* Each of several gets a name of its own, in one place. */
static int check_place_of_several(const char *output, struct err *e)
{
	size_t len = strlen(output);
	bool is_prefix = len && output[len - 1] == '/';
	struct stat st;
	if (strstr(output, "://") ? is_prefix : !stat(output, &st) && S_ISDIR(st.st_mode)) return 0;
	if (is_prefix && !strstr(output, "://")) {
		err_set(e, ERR_NOT_FOUND, "%s: there is no such directory", output);
		return err_hint(e, "Make it first: mkdir -p %s", output);
	}
	err_set(e, ERR_USAGE, "%s cannot hold the bundles of several pods", output);
	return err_hint(e, "Give -o a directory, or s3://BUCKET/PREFIX/.");
}

static int run(struct command_call *call, struct err *e)
{
	_cleanup_source_ struct source source = {0};
	if (targets_are_several(call)) {
		int r = check_place_of_several(option_string(call->options, OPT_OUTPUT), e);
		return r ? r : capture_pods(call, e);
	}
	int r = source_open(call, &source, e);
	if (r) return r;
	if (source.kind == SOURCE_CORE || source.kind == SOURCE_BUNDLE)
		return err_set(e, ERR_USAGE, "%s is evidence already: capture takes a pod or --pid",
			       source.text);
	return source.kind == SOURCE_POD ? capture_pods(call, e) : capture_here(call, e);
}

const struct command cmd_capture = {
    .name = "capture",
    .verb = VERB_CAPTURE,
    .usage = "[SOURCE]...",
    .summary = "take a bundle: core, stacks and facts of a process",
    .details = "SOURCE is a pod (NAME, pod/NAME, deploy/NAME ...); without one, -l, -A and --node "
	       "select pods, or --pid names a local process.",
    .operands_max = PODS_MAX,
    .run = run,
};
