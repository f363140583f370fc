#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "collector/doctor.h"
#include "collector/pod.h"
#include "collector/source.h"

#include <string.h>

enum { TEXT_MAX = 1 << 20 };
#define COLUMNS "%-9s  %-5s  "
#define INDENT "                  "

static bool works(const struct doctor_report *report)
{
	return report->blocker_count == 0;
}

/* --- for people --- */

/* Lines below the last column. */
static int put_below(struct buf *ret, const char *label, const char *text, struct err *e)
{
	int r = 0;
	for (bool first = true; !r && (*text || first); first = false) {
		size_t len = strcspn(text, "\n");
		r = buf_printf(ret, e, INDENT "%s%.*s\n", first ? label : "", (int)len, text);
		text += len + (text[len] == '\n');
	}
	return r;
}

/* Commands and YAML stand on lines of their own, to be copied. */
static int put_fix(struct buf *ret, const char *fix, struct err *e)
{
	if (!strchr(fix, '\n')) return put_below(ret, "fix: ", fix, e);
	int r = put_below(ret, "fix:", "", e);
	return r ? r : put_below(ret, "", fix, e);
}

static int print_report(enum route route, const struct doctor_report *report, struct buf *ret,
			struct err *e)
{
	int r = buf_printf(ret, e, COLUMNS, route_name(route), works(report) ? "yes" : "no");
	if (!r && works(report)) r = buf_puts(ret, "-\n", e);
	for (size_t i = 0; !r && i < report->blocker_count; i++) {
		const struct doctor_blocker *b = &report->blockers[i];
		r = buf_printf(ret, e, "%s%s: %s\n", i ? INDENT : "", b->kind, b->text);
		if (!r && b->fix[0]) r = put_fix(ret, b->fix, e);
	}
	for (size_t i = 0; !r && i < report->note_count; i++)
		r = put_below(ret, "", report->notes[i], e);
	return r;
}

static int print_text(const struct doctor *d, struct buf *ret, struct err *e)
{
	int r = 0;
	if (d->target.pod[0])
		r = buf_printf(ret, e, "namespace %s, pod %s, container %s\n\n",
			       d->target.namespace_, d->target.pod, d->target.container);
	if (!r) r = buf_printf(ret, e, COLUMNS "%s\n", "ROUTE", "WORKS", "BLOCKER");
	for (size_t i = 0; !r && i < ROUTE_COUNT; i++)
		r = print_report((enum route)i, &d->reports[i], ret, e);
	return r;
}

/* --- for programs --- */

static void write_report(struct json *j, enum route route, const struct doctor_report *report)
{
	json_object(j);
	json_kv_string(j, "route", route_name(route));
	json_kv_bool(j, "works", works(report));
	json_key(j, "blockers");
	json_array(j);
	for (size_t i = 0; i < report->blocker_count; i++) {
		json_object(j);
		json_kv_string(j, "kind", report->blockers[i].kind);
		json_kv_string(j, "text", report->blockers[i].text);
		json_kv_string(j, "fix",
			       report->blockers[i].fix[0] ? report->blockers[i].fix : NULL);
		json_object_end(j);
	}
	json_array_end(j);
	json_key(j, "notes");
	json_array(j);
	for (size_t i = 0; i < report->note_count; i++)
		json_string(j, report->notes[i]);
	json_array_end(j);
	json_object_end(j);
}

static int print_json(const struct doctor *d, struct buf *ret, struct err *e)
{
	struct json j;
	bool found = d->target.pod[0] != '\0';

	json_init(&j, ret, true);
	json_object(&j);
	json_kv_string(&j, "schema", "podsnap.doctor/1");
	json_kv_string(&j, "namespace", d->target.namespace_);
	json_kv_string(&j, "pod", found ? d->target.pod : NULL);
	json_kv_string(&j, "container", found ? d->target.container : NULL);
	json_kv_bool(&j, "looked_inside", d->looked);
	json_key(&j, "routes");
	json_array(&j);
	for (size_t i = 0; i < ROUTE_COUNT; i++)
		write_report(&j, (enum route)i, &d->reports[i]);
	json_array_end(&j);
	json_object_end(&j);
	return json_finish(&j, e);
}

/* --- the verb --- */

static int check_source(const struct source *source, struct err *e)
{
	if (source->kind == SOURCE_POD) return 0;
	return err_set(e, ERR_USAGE, "doctor looks at pods; %s is evidence", source->text);
}

static int judge(const struct doctor *d, struct err *e)
{
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		if (works(&d->reports[i])) return 0;
	}
	err_set(e, ERR_UNSUPPORTED, "no route leads into it");
	return err_hint(e, "make one of the changes named above");
}

static int run(struct command_call *call, struct err *e)
{
	_cleanup_source_ struct source source = {0};
	_cleanup_kube_ struct kube *kube = NULL;
	_cleanup_doctor_ struct doctor d = {0};
	_cleanup_buf_ struct buf text = BUF_INIT(TEXT_MAX);
	int r = source_open(call, &source, e);
	if (!r) r = check_source(&source, e);
	if (!r) r = pod_connect(call->options, NULL, &kube, e);
	if (!r) r = doctor_examine(kube, call->options, source.text, &d, e);
	if (r) return r;
	if (d.target.note[0]) log_info("%s", d.target.note);
	r = option_bool(call->options, OPT_JSON) ? print_json(&d, &text, e)
						 : print_text(&d, &text, e);
	if (!r) r = io_write_all(STDOUT_FILENO, text.data, text.len, "stdout", e);
	return r ? r : judge(&d, e);
}

const struct command cmd_doctor = {
    .name = "doctor",
    .verb = VERB_DOCTOR,
    .usage = "SOURCE",
    .summary = "which ways lead into a pod, what stands in the others, and what to change",
    .details = "SOURCE is a pod. Nothing is created: the API server is asked what it would allow, "
	       "and a script\nin the container reads what the kernel shows there. Exit status 0 if "
	       "a way leads in, 1 if none does.",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
