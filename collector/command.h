/*
 * A verb of podsnap.
 *
 * To add one: write collector/cmd_x.c with `const struct command cmd_x`, put it in the table in
 * collector/main.c, and name its bit in collector/options.h. An answer that is computed beside the
 * target also goes into collector/local_answer.c, which the probe links too.
 */
#ifndef COLLECTOR_COMMAND_H
#define COLLECTOR_COMMAND_H

#include "collector/options.h"

/* What a command gets, and what it gives beside its error. */
struct command_call {
	const struct options *options;
	const char *const *operands;
	size_t operand_count;
	bool partial; /* set by the command: done, but a part is missing: exit status 3 */
};

struct command {
	const char *name;
	uint32_t verb;       /* its bit in option_def.verbs */
	const char *usage;   /* operands, for "podsnap NAME USAGE" */
	const char *summary; /* one line */
	const char *details; /* more for --help, or NULL */
	size_t operands_min, operands_max;
	/* 0 or a negative enum err_code; prints its result on stdout and no error. */
	int (*run)(struct command_call *call, struct err *e);
};

extern const struct command cmd_capture, cmd_stacks, cmd_ps, cmd_show, cmd_verify, cmd_version,
    cmd_config, cmd_doctor, cmd_heap, cmd_objects, cmd_object, cmd_roots, cmd_locks;

#endif
