/* Answers that are computed beside the process and printed by podsnap: the probe links these too.
 */
#ifndef COLLECTOR_LOCAL_ANSWER_H
#define COLLECTOR_LOCAL_ANSWER_H

#include "collector/options.h"
#include "dumpers/stack/modules.h"

/* `stacks` of the process that the options name, live, as text or JSON. */
int answer_stacks(const struct options *options, struct buf *ret, struct err *e);
/* `ps` of all processes in sight. */
int answer_ps(const struct options *options, struct buf *ret, struct err *e);
/* Whether the process that the options name could be captured, and if not what stands in the way,
 * as JSON: what `doctor` asks of a probe. */
int answer_check(const struct options *options, struct buf *ret, struct err *e);
/* `stacks` of any snapshot: live, core file or bundle end here. */
int answer_stacks_of(const struct options *options, struct snapshot *snapshot, find_module_fn find,
		     void *find_ctx, struct buf *ret, struct err *e);

enum { ANSWER_MAX = 256 << 20 };

#endif
