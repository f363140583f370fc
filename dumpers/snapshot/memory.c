#include "dumpers/snapshot/memory.h"

#include "base/search.h"

#include <stdlib.h>
#include <string.h>

struct memory_snapshot {
	struct snapshot base;
	struct memory_range *ranges; /* data owned */
	size_t count;
};

/* The range or gap that holds addr: its state and end. */
static enum mem_state state_at(const struct memory_snapshot *m, uint64_t addr, uint64_t *ret_end,
			       const struct memory_range **ret_range)
{
	const struct map *map = maps_find(&m->base.maps, addr);
	size_t i = FIRST_ABOVE(m->ranges, m->count, end, addr);
	uint64_t end = i < m->count ? m->ranges[i].start : UINT64_MAX;

	*ret_range = NULL;
	if (i < m->count && end <= addr) {
		*ret_range = &m->ranges[i];
		*ret_end = m->ranges[i].end;
		return m->ranges[i].state;
	}
	*ret_end = MIN(end, map ? map->end : snapshot_map_above(&m->base, addr));
	return map ? MEM_NOT_CAPTURED : MEM_UNMAPPED;
}

static size_t memory_read(struct snapshot *s, uint64_t addr, void *data, size_t len,
			  enum mem_state *state)
{
	const struct memory_snapshot *m = (const struct memory_snapshot *)s;
	const struct memory_range *range;
	uint64_t end;
	size_t n;

	*state = state_at(m, addr, &end, &range);
	n = (size_t)MIN((uint64_t)len, end - addr);
	if (*state == MEM_BYTES)
		memcpy(data, (const uint8_t *)range->data + (addr - range->start), n);
	return n;
}

static uint64_t memory_extent(struct snapshot *s, uint64_t addr, uint64_t end,
			      enum mem_state *state)
{
	const struct memory_range *range;
	uint64_t range_end;

	*state = state_at((const struct memory_snapshot *)s, addr, &range_end, &range);
	return MIN(end, range_end);
}

static void memory_free(struct snapshot *s)
{
	struct memory_snapshot *m = (struct memory_snapshot *)s;

	for (size_t i = 0; i < m->count; i++)
		free((void *)(uintptr_t)m->ranges[i].data);
	free(m->ranges);
	snapshot_base_done(s);
	free(m);
}

static const struct snapshot_ops memory_ops = {
    .read = memory_read,
    .extent = memory_extent,
    .free = memory_free,
};

static int copy_ranges(struct memory_snapshot *m, const struct memory_range *ranges, size_t count,
		       struct err *e)
{
	m->ranges = calloc(count ? count : 1, sizeof(*m->ranges));
	if (!m->ranges) return err_set(e, ERR_NO_MEMORY, "memory snapshot: %zu ranges", count);
	for (size_t i = 0; i < count; i++) {
		const struct memory_range *r = &ranges[i];
		size_t len = (size_t)(r->end - r->start);
		void *copy;

		if (r->end <= r->start || (i > 0 && r->start < ranges[i - 1].end))
			return err_set(e, ERR_USAGE, "memory snapshot: range %zu is out of order",
				       i);
		m->ranges[i] = *r;
		m->ranges[i].data = NULL;
		m->count = i + 1;
		if (r->state != MEM_BYTES) continue;
		copy = malloc(len);
		if (!copy) return err_set(e, ERR_NO_MEMORY, "memory snapshot: %zu bytes", len);
		memcpy(copy, r->data, len);
		m->ranges[i].data = copy;
	}
	return 0;
}

static int copy_threads(struct snapshot *s, const struct snapshot_thread *threads, size_t count,
			struct err *e)
{
	s->threads = calloc(count ? count : 1, sizeof(*s->threads));
	if (!s->threads) return err_set(e, ERR_NO_MEMORY, "memory snapshot: %zu threads", count);
	for (size_t i = 0; i < count; i++) {
		struct snapshot_thread *t = &s->threads[i];

		*t = threads[i];
		t->xstate = NULL;
		s->thread_count = i + 1;
		if (!threads[i].xstate_len) continue;
		t->xstate = malloc(t->xstate_len);
		if (!t->xstate) return err_set(e, ERR_NO_MEMORY, "memory snapshot: registers");
		memcpy(t->xstate, threads[i].xstate, t->xstate_len);
	}
	return 0;
}

int snapshot_open_memory(const char *maps_text, const struct memory_range *ranges, size_t count,
			 const struct snapshot_thread *threads, size_t thread_count,
			 struct snapshot **ret, struct err *e)
{
	struct memory_snapshot *m = calloc(1, sizeof(*m));
	int r;

	if (!m) return err_set(e, ERR_NO_MEMORY, "memory snapshot");
	m->base.ops = &memory_ops;
	m->base.consistency = CONSISTENCY_STOPPED;
	m->base.e_machine = EM_X86_64;
	m->base.elf_class = ELFCLASS64;
	r = maps_parse(maps_text, strlen(maps_text), &m->base.maps, e);
	if (!r) r = copy_ranges(m, ranges, count, e);
	if (!r) r = copy_threads(&m->base, threads, thread_count, e);
	if (r) {
		memory_free(&m->base);
		return r;
	}
	if (thread_count) m->base.id.pid = threads[0].tid;
	snapshot_sort_threads(&m->base);
	*ret = &m->base;
	return 0;
}
