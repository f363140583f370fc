/*
 * Async methods that wait, and what awaits what. A method that awaits is an object on the heap: the
 * task that it returned, which holds the compiler's state machine (AsyncStateMachineBox, of
 * AsyncTaskMethodBuilder.cs). Whoever awaits that task is its continuation; so the stacks that no
 * thread has can be read from the innermost method outwards.
 */
#ifndef DUMPERS_DOTNET_ASYNC_H
#define DUMPERS_DOTNET_ASYNC_H

#include "dumpers/dotnet/walk.h"

enum {
	ASYNC_METHODS_MAX = 1 << 22,
	ASYNC_STACKS_MAX = 1 << 20, /* before identical ones are folded */
	ASYNC_DEPTH_MAX = 256,      /* methods of a stack */
	ASYNC_TOTAL_MAX = 1 << 24,  /* methods of all stacks */
};

struct async_method {
	uint64_t address;                  /* of its task */
	const struct dotnet_type *machine; /* the compiler's type for it */
	int32_t state;                     /* number of the await that it stands at; -1: it runs */
	uint64_t awaits;                   /* task or source that it waits for; 0: not known */
	uint64_t continuation;             /* object; 0: nobody awaits it */
	bool is_awaiting;                  /* another async method, so no stack begins here */
	bool is_shown;                     /* in a stack */
};
enum async_end {
	ASYNC_COMPLETE,
	ASYNC_CUT,    /* more than ASYNC_DEPTH_MAX methods */
	ASYNC_CIRCLE, /* one of these awaits the outermost: none ever goes on */
};
struct async_stack {
	uint32_t *methods; /* owned; indexes, innermost first */
	size_t count;
	enum async_end end;
	const struct dotnet_type *waits; /* of what the innermost waits for; NULL: not known */
	const struct dotnet_type *then;  /* of what continues after the outermost; NULL: nothing */
	uint64_t same;                   /* how many such stacks there are, this one included */
};
struct async_stacks {
	struct async_method *methods; /* owned; ascending by address */
	size_t method_count, method_cap;
	struct async_stack *v; /* owned; circles first, else the most frequent */
	size_t count, cap;
	struct dotnet_walk_loss loss;
};
/* Errors of the DAC's process; -ERR_LIMIT beyond the limits above. */
int async_stacks_read(struct dotnet *d, struct async_stacks *ret, struct err *e);
void async_stacks_done(struct async_stacks *s);

/* "Shop.Till.Charge" of the type "Shop.Till+<Charge>d__5"; the whole name of any other. */
int async_method_name(const char *type, struct buf *ret, struct err *e);

/* limit: stacks that are shown, 0: all. */
int async_stacks_text(const struct async_stacks *s, uint64_t limit, struct buf *ret, struct err *e);
/* {"schema":"podsnap.async/1","pid","methods","lost_bytes","stacks":[{"count","methods":[{"method",
 * "address","state"}],"cut","circle","awaits":{"type","address"},"continued_by"}]}; awaits and
 * continued_by (a type) may be null, address is that of the first of them. */
int async_stacks_json(const struct async_stacks *s, pid_t pid, uint64_t limit, struct buf *ret,
		      struct err *e);

#endif
