/*
 * Which ways lead into a pod, and what stands in the others. Every finding comes from a fact that
 * is looked up now: an access review, a dry run, the pod's document, what /proc says inside.
 */
#ifndef COLLECTOR_DOCTOR_H
#define COLLECTOR_DOCTOR_H

#include "collector/command.h"
#include "collector/routes.h"
#include "exec/inside.h"

#include <cjson/cJSON.h>

enum { DOCTOR_BLOCKERS_MAX = 12, DOCTOR_NOTES_MAX = 6 };

struct doctor_blocker {
	const char *kind; /* one word: "rbac", "shell", "uid" */
	char text[ERR_TEXT_MAX];
	char fix[ERR_HINT_MAX]; /* the smallest change, as commands or YAML; "" none is known */
};

struct doctor_report {
	struct doctor_blocker blockers[DOCTOR_BLOCKERS_MAX];
	size_t blocker_count; /* 0: it works */
	char notes[DOCTOR_NOTES_MAX][256];
	size_t note_count;
};

struct doctor {
	struct pod_target target; /* pod "" until one was found; namespace always */
	char user[256];           /* whom the server takes us for; "" not known */
	char sidecar[254];        /* "": there is none */
	unsigned as_target;       /* bits of the routes that have the target's own rights only */
	bool looked;              /* inside was read */
	struct inside inside;
	struct doctor_report reports[ROUTE_COUNT];
};

/* Errors: what keeps it from finding out. What stands in a way is none. doctor_done *ret always. */
int doctor_examine(struct kube *k, const struct options *options, const char *source,
		   struct doctor *ret, struct err *e);
void doctor_done(struct doctor *d);
#define _cleanup_doctor_ _cleanup_(doctor_done)

/* Adds a blocker to the routes whose bits are set; the text follows. Its fix is "" until
 * doctor_fix.
 */
enum {
	ON_SIDECAR = 1 << ROUTE_SIDECAR,
	ON_EXEC = 1 << ROUTE_EXEC,
	ON_EPHEMERAL = 1 << ROUTE_EPHEMERAL,
	ON_NODE = 1 << ROUTE_NODE,
	ON_TARGET = ON_EXEC | ON_EPHEMERAL, /* with the rights of the target's own container */
	ON_POD = ON_SIDECAR | ON_TARGET,    /* in the pod */
	ON_ALL = ON_POD | ON_NODE,
};
void doctor_block(struct doctor *d, unsigned routes, const char *kind, const char *fmt, ...)
    _printf_(4, 5);
/* What to do about the last blocker of those routes. */
void doctor_fix(struct doctor *d, unsigned routes, const char *fmt, ...) _printf_(3, 4);
void doctor_note(struct doctor *d, unsigned routes, const char *fmt, ...) _printf_(3, 4);

/* An error as a blocker, with its next step. */
void doctor_block_by(struct doctor *d, unsigned routes, const char *kind, const struct err *why);

/* The ways from a sidecar of the pod and from the node's agent. Errors as of doctor_examine. */
int doctor_judge_sidecar(struct doctor *d, struct kube *k, const struct options *options,
			 const cJSON *pod, bool may_exec, struct err *e);
int doctor_judge_agent(struct doctor *d, struct kube *k, const struct options *options,
		       struct err *e);
/* What the facts from inside, which are there, mean for the routes. probe_bytes: of the file. */
void doctor_judge_inside(struct doctor *d, const cJSON *pod, size_t probe_bytes);

#endif
