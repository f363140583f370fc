#include "collector/capture_result.h"

#include "base/human.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

enum { OUTPUT_MAX = 32 << 20 };

void capture_result_done(struct capture_result *r)
{
	free(r->bundle);
	r->bundle = NULL;
}

/* --- one --- */

/* "process paused for 2 ms", "3 processes, each paused for at most 4 ms". */
static void describe_pauses(const struct capture_result *r, char *ret, size_t size)
{
	char pause[HUMAN_MAX];
	human_duration(r->pause_ns, pause);
	if (r->processes == 0) {
		snprintf(ret, size, "pauses unknown");
	} else if (r->processes == 1) {
		snprintf(ret, size, "process paused for %s", pause);
	} else {
		snprintf(ret, size, "%d processes, each paused for at most %s", r->processes,
			 pause);
	}
}

void capture_result_log(const struct capture_result *r)
{
	char size[HUMAN_MAX], plain[HUMAN_MAX], pauses[128];
	human_size(r->totals.written_bytes, size);
	human_size(r->totals.plain_bytes, plain);
	describe_pauses(r, pauses, sizeof pauses);
	log_info("%s bundle: %s (%s of evidence, %llu entries), %s",
		 r->status == CAPTURE_PARTIAL ? "partial" : "complete", size, plain,
		 (unsigned long long)r->totals.entries, pauses);
	if (r->status == CAPTURE_PARTIAL)
		log_warn("incomplete entries: %llu; see: podsnap show %s",
			 (unsigned long long)r->totals.incomplete, r->bundle);
}

static void write_bundle(struct json *j, const struct capture_result *r)
{
	json_kv_string(j, "bundle", r->bundle);
	json_kv_uint(j, "bytes", r->totals.written_bytes);
	json_kv_uint(j, "plain_bytes", r->totals.plain_bytes);
	json_kv_uint(j, "entries", r->totals.entries);
	json_kv_uint(j, "not_ok", r->totals.not_ok);
}

static int print_text(struct buf *text, struct err *e)
{
	return io_write_all(STDOUT_FILENO, text->data, text->len, "stdout", e);
}

int capture_result_print(const struct capture_result *result, bool json, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(MIB);
	struct json j;
	int r;
	if (json) {
		json_init(&j, &text, true);
		json_object(&j);
		json_kv_string(&j, "schema", "podsnap.capture/1");
		write_bundle(&j, result);
		json_object_end(&j);
		r = json_finish(&j, e);
	} else {
		r = buf_printf(&text, e, "%s\n", result->bundle);
	}
	return r ? r : print_text(&text, e);
}

/* --- several --- */

static const char *status_of(const struct pod_choice *choice, const struct capture_result *r)
{
	if (choice->not_running) return "skipped";
	switch (r->status) {
	case CAPTURE_COMPLETE:
		return "complete";
	case CAPTURE_PARTIAL:
		return "partial";
	default:
		return "failed";
	}
}

/* "" where all is well. */
static void reason_of(const struct pod_choice *choice, const struct capture_result *r, char *ret,
		      size_t size)
{
	if (r->status == CAPTURE_COMPLETE)
		ret[0] = '\0';
	else if (r->status == CAPTURE_PARTIAL)
		snprintf(ret, size, "%s%s%llu incomplete entries", r->ended,
			 r->ended[0] ? ", " : "", (unsigned long long)r->totals.incomplete);
	else
		snprintf(ret, size, "%s", targets_reason(choice, &r->err));
}

static void write_one(struct json *j, const struct pod_choice *choice,
		      const struct capture_result *r)
{
	const struct err *why = choice->why.code ? &choice->why : &r->err;
	char reason[ERR_TEXT_MAX];
	reason_of(choice, r, reason, sizeof reason);
	json_object(j);
	json_kv_string(j, "namespace", choice->target.namespace_);
	json_kv_string(j, "pod", choice->target.pod);
	json_kv_string(j, "container",
		       choice->target.container[0] ? choice->target.container : NULL);
	json_kv_string(j, "status", status_of(choice, r));
	if (reason[0]) json_kv_string(j, "reason", reason);
	if (why->code) {
		json_kv_string(j, "error", err_info(why->code)->name);
		json_kv_string(j, "advice", err_advice(why));
	}
	if (r->bundle) write_bundle(j, r);
	if (r->bundle && r->processes) json_kv_uint(j, "pause_ns", r->pause_ns);
	json_object_end(j);
}

