#include "collector/local_core.h"

#include <string.h>

enum { STACK_POINTERS_MAX = 1 << 16 };

static enum core_kind kind_of(const struct options *options)
{
	const char *name = option_string(options, OPT_CORE);
	if (!strcmp(name, "heap")) return CORE_HEAP;
	return !strcmp(name, "stacks") ? CORE_STACKS : CORE_FULL;
}

void core_choice_init(struct core_choice *choice, const struct options *options,
		      const struct process *process)
{
	*choice = (struct core_choice){
	    .none = !strcmp(option_string(options, OPT_CORE), "none"),
	    .config = {.version = PODSNAP_VERSION,
		       .kind = kind_of(options),
		       .exclude_files = option_bool(options, OPT_EXCLUDE_FILES)},
	};
	if (choice->none || !option_bool(options, OPT_COREDUMP_FILTER)) return;
	choice->failed = process_coredump_filter(process, &choice->filter, &choice->why);
	choice->config.filter = &choice->filter;
}

void core_choice_done(struct core_choice *choice)
{
	coredump_filter_done(&choice->filter);
	free(choice->stack_pointers);
}

/* Frames behind a signal frame: the only ones that may stand on another stack. */
static size_t interrupted_frames(const struct stacks *stacks, uint64_t *ret, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < stacks->count; i++) {
		const struct stack *stack = &stacks->v[i];
		for (size_t k = 1; k < stack->frame_count && n < max; k++) {
			if (!stack->frames[k - 1].signal_frame) continue;
			if (ret) ret[n] = stack->frames[k].sp;
			n++;
		}
	}
	return n;
}

int core_choice_take_stacks(struct core_choice *choice, const struct stacks *stacks, struct err *e)
{
	size_t count = interrupted_frames(stacks, NULL, STACK_POINTERS_MAX);
	if (choice->config.kind != CORE_STACKS || !count) return 0;
	choice->stack_pointers = calloc(count, sizeof *choice->stack_pointers);
	if (!choice->stack_pointers) return err_set(e, ERR_NO_MEMORY, "%zu stack pointers", count);
	choice->stack_pointer_count = interrupted_frames(stacks, choice->stack_pointers, count);
	return 0;
}

int core_choice_plan(const struct core_choice *choice, struct snapshot *snapshot, struct core **ret,
		     struct err *e)
{
	struct core_config config = choice->config;
	if (choice->failed) {
		if (e) *e = choice->why;
		return choice->failed;
	}
	config.stack_pointers = choice->stack_pointers;
	config.stack_pointer_count = choice->stack_pointer_count;
	return core_plan(snapshot, &config, ret, e);
}
