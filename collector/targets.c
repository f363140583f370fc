#include "collector/targets.h"

#include "base/log.h"
#include "collector/many.h"
#include "collector/pod.h"
#include "collector/source.h"

#include <stdio.h>
#include <string.h>

static bool has_query(const struct options *options)
{
	return option_is_set(options, OPT_SELECTOR) || option_is_set(options, OPT_NODE) ||
	       option_bool(options, OPT_ALL_NAMESPACES);
}

bool targets_are_several(const struct command_call *call)
{
	return call->operand_count > 1 || has_query(call->options) ||
	       option_bool(call->options, OPT_ALL_CONTAINERS);
}

static int check_selection(const struct command_call *call, struct err *e)
{
	const struct options *options = call->options;
	if (call->operand_count && has_query(options)) {
		err_set(e, ERR_USAGE, "sources, and a selection by -l, -A or --node");
		return err_hint(e, "Give one or the other; -n says where the sources are.");
	}
	if (!call->operand_count && !has_query(options)) {
		err_set(e, ERR_USAGE, "--all-containers needs to know of which pods");
		return err_hint(e, "Name a pod, or select some with -l, -A or --node.");
	}
	if (option_is_set(options, OPT_CONTAINER) && option_bool(options, OPT_ALL_CONTAINERS)) {
		err_set(e, ERR_USAGE, "-c and --all-containers contradict each other");
		return err_hint(e, "Leave one of them out.");
	}
	if (option_is_set(options, OPT_SELECTOR) && !*option_string(options, OPT_SELECTOR)) {
		err_set(e, ERR_USAGE, "an empty selector would mean every pod");
		return err_hint(e, "If that is meant, select by --node, or -A.");
	}
	return 0;
}

static int check_sources(const struct command_call *call, struct err *e)
{
	for (size_t i = 0; i < call->operand_count; i++) {
		const char *text = call->operands[i];
		if (!source_is_file(text) && !strstr(text, "://")) continue;
		err_set(e, ERR_USAGE, "%s: several sources must be pods", text);
		return err_hint(e,
				"Ask files one at a time; if a pod of that name is meant, write "
				"pod/%s.",
				text);
	}
	return 0;
}

static int select_pods(const struct command_call *call, struct kube *kube, struct pod_set *set,
		       struct err *e)
{
	const struct options *options = call->options;
	struct pod_query query = {
	    .labels = option_string(options, OPT_SELECTOR),
	    .node = option_string(options, OPT_NODE),
	    .all_namespaces = option_bool(options, OPT_ALL_NAMESPACES),
	    .container = option_string(options, OPT_CONTAINER),
	    .all_containers = option_bool(options, OPT_ALL_CONTAINERS),
	};
	if (!call->operand_count) return pods_query(kube, &query, set, e);
	int r = 0;
	for (size_t i = 0; !r && i < call->operand_count; i++)
		r = pods_source(kube, call->operands[i], &query, set, e);
	return r;
}

/* One client a worker, all before the work begins: whoever edits the configuration meanwhile sends
 * none of them elsewhere. */
static int open_workers(const struct command_call *call, struct targets *t, struct err *e)
{
	size_t wanted = (size_t)option_int(call->options, OPT_PARALLEL), enterable = 0;
	for (size_t i = 0; i < t->set.count; i++)
		enterable += t->set.items[i].why.code == 0;
	wanted = MIN(wanted, enterable);
	int r = 0;
	while (!r && t->workers < wanted) {
		r = pod_connect(call->options, t->kubes[0], &t->kubes[t->workers], e);
		if (!r) t->workers++;
	}
	return r;
}

static int check_single(const struct pod_choice *choice, struct err *e)
{
	if (choice->why.code) {
		if (e) *e = choice->why;
		return -choice->why.code;
	}
	if (choice->target.note[0]) log_info("%s", choice->target.note);
	return 0;
}

int targets_open(const struct command_call *call, struct targets *ret, struct err *e)
{
	_cleanup_targets_ struct targets t = {
	    .several = targets_are_several(call),
	    .show_namespace = option_bool(call->options, OPT_ALL_NAMESPACES),
	    .show_container = option_bool(call->options, OPT_ALL_CONTAINERS),
	};
	int r = t.several ? check_selection(call, e) : 0;
	if (!r && t.several) r = check_sources(call, e);
	if (!r) r = routes_check(call->options, e);
	if (!r) r = pod_connect(call->options, NULL, &t.kubes[0], e);
	if (r) return r;
	t.workers = 1;
	r = select_pods(call, t.kubes[0], &t.set, e);
	if (!r && !t.several) r = check_single(&t.set.items[0], e);
	if (!r) r = open_workers(call, &t, e);
	if (r) return r;
	*ret = t;
	t = (struct targets){0};
	return 0;
}

void targets_done(struct targets *t)
{
	for (size_t i = 0; i < t->workers; i++)
		kube_free(t->kubes[i]);
	pod_set_done(&t->set);
}

struct each {
	const struct targets *targets;
	target_fn fn;
	void *ctx;
};

/* "web-1", "shop/web-1/app" */
static void set_subject(const struct targets *t, const struct pod_target *target)
{
	char text[sizeof *target];
	snprintf(text, sizeof text, "%s%s%s%s%s", t->show_namespace ? target->namespace_ : "",
		 t->show_namespace ? "/" : "", target->pod, t->show_container ? "/" : "",
		 t->show_container ? target->container : "");
	log_set_subject(text);
}

static void do_one(void *ctx, size_t i, size_t worker)
{
	const struct each *each = ctx;
	const struct targets *t = each->targets;
	if (t->set.items[i].why.code) return;
	if (t->several) {
		set_subject(t, &t->set.items[i].target);
		if (t->set.items[i].target.note[0]) log_debug("%s", t->set.items[i].target.note);
	}
	each->fn(each->ctx, i, t->kubes[worker]);
	log_set_subject(NULL);
}

void targets_each(const struct targets *t, target_fn fn, void *ctx)
{
	struct each each = {t, fn, ctx};
	many_run(t->set.count, t->workers, do_one, &each);
}

const char *targets_reason(const struct pod_choice *choice, const struct err *work)
{
	if (choice->why.code) return choice->why.text;
	return work->code ? work->text : "cancelled before it began";
}

int targets_verdict(struct command_call *call, const struct targets *t, size_t complete,
		    size_t partial, struct err *e)
{
	call->partial = complete < t->set.count;
	if (complete + partial) return 0;
	err_set(e, ERR_NOT_FOUND, "nothing came of any of the %zu that were selected",
		t->set.count);
	return err_hint(e, "The reasons are above; podsnap doctor POD says which ways lead in.");
}
