#include "base/human.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "collector/source.h"

struct verify_report {
	bool json;
	struct json j;
	struct buf text;
};

static void on_problem(void *ctx, const struct bundle_entry *entry, const char *problem)
{
	struct verify_report *report = ctx;
	const char *where = entry ? entry->name : "bundle";
	if (!report->json) {
		buf_printf(&report->text, NULL, "%s: %s\n", where, problem);
		return;
	}
	json_object(&report->j);
	json_kv_string(&report->j, "entry", entry ? entry->name : NULL);
	json_kv_string(&report->j, "problem", problem);
	json_object_end(&report->j);
}

static int print(struct verify_report *report, const struct source *s,
		 const struct bundle_verify_totals *t, struct err *e)
{
	bool whole = !t->problems;
	char plain[HUMAN_MAX];
	int r;
	if (report->json) {
		json_array_end(&report->j);
		json_kv_bool(&report->j, "whole", whole);
		json_kv_uint(&report->j, "entries", t->entries);
		json_kv_uint(&report->j, "frames", t->frames);
		json_kv_uint(&report->j, "plain_bytes", t->plain_bytes);
		json_object_end(&report->j);
		r = json_finish(&report->j, e);
	} else {
		r = buf_printf(&report->text, e, "%s: %s: %llu entries, %llu frames, %s checked\n",
			       s->text, whole ? "whole" : "NOT WHOLE",
			       (unsigned long long)t->entries, (unsigned long long)t->frames,
			       human_size(t->plain_bytes, plain));
	}
	return r ? r
		 : io_write_all(STDOUT_FILENO, report->text.data, report->text.len, "stdout", e);
}

static int run(struct command_call *call, struct err *e)
{
	_cleanup_source_ struct source s = {0};
	struct verify_report report = {.json = option_bool(call->options, OPT_JSON),
				       .text = BUF_INIT(64 * MIB)};
	struct bundle_verify_totals totals;
	int r = source_open_bundle(call->operands[0], &s, e);
	if (r) return r;
	if (report.json) {
		json_init(&report.j, &report.text, true);
		json_object(&report.j);
		json_kv_string(&report.j, "schema", "podsnap.verify/1");
		json_kv_string(&report.j, "bundle", s.text);
		json_key(&report.j, "problems");
		json_array(&report.j);
	}
	r = bundle_verify(s.bundle, on_problem, &report, &totals, e);
	if (!r) r = print(&report, &s, &totals, e);
	if (!r && totals.problems) {
		const char *truncated = bundle_truncated(s.bundle);
		r = err_set(e, truncated ? ERR_TRUNCATED : ERR_CORRUPT,
			    "%s is not whole: %llu problems%s%s", s.text,
			    (unsigned long long)totals.problems, truncated ? "; " : "",
			    truncated ? truncated : "");
		err_hint(e, "What is whole in it can still be used: podsnap show %s", s.text);
	}
	buf_done(&report.text);
	return r;
}

const struct command cmd_verify = {
    .name = "verify",
    .verb = VERB_VERIFY,
    .usage = "BUNDLE",
    .summary = "check every byte of a bundle against its checksums",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
