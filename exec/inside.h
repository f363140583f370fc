/*
 * A look inside a container: one shell script by exec that only reads, and says in lines "key
 * value" what the kernel shows there. What it says is the container's word, and hostile.
 */
#ifndef EXEC_INSIDE_H
#define EXEC_INSIDE_H

#include "exec/kube.h"

enum { INSIDE_PLACES_MAX = 8, INSIDE_PATH_MAX = 256, INSIDE_STATUS_MAX = 64 << 10 };
#define INSIDE_UNKNOWN UINT64_MAX

enum inside_answer { INSIDE_NOT_SAID, INSIDE_YES, INSIDE_NO };

/* One of the places that the probe's file may be put in. */
struct inside_place {
	char path[INSIDE_PATH_MAX]; /* without links where it exists */
	bool exists, writable;      /* by its mode and our user */
	bool read_only, noexec;     /* its mount */
	uint64_t free_bytes;        /* or INSIDE_UNKNOWN */
};

struct inside {
	char machine[32];        /* uname -m; "" not known */
	char tool[8];            /* "head", "dd", "" neither: what takes the probe from stdin */
	struct buf self, target; /* /proc/PID/status of the shell and of the process; maybe empty */
	uint64_t pid;            /* of the process in there; 0: there is none */
	enum inside_answer attach; /* does the kernel let us trace it: /proc/PID/personality */
	enum inside_answer read;   /* ... read its memory map: what Yama has no say in */
	enum inside_answer owner;  /* its files in /proc belong to the shell's user */
	enum inside_answer same_userns;
	int yama_scope; /* 0 also where there is no Yama */
	struct inside_place places[INSIDE_PLACES_MAX];
	size_t place_count;
	uint64_t limit, usage, inactive, available; /* bytes of memory, or INSIDE_UNKNOWN */
};

/*
 * Runs the script. pid: the process there; 0: the main one, chosen as the probe does.
 * -ERR_UNSUPPORTED: the container has no shell; -ERR_GONE: it does not run; -ERR_FORBIDDEN: no
 * right to exec; -ERR_TRUNCATED: the script did not come to its end. inside_done *ret always.
 */
int inside_look(struct kube *k, const struct pod_target *target, int64_t pid, struct inside *ret,
		struct err *e);
void inside_done(struct inside *in);
#define _cleanup_inside_ _cleanup_(inside_done)

/* The first place that can take bytes and run them; NULL: none, and why in ret_why. */
const struct inside_place *inside_find_place(const struct inside *in, uint64_t bytes, char *ret_why,
					     size_t size);
/* What may still be allocated before somebody is killed; INSIDE_UNKNOWN: not known. */
uint64_t inside_memory_room(const struct inside *in);

/* --- without a server, for tests --- */

extern const char inside_script[]; /* its $1: the pid or "" */
/* -ERR_TRUNCATED without the last line. What is missing or malformed is not said. */
int inside_parse(const char *text, size_t len, struct inside *ret, struct err *e);

#endif
