#include "dumpers/snapshot/live_foreign.h"
#include "base/search.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int add(struct live *l, uint64_t start, uint64_t end, const uint8_t *copy, struct err *e)
{
	struct foreign *grown;

	if (l->foreign_count == FOREIGN_MAX)
		return err_set(e, ERR_UNSUPPORTED, "more than %d ranges are kept out of its forks",
			       FOREIGN_MAX);
	grown = reallocarray(l->foreign, l->foreign_count + 1, sizeof(*grown));
	if (!grown) return err_set(e, ERR_NO_MEMORY, "memory that is kept out of forks");
	l->foreign = grown;
	l->foreign[l->foreign_count++] = (struct foreign){start, end, copy};
	return 0;
}

int live_foreign_add_running(struct live *l, uint64_t start, uint64_t end, struct err *e)
{
	return add(l, start, end, NULL, e);
}

static int compare(const void *a, const void *b)
{
	const struct foreign *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

void live_foreign_sort(struct live *l)
{
	if (l->foreign_count) qsort(l->foreign, l->foreign_count, sizeof(*l->foreign), compare);
}

const struct foreign *live_foreign_find(const struct live *l, uint64_t addr, uint64_t *ret_next)
{
	size_t i = FIRST_ABOVE(l->foreign, l->foreign_count, end, addr);

	*ret_next = i < l->foreign_count ? l->foreign[i].start : UINT64_MAX;
	if (i == l->foreign_count || l->foreign[i].start > addr) return NULL;
	*ret_next = i + 1 < l->foreign_count ? l->foreign[i + 1].start : UINT64_MAX;
	return &l->foreign[i];
}

/* --- copies --- */

enum { COPIES_MAX = FOREIGN_KEPT_MAX + FOREIGN_SHARED_MAX };

void live_foreign_prepare(struct live *l, uint64_t shared_bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *copies = mmap(NULL, COPIES_MAX, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (copies == MAP_FAILED) return;
	l->copies = copies;
	l->shared_bytes = MIN(shared_bytes, FOREIGN_SHARED_MAX);
	memset(l->copies, 0, l->shared_bytes);
}

void live_foreign_done(struct live *l)
{
	free(l->foreign);
	if (l->copies) munmap(l->copies, COPIES_MAX);
}

/* [start, end) of the target, which stands. No bytes is fine: device memory, say, has none for
 * anybody. */
static int copy(struct live *l, uint64_t start, uint64_t end, struct err *e)
{
	size_t len = (size_t)(end - start);
	uint8_t *bytes;

	if (!l->copies) return err_set(e, ERR_NO_MEMORY, "memory that is kept out of forks");
	bytes = l->copies + l->copies_used;
	if (pread(l->target_mem_fd, bytes, len, (off_t)start) != (ssize_t)len) return 0;
	l->copies_used += len;
	return add(l, start, end, bytes, e);
}

/* --- what forks lack --- */

static int copy_map(struct live *l, const struct map *map, struct err *e)
{
	int r = 0;

	for (uint64_t at = map->start; !r && at < map->end;) {
		uint64_t end;
		enum mem_state state = live_page_state(l, map, at, &end);

		if ((state == MEM_BYTES || state == MEM_FILE) &&
		    end - at > FOREIGN_KEPT_MAX - l->copies_used)
			return err_set(e, ERR_UNSUPPORTED,
				       "more than %d MiB are kept out of its forks (MADV_DONTFORK)",
				       FOREIGN_KEPT_MAX >> 20);
		if (state == MEM_BYTES || state == MEM_FILE) r = copy(l, at, end, e);
		at = end;
	}
	return r;
}

int live_foreign_keep_unforked(struct live *l, struct err *e)
{
	_cleanup_maps_ struct maps childs = {0};
	int r = live_read_maps(l, &l->base.maps, e);

	if (!r) r = live_read_maps_of(l, l->child, &childs, e);
	for (size_t i = 0; !r && i < l->base.maps.count; i++) {
		const struct map *map = &l->base.maps.v[i];

		if (maps_find(&childs, map->start) || live_map_unreadable(map)) continue;
		r = copy_map(l, map, e);
	}
	return r;
}

/* --- small shared memory --- */

static bool is_small_shared(const struct map *map)
{
	return map->shared && map_is_memory(map) && map->prot && !live_map_unreadable(map) &&
	       map->end - map->start <= FOREIGN_SHARED_MAP_MAX;
}

uint64_t live_foreign_shared_bytes(struct live *l)
{
	_cleanup_maps_ struct maps maps = {0};
	uint64_t bytes = 0;

	if (live_read_maps(l, &maps, NULL)) return 0;
	for (size_t i = 0; i < maps.count && bytes < FOREIGN_SHARED_MAX; i++)
		if (is_small_shared(&maps.v[i])) bytes += maps.v[i].end - maps.v[i].start;
	return MIN(bytes, FOREIGN_SHARED_MAX);
}

/* Pages that the target has itself: reading others would make it allocate them. */
static int copy_touched(struct live *l, const struct map *map, uint64_t *room, struct err *e)
{
	uint64_t end;
	int r = 0;

	for (uint64_t at = map->start; !r && at < map->end; at = end) {
		if (!live_page_touched(l, map, at, &end)) continue;
		if (end - at > *room) return 0;
		*room -= end - at;
		r = copy(l, at, end, e);
	}
	return r;
}

int live_foreign_keep_shared(struct live *l, struct err *e)
{
	uint64_t room = l->shared_bytes;
	int r = 0;

	for (size_t i = 0; !r && i < l->base.maps.count; i++) {
		if (l->foreign_count > FOREIGN_MAX / 2) break;
		if (is_small_shared(&l->base.maps.v[i]))
			r = copy_touched(l, &l->base.maps.v[i], &room, e);
	}
	return r;
}
