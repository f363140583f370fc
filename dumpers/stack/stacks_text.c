#include "dumpers/stack/stacks.h"

#include <string.h>

enum { THREADS_SHOWN = 8 };

/* Threads with the same pcs, in the order of stacks->v. */
struct group {
	const struct stack *first;
	size_t *members;
	size_t count;
};

static int compare_ends(const struct stack *a, const struct stack *b)
{
	return strcmp(a->end ? a->end : "", b->end ? b->end : "");
}

/* A frame without a pc is known by its method alone. */
static int compare_frames(const struct stack_frame *a, const struct stack_frame *b)
{
	if (a->pc != b->pc) return a->pc < b->pc ? -1 : 1;
	return a->pc ? 0 : strcmp(a->method ? a->method : "", b->method ? b->method : "");
}

static bool same_stack(const struct stack *a, const struct stack *b)
{
	if (a->frame_count != b->frame_count) return false;
	for (size_t i = 0; i < a->frame_count; i++) {
		if (compare_frames(&a->frames[i], &b->frames[i])) return false;
	}
	return compare_ends(a, b) == 0;
}

/* Orders indexes by stack, so that equal ones stand together, and by thread within. */
static int compare_stacks(const void *a, const void *b, void *ctx)
{
	const struct stacks *s = ctx;
	size_t i = *(const size_t *)a, j = *(const size_t *)b;
	const struct stack *x = &s->v[i], *y = &s->v[j];
	if (x->frame_count != y->frame_count) return x->frame_count < y->frame_count ? -1 : 1;
	for (size_t k = 0; k < x->frame_count; k++) {
		int order = compare_frames(&x->frames[k], &y->frames[k]);
		if (order) return order;
	}
	if (compare_ends(x, y)) return compare_ends(x, y);
	return i < j ? -1 : i > j;
}

static int compare_groups(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	if (x->count != y->count) return x->count > y->count ? -1 : 1;
	return x->members[0] < y->members[0] ? -1 : 1;
}

static int put_thread(const struct snapshot_thread *t, struct buf *ret, struct err *e)
{
	int r = buf_printf(ret, e, "%d \"", t->tid);

	if (!r) r = buf_puts_clean(ret, t->name, e);
	if (!r) r = buf_printf(ret, e, "\" %c%s", t->state, t->wchan[0] ? " " : "");
	return r ? r : buf_puts_clean(ret, t->wchan, e);
}

static int put_managed(const struct stack *s, struct buf *ret, struct err *e)
{
	const struct stack_managed *m = &s->managed;
	int r = put_thread(s->thread, ret, e);
	if (r || !m->id) return r;
	r = buf_printf(ret, e, " (managed %u", m->id);
	if (!r && m->name) r = buf_puts(ret, " \"", e);
	if (!r && m->name) r = buf_puts_clean(ret, m->name, e);
	return r ? r : buf_puts(ret, m->name ? "\")" : ")", e);
}

static int put_exception(const struct stack *s, struct buf *ret, struct err *e)
{
	const struct stack_managed *m = &s->managed;
	if (!m->exception) return 0;
	int r = buf_printf(ret, e, "  %d handles ", s->thread->tid);
	if (!r) r = buf_puts_clean(ret, m->exception, e);
	if (!r && m->message) r = buf_puts(ret, ": ", e);
	if (!r && m->message) r = buf_puts_clean(ret, m->message, e);
	return r ? r : buf_puts(ret, "\n", e);
}

static int put_method(const struct stack_frame *f, struct buf *ret, struct err *e)
{
	int r = buf_puts_clean(ret, f->method, e);
	return r || f->il_offset < 0 ? r : buf_printf(ret, e, "+IL_%04x", (unsigned)f->il_offset);
}

