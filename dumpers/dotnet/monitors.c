#include "dumpers/dotnet/monitors.h"

#include "dumpers/dotnet/dotnet_internal.h"
#include "dumpers/dotnet/threads.h"

static const char kind[] = "monitor";

struct monitors {
	struct dotnet *d;
	struct lock_graph *g; /* its threads are those of `threads`, in the same order */
	struct dotnet_threads threads;
	size_t *by_address; /* indexes of threads, ascending by the runtime's own thread */
	struct dac_wire_sync_block *blocks; /* the locks of g but for thin ones, in the same order:
					       ascending by object */
	size_t block_count;
};

static void monitors_done(struct monitors *m)
{
	dotnet_threads_done(&m->threads);
	free(m->by_address);
	free(m->blocks);
}

/* --- thin locks --- */

enum {
	HEADER_IS_INDEX_OR_HASH = 0x08000000,
	HEADER_IS_SPINNING = 0x10000000,
	ID_SMALL = 0x3ff, /* 10 bits of id and 6 of recursion, or, since .NET 8, 16 and 6 */
	ID_LARGE = 0xffff,
	RECURSION = 0x3f,
	SMALL_SHIFT = 10,
	LARGE_SHIFT = 16,
};

bool thin_lock_parse(uint32_t word, thin_lock_thread_fn is_thread, void *ctx, struct thin_lock *ret)
{
	uint32_t small = word & ID_SMALL, large = word & ID_LARGE;
	uint32_t small_times = (word >> SMALL_SHIFT & RECURSION) + 1;
	uint32_t large_times = (word >> LARGE_SHIFT & RECURSION) + 1;
	*ret = (struct thin_lock){0};
	if (word & (HEADER_IS_INDEX_OR_HASH | HEADER_IS_SPINNING) || !large) return false;
	bool small_fits = small && large_times == 1 && is_thread(ctx, small);
	bool large_fits = is_thread(ctx, large);
	if (small == large && large_fits)
		*ret = (struct thin_lock){large, large_times, true};
	else if (small_fits && !large_fits)
		*ret = (struct thin_lock){small, small_times, true};
	else if (large_fits && !small_fits)
		*ret = (struct thin_lock){large, large_times, true};
	return true;
}

