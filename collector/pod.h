/* One request to a probe in a pod, from a command's options. */
#ifndef COLLECTOR_POD_H
#define COLLECTOR_POD_H

#include "collector/command.h"
#include "collector/routes.h"
#include "exec/session.h"

/* Opens the cluster; sibling as in kube_options. */
int pod_connect(const struct options *options, const struct kube *sibling, struct kube **ret,
		struct err *e);

struct pod_request {
	const char *verb;        /* "capture" */
	const enum route *route; /* the only one; NULL: as the options say */
	struct bundle_output *out;
	size_t (*room)(void *ctx); /* as in session_config; NULL: any */
	int room_fd;
	void (*progress)(void *ctx, const struct wire_progress *progress, uint64_t wire_bytes);
	void *ctx; /* of room and progress */
	/* As in session_config, of the verb "hold". */
	const struct session_reads *reads;
	const uint8_t *held;
};
int pod_run(struct kube *kube, const struct pod_target *target, const struct options *options,
	    const struct pod_request *request, struct wire_end *ret_end, struct err *e);

/* A request whose answer is one entry "answer" of text or JSON; by one route only (NULL: as the
 * options say). */
int pod_answer(struct kube *kube, const struct pod_target *target, const struct options *options,
	       const char *verb, const enum route *route, struct buf *ret, struct err *e);

/* The probe inside this program, for a CPU; NULL if it has none. */
const void *embedded_probe(uint16_t e_machine, size_t *ret_len);

#endif
