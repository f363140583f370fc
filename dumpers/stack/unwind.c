#include "dumpers/stack/unwind.h"

#include "dumpers/stack/unwind_regs.h"
#include "dumpers/stack/unwind_table.h"

#include <libunwind-x86_64.h>
#include <string.h>

enum { PAGE = 4096, CACHE_PAGES = 1024 };

/* libunwind exports it for readers of other processes; <dwarf.h> that declares it is internal. */
extern int _Ux86_64_dwarf_search_unwind_table(unw_addr_space_t as, unw_word_t ip,
					      unw_dyn_info_t *di, unw_proc_info_t *pi,
					      int need_unwind_info, void *arg);

struct cached_page {
	uint64_t addr; /* 0: empty */
	uint8_t data[PAGE];
};

struct unwinder {
	struct modules *modules;
	unw_addr_space_t space;
	const struct snapshot_thread *thread; /* whose registers are asked for */
	struct unwind_table *tables;          /* by module index */
	bool *loaded;
	struct cached_page *cache;
	bool no_table;  /* find_proc_info failed in this step */
	bool no_memory; /* a read failed in this step */
};

static const struct unwind_table *table_of(struct unwinder *u, const struct module *module)
{
	if (!u->loaded[module->index]) {
		u->loaded[module->index] = true;
		unwind_table_load(u->modules, module, &u->tables[module->index]);
	}
	return &u->tables[module->index];
}

static int read_cached(struct unwinder *u, uint64_t addr, void *data, size_t len)
{
	uint64_t page = align_down(addr, PAGE);
	if (align_down(addr + len - 1, PAGE) != page) {
		return modules_read(u->modules, addr, data, len, NULL);
	}
	struct cached_page *c = &u->cache[(page / PAGE) % CACHE_PAGES];
	if (c->addr != page) {
		c->addr = 0;
		int r = modules_read(u->modules, page, c->data, PAGE, NULL);
		if (r) return r;
		c->addr = page;
	}
	memcpy(data, c->data + (addr - page), len);
	return 0;
}

static int read_made(struct unwinder *u, uint64_t addr, void *data, size_t len)
{
	size_t index = (addr - UNWIND_MADE_BASE) / UNWIND_MADE_STRIDE;
	if (index >= modules_count(u->modules)) return -ERR_NOT_FOUND;
	return unwind_table_read(&u->tables[index], addr, data, len);
}

static int access_mem(unw_addr_space_t as, unw_word_t addr, unw_word_t *value, int write, void *arg)
{
	struct unwinder *u = arg;
	if (write || addr > UINT64_MAX - sizeof *value) return -UNW_EINVAL;
	int r = addr >= UNWIND_MADE_BASE ? read_made(u, addr, value, sizeof *value)
					 : read_cached(u, addr, value, sizeof *value);
	if (r) u->no_memory = true;
	return r ? -UNW_EINVAL : 0;
}

static int access_reg(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *value, int write,
		      void *arg)
{
	struct unwinder *u = arg;
	if (write) return -UNW_EREADONLYREG;
	uint64_t v;
	if (!unwind_register(u->thread, reg, &v)) return -UNW_EBADREG;
	*value = v;
	return 0;
}

static int access_fpreg(unw_addr_space_t as, unw_regnum_t reg, unw_fpreg_t *value, int write,
			void *arg)
{
	return -UNW_EBADREG;
}

static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *info, int need,
			  void *arg)
{
	struct unwinder *u = arg;
	const struct module *module = modules_find(u->modules, ip);
	const struct unwind_table *t = module ? table_of(u, module) : NULL;
	if (!t || !t->found) {
		u->no_table = true;
		return -UNW_ENOINFO;
	}
	unw_dyn_info_t di = {
	    .format = UNW_INFO_FORMAT_REMOTE_TABLE,
	    .start_ip = module->start,
	    .end_ip = module->end,
	    .u.rti = {.segbase = t->base,
		      .table_data = t->table,
		      .table_len = t->count * 2 * sizeof(int32_t) / sizeof(unw_word_t)},
	};
	int r = _Ux86_64_dwarf_search_unwind_table(as, ip, &di, info, need, arg);
	if (r) u->no_table = true;
	return r;
}

static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *info, void *arg)
{
}

