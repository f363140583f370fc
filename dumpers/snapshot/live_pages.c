/*
 * Which pages of a map hold something of their own. PAGEMAP_SCAN (linux/fs.h, kernel 6.7) skips
 * what was never touched in steps of a page table, where /proc/PID/pagemap has 8 bytes for each
 * page (Documentation/admin-guide/mm/pagemap.rst): the .NET runtime reserves 256 GiB, so that
 * matters.
 */
#include "dumpers/snapshot/live_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

enum { PAGE = 4096, WORDS = 32768 };

/* What the pages of a map mean. */
enum map_kind {
	KIND_BYTES,      /* all pages count: shared memory that no file keeps, the vdso */
	KIND_ANONYMOUS,  /* private, no file: an untouched page reads as zeros */
	KIND_FILE,       /* private over a file: only pages that were written differ from it */
	KIND_FILE_ONLY,  /* shared with a file that keeps it */
	KIND_UNREADABLE, /* device memory, the kernel's clock pages */
};

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_device(const struct map *map)
{
	if (starts_with(map->name, "anon_inode:")) return true;
	return starts_with(map->name, "/dev/") && !map_is_memory(map) &&
	       !starts_with(map->name, "/dev/mqueue/");
}

static enum map_kind kind_of(const struct map *map)
{
	if (starts_with(map->name, "[vvar") || strcmp(map->name, "[vsyscall]") == 0)
		return KIND_UNREADABLE;
	if (strcmp(map->name, "[vdso]") == 0) return KIND_BYTES;
	if (is_device(map)) return KIND_UNREADABLE;
	if (map->shared)
		return map->inode == 0 || map->deleted || map_is_memory(map) ? KIND_BYTES
									     : KIND_FILE_ONLY;
	if (map->inode == 0 || strcmp(map->name, "/dev/zero") == 0 ||
	    starts_with(map->name, "/anon_hugepage"))
		return KIND_ANONYMOUS;
	return map_is_memory(map) ? KIND_BYTES : KIND_FILE;
}

bool live_map_unreadable(const struct map *map)
{
	return kind_of(map) == KIND_UNREADABLE;
}

/* A page's own properties, whichever interface told them; 0: never touched. */
enum { BIT_PRESENT = 1, BIT_SWAPPED = 2, BIT_FILE = 4, BIT_ZERO = 8, BIT_GUARD = 16 };

static enum mem_state state_of(enum map_kind kind, uint8_t bits)
{
	/* A guard page faults in the target too. */
	if (bits & BIT_GUARD) return MEM_NOT_CAPTURED;
	if (bits & BIT_SWAPPED) return MEM_BYTES;
	if (!(bits & BIT_PRESENT)) return kind == KIND_FILE ? MEM_FILE : MEM_ZERO;
	if (kind == KIND_FILE && bits & BIT_FILE) return MEM_FILE;
	return bits & BIT_ZERO ? MEM_ZERO : MEM_BYTES;
}

/* False when the cache is full. */
static bool add_extent(struct page_cache *c, uint64_t start, uint64_t end, uint8_t bits)
{
	struct page_extent *last = c->count ? &c->extents[c->count - 1] : NULL;

	if (start >= end) return true;
	if (last && last->end == start && last->bits == bits) {
		last->end = end;
		return true;
	}
	if (c->count == PAGE_EXTENTS_MAX) return false;
	c->extents[c->count++] = (struct page_extent){start, end, bits};
	return true;
}

/* linux/fs.h of 6.7; Debian 12's header is older. */
struct scan_region {
	uint64_t start, end, categories;
};
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)
enum {
	SCAN_FILE = 1 << 2,
	SCAN_PRESENT = 1 << 3,
	SCAN_SWAPPED = 1 << 4,
	SCAN_ZERO = 1 << 5,
	SCAN_GUARD = 1 << 8, /* kernel 6.15 */
};

static long scan_ioctl(struct live *l, uint64_t start, uint64_t end, struct scan_arg *arg)
{
	/* An older kernel refuses a mask with a bit it does not know. */
	static const uint64_t masks[] = {
	    SCAN_FILE | SCAN_PRESENT | SCAN_SWAPPED | SCAN_ZERO | SCAN_GUARD,
	    SCAN_FILE | SCAN_PRESENT | SCAN_SWAPPED | SCAN_ZERO,
	};
	long n = -1;

	for (size_t i = 0; i < ARRAY_SIZE(masks) && n < 0; i++) {
		*arg = (struct scan_arg){
		    .size = sizeof(*arg),
		    .start = start,
		    .end = end,
		    .vec = (uint64_t)(uintptr_t)l->pages.words,
		    .vec_len = PAGE_EXTENTS_MAX / 2,
		    .category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		    .return_mask = masks[i],
		};
		n = ioctl(l->pagemap_fd, SCAN_IOCTL, arg);
	}
	return n;
}

static uint8_t bits_of_scan(uint64_t categories)
{
	return (categories & SCAN_PRESENT ? BIT_PRESENT : 0) |
	       (categories & SCAN_SWAPPED ? BIT_SWAPPED : 0) |
	       (categories & SCAN_FILE ? BIT_FILE : 0) | (categories & SCAN_ZERO ? BIT_ZERO : 0) |
	       (categories & SCAN_GUARD ? BIT_GUARD : 0);
}

/* The end of what the target itself has mapped; the vsyscall page lies in the kernel's half. */
static uint64_t end_of_maps(const struct maps *maps)
{
	size_t i = maps->count;

	while (i > 0 && maps->v[i - 1].end > INT64_MAX)
		i--;
	return i ? maps->v[i - 1].end : 0;
}

