/* A verb whose answer is text or JSON that is made in the pod, asked of one pod or of several. */
#ifndef COLLECTOR_POD_ANSWERS_H
#define COLLECTOR_POD_ANSWERS_H

#include "collector/targets.h"

/* Asks the targets of the command line and prints what they answered: of a single one as it is; of
 * several in the order of selection, under a line that says whose it is, or as one array. */
int pod_answers(struct command_call *call, const char *verb, struct err *e);
/* Asks the single target of the command line, and appends what it answered. */
int pod_answer_one(struct command_call *call, const char *verb, struct buf *ret, struct err *e);

#endif