static size_t thread_by_id(const struct monitors *m, uint32_t id)
{
	size_t low = 0, high = m->threads.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (m->threads.v[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < m->threads.count && m->threads.v[low].id == id ? low : LOCK_NONE;
}

static bool is_thread(void *ctx, uint32_t id)
{
	return thread_by_id(ctx, id) != LOCK_NONE;
}

static int take_thin_lock(void *ctx, const struct dotnet_object *object, struct err *e)
{
	struct monitors *m = ctx;
	struct thin_lock thin;
	uint32_t word;
	if (object->type->is_free ||
	    dotnet_read(m->d, object->address - sizeof(word), &word, sizeof(word), NULL) ||
	    !thin_lock_parse(word, is_thread, m, &thin))
		return 0;
	const struct lock lock = {.kind = kind,
				  .type = object->type->name,
				  .address = object->address,
				  .held = true,
				  .owner = thin.is_sure ? thread_by_id(m, thin.id) : LOCK_NONE,
				  .times = thin.times};
	return lock_graph_add_lock(m->g, &lock, NULL, e);
}

static int take_thin_locks(struct monitors *m, struct dotnet_walk_loss *ret_loss, struct err *e)
{
	struct dotnet_heap heap = {0};
	int r = dotnet_heap_read(m->d, &heap, e);
	if (!r) r = dotnet_walk(m->d, &heap, take_thin_lock, m, ret_loss, e);
	dotnet_heap_done(&heap);
	return r;
}

/* --- threads and sync blocks --- */

static int compare_addresses(const void *a, const void *b, void *ctx)
{
	const struct dotnet_thread *threads = ctx;
	uint64_t x = threads[*(const size_t *)a].address, y = threads[*(const size_t *)b].address;
	return x < y ? -1 : x > y;
}

static int take_threads(struct monitors *m, struct err *e)
{
	int r = dotnet_threads_read(m->d, &m->threads, e);
	if (r) return r;
	m->by_address = calloc(m->threads.count + 1, sizeof(*m->by_address));
	if (!m->by_address) return err_set(e, ERR_NO_MEMORY, "no memory for locks");
	for (size_t i = 0; !r && i < m->threads.count; i++) {
		const struct dotnet_thread *t = &m->threads.v[i];
		const struct lock_thread thread = {
		    .tid = t->os_id, .managed = t->id, .name = t->name, .waits_for = LOCK_NONE};
		m->by_address[i] = i;
		r = lock_graph_add_thread(m->g, &thread, NULL, e);
	}
	qsort_r(m->by_address, m->threads.count, sizeof(*m->by_address), compare_addresses,
		m->threads.v);
	return r;
}

static size_t thread_by_address(const struct monitors *m, uint64_t address)
{
	size_t low = 0, high = m->threads.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (m->threads.v[m->by_address[middle]].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == m->threads.count) return LOCK_NONE;
	size_t thread = m->by_address[low];
	return m->threads.v[thread].address == address ? thread : LOCK_NONE;
}

static int compare_blocks(const void *a, const void *b)
{
	const struct dac_wire_sync_block *x = a, *y = b;
	return x->object < y->object ? -1 : x->object > y->object;
}

static int take_sync_blocks(struct monitors *m, struct err *e)
{
	int r = dotnet_ask(m->d, DAC_ASK_SYNC_BLOCKS, 0, 0, e);
	if (r) return r;
	size_t count = m->d->answer.len / sizeof(*m->blocks);
	if (m->d->answer.len % sizeof(*m->blocks) || count > DAC_SYNC_BLOCKS_MAX)
		return err_set(e, ERR_CORRUPT, "the list of locks is cut");
	m->blocks = calloc(count + 1, sizeof(*m->blocks));
	if (!m->blocks) return err_set(e, ERR_NO_MEMORY, "no memory for locks");
	if (count) memcpy(m->blocks, m->d->answer.data, count * sizeof(*m->blocks));
	m->block_count = count;
	qsort(m->blocks, count, sizeof(*m->blocks), compare_blocks);
	return 0;
}

/* Of one that is neither held nor entered, threads are in Monitor.Wait alone. */
static int add_sync_blocks(struct monitors *m, struct err *e)
{
	size_t kept = 0;
	int r = 0;
	for (size_t i = 0; !r && i < m->block_count; i++) {
		const struct dac_wire_sync_block b = m->blocks[i];
		struct dotnet_type *type = NULL;
		if (!b.is_held && !b.entering) continue;
		r = dotnet_type_of(m->d, b.object, &type, e);
		if (r == -ERR_CORRUPT || r == -ERR_NOT_FOUND || r == -ERR_IO) r = 0;
		if (r) break;
		const struct lock lock = {.kind = kind,
					  .type = type ? type->name : NULL,
					  .address = b.object,
					  .held = b.is_held != 0,
					  .owner =
					      b.is_held ? thread_by_address(m, b.owner) : LOCK_NONE,
					  .times = b.is_held ? b.times : 0,
					  .waiting = b.entering};
		m->blocks[kept++] = b;
		r = lock_graph_add_lock(m->g, &lock, NULL, e);
	}
	m->block_count = kept;
	return r;
}

/* --- who waits --- */

/* Where a thread stands, as far as it tells what it waits for. */
enum standing { STANDS_ELSEWHERE, STANDS_IN_ENTER, STANDS_IN_RUNTIME };

/* The innermost method that has a name: the runtime's own marks need not have one. */
static int find_standing(struct monitors *m, const struct dotnet_frames *f, enum standing *ret,
			 struct err *e)
{
	static const char monitor[] = "System.Threading.Monitor.";
	*ret = f->count && !f->v[0].pc ? STANDS_IN_RUNTIME : STANDS_ELSEWHERE;
	for (size_t i = 0; i < f->count; i++) {
		_cleanup_buf_ struct buf name = BUF_INIT(4 * DAC_NAME_MAX);
		int r = dotnet_method_name(m->d, f->v[i].method, &name, e);
		if (r) return r;
		if (!name.len) continue;
		if (strncmp(name.data, monitor, sizeof(monitor) - 1) != 0) return 0;
		const char *end = strchr(name.data, '(');
		const char *enter = strstr(name.data + sizeof(monitor) - 1, "Enter");
		*ret = enter && (!end || enter < end) ? STANDS_IN_ENTER : STANDS_ELSEWHERE;
		return 0;
	}
	return 0;
}

static size_t lock_by_object(const struct monitors *m, uint64_t object)
{
	const struct dac_wire_sync_block key = {.object = object};
	const struct dac_wire_sync_block *found =
	    bsearch(&key, m->blocks, m->block_count, sizeof(key), compare_blocks);
	return found ? (size_t)(found - m->blocks) : LOCK_NONE;
}

/* The lock that others want, too, whose object the innermost mark of the runtime keeps alive. */
static int find_kept(struct monitors *m, uint32_t os_id, uint64_t mark, size_t *ret, struct err *e)
{
	*ret = LOCK_NONE;
	int r = dotnet_ask(m->d, DAC_ASK_STACK, os_id, 0, e);
	if (r == -ERR_CORRUPT) return 0;
	if (r) return r;
	for (size_t at = 0; at + sizeof(struct dac_wire_root) <= m->d->answer.len;
	     at += sizeof(struct dac_wire_root)) {
		struct dac_wire_root root;
		memcpy(&root, m->d->answer.data + at, sizeof(root));
		if (!root.in_frame || root.source != mark) continue;
		size_t lock = lock_by_object(m, root.object);
		if (lock == LOCK_NONE || !m->blocks[lock].entering) continue;
		*ret = lock;
		return 0;
	}
	return 0;
}

/* *ret_maybe: the lock that it waits for if it is in Monitor.Enter, which its frames do not say. */
static int find_wait(struct monitors *m, size_t thread, size_t *ret_maybe, struct err *e)
{
	struct lock_thread *t = &m->g->threads[thread];
	struct dotnet_frames frames = {0};
	enum standing standing = STANDS_ELSEWHERE;
	size_t lock = LOCK_NONE;
	*ret_maybe = LOCK_NONE;
	int r = t->tid ? dotnet_frames_read(m->d, t->tid, &frames, e) : 0;
	if (r) return r == -ERR_CORRUPT ? 0 : r;
	r = find_standing(m, &frames, &standing, e);
	if (!r && standing != STANDS_ELSEWHERE && frames.count && !frames.v[0].pc)
		r = find_kept(m, t->tid, frames.v[0].sp, &lock, e);
	dotnet_frames_done(&frames);
	if (r) return r;
	if (standing == STANDS_IN_RUNTIME) {
		*ret_maybe = lock;
	} else {
		t->waits = standing == STANDS_IN_ENTER;
		t->waits_for = lock;
	}
	return 0;
}

/* A lock counts who waits: as many as that must be among those who may. */
static void take_counted(struct monitors *m, const size_t *maybe, size_t *left)
{
	for (size_t i = 0; i < m->block_count; i++)
		left[i] = m->blocks[i].in_wait ? 0 : m->blocks[i].entering;
	for (size_t i = 0; i < m->threads.count; i++) {
		size_t lock = m->g->threads[i].waits ? m->g->threads[i].waits_for : maybe[i];
		if (lock == LOCK_NONE) continue;
		/* More than there can be: none of them is sure. */
		left[lock] = left[lock] ? left[lock] - 1 : LOCK_NONE;
	}
	for (size_t i = 0; i < m->threads.count; i++) {
		struct lock_thread *t = &m->g->threads[i];
		if (t->waits || maybe[i] == LOCK_NONE || left[maybe[i]] > UINT32_MAX) continue;
		t->waits = true;
		t->waits_for = maybe[i];
	}
}

static int find_waits(struct monitors *m, struct err *e)
{
	_cleanup_free_ size_t *maybe = calloc(m->threads.count + 1, sizeof(*maybe));
	_cleanup_free_ size_t *left = calloc(m->block_count + 1, sizeof(*left));
	int r = maybe && left ? 0 : err_set(e, ERR_NO_MEMORY, "no memory for locks");
	for (size_t i = 0; !r && i < m->threads.count; i++)
		r = find_wait(m, i, &maybe[i], e);
	if (!r) take_counted(m, maybe, left);
	return r;
}

static int read_monitors(struct monitors *m, struct dotnet_walk_loss *ret_loss, struct err *e)
{
	int r = take_threads(m, e);
	if (!r) r = take_sync_blocks(m, e);
	if (!r) r = add_sync_blocks(m, e);
	if (!r) r = find_waits(m, e);
	return r ? r : take_thin_locks(m, ret_loss, e);
}

int dotnet_monitors(struct dotnet *d, struct lock_graph *g, struct dotnet_walk_loss *ret_loss,
		    struct err *e)
{
	struct monitors m = {.d = d, .g = g};
	*ret_loss = (struct dotnet_walk_loss){0};
	if (g->thread_count || g->lock_count)
		return err_set(e, ERR_INTERNAL, "other locks come later");
	int r = read_monitors(&m, ret_loss, e);
	monitors_done(&m);
	return r;
}
