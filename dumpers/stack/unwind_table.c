#include "dumpers/stack/unwind_table.h"

#include "dumpers/stack/addr_map.h"
#include "dumpers/stack/eh_frame.h"
#include "dumpers/stack/modules_internal.h"

#include <string.h>

/* Answers kept in lookups: an index of rules, or this. */
#define NO_RULE UINT32_MAX

struct unwind_tables {
	struct target_memory *memory;
	struct cfi_reader reader;
	struct eh_frame_index *indexes; /* by module, made when first asked */
	size_t module_count;
	struct unwind_rule *rules; /* owned; rule_count of them */
	size_t rule_count, rule_cap;
	struct addr_map lookups; /* code address to rule */
	struct addr_map fdes;    /* FDE address to rule */
	struct buf bytes;
};

int unwind_tables_new(struct target_memory *memory, struct unwind_tables **ret, struct err *e)
{
	struct unwind_tables *t = calloc(1, sizeof(*t));

	if (!t) return err_set(e, ERR_NO_MEMORY, "unwind tables");
	t->module_count = modules_count(target_memory_modules(memory));
	t->indexes = calloc(t->module_count + 1, sizeof(*t->indexes));
	t->memory = memory;
	t->lookups = ADDR_MAP_INIT(UNWIND_LOOKUPS_MAX);
	t->fdes = ADDR_MAP_INIT(UNWIND_LOOKUPS_MAX);
	t->bytes = BUF_INIT(UNWIND_WRITTEN_MAX);
	cfi_reader_init(&t->reader, memory);
	if (!t->indexes) {
		unwind_tables_free(t);
		return err_set(e, ERR_NO_MEMORY, "unwind tables");
	}
	*ret = t;
	return 0;
}

void unwind_tables_free(struct unwind_tables *t)
{
	if (!t) return;
	if (t->indexes)
		for (size_t i = 0; i < t->module_count; i++)
			eh_frame_index_done(&t->indexes[i]);
	free(t->indexes);
	free(t->rules);
	addr_map_done(&t->lookups);
	addr_map_done(&t->fdes);
	cfi_reader_done(&t->reader);
	buf_done(&t->bytes);
	free(t);
}

const struct buf *unwind_tables_bytes(const struct unwind_tables *t)
{
	return &t->bytes;
}

static uint32_t add_rule(struct unwind_tables *t, const struct cfi_fde *fde)
{
	size_t offset;

	if (t->rule_count == t->rule_cap) {
		size_t cap = t->rule_cap ? t->rule_cap * 2 : 256;
		struct unwind_rule *rules = realloc(t->rules, cap * sizeof(*rules));

		if (!rules) return NO_RULE;
		t->rules = rules;
		t->rule_cap = cap;
	}
	if (cfi_write(fde, &t->bytes, &offset, NULL) < 0) return NO_RULE;
	t->rules[t->rule_count] = (struct unwind_rule){
	    .start = fde->start,
	    .end = fde->end,
	    .signal_frame = fde->signal_frame,
	    .offset = (uint32_t)offset,
	};
	return (uint32_t)t->rule_count++;
}

/* The rule of the FDE at an address, made when first asked. */
static uint32_t rule_of_fde(struct unwind_tables *t, uint64_t fde_addr)
{
	uint32_t rule = NO_RULE;
	struct cfi_entry entry;
	struct cfi_fde fde;

	if (addr_map_get(&t->fdes, fde_addr, &rule)) return rule;
	if (cfi_read(&t->reader, fde_addr, &entry, &fde) == 0 && !entry.is_end && !entry.is_cie &&
	    cfi_check(&fde))
		rule = add_rule(t, &fde);
	addr_map_put(&t->fdes, fde_addr, rule);
	return rule;
}

static uint32_t look_up(struct unwind_tables *t, uint64_t pc)
{
	struct modules *modules = target_memory_modules(t->memory);
	const struct module *module = modules_find(modules, pc);
	struct eh_frame_index *index;
	uint64_t fde_addr;
	uint32_t rule;

	if (!module) return NO_RULE;
	index = &t->indexes[module->index];
	if (!index->ready) eh_frame_index_make(index, modules, module, t->memory, &t->reader);
	if (!eh_frame_index_find(index, t->memory, pc, &fde_addr)) return NO_RULE;
	rule = rule_of_fde(t, fde_addr);
	if (rule == NO_RULE || pc < t->rules[rule].start || pc >= t->rules[rule].end)
		return NO_RULE;
	return rule;
}

const struct unwind_rule *unwind_tables_find(struct unwind_tables *t, uint64_t pc)
{
	uint32_t rule;

	if (!addr_map_get(&t->lookups, pc, &rule)) {
		rule = look_up(t, pc);
		addr_map_put(&t->lookups, pc, rule);
	}
	return rule == NO_RULE ? NULL : &t->rules[rule];
}