/* From start on over as many maps as fit: a process of 1,000 threads has 2,000 small ones. */
static bool fill_by_scan(struct live *l, uint64_t start)
{
	struct page_cache *c = &l->pages;
	const struct scan_region *regions = (const struct scan_region *)c->words;
	uint64_t at = start, end = end_of_maps(&l->base.maps);
	struct scan_arg arg;
	long n = start < end ? scan_ioctl(l, start, end, &arg) : -1;

	if (n < 0 || arg.walk_end <= start || arg.walk_end > end) return false;
	c->count = 0;
	for (long i = 0; i < n; i++) {
		if (regions[i].start < at || regions[i].end > end) return false;
		add_extent(c, at, regions[i].start, 0);
		add_extent(c, regions[i].start, regions[i].end,
			   bits_of_scan(regions[i].categories));
		at = regions[i].end;
	}
	add_extent(c, at, arg.walk_end, 0);
	return true;
}

static bool fill_by_pagemap(struct live *l, uint64_t start, uint64_t end)
{
	struct page_cache *c = &l->pages;
	size_t want = (size_t)MIN((end - start) / PAGE, (uint64_t)WORDS);
	ssize_t n = pread(l->pagemap_fd, c->words, want * 8, (off_t)(start / PAGE * 8));

	if (n < 8) return false;
	c->count = 0;
	for (size_t i = 0; i < (size_t)n / 8; i++) {
		uint64_t word = c->words[i], at = start + i * PAGE;
		uint8_t bits = (word >> 63 & 1 ? BIT_PRESENT : 0) |
			       (word >> 62 & 1 ? BIT_SWAPPED : 0) |
			       (word >> 61 & 1 ? BIT_FILE : 0) | (word >> 58 & 1 ? BIT_GUARD : 0);

		if (!add_extent(c, at, at + PAGE, bits)) break;
	}
	return true;
}

static const struct page_extent *find_cached(const struct page_cache *c, uint64_t addr)
{
	size_t low = 0, high = c->count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (c->extents[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low < c->count && c->extents[low].start <= addr ? &c->extents[low] : NULL;
}

static enum mem_state look(struct live *l, const struct map *map, enum map_kind kind, uint64_t addr,
			   uint64_t *ret_end)
{
	struct page_cache *c = &l->pages;
	uint64_t page = align_down(addr, PAGE);
	const struct page_extent *x;
	enum mem_state state;

	pthread_mutex_lock(&c->lock);
	x = find_cached(c, addr);
	if (!x) {
		bool filled = !c->no_scan && fill_by_scan(l, page);

		if (!filled) filled = fill_by_pagemap(l, page, map->end);
		if (!filled) c->count = 0;
		x = find_cached(c, addr);
	}
	*ret_end = x ? MIN(x->end, map->end) : map->end;
	/* Where the kernel does not tell, every page counts. */
	state = x ? state_of(kind, x->bits) : MEM_BYTES;
	pthread_mutex_unlock(&c->lock);
	return state;
}

/*
 * A private map of memory that allows no access, such as .NET 10 puts over an empty memfd: what is
 * not there as a page of its own may lie behind the end of that memory, where no read succeeds.
 */
static enum mem_state look_at_closed(struct live *l, const struct map *map, uint64_t addr,
				     uint64_t *ret_end)
{
	enum mem_state state = look(l, map, KIND_ANONYMOUS, addr, ret_end);

	return state == MEM_ZERO ? MEM_NOT_CAPTURED : state;
}

enum mem_state live_page_state(struct live *l, const struct map *map, uint64_t addr,
			       uint64_t *ret_end)
{
	enum map_kind kind = kind_of(map);

	*ret_end = map->end;
	switch (kind) {
	case KIND_BYTES:
		if (map->shared) return live_shared_state(l, map, addr, ret_end);
		if (map->prot == 0 && l->pagemap_fd >= 0)
			return look_at_closed(l, map, addr, ret_end);
		return MEM_BYTES;
	case KIND_UNREADABLE:
		return MEM_NOT_CAPTURED;
	case KIND_FILE_ONLY:
		return MEM_FILE;
	case KIND_ANONYMOUS:
	case KIND_FILE:
		break;
	}
	return l->pagemap_fd < 0 ? MEM_BYTES : look(l, map, kind, addr, ret_end);
}

bool live_page_touched(struct live *l, const struct map *map, uint64_t addr, uint64_t *ret_end)
{
	*ret_end = map->end;
	return l->pagemap_fd >= 0 && look(l, map, KIND_ANONYMOUS, addr, ret_end) == MEM_BYTES;
}

int live_pages_init(struct live *l, struct err *e)
{
	struct page_cache *c = &l->pages;
	struct scan_arg arg = {.size = sizeof(arg)};

	c->extents = calloc(PAGE_EXTENTS_MAX, sizeof(*c->extents));
	c->words =
	    malloc(MAX(WORDS * sizeof(*c->words), PAGE_EXTENTS_MAX * sizeof(struct scan_region)));
	if (!c->extents || !c->words) return err_set(e, ERR_NO_MEMORY, "the page cache");
	c->no_scan = l->pagemap_fd < 0 || ioctl(l->pagemap_fd, SCAN_IOCTL, &arg) < 0;
	return 0;
}

void live_pages_switch(struct live *l, int pagemap_fd)
{
	pthread_mutex_lock(&l->pages.lock);
	l->pagemap_fd = pagemap_fd;
	l->pages.count = 0;
	pthread_mutex_unlock(&l->pages.lock);
}

void live_pages_done(struct live *l)
{
	free(l->pages.extents);
	free(l->pages.words);
	pthread_mutex_destroy(&l->pages.lock);
}
