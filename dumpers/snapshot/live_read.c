/*
 * Memory by pread of /proc/PID/mem: works under seccomp profiles that forbid process_vm_readv, and
 * on pages that are not readable to the target itself.
 */
#include "dumpers/snapshot/live_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096 };

/* len, but not beyond end. */
static size_t clip(uint64_t addr, size_t len, uint64_t end)
{
	return (size_t)MIN((uint64_t)len, end - addr);
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
	do {
		n = pread(l->mem_fd, data, len, (off_t)addr);
	} while (n < 0 && errno == EINTR);
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
	uint64_t state_end;

	/* Looking at pages is work on the snapshot too. */
	atomic_fetch_add(&l->progress, 1);
	if (!map) {
		*state = MEM_UNMAPPED;
		return MIN(end, snapshot_map_above(s, addr));
	}
	*state = live_page_state(l, map, addr, &state_end);
	return MIN(end, state_end);
}

static void live_free(struct snapshot *s)
{
	struct live *l = (struct live *)s;

	snapshot_live_release(s);
	if (l->has_tracer) pthread_join(l->tracer, NULL);
	for (size_t i = 0; i < l->tracee_count; i++)
		free(l->tracees[i].facts.xstate);
	free(l->tracees);
	free(l->known);
	free(l->xstate_buf);
	live_pages_done(l);
	close_fd(&l->shared.fd);
	close_fd(&l->mem_fd);
	close_fd(&l->pagemap_fd);
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
    .free = live_free,
};
