/* The containers that a command line names, and one piece of work for each of them. */
#ifndef COLLECTOR_TARGETS_H
#define COLLECTOR_TARGETS_H

#include "collector/command.h"
#include "exec/kube.h"

struct targets {
	bool several;                        /* were asked for, however many there are */
	bool show_namespace, show_container; /* where the pod's name alone does not tell */
	struct pod_set set;
	struct kube *kubes[PARALLEL_MAX]; /* a worker's each */
	size_t workers;
};

/* Does the command line ask for several (sources, a selector, ...)? What is printed depends on
 * that, and not on how many there are at the moment. */
bool targets_are_several(const struct command_call *call);
/*
 * Opens the cluster and selects. Where several are asked for, those that cannot be entered are in
 * the set, with the reason; of a single one that is the error. -ERR_USAGE for options that
 * contradict each other.
 */
int targets_open(const struct command_call *call, struct targets *ret, struct err *e);
void targets_done(struct targets *t); /* of a zeroed one, too */
#define _cleanup_targets_ _cleanup_(targets_done)

/* Calls fn for each that can be entered, some at a time, each in one thread, whose log lines say
 * which one they are about where there are several. */
typedef void (*target_fn)(void *ctx, size_t index, struct kube *kube);
void targets_each(const struct targets *t, target_fn fn, void *ctx);

/* Why nothing came of one: as it was selected, or else as the work on it ended (code 0: it was not
 * begun). Borrowed from either. */
const char *targets_reason(const struct pod_choice *choice, const struct err *work);
/*
 * The end of a command over several targets, of which so many gave all or a part: 0, with
 * call->partial if anything is missing; an error if there is nothing. The reasons were printed.
 */
int targets_verdict(struct command_call *call, const struct targets *t, size_t complete,
		    size_t partial, struct err *e);

#endif
