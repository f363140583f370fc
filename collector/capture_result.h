/* What became of a capture, and how it is said: of one on its own, of several as a table. */
#ifndef COLLECTOR_CAPTURE_RESULT_H
#define COLLECTOR_CAPTURE_RESULT_H

#include "bundle/assembler.h"
#include "collector/targets.h"

struct capture_result {
	enum { CAPTURE_NOT_BEGUN, CAPTURE_COMPLETE, CAPTURE_PARTIAL, CAPTURE_FAILED } status;
	char *bundle; /* path or URL, owned; NULL: there is none */
	struct bundle_totals totals;
	int processes;     /* 0: pauses unknown */
	uint64_t pause_ns; /* the longest of them */
	char ended[256];   /* how the container ended meanwhile; "" if it did not */
	struct err err;    /* of a failed one */
};
void capture_result_done(struct capture_result *r);

/* "complete bundle: ..." on the log. */
void capture_result_log(const struct capture_result *r);
/* The bundle, or with json a document about it, on stdout. */
int capture_result_print(const struct capture_result *r, bool json, struct err *e);
/* results: one of each of the targets. */
int capture_results_print(const struct targets *targets, const struct capture_result *results,
			  bool json, struct err *e);

#endif
