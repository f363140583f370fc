/*
 * How a snapshot of a live process is taken: by a copy-on-write child where that is safe and costs
 * the least, by a copy while the target stands where it is not, without a stop where it cannot be
 * stopped. What decides is looked at before the target is touched.
 */
#ifndef DUMPERS_SNAPSHOT_LIVE_PLAN_H
#define DUMPERS_SNAPSHOT_LIVE_PLAN_H

#include "dumpers/snapshot/live.h"

/* What is known of the target and of us. */
struct plan_facts {
	uint64_t threads;
	uint64_t anon_bytes;    /* private memory with pages: what a fork has to mark */
	uint64_t pinned_bytes;  /* VmPin: a fork copies these pages */
	uint64_t shared_bytes;  /* of small shared memory, to be copied in the pause */
	uint64_t hugetlb_bytes; /* HugetlbPages: a pool that runs out takes them from the child */
	uint64_t room_bytes;    /* that a child may use */
	uint64_t ballast_bytes; /* to map in the child where memory may run out (live_ballast.c) */
	bool oom_group;         /* the OOM killer would take the target with the child */
	bool has_task_room;     /* pids.max lets it have one more */
	bool userfaultfd;       /* whoever handles its faults may make a fork hang */
	bool shadow_stack;      /* returns into made-up frames fault */
	uint64_t seccomp;       /* 0 none, 1 strict, 2 filter */
	bool may_suspend_seccomp;
	bool same_filters; /* we run under its very filters, and our own forks pass them */
	uint64_t seccomp_filters;
	pid_t tracer;      /* who traces it already; 0 nobody */
	char no_site[160]; /* why no call can be injected; "" it can */
};

/* Fills all but ballast_bytes and no_site; shared_bytes is all shared memory that has pages. Never
 * fails: what is not to be had is taken for harmless, but for seccomp, which is not. */
void plan_look(const struct process *target, uint64_t room_bytes, struct plan_facts *ret);
/* Chooses. -ERR_UNSUPPORTED or -ERR_PERMISSION when the wanted mode is not possible, -ERR_TIMEOUT
 * when it would pause for longer than allowed. */
int plan_choose(const struct plan_facts *f, const struct live_config *config, struct live_plan *ret,
		struct err *e);
/* The chosen mode was not to be had after all: the snapshot is taken by this one. */
void plan_fall_back(struct live_plan *plan, enum snapshot_mode mode, const char *why);

#endif