static int put_frame(size_t index, const struct stack_frame *f, struct buf *ret, struct err *e)
{
	int r = f->pc ? buf_printf(ret, e, "  #%-2zu 0x%016llx ", index, (unsigned long long)f->pc)
		      : buf_printf(ret, e, "  #%-2zu %18s ", index, "");
	if (!r && f->method) {
		r = put_method(f, ret, e);
	} else if (!r && f->symbol) {
		r = buf_puts_clean(ret, f->symbol, e);
		if (!r) r = buf_printf(ret, e, "+0x%llx", (unsigned long long)f->symbol_offset);
	} else if (!r) {
		r = buf_puts(ret, "??", e);
	}
	if (!r && f->module) r = buf_puts(ret, "  ", e);
	if (!r && f->module) r = buf_puts_clean(ret, f->module->name, e);
	if (!r && f->module && !f->symbol && !f->method) {
		r = buf_printf(ret, e, "+0x%llx", (unsigned long long)(f->pc - f->module->bias));
	}
	if (!r && f->signal_frame) r = buf_puts(ret, "  <signal>", e);
	if (!r && f->guessed) r = buf_puts(ret, "  <guessed>", e);
	return r ? r : buf_puts(ret, "\n", e);
}

static int put_stack(const struct stack *s, struct buf *ret, struct err *e)
{
	int r = 0;
	for (size_t i = 0; !r && i < s->frame_count; i++)
		r = put_frame(i, &s->frames[i], ret, e);
	if (!r && s->end) r = buf_printf(ret, e, "  ... %s\n", s->end);
	return r;
}

static int put_group(const struct stacks *s, const struct group *g, struct buf *ret, struct err *e)
{
	int r = buf_printf(ret, e, "\n%zu thread%s:", g->count, g->count == 1 ? "" : "s");
	size_t shown = MIN(g->count, THREADS_SHOWN);
	for (size_t i = 0; !r && i < shown; i++) {
		r = buf_puts(ret, i ? ", " : " ", e);
		if (!r) r = put_managed(&s->v[g->members[i]], ret, e);
	}
	if (!r && shown < g->count) {
		r = buf_printf(ret, e, ", and %zu more", g->count - shown);
	}
	if (!r) r = buf_puts(ret, "\n", e);
	for (size_t i = 0; !r && i < g->count; i++)
		r = put_exception(&s->v[g->members[i]], ret, e);
	return r ? r : put_stack(g->first, ret, e);
}

static size_t make_groups(const struct stacks *s, size_t *order, struct group *groups)
{
	size_t count = 0;
	for (size_t i = 0; i < s->count; i++)
		order[i] = i;
	qsort_r(order, s->count, sizeof *order, compare_stacks, (void *)s);
	for (size_t i = 0; i < s->count; i++) {
		if (!count || !same_stack(groups[count - 1].first, &s->v[order[i]])) {
			groups[count++] =
			    (struct group){.first = &s->v[order[i]], .members = &order[i]};
		}
		groups[count - 1].count++;
	}
	qsort(groups, count, sizeof *groups, compare_groups);
	return count;
}

static int put_folded(const struct stacks *s, struct buf *ret, struct err *e)
{
	_cleanup_free_ size_t *order = calloc(s->count + 1, sizeof *order);
	_cleanup_free_ struct group *groups = calloc(s->count + 1, sizeof *groups);
	if (!order || !groups) return err_set(e, ERR_NO_MEMORY, "no memory to fold stacks");
	size_t count = make_groups(s, order, groups);
	int r = 0;
	for (size_t i = 0; !r && i < count; i++)
		r = put_group(s, &groups[i], ret, e);
	return r;
}

static int put_each(const struct stacks *s, struct buf *ret, struct err *e)
{
	int r = 0;
	for (size_t i = 0; !r && i < s->count; i++) {
		r = buf_puts(ret, "\nthread ", e);
		if (!r) r = put_managed(&s->v[i], ret, e);
		if (!r) r = buf_puts(ret, "\n", e);
		if (!r) r = put_exception(&s->v[i], ret, e);
		if (!r) r = put_stack(&s->v[i], ret, e);
	}
	return r;
}

int stacks_print_text(const struct stacks *s, bool full, struct buf *ret, struct err *e)
{
	int r = buf_printf(ret, e, "pid %d (", s->snapshot->id.pid);

	if (!r) r = buf_puts_clean(ret, s->snapshot->id.comm, e);
	if (!r) r = buf_printf(ret, e, "), %zu thread%s\n", s->count, s->count == 1 ? "" : "s");
	if (!r && s->unnamed) r = buf_puts(ret, "managed methods have no names: ", e);
	if (!r && s->unnamed) r = buf_puts_clean(ret, s->unnamed, e);
	if (!r && s->unnamed) r = buf_puts(ret, "\n", e);
	if (r) return r;
	return full ? put_each(s, ret, e) : put_folded(s, ret, e);
}
