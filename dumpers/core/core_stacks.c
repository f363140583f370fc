/* Where a debugger reads to unwind every thread and to find the libraries. */
#include "dumpers/core/core_link_map.h"
#include "dumpers/core/core_select.h"
#include "dumpers/snapshot/regs.h"

#include <string.h>

enum {
	RED_ZONE = 128, /* below the stack pointer (System V ABI for x86-64, 3.2.2) */
	/* Of one stack. With many threads less of each, so that the whole stays a few MiB; but
	 * never so little that an ordinary stack of calls would be cut. */
	STACK_MAX = 1 << 20,
	STACK_MIN = 16 << 10,
	STACKS_BUDGET = 4 << 20,
	/* Around the thread pointer: glibc's struct pthread, by which libthread_db knows a thread,
	 * and the thread-local variables below it. */
	TLS_BELOW = 512,
	TLS_ABOVE = 2560,
};

/* --- a list in any order --- */

int core_want(struct core_wanted *w, uint64_t start, uint64_t len, struct err *e)
{
	uint64_t end;

	/* Beyond lies the kernel's half, and what is not an address at all. */
	if (add_overflows(start, len, &end) || end > INT64_MAX) return 0;
	if (start >= end) return 0;
	if (w->count == CORE_WANTED_MAX)
		return err_set(e, ERR_LIMIT, "more than %d pieces of stacks", CORE_WANTED_MAX);
	if (w->count == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 256;
		struct range *grown = reallocarray(w->v, cap, sizeof(*grown));

		if (!grown) return err_set(e, ERR_NO_MEMORY, "%zu pieces of stacks", cap);
		w->v = grown;
		w->cap = cap;
	}
	w->v[w->count++] = (struct range){start, end};
	return 0;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* In whole pages, ascending. */
static int sort_wanted(struct core_wanted *w, struct range_list *ret, struct err *e)
{
	int r = 0;

	if (w->count) qsort(w->v, w->count, sizeof(*w->v), compare_ranges);
	for (size_t i = 0; i < w->count && !r; i++)
		r = range_list_add(ret, align_down(w->v[i].start, CORE_PAGE),
				   align_up(w->v[i].end, CORE_PAGE), e);
	return r;
}

/* --- threads --- */

/* From the stack pointer to the end of the stack. A thread that ran over its stack's end stands
 * in the guard pages below it, or, the main thread, in nothing at all. */
static struct range stack_at(const struct maps *maps, uint64_t sp)
{
	size_t low = 0, high = maps->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (maps->v[mid].end <= sp)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < maps->count && maps->v[low].start <= sp && maps->v[low].prot == 0) low++;
	if (sp == 0 || low == maps->count ||
	    (maps->v[low].start > sp && maps->v[low].start - sp > STACK_MAX))
		return (struct range){0};
	return (struct range){sp - MIN(sp, (uint64_t)RED_ZONE), maps->v[low].end};
}

/* How much of each stack, so that all of them are within the budget. */
static uint64_t stack_limit(const struct range *stacks, size_t count)
{
	uint64_t limit = STACK_MAX;

	for (; limit > STACK_MIN; limit /= 2) {
		uint64_t sum = 0;

		for (size_t i = 0; i < count; i++)
			sum += MIN(stacks[i].end - stacks[i].start, limit);
		if (sum <= STACKS_BUDGET) break;
	}
	return limit;
}

static int want_stacks(struct snapshot *s, const struct core_config *config, struct core_wanted *w,
		       struct err *e)
{
	size_t count = s->thread_count + config->stack_pointer_count;
	_cleanup_free_ struct range *stacks = calloc(count + 1, sizeof(*stacks));
	uint64_t limit;
	int r = 0;

	if (!stacks) return err_set(e, ERR_NO_MEMORY, "%zu stacks", count);
	for (size_t i = 0; i < count; i++)
		stacks[i] = stack_at(&s->maps, i < s->thread_count
						   ? s->threads[i].sp
						   : config->stack_pointers[i - s->thread_count]);
	limit = stack_limit(stacks, count);
	for (size_t i = 0; i < count && !r; i++)
		r = core_want(w, stacks[i].start, MIN(stacks[i].end - stacks[i].start, limit), e);
	return r;
}

static int want_descriptors(struct snapshot *s, struct core_wanted *w, struct err *e)
{
	const struct regs_layout *layout = regs_layout(s->e_machine);
	int r = 0;

	for (size_t i = 0; layout && i < s->thread_count && !r; i++) {
		const struct snapshot_thread *t = &s->threads[i];
		uint64_t tls;

		if (t->gregs_len != layout->gregs_len) continue;
		memcpy(&tls, t->gregs + layout->tls, sizeof(tls));
		if (tls > TLS_BELOW) r = core_want(w, tls - TLS_BELOW, TLS_BELOW + TLS_ABOVE, e);
	}
	return r;
}

int core_stack_ranges(struct snapshot *s, const struct core_config *config, struct range_list *ret,
		      struct err *e)
{
	struct core_wanted w = {0};
	int r = want_stacks(s, config, &w, e);

	if (!r) r = want_descriptors(s, &w, e);
	if (!r) r = core_want_link_map(s, &w, e);
	if (!r) r = sort_wanted(&w, ret, e);
	free(w.v);
	return r;
}
