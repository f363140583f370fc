#include "base/buf.h"
#include "base/json.h"
#include "dumpers/locks/lock_graph.h"

/* --- order --- */

/* Of the locks by most waiters, then by address; of each one's waiters by tid. */
struct order {
	size_t *locks;
	size_t *waiters; /* threads that wait for a known lock, by that lock's index, then tid */
	size_t waiter_count;
};

static void order_done(struct order *o)
{
	free(o->locks);
	free(o->waiters);
}

static int compare_locks(const void *a, const void *b, void *ctx)
{
	const struct lock_graph *g = ctx;
	const struct lock *x = &g->locks[*(const size_t *)a], *y = &g->locks[*(const size_t *)b];
	if (x->waiting != y->waiting) return x->waiting > y->waiting ? -1 : 1;
	return x->address < y->address ? -1 : x->address > y->address;
}

static int compare_waiters(const void *a, const void *b, void *ctx)
{
	const struct lock_graph *g = ctx;
	const struct lock_thread *x = &g->threads[*(const size_t *)a];
	const struct lock_thread *y = &g->threads[*(const size_t *)b];
	if (x->waits_for != y->waits_for) return x->waits_for < y->waits_for ? -1 : 1;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

static int order_init(const struct lock_graph *g, struct order *o, struct err *e)
{
	*o = (struct order){.locks = calloc(g->lock_count + 1, sizeof(*o->locks)),
			    .waiters = calloc(g->thread_count + 1, sizeof(*o->waiters))};
	if (!o->locks || !o->waiters) return err_set(e, ERR_NO_MEMORY, "no memory for locks");
	for (size_t i = 0; i < g->lock_count; i++)
		o->locks[i] = i;
	for (size_t i = 0; i < g->thread_count; i++) {
		if (g->threads[i].waits && g->threads[i].waits_for < g->lock_count)
			o->waiters[o->waiter_count++] = i;
	}
	qsort_r(o->locks, g->lock_count, sizeof(*o->locks), compare_locks, (void *)g);
	qsort_r(o->waiters, o->waiter_count, sizeof(*o->waiters), compare_waiters, (void *)g);
	return 0;
}

/* The first of a lock's waiters in the order; those of the same lock follow. */
static size_t first_waiter(const struct lock_graph *g, const struct order *o, size_t lock)
{
	size_t low = 0, high = o->waiter_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (g->threads[o->waiters[middle]].waits_for < lock)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool waits_for(const struct lock_graph *g, const struct order *o, size_t i, size_t lock)
{
	return i < o->waiter_count && g->threads[o->waiters[i]].waits_for == lock;
}

/* --- text --- */

static int put_thread(const struct lock_graph *g, size_t index, struct buf *ret, struct err *e)
{
	const struct lock_thread *t = &g->threads[index];
	int r = t->tid ? buf_printf(ret, e, "%u", t->tid) : buf_puts(ret, "a thread that ended", e);
	if (!r && t->name) r = buf_puts(ret, " \"", e);
	if (!r && t->name) r = buf_puts_clean(ret, t->name, e);
	if (!r && t->name) r = buf_puts(ret, "\"", e);
	return r || !t->managed ? r : buf_printf(ret, e, " (managed %u)", t->managed);
}

static int put_lock(const struct lock *l, struct buf *ret, struct err *e)
{
	int r = buf_puts_clean(ret, l->type ? l->type : "??", e);
	return r ? r : buf_printf(ret, e, " @0x%llx", (unsigned long long)l->address);
}

/* What the thread before it in the circle waits for. */
static const struct lock *lock_of(const struct lock_graph *g, const struct lock_cycle *c, size_t i)
{
	size_t before = c->threads[(i + c->count - 1) % c->count];
	return &g->locks[g->threads[before].waits_for];
}

static int put_cycle(const struct lock_graph *g, const struct lock_cycle *c, struct buf *ret,
		     struct err *e)
{
	int r = 0;
	for (size_t i = 0; !r && i < c->count; i++) {
		r = buf_puts(ret, i ? "          " : "deadlock: ", e);
		if (!r) r = put_thread(g, c->threads[i], ret, e);
		if (!r) r = buf_puts(ret, " holds ", e);
		if (!r) r = put_lock(lock_of(g, c, i), ret, e);
		if (!r) r = buf_puts(ret, ", waits for ", e);
		if (!r) r = put_lock(lock_of(g, c, i + 1), ret, e);
		if (!r) r = buf_puts(ret, " held by ", e);
		if (!r) r = put_thread(g, c->threads[(i + 1) % c->count], ret, e);
		if (!r) r = buf_puts(ret, "\n", e);
	}
	return r ? r : buf_puts(ret, "\n", e);
}

static int put_owner(const struct lock_graph *g, const struct lock *l, struct buf *ret,
		     struct err *e)
{
	if (!l->held) return buf_puts(ret, " is free", e);
	if (l->owner >= g->thread_count) return buf_puts(ret, " is held, owner not recorded", e);
	int r = buf_puts(ret, " is held by ", e);
	if (!r) r = put_thread(g, l->owner, ret, e);
	if (r || l->times < 2) return r;
	return buf_printf(ret, e, ", entered %llu times", (unsigned long long)l->times);
}

static int put_waiters(const struct lock_graph *g, const struct order *o, size_t lock,
		       struct buf *ret, struct err *e)
{
	uint64_t known = 0;
	int r = 0;
	for (size_t i = first_waiter(g, o, lock); !r && waits_for(g, o, i, lock); i++, known++) {
		r = buf_puts(ret, "  waits: ", e);
		if (!r) r = put_thread(g, o->waiters[i], ret, e);
		if (!r) r = buf_puts(ret, "\n", e);
	}
	if (r || g->locks[lock].waiting <= known) return r;
	return buf_printf(ret, e, "  waits: %llu more, not known who\n",
			  (unsigned long long)(g->locks[lock].waiting - known));
}

static int put_locks(const struct lock_graph *g, struct buf *ret, struct err *e)
{
	struct order o;
	int r = order_init(g, &o, e);
	for (size_t i = 0; !r && i < g->lock_count; i++) {
		const struct lock *l = &g->locks[o.locks[i]];
		r = buf_printf(ret, e, "%s ", l->kind);
		if (!r) r = put_lock(l, ret, e);
		if (!r) r = put_owner(g, l, ret, e);
		if (!r) r = buf_puts(ret, "\n", e);
		if (!r) r = put_waiters(g, &o, o.locks[i], ret, e);
	}
	order_done(&o);
	return r || g->lock_count ? r : buf_puts(ret, "no lock is held\n", e);
}

static bool waits_for_unknown(const struct lock_graph *g, size_t thread)
{
	return g->threads[thread].waits && g->threads[thread].waits_for >= g->lock_count;
}

int lock_graph_text(const struct lock_graph *g, struct buf *ret, struct err *e)
{
	_cleanup_lock_cycles_ struct lock_cycles cycles = {0};
	int r = lock_graph_cycles(g, &cycles, e);
	for (size_t i = 0; !r && i < cycles.count; i++)
		r = put_cycle(g, &cycles.v[i], ret, e);
	if (!r) r = put_locks(g, ret, e);
	for (size_t i = 0; !r && i < g->thread_count; i++) {
		if (!waits_for_unknown(g, i)) continue;
		r = put_thread(g, i, ret, e);
		if (!r) r = buf_puts(ret, " waits, object not known\n", e);
	}
	return r;
}

/* --- JSON --- */

static void json_thread(struct json *j, const struct lock_graph *g, size_t index)
{
	const struct lock_thread *t = &g->threads[index];
	json_object(j);
	json_kv_uint(j, "tid", t->tid);
	if (t->managed) json_kv_uint(j, "managed", t->managed);
	json_kv_string(j, "name", t->name);
	json_object_end(j);
}

static void json_cycle(struct json *j, const struct lock_graph *g, const struct lock_cycle *c)
{
	json_array(j);
	for (size_t i = 0; i < c->count; i++) {
		json_object(j);
		json_key(j, "thread");
		json_thread(j, g, c->threads[i]);
		json_kv_hex(j, "holds", lock_of(g, c, i)->address);
		json_kv_hex(j, "waits_for", lock_of(g, c, i + 1)->address);
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_lock(struct json *j, const struct lock_graph *g, const struct order *o,
		      size_t index)
{
	const struct lock *l = &g->locks[index];
	json_object(j);
	json_kv_string(j, "kind", l->kind);
	json_kv_string(j, "type", l->type);
	json_kv_hex(j, "address", l->address);
	json_kv_bool(j, "held", l->held);
	json_key(j, "owner");
	if (l->held && l->owner < g->thread_count)
		json_thread(j, g, l->owner);
	else
		json_null(j);
	json_kv_uint(j, "times", l->times);
	json_kv_uint(j, "waiting", l->waiting);
	json_key(j, "waiters");
	json_array(j);
	for (size_t i = first_waiter(g, o, index); waits_for(g, o, i, index); i++)
		json_thread(j, g, o->waiters[i]);
	json_array_end(j);
	json_object_end(j);
}

int lock_graph_json(const struct lock_graph *g, struct json *j, struct err *e)
{
	_cleanup_lock_cycles_ struct lock_cycles cycles = {0};
	struct order o = {0};
	int r = lock_graph_cycles(g, &cycles, e);
	if (!r) r = order_init(g, &o, e);
	if (!r) {
		json_key(j, "deadlocks");
		json_array(j);
		for (size_t i = 0; i < cycles.count; i++)
			json_cycle(j, g, &cycles.v[i]);
		json_array_end(j);
		json_key(j, "locks");
		json_array(j);
		for (size_t i = 0; i < g->lock_count; i++)
			json_lock(j, g, &o, o.locks[i]);
		json_array_end(j);
		json_key(j, "waits_not_known");
		json_array(j);
		for (size_t i = 0; i < g->thread_count; i++) {
			if (waits_for_unknown(g, i)) json_thread(j, g, i);
		}
		json_array_end(j);
	}
	order_done(&o);
	return r;
}