static int write_json(const struct targets *t, const struct capture_result *results,
		      struct buf *ret, struct err *e)
{
	struct json j;
	json_init(&j, ret, true);
	json_object(&j);
	json_kv_string(&j, "schema", "podsnap.captures/1");
	json_key(&j, "captures");
	json_array(&j);
	for (size_t i = 0; i < t->set.count; i++)
		write_one(&j, &t->set.items[i], &results[i]);
	json_array_end(&j);
	json_object_end(&j);
	return json_finish(&j, e);
}

struct widths {
	int namespace_, pod, container;
};

static struct widths measure(const struct targets *t)
{
	struct widths w = {sizeof "NAMESPACE" - 1, sizeof "POD" - 1, sizeof "CONTAINER" - 1};
	for (size_t i = 0; i < t->set.count; i++) {
		const struct pod_target *target = &t->set.items[i].target;
		w.namespace_ = MAX(w.namespace_, (int)strlen(target->namespace_));
		w.pod = MAX(w.pod, (int)strlen(target->pod));
		w.container = MAX(w.container, (int)strlen(target->container));
	}
	return w;
}

struct row {
	const char *namespace_, *pod, *container, *status, *size, *pause, *last;
};

static int write_row(const struct targets *t, const struct widths *w, const struct row *row,
		     struct buf *ret, struct err *e)
{
	int r = 0;
	if (t->show_namespace) r = buf_printf(ret, e, "%-*s  ", w->namespace_, row->namespace_);
	return r ? r
		 : buf_printf(ret, e, "%-*s  %-*s  %-8s  %-10s  %-8s  %s\n", w->pod, row->pod,
			      w->container, row->container, row->status, row->size, row->pause,
			      row->last);
}

static int write_result(const struct targets *t, const struct widths *w, size_t i,
			const struct capture_result *result, struct buf *ret, struct err *e)
{
	const struct pod_choice *choice = &t->set.items[i];
	char size[HUMAN_MAX] = "-", pause[HUMAN_MAX] = "-", reason[ERR_TEXT_MAX];
	_cleanup_buf_ struct buf last = BUF_INIT(64 * KIB);
	reason_of(choice, result, reason, sizeof reason);
	log_sanitize(reason);
	if (result->bundle) human_size(result->totals.written_bytes, size);
	if (result->bundle && result->processes) human_duration(result->pause_ns, pause);
	int r = buf_puts(&last, result->bundle ? result->bundle : reason, e);
	if (!r && result->bundle && reason[0]) r = buf_printf(&last, e, " (%s)", reason);
	struct row row = {
	    .namespace_ = choice->target.namespace_,
	    .pod = choice->target.pod,
	    .container = choice->target.container[0] ? choice->target.container : "-",
	    .status = status_of(choice, result),
	    .size = size,
	    .pause = pause,
	    .last = last.data,
	};
	return r ? r : write_row(t, w, &row, ret, e);
}

static int write_table(const struct targets *t, const struct capture_result *results,
		       struct buf *ret, struct err *e)
{
	static const struct row head = {"NAMESPACE", "POD",   "CONTAINER",       "STATUS",
					"SIZE",      "PAUSE", "BUNDLE OR REASON"};
	struct widths w = measure(t);
	int r = write_row(t, &w, &head, ret, e);
	for (size_t i = 0; !r && i < t->set.count; i++)
		r = write_result(t, &w, i, &results[i], ret, e);
	return r;
}

int capture_results_print(const struct targets *targets, const struct capture_result *results,
			  bool json, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(OUTPUT_MAX);
	int r =
	    json ? write_json(targets, results, &text, e) : write_table(targets, results, &text, e);
	return r ? r : print_text(&text, e);
}
