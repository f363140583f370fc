/* Answers that are computed beside the process and printed by podsnap: the probe links these too.
 */
#ifndef COLLECTOR_LOCAL_ANSWER_H
#define COLLECTOR_LOCAL_ANSWER_H

#include "collector/options.h"
#include "dumpers/stack/stacks.h"

/* `stacks` of the process that the options name, live, as text or JSON. */
int answer_stacks(const struct options *options, struct buf *ret, struct err *e);
/* `ps` of all processes in sight. */
int answer_ps(const struct options *options, struct buf *ret, struct err *e);
/* Whether the process that the options name could be captured, and if not what stands in the way,
 * as JSON: what `doctor` asks of a probe. */
int answer_check(const struct options *options, struct buf *ret, struct err *e);
/* The same, but of a process with a runtime that podsnap can read (.NET) it is ANSWER_MANAGED
 * alone: whoever asks can do better, from a snapshot. The process does not stop for that. */
int answer_stacks_unless_managed(const struct options *options, struct buf *ret, struct err *e);
#define ANSWER_MANAGED "managed\n"
/* `stacks` of any snapshot: live, core file or bundle end here. unnamed: why managed methods have
 * no names, NULL: there are none. */
int answer_stacks_of(const struct options *options, struct snapshot *snapshot, find_module_fn find,
		     void *find_ctx, const char *unnamed, struct buf *ret, struct err *e);
/* As the options want the report: text or JSON, folded or not. */
int answer_print_stacks(const struct options *options, const struct stacks *stacks, struct buf *ret,
			struct err *e);
/* Does that process have a runtime that podsnap can read? */
bool process_is_managed(const struct process *process);

enum { ANSWER_MAX = 256 << 20 };

#endif
