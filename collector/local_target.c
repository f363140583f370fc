#include "collector/local_target.h"

#include "base/human.h"
#include "base/log.h"
#include "collector/local_dotnet.h"
#include "collector/local_entries.h"
#include "dumpers/stack/stacks.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 256 << 20 };

int capture_check(struct capture *c, struct err *e)
{
	int r;
	do {
		r = c->hooks->check ? c->hooks->check(c->hooks->ctx, e) : 0;
	} while (!r && !c->standing && cpu_limit_wait(&c->cpu_limit));
	return r;
}

int capture_target_open(struct capture_target *t, pid_t pid, struct err *e)
{
	int r = process_open(pid, &t->process, e);
	return r ? r : process_entry_dir(&t->process, t->dir, sizeof t->dir, e);
}

void capture_target_done(struct capture_target *t)
{
	snapshot_free(t->snapshot);
	core_choice_done(&t->core);
	process_done(&t->process);
}

int capture_target_describe(struct capture *c, struct capture_target *t, struct err *e)
{
	core_choice_init(&t->core, c->options, &t->process);
	return add_process_entries(c->packer, &t->process, t->dir,
				   option_bool(c->options, OPT_SHOW_SECRETS), e);
}

/* One dump under way; the packer as its core's destination. */
struct dump {
	struct core_sink sink; /* first: what the core is written to */
	struct capture *capture;
	struct capture_target *target;
	struct modules *modules;
	struct buf stacks_text, stacks_json;
	struct err no_stacks; /* code 0: there are */
	uint64_t core_done, core_total, core_torn;
};

static int add_text(struct dump *d, const char *name, const struct buf *text, struct err *e)
{
	char path[BUNDLE_NAME_MAX];
	snprintf(path, sizeof path, "%s/%s", d->target->dir, name);
	return packer_add(d->capture->packer, path, text->data ? text->data : "", text->len, e);
}

static int add_failed(struct capture *c, const struct capture_target *t, const char *name,
		      const struct err *why, struct err *e)
{
	char path[BUNDLE_NAME_MAX];
	snprintf(path, sizeof path, "%s/%s", t->dir, name);
	log_warn("%s: %s", path, why->text);
	return packer_absent(c->packer, path, ENTRY_FAILED, why->text, e);
}

/* --- the core --- */

static int core_reserve(struct core_sink *sink, void **ret_data, size_t *ret_len, struct err *e)
{
	struct capture *c = ((struct dump *)sink)->capture;
	int r = capture_check(c, e);
	return r ? r : packer_reserve(c->packer, ret_data, ret_len, e);
}

static int core_commit(struct core_sink *sink, size_t len, struct err *e)
{
	struct dump *d = (struct dump *)sink;
	const struct capture_hooks *hooks = d->capture->hooks;
	d->core_done += len;
	if (hooks->progress) hooks->progress(hooks->ctx, d->core_done, d->core_total);
	return packer_commit(d->capture->packer, len, e);
}

static int core_lost(struct core_sink *sink, uint64_t start, uint64_t end, struct err *e)
{
	return packer_mark_lost(((struct dump *)sink)->capture->packer, start, end, e);
}

static int core_torn(struct core_sink *sink, uint64_t start, uint64_t end, struct err *e)
{
	struct dump *d = (struct dump *)sink;
	d->core_torn += end - start;
	return packer_mark_torn(d->capture->packer, start, end, e);
}

static void say_why_torn(const struct dump *d, char *ret, size_t size)
{
	const struct live_plan *plan = snapshot_live_plan(d->target->snapshot);
	struct live_pause pause;
	char torn[HUMAN_MAX], paused[HUMAN_MAX];
	human_size(d->core_torn, torn);
	snapshot_live_pause(d->target->snapshot, &pause);
	if (plan->mode == SNAPSHOT_NOSTOP) {
		snprintf(ret, size, "read while the process ran: %s", plan->reason);
	} else if (plan->mode == SNAPSHOT_COW) {
		snprintf(ret, size, "%s were read from the running process: %s", torn,
			 pause.why ? pause.why : "a fork does not get them");
	} else {
		snprintf(ret, size, "%s were read after the process was let go at %s (%s)", torn,
			 human_duration(pause.pause_ns, paused),
			 pause.why ? pause.why : "it ended");
	}
}

static int end_core(const struct dump *d, struct err *e)
{
	char reason[BUNDLE_REASON_MAX];
	if (!d->core_torn) return packer_end(d->capture->packer, ENTRY_OK, NULL, e);
	say_why_torn(d, reason, sizeof reason);
	log_warn("%s/core is incomplete: %s", d->target->dir, reason);
	return packer_end(d->capture->packer, ENTRY_PARTIAL, reason, e);
}

