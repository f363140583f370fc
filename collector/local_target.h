/* One process of a capture, and what of it goes into the bundle, under "<pid>-<comm>/". */
#ifndef COLLECTOR_LOCAL_TARGET_H
#define COLLECTOR_LOCAL_TARGET_H

#include "base/cpu_limit.h"
#include "base/json.h"
#include "collector/local_capture.h"
#include "collector/local_core.h"
#include "dumpers/snapshot/live.h"

/* What the processes of one capture share. */
struct capture {
	const struct options *options;
	struct packer *packer;
	const struct capture_hooks *hooks;
	struct cpu_limit cpu_limit;
	size_t standing; /* targets that stand until they are read: nothing may wait then */
};
/* Before each piece of work: whether to go on, and not yet if the CPU limit says so. */
int capture_check(struct capture *c, struct err *e);

struct capture_target {
	struct process process;
	char dir[80];              /* in the bundle, unique */
	struct snapshot *snapshot; /* owned; NULL: none could be taken, because of why */
	struct err why;
	struct live_pause pause; /* once it was dumped */
	struct core_choice core;
};
/* Its identity and its name in the bundle. */
int capture_target_open(struct capture_target *t, pid_t pid, struct err *e);
void capture_target_done(struct capture_target *t); /* fine on a zeroed one with PROCESS_INIT */
/* What needs no stop: process.json, proc/... Also reads what the core shall hold. */
int capture_target_describe(struct capture *c, struct capture_target *t, struct err *e);
/* Stacks, core and modules from the snapshot, which is released as soon as all was read. 0 also
 * when parts failed: their entries say so. */
int capture_target_dump(struct capture *c, struct capture_target *t, struct err *e);
/* Was it taken so that it stands until it has been read? */
bool capture_target_stands(const struct capture_target *t);
/* How its snapshot was taken, as a JSON object. */
void capture_target_result(const struct capture_target *t, struct json *j);

#endif
