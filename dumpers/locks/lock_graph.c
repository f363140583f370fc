#include "dumpers/locks/lock_graph.h"

#include <string.h>

void lock_graph_done(struct lock_graph *g)
{
	for (size_t i = 0; i < g->thread_count; i++)
		free((char *)g->threads[i].name);
	for (size_t i = 0; i < g->lock_count; i++)
		free((char *)g->locks[i].type);
	free(g->threads);
	free(g->locks);
	*g = (struct lock_graph){0};
}

void lock_cycles_done(struct lock_cycles *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->v[i].threads);
	free(c->v);
	*c = (struct lock_cycles){0};
}

/* Room for one more in an array that doubles. */
static int grow(void **v, size_t count, size_t max, size_t size, const char *what, struct err *e)
{
	if (count == max) return err_set(e, ERR_LIMIT, "more than %zu %s", max, what);
	if (count & (count - 1)) return 0;
	void *grown = reallocarray(*v, count ? 2 * count : 1, size);
	if (!grown) return err_set(e, ERR_NO_MEMORY, "no memory for locks");
	*v = grown;
	return 0;
}

static int copy_text(const char *text, const char **ret, struct err *e)
{
	*ret = text ? strdup(text) : NULL;
	return *ret || !text ? 0 : err_set(e, ERR_NO_MEMORY, "no memory for locks");
}

int lock_graph_add_thread(struct lock_graph *g, const struct lock_thread *t, size_t *ret,
			  struct err *e)
{
	struct lock_thread copy = *t;
	int r = grow((void **)&g->threads, g->thread_count, LOCK_THREADS_MAX, sizeof(*g->threads),
		     "threads", e);
	if (!r) r = copy_text(t->name, &copy.name, e);
	if (r) return r;
	if (ret) *ret = g->thread_count;
	g->threads[g->thread_count++] = copy;
	return 0;
}

int lock_graph_add_lock(struct lock_graph *g, const struct lock *l, size_t *ret, struct err *e)
{
	struct lock copy = *l;
	int r = grow((void **)&g->locks, g->lock_count, LOCKS_MAX, sizeof(*g->locks), "locks", e);
	if (!r) r = copy_text(l->type, &copy.type, e);
	if (r) return r;
	if (ret) *ret = g->lock_count;
	g->locks[g->lock_count++] = copy;
	return 0;
}

/* Whom the thread waits for: it can be one alone. */
static size_t next_of(const struct lock_graph *g, size_t thread)
{
	const struct lock_thread *t = &g->threads[thread];
	if (!t->waits || t->waits_for >= g->lock_count) return LOCK_NONE;
	const struct lock *l = &g->locks[t->waits_for];
	return l->held && l->owner < g->thread_count ? l->owner : LOCK_NONE;
}

/* Turns it so that the lowest tid comes first. */
static void turn(const struct lock_graph *g, struct lock_cycle *c, size_t start)
{
	size_t first = start;
	for (size_t at = next_of(g, start); at != start; at = next_of(g, at)) {
		if (g->threads[at].tid < g->threads[first].tid) first = at;
	}
	for (size_t i = 0; i < c->count; i++, first = next_of(g, first))
		c->threads[i] = first;
}

static int add_cycle(const struct lock_graph *g, size_t start, struct lock_cycles *ret,
		     struct err *e)
{
	struct lock_cycle c = {.count = 1};
	for (size_t at = next_of(g, start); at != start; at = next_of(g, at))
		c.count++;
	int r =
	    grow((void **)&ret->v, ret->count, LOCK_THREADS_MAX, sizeof(*ret->v), "deadlocks", e);
	if (r) return r;
	c.threads = calloc(c.count, sizeof(*c.threads));
	if (!c.threads) return err_set(e, ERR_NO_MEMORY, "no memory for locks");
	turn(g, &c, start);
	ret->v[ret->count++] = c;
	return 0;
}

int lock_graph_cycles(const struct lock_graph *g, struct lock_cycles *ret, struct err *e)
{
	/* In which walk a thread was met: 0 in none. */
	_cleanup_free_ size_t *met = calloc(g->thread_count + 1, sizeof(*met));
	struct lock_cycles cycles = {0};
	int r = met ? 0 : err_set(e, ERR_NO_MEMORY, "no memory for locks");
	for (size_t i = 0; !r && i < g->thread_count; i++) {
		size_t at = i;
		while (at != LOCK_NONE && !met[at]) {
			met[at] = i + 1;
			at = next_of(g, at);
		}
		if (at != LOCK_NONE && met[at] == i + 1) r = add_cycle(g, at, &cycles, e);
	}
	if (r)
		lock_cycles_done(&cycles);
	else
		*ret = cycles;
	return r;
}