static int get_dyn_info_list_addr(unw_addr_space_t as, unw_word_t *ret, void *arg)
{
	return -UNW_ENOINFO;
}

static int resume(unw_addr_space_t as, unw_cursor_t *cursor, void *arg)
{
	return -UNW_EINVAL;
}

static int get_proc_name(unw_addr_space_t as, unw_word_t ip, char *name, size_t size,
			 unw_word_t *offset, void *arg)
{
	return -UNW_ENOINFO;
}

static unw_accessors_t accessors = {
    .find_proc_info = find_proc_info,
    .put_unwind_info = put_unwind_info,
    .get_dyn_info_list_addr = get_dyn_info_list_addr,
    .access_mem = access_mem,
    .access_reg = access_reg,
    .access_fpreg = access_fpreg,
    .resume = resume,
    .get_proc_name = get_proc_name,
};

int unwinder_new(struct modules *modules, struct unwinder **ret, struct err *e)
{
	if (modules_snapshot(modules)->e_machine != EM_X86_64) {
		return err_set(e, ERR_UNSUPPORTED, "cannot unwind stacks of ELF machine %u here",
			       modules_snapshot(modules)->e_machine);
	}
	struct unwinder *u = calloc(1, sizeof *u);
	if (!u) return err_set(e, ERR_NO_MEMORY, "no memory for the unwinder");
	size_t count = modules_count(modules) + 1;
	u->modules = modules;
	u->tables = calloc(count, sizeof *u->tables);
	u->loaded = calloc(count, sizeof *u->loaded);
	u->cache = calloc(CACHE_PAGES, sizeof *u->cache);
	u->space = unw_create_addr_space(&accessors, 0);
	if (!u->tables || !u->loaded || !u->cache || !u->space) {
		unwinder_free(u);
		return err_set(e, ERR_NO_MEMORY, "no memory for the unwinder");
	}
	unw_set_caching_policy(u->space, UNW_CACHE_GLOBAL);
	*ret = u;
	return 0;
}

void unwinder_free(struct unwinder *u)
{
	if (!u) return;
	if (u->space) unw_destroy_addr_space(u->space);
	for (size_t i = 0; u->tables && i < modules_count(u->modules); i++) {
		unwind_table_done(&u->tables[i]);
	}
	free(u->tables);
	free(u->loaded);
	free(u->cache);
	free(u);
}

static const char *why_it_ends(const struct unwinder *u)
{
	if (u->no_memory) return "stack memory is not captured or not mapped";
	if (u->no_table) return "no unwind table for this code";
	return "the unwind table and the stack disagree";
}

/* A frame whose caller is the frame itself would go on for ever. */
static bool stands_still(const struct unwind_frame *frames, size_t n)
{
	return n >= 2 && frames[n - 1].pc == frames[n - 2].pc &&
	       frames[n - 1].sp <= frames[n - 2].sp;
}

size_t unwind_thread(struct unwinder *u, const struct snapshot_thread *thread,
		     struct unwind_frame *frames, size_t max, const char **ret_end)
{
	unw_cursor_t cursor;
	size_t n = 0;
	*ret_end = NULL;
	u->thread = thread;
	if (!thread->gregs_len || unw_init_remote(&cursor, u->space, u)) {
		if (thread->pc)
			frames[n++] = (struct unwind_frame){.pc = thread->pc, .sp = thread->sp};
		*ret_end = "registers not available";
		return n;
	}
	bool guessed = false;
	for (;;) {
		unw_word_t pc = 0, sp = 0;
		unw_get_reg(&cursor, UNW_REG_IP, &pc);
		unw_get_reg(&cursor, UNW_REG_SP, &sp);
		if (!pc) break;
		frames[n++] =
		    (struct unwind_frame){.pc = pc,
					  .sp = sp,
					  .signal_frame = unw_is_signal_frame(&cursor) > 0,
					  .guessed = guessed};
		if (n == max)
			*ret_end = "more frames than are looked at";
		else if (stands_still(frames, n))
			*ret_end = "the stack goes in a circle";
		if (*ret_end) break;
		u->no_table = u->no_memory = false;
		int r = unw_step(&cursor);
		guessed = u->no_table;
		if (r < 0) *ret_end = why_it_ends(u);
		if (r <= 0) break;
	}
	return n;
}
