/*
 * The capture of processes beside us, into a packer: what the probe does in a pod and podsnap does
 * for --pid. Entries come out under "<pid>-<comm>/", first process.json, before the process is
 * stopped.
 */
#ifndef COLLECTOR_LOCAL_CAPTURE_H
#define COLLECTOR_LOCAL_CAPTURE_H

#include "bundle/packer.h"
#include "collector/options.h"
#include "dumpers/proc/process.h"

struct capture_hooks {
	/* Asked between pieces of work: negative ends the capture. */
	int (*check)(void *ctx, struct err *e);
	/* Bytes of the core, done of total. */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *ctx;
};

/*
 * Captures the process that the options name (OPT_PID, else the main process in sight), or, with
 * OPT_ALL, all of its container at one instant. result_json gets members for the manifest's head.
 * 0 also when parts failed: their entries say so. Whatever happens, the targets run when this
 * returns.
 */
int capture_run(const struct options *options, struct packer *packer,
		const struct capture_hooks *hooks, struct buf *result_json, struct err *e);

/* Compressor threads that the options ask for; by default one a CPU in sight, as far as the
 * quota of our control group goes, at most 4. */
int capture_threads(const struct options *options);
/* The pid that the options name, else that of the main process in sight. */
int capture_pick_pid(const struct options *options, pid_t *ret, struct err *e);
/* -ERR_PERMISSION where the kernel will not let us trace it, with the reason: known without
 * touching it. Errors of process_status. */
int capture_check_rights(const struct options *options, const struct process *process,
			 struct err *e);

#endif
