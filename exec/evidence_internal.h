/* What the files of exec/evidence*.c share; and the gathering with a server made up, for tests. */
#ifndef EXEC_EVIDENCE_INTERNAL_H
#define EXEC_EVIDENCE_INTERNAL_H

#include "exec/evidence.h"
#include "exec/json_doc.h"
#include "exec/kube_internal.h"

enum { EVIDENCE_PATH_MAX = 2048 };

struct evidence {
	kube_get_fn get;
	void *get_ctx;
	const atomic_bool *cancel;
	const struct pod_target *target;
	cJSON *pod;             /* as it was last seen; NULL: never */
	bool gone;              /* there is no such pod any more */
	char container_id[256]; /* of the target's container, before; "" if unknown */
	/* While it gathers: */
	const struct evidence_config *config;
	evidence_add_fn add;
	void *add_ctx;
};

/* evidence_new with the answers from elsewhere; cancel may be NULL. */
int evidence_new_from(kube_get_fn get, void *ctx, const atomic_bool *cancel,
		      const struct pod_target *target, struct evidence **ret, struct err *e);

/* The object at a path, which the caller deletes. */
int evidence_get(struct evidence *ev, const char *path, cJSON **ret, struct err *e);
/* Adds an object without its secrets; by every_member as redact_object has it. reason NULL: ok,
 * else it is partial. */
int evidence_put(struct evidence *ev, const char *name, const cJSON *object, bool every_member,
		 const char *reason, struct err *e);
/* Adds an entry without bytes for the request that failed with code (negative) and why. Returns
 * code where the gathering must end, else what add returned. */
int evidence_put_failure(struct evidence *ev, const char *name, int code, const struct err *why,
			 struct err *e);

int evidence_put_owners(struct evidence *ev, struct err *e);
int evidence_put_logs(struct evidence *ev, struct err *e);

#endif
