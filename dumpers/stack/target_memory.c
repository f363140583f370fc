#include "dumpers/stack/target_memory.h"

#include "dumpers/stack/modules_internal.h"

#include <string.h>

enum {
	PAGE = 4096,
	PAGES = 1024, /* a power of two; direct-mapped */
	STACK_WINDOW = 16 << 10,
};

struct page {
	uint64_t addr; /* of its first byte; 0: empty */
	uint8_t data[PAGE];
};
struct target_memory {
	struct modules *modules;
	uint64_t stack_start;
	size_t stack_len;
	uint8_t stack[STACK_WINDOW];
	struct page pages[PAGES];
};

int target_memory_new(struct modules *modules, struct target_memory **ret, struct err *e)
{
	struct target_memory *t = calloc(1, sizeof(*t)); /* untouched pages stay so */

	if (!t) return err_set(e, ERR_NO_MEMORY, "stacks: no memory for pages of the target");
	t->modules = modules;
	*ret = t;
	return 0;
}

void target_memory_free(struct target_memory *t)
{
	free(t);
}

struct modules *target_memory_modules(const struct target_memory *t)
{
	return t->modules;
}

/* What is copied of a stack; empty where sp points nowhere. */
static struct range stack_window(const struct target_memory *t, uint64_t sp)
{
	const struct map *map = maps_find(&t->modules->snapshot->maps, sp);

	return (struct range){sp, map ? sp + MIN(map->end - sp, (uint64_t)STACK_WINDOW) : sp};
}

void target_memory_will_use_stacks(struct target_memory *t, const struct snapshot_thread *threads,
				   size_t count)
{
	_cleanup_free_ struct range *windows = calloc(MAX(count, (size_t)1), sizeof(*windows));

	for (size_t i = 0; windows && i < count; i++)
		windows[i] = stack_window(t, threads[i].sp);
	if (windows) snapshot_will_need(t->modules->snapshot, windows, count);
}

void target_memory_use_stack(struct target_memory *t, uint64_t sp)
{
	struct range window = stack_window(t, sp);

	t->stack_start = sp;
	t->stack_len = (size_t)(window.end - sp);
	if (modules_read(t->modules, sp, t->stack, t->stack_len, NULL) < 0) t->stack_len = 0;
}

/* NULL if the whole page is not to be had. */
static const struct page *get_page(struct target_memory *t, uint64_t addr)
{
	struct page *p = &t->pages[addr / PAGE % PAGES];

	addr = align_down(addr, PAGE);
	if (addr == 0) return NULL;
	if (p->addr == addr) return p;
	p->addr = 0;
	if (modules_read(t->modules, addr, p->data, PAGE, NULL) < 0) return NULL;
	p->addr = addr;
	return p;
}

int target_memory_read(struct target_memory *t, uint64_t addr, void *data, size_t len)
{
	uint8_t *out = data;
	uint64_t into = addr - t->stack_start;

	if (into < t->stack_len && len <= t->stack_len - into) {
		memcpy(data, t->stack + into, len);
		return 0;
	}
	while (len) {
		size_t n = MIN(len, (size_t)(PAGE - addr % PAGE));
		const struct page *p = get_page(t, addr);

		if (p) {
			memcpy(out, p->data + addr % PAGE, n);
		} else {
			int r = modules_read(t->modules, addr, out, n, NULL);

			if (r < 0) return r;
		}
		out += n;
		len -= n;
		if (len && add_overflows(addr, n, &addr)) return -ERR_NOT_FOUND;
	}
	return 0;
}