static int write_core(struct dump *d, struct err *e)
{
	struct capture_target *t = d->target;
	struct err why = {0};
	struct core *core = NULL;
	if (core_choice_plan(&t->core, t->snapshot, &core, &why)) {
		return add_failed(d->capture, t, "core", &why, e);
	}
	char path[BUNDLE_NAME_MAX];
	snprintf(path, sizeof path, "%s/core", t->dir);
	d->core_total = core_size(core);
	int r = packer_begin(d->capture->packer, path, d->core_total, e);
	if (!r) r = core_write(core, &d->sink, e);
	if (!r) r = end_core(d, e);
	core_free(core);
	return r;
}

/* --- stacks and modules --- */

/* The stacks are computed while the process stands and written once it runs again. */
static int collect_stacks(struct dump *d, struct err *e)
{
	struct stacks *stacks = NULL;
	int r = stacks_collect(d->modules, &stacks, e);
	if (!r) r = stacks_print_text(stacks, false, &d->stacks_text, e);
	if (!r) r = stacks_print_json(stacks, false, &d->stacks_json, e);
	if (!r) r = core_choice_take_stacks(&d->target->core, stacks, e);
	stacks_free(stacks);
	return r;
}

static int add_stacks(struct dump *d, struct err *e)
{
	if (d->no_stacks.code) {
		int r = add_failed(d->capture, d->target, "stacks.txt", &d->no_stacks, e);
		return r ? r : add_failed(d->capture, d->target, "stacks.json", &d->no_stacks, e);
	}
	int r = add_text(d, "stacks.txt", &d->stacks_text, e);
	return r ? r : add_text(d, "stacks.json", &d->stacks_json, e);
}

bool capture_target_stands(const struct capture_target *t)
{
	return t->snapshot && snapshot_live_plan(t->snapshot)->mode == SNAPSHOT_STOP;
}

static void release(struct capture *c, struct capture_target *t)
{
	snapshot_live_release(t->snapshot);
	snapshot_live_pause(t->snapshot, &t->pause);
	if (!capture_target_stands(t)) return;
	c->standing--;
	cpu_limit_forgive(&c->cpu_limit);
}

static int dump(struct dump *d, struct err *e)
{
	struct capture *c = d->capture;
	struct capture_target *t = d->target;
	int r = modules_new(t->snapshot, find_module_in_process, &t->process, &d->modules, e);
	if (r) return r;
	collect_stacks(d, &d->no_stacks);
	if (!t->core.none) r = write_core(d, e);
	release(c, t);
	if (!r) r = add_stacks(d, e);
	if (!r && option_bool(c->options, OPT_MODULES)) {
		r = add_modules(c, d->modules, t->dir, e);
	}
	if (!r) r = add_dotnet(c, t, e);
	return r;
}

/* One of several that ended before the instant is no failure. */
static int add_missing(struct capture *c, const struct capture_target *t, struct err *e)
{
	char path[BUNDLE_NAME_MAX];
	if (t->why.code != ERR_GONE) return add_failed(c, t, "core", &t->why, e);
	snprintf(path, sizeof path, "%s/core", t->dir);
	return packer_absent(c->packer, path, ENTRY_SKIPPED, t->why.text, e);
}

int capture_target_dump(struct capture *c, struct capture_target *t, struct err *e)
{
	struct dump d = {
	    .sink = {core_reserve, core_commit, core_lost, core_torn},
	    .capture = c,
	    .target = t,
	    .stacks_text = BUF_INIT(TEXT_MAX),
	    .stacks_json = BUF_INIT(TEXT_MAX),
	};
	if (!t->snapshot) return add_missing(c, t, e);
	int r = dump(&d, e);
	modules_free(d.modules);
	buf_done(&d.stacks_text);
	buf_done(&d.stacks_json);
	return r;
}

void capture_target_result(const struct capture_target *t, struct json *j)
{
	const struct live_plan *plan = snapshot_live_plan(t->snapshot);
	json_object(j);
	json_kv_string(j, "dir", t->dir);
	json_kv_string(j, "mode", snapshot_mode_name(plan->mode));
	json_kv_string(j, "mode_reason", plan->reason);
	json_kv_uint(j, "predicted_pause_ns", plan->predicted_ns);
	json_kv_uint(j, "pause_ns", t->pause.pause_ns);
	json_kv_bool(j, "released_early", t->pause.released_early);
	json_kv_uint(j, "threads", t->snapshot->thread_count);
	json_object_end(j);
}
