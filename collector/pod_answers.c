#include "collector/pod_answers.h"

#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "collector/cancel.h"
#include "collector/local_answer.h"
#include "collector/pod.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

/* Of all together. */
enum { ANSWERS_MAX = 2 * ANSWER_MAX };

struct answer {
	bool done;
	struct buf text;
	struct err err;
};

struct ask {
	const struct options *options;
	const char *verb;
	const struct targets *targets;
	struct answer *answers;
};

static void ask_one(void *ctx, size_t i, struct kube *kube)
{
	const struct ask *ask = ctx;
	struct answer *a = &ask->answers[i];
	int r = pod_answer(kube, &ask->targets->set.items[i].target, ask->options, ask->verb, NULL,
			   &a->text, &a->err);
	a->done = !r;
	if (r && ask->targets->several) log_err(&a->err);
}

static int write_text(const struct targets *t, const struct pod_choice *choice,
		      const struct answer *a, struct buf *ret, struct err *e)
{
	const struct pod_target *target = &choice->target;
	char reason[ERR_TEXT_MAX];
	int r = buf_puts(ret, ret->len ? "\n== " : "== ", e);
	if (!r && t->show_namespace) r = buf_printf(ret, e, "namespace %s, ", target->namespace_);
	if (!r) r = buf_printf(ret, e, "pod %s", target->pod);
	if (!r && target->container[0]) r = buf_printf(ret, e, ", container %s", target->container);
	if (!r) r = buf_puts(ret, "\n", e);
	if (r) return r;
	if (a->done) return a->text.len ? buf_append(ret, a->text.data, a->text.len, e) : 0;
	snprintf(reason, sizeof reason, "%s", targets_reason(choice, &a->err));
	log_sanitize(reason);
	return buf_printf(ret, e, "%s: %s\n", choice->not_running ? "skipped" : "failed", reason);
}

/* What a pod says goes into a document that others' words are in, too. */
static bool is_json(const struct buf *text)
{
	cJSON *doc = cJSON_ParseWithLengthOpts(text->data, text->len + 1, NULL, true);
	bool ok = doc != NULL;
	cJSON_Delete(doc);
	return ok;
}

static void write_error(struct json *j, const struct pod_choice *choice, const struct answer *a)
{
	const struct err *why = choice->why.code ? &choice->why : &a->err;
	json_kv_string(j, "status", choice->not_running ? "skipped" : "failed");
	json_key(j, "error");
	json_object(j);
	json_kv_string(j, "code", err_info(why->code ? why->code : ERR_CANCELLED)->name);
	json_kv_string(j, "text", targets_reason(choice, &a->err));
	json_object_end(j);
}

static void write_json_one(struct json *j, const struct pod_choice *choice, const struct answer *a)
{
	const struct pod_target *target = &choice->target;
	json_object(j);
	json_kv_string(j, "namespace", target->namespace_);
	json_kv_string(j, "pod", target->pod);
	json_kv_string(j, "container", target->container[0] ? target->container : NULL);
	if (a->done) {
		json_key(j, "answer");
		json_document(j, a->text.data, a->text.len);
	} else {
		write_error(j, choice, a);
	}
	json_object_end(j);
}

static int write_several(const struct ask *ask, struct buf *ret, struct err *e)
{
	const struct targets *t = ask->targets;
	bool as_json = option_bool(ask->options, OPT_JSON);
	struct json j;
	int r = 0;
	json_init(&j, ret, true);
	if (as_json) json_array(&j);
	for (size_t i = 0; !r && i < t->set.count; i++) {
		if (as_json)
			write_json_one(&j, &t->set.items[i], &ask->answers[i]);
		else
			r = write_text(t, &t->set.items[i], &ask->answers[i], ret, e);
	}
	if (!as_json) return r;
	json_array_end(&j);
	return json_finish(&j, e);
}

static int print(const struct buf *text, struct err *e)
{
	return text->len ? io_write_all(STDOUT_FILENO, text->data, text->len, "stdout", e) : 0;
}

static int finish_one(const struct answer *a, struct err *e)
{
	if (a->done) return print(&a->text, e);
	if (!a->err.code) return cancel_check(e);
	if (e) *e = a->err;
	return -a->err.code;
}

static int finish_several(struct command_call *call, const struct ask *ask, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(ANSWERS_MAX);
	size_t done = 0;
	for (size_t i = 0; i < ask->targets->set.count; i++) {
		struct answer *a = &ask->answers[i];
		if (a->done && option_bool(ask->options, OPT_JSON) && !is_json(&a->text)) {
			a->done = false;
			err_set(&a->err, ERR_PROTOCOL, "the answer is no JSON");
		}
		done += a->done;
	}
	int r = write_several(ask, &text, e);
	if (!r) r = print(&text, e);
	if (!r) r = cancel_check(e);
	return r ? r : targets_verdict(call, ask->targets, done, 0, e);
}

int pod_answers(struct command_call *call, const char *verb, struct err *e)
{
	_cleanup_targets_ struct targets targets = {0};
	int r = targets_open(call, &targets, e);
	if (r) return r;
	struct ask ask = {.options = call->options, .verb = verb, .targets = &targets};
	ask.answers = calloc(targets.set.count, sizeof *ask.answers);
	if (!ask.answers) return err_set(e, ERR_NO_MEMORY, "no memory for the answers");
	for (size_t i = 0; i < targets.set.count; i++)
		buf_init(&ask.answers[i].text, ANSWER_MAX);
	targets_each(&targets, ask_one, &ask);
	r = targets.several ? finish_several(call, &ask, e) : finish_one(ask.answers, e);
	for (size_t i = 0; i < targets.set.count; i++)
		buf_done(&ask.answers[i].text);
	free(ask.answers);
	return r;
}

int pod_answer_one(struct command_call *call, const char *verb, struct buf *ret, struct err *e)
{
	_cleanup_targets_ struct targets targets = {0};
	int r = targets_open(call, &targets, e);
	if (r) return r;
	struct answer answer = {.text = BUF_INIT(ANSWER_MAX)};
	struct ask ask = {
	    .options = call->options, .verb = verb, .targets = &targets, .answers = &answer};
	if (targets.set.count != 1) return err_set(e, ERR_INTERNAL, "not one pod");
	targets_each(&targets, ask_one, &ask);
	r = answer.done ? 0 : finish_one(&answer, e);
	if (!r && answer.text.len) r = buf_append(ret, answer.text.data, answer.text.len, e);
	buf_done(&answer.text);
	return r;
}
