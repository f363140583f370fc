/*
 * Memory by pread of /proc/PID/mem: works under seccomp profiles that forbid process_vm_readv, and
 * on pages that are not readable to the target itself.
 */
#include "dumpers/snapshot/live_cow.h"
#include "dumpers/snapshot/live_foreign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096 };

/* len, but not beyond end. */
static size_t clip(uint64_t addr, size_t len, uint64_t end)
{
	return (size_t)MIN((uint64_t)len, end - addr);
}

/* From the child, or when it was given up or killed meanwhile, from the target. */
static ssize_t read_memory(struct live *l, void *data, size_t len, uint64_t addr)
{
	bool child;
	ssize_t n;

	do {
		child = atomic_load(&l->reads_child);
		n = pread(child ? l->child_mem_fd : l->target_mem_fd, data, len, (off_t)addr);
		/* An end of file: there is no memory any more. */
		if (child && n == 0) {
			atomic_store(&l->torn, true);
			atomic_store(&l->reads_child, false);
		}
	} while (n <= 0 && ((n < 0 && errno == EINTR) || child != atomic_load(&l->reads_child)));
	return n;
}

/* Memory that the child did not get. */
static ssize_t read_foreign(struct live *l, const struct foreign *f, void *data, size_t len,
			    uint64_t addr)
{
	if (!f->copy) return pread(l->target_mem_fd, data, len, (off_t)addr);
	memcpy(data, f->copy + (addr - f->start), len);
	return (ssize_t)len;
}

/*
 * Also untouched and file pages come as bytes: the kernel has them at hand, and what is captured
 * comes first.
 */
static size_t live_read(struct snapshot *s, uint64_t addr, void *data, size_t len,
			enum mem_state *state)
{
	struct live *l = (struct live *)s;
	const struct map *map = maps_find(&s->maps, addr);
	const struct foreign *foreign;
	uint64_t next;
	ssize_t n;

	if (map && live_map_unreadable(map)) {
		*state = MEM_NOT_CAPTURED;
		return clip(addr, len, map->end);
	}
	/* A running target may have mapped more than the list says. */
	if (!map && s->consistency != CONSISTENCY_RUNNING) {
		*state = MEM_UNMAPPED;
		return clip(addr, len, snapshot_map_above(s, addr));
	}
	if (map) len = clip(addr, len, map->end);
	foreign = live_foreign_find(l, addr, &next);
	len = clip(addr, len, foreign ? foreign->end : next);
	n = foreign ? read_foreign(l, foreign, data, len, addr) : read_memory(l, data, len, addr);
	if (n > 0) {
		atomic_fetch_add(&l->progress, 1);
		*state = MEM_BYTES;
		return (size_t)n;
	}
	*state = map ? MEM_ERROR : MEM_UNMAPPED;
	return clip(addr, len, align_down(addr, PAGE) + PAGE);
}

static uint64_t live_extent(struct snapshot *s, uint64_t addr, uint64_t end, enum mem_state *state)
{
	struct live *l = (struct live *)s;
	const struct map *map = maps_find(&s->maps, addr);
	const struct foreign *foreign;
	uint64_t state_end, next;

	/* Looking at pages is work on the snapshot too. */
	atomic_fetch_add(&l->progress, 1);
	if (!map) {
		*state = MEM_UNMAPPED;
		return MIN(end, snapshot_map_above(s, addr));
	}
	foreign = live_foreign_find(l, addr, &next);
	if (foreign) {
		*state = MEM_BYTES;
		return MIN(end, foreign->end);
	}
	*state = live_page_state(l, map, addr, &state_end);
	return MIN(MIN(end, next), state_end);
}

/* For the tracer thread, the only one that can make the child do something. */
static void live_forget(struct snapshot *s, uint64_t start, uint64_t end)
{
	struct live *l = (struct live *)s;

	if (!atomic_load(&l->reads_child)) return;
	pthread_mutex_lock(&l->lock);
	if (l->forget.count < FORGET_RANGES_MAX) range_list_add(&l->forget, start, end, NULL);
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
}

static void live_free(struct snapshot *s)
{
	struct live *l = (struct live *)s;

	snapshot_live_release(s);
	if (l->has_tracer) pthread_join(l->tracer, NULL);
	live_forget_threads(l);
	live_pages_done(l);
	close_fd(&l->shared.fd);
	live_foreign_done(l);
	free(l->inject_image);
	free(l->inject_saved);
	range_list_done(&l->forget);
	cgroup_meter_done(&l->meter);
	close_fd(&l->target_mem_fd);
	close_fd(&l->inject_mem_fd);
	close_fd(&l->child_mem_fd);
	close_fd(&l->target_pagemap_fd);
	close_fd(&l->child_pagemap_fd);
	close_fd(&l->task_fd);
	close_fd(&l->proc_fd);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->changed);
	snapshot_base_done(s);
	free(l);
}

const struct snapshot_ops live_ops = {
    .read = live_read,
    .extent = live_extent,
    .forget = live_forget,
    .free = live_free,
};
