#include "dumpers/stack/unwind.h"

#include "dumpers/stack/modules_internal.h"
#include "dumpers/stack/unwind_guess.h"
#include "dumpers/stack/unwind_table.h"

#include <inttypes.h>
#include <libunwind-x86_64.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* libunwind exports it for readers of other processes; the header that declares it is internal. */
extern int _Ux86_64_dwarf_search_unwind_table(unw_addr_space_t as, unw_word_t ip,
					      unw_dyn_info_t *di, unw_proc_info_t *pi,
					      int need_unwind_info, void *arg);

/*
 * Addresses that no x86-64 program can have, at which libunwind reads what is ours: the plain call
 * frame information of unwind_tables, and a search table of one entry.
 */
#define PLAIN_CFI_AT 0xffffe00000000000u
#define SEARCH_TABLE_AT 0xfffff00000000000u

enum {
	/* Reads of one step, and of a report beside those of its threads: a hostile stack may make
	 * each step as dear as it can be. */
	STEP_READS_MAX = 128 << 10,
	REPORT_READS_MAX = 64 << 20,
	THREAD_READS_MAX = 64 << 10,
	/* Handlers interrupted by signals; each may go back to a lower stack pointer, in a circle.
	 */
	SIGNAL_FRAMES_MAX = 32,
	END_TEXT_MAX = 160,
};

struct search_entry {
	int32_t code, fde;
};

struct unwinder {
	struct modules *modules;
	const struct stack_cpu *cpu;
	struct target_memory *memory;
	struct unwind_tables *tables;
	unw_addr_space_t space;
	struct search_entry search; /* what SEARCH_TABLE_AT holds */
	struct stack_regs regs;     /* what access_reg answers */
	uint64_t reads_left;        /* of the report */
	uint64_t step_reads_left;
	uint64_t bad_address; /* of the step's first failed read */
	bool read_failed;
	char end[END_TEXT_MAX];
};

static bool read_own(const struct unwinder *u, uint64_t addr, void *data, size_t len)
{
	bool is_search = addr >= SEARCH_TABLE_AT;
	const struct buf *cfi = unwind_tables_bytes(u->tables);
	const void *bytes = is_search ? (const void *)&u->search : cfi->data;
	size_t size = is_search ? sizeof(u->search) : cfi->len;
	uint64_t at = addr - (is_search ? SEARCH_TABLE_AT : PLAIN_CFI_AT);

	if (at > size || len > size - at) return false;
	memcpy(data, (const uint8_t *)bytes + at, len);
	return true;
}

static int access_mem(unw_addr_space_t as, unw_word_t addr, unw_word_t *value, int write, void *arg)
{
	struct unwinder *u = arg;
	bool ok;

	if (write || u->step_reads_left == 0 || u->reads_left == 0) return -UNW_EINVAL;
	u->step_reads_left--;
	u->reads_left--;
	if (addr >= PLAIN_CFI_AT && addr <= UINT64_MAX - sizeof(*value))
		ok = read_own(u, addr, value, sizeof(*value));
	else
		ok = target_memory_read(u->memory, addr, value, sizeof(*value)) == 0;
	if (ok) return 0;
	if (!u->read_failed) u->bad_address = addr;
	u->read_failed = true;
	return -UNW_EINVAL;
}

static int access_reg(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *value, int write,
		      void *arg)
{
	const struct unwinder *u = arg;

	/* libunwind numbers x86-64's registers as DWARF does. */
	if (write || reg < 0 || (unsigned)reg >= u->cpu->count ||
	    !stack_reg_known(&u->regs, (unsigned)reg))
		return -UNW_EBADREG;
	*value = u->regs.v[reg];
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
	const struct unwind_rule *rule = unwind_tables_find(u->tables, ip);
	unw_dyn_info_t di = {
	    .format = UNW_INFO_FORMAT_REMOTE_TABLE,
	    .u.rti = {.segbase = PLAIN_CFI_AT,
		      .table_data = SEARCH_TABLE_AT,
		      .table_len = sizeof(u->search) / sizeof(unw_word_t)},
	};

	if (!rule) return -UNW_ENOINFO;
	/* The one entry is below every address, so that the search ends at it. */
	u->search = (struct search_entry){INT32_MIN, (int32_t)rule->offset};
	di.start_ip = rule->start;
	di.end_ip = rule->end;
	return _Ux86_64_dwarf_search_unwind_table(as, ip, &di, info, need, arg);
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
	const struct snapshot *s = modules_snapshot(modules);
	const struct stack_cpu *cpu = stack_cpu_of(s->e_machine);
	struct unwinder *u;
	int r;

	if (s->elf_class != ELFCLASS64)
		return err_set(e, ERR_UNSUPPORTED, "stacks of a 32-bit program cannot be unwound");
	if (!cpu)
		return err_set(e, ERR_UNSUPPORTED, "stacks of ELF machine %u cannot be unwound",
			       s->e_machine);
	u = calloc(1, sizeof(*u));
	if (!u) return err_set(e, ERR_NO_MEMORY, "no memory for the unwinder");
	u->modules = modules;
	u->cpu = cpu;
	u->reads_left = REPORT_READS_MAX + (uint64_t)THREAD_READS_MAX * s->thread_count;
	r = target_memory_new(modules, &u->memory, e);
	if (!r) r = unwind_tables_new(u->memory, &u->tables, e);
	/* An address space of its own: its cache of frame layouts is of this snapshot alone. */
	if (!r) u->space = unw_create_addr_space(&accessors, 0);
	if (!r && !u->space) r = err_set(e, ERR_NO_MEMORY, "no memory for the unwinder");
	if (r) {
		unwinder_free(u);
		return r;
	}
	unw_set_caching_policy(u->space, UNW_CACHE_GLOBAL);
	*ret = u;
	return 0;
}

void unwinder_free(struct unwinder *u)
{
	if (!u) return;
	if (u->space) unw_destroy_addr_space(u->space);
	unwind_tables_free(u->tables);
	target_memory_free(u->memory);
	free(u);
}

/* One thread's walk. */
struct walk {
	struct unwinder *u;
	unw_cursor_t cursor;
	uint64_t pc, sp;
	/* The cursor stands so many bytes below pc: set up anew in a caller, libunwind takes an
	 * address for exact, where that of the call is meant. */
	uint64_t cursor_below;
	bool exact;   /* pc is where it goes on, not a return address */
	bool guessed; /* this frame was found without tables */
	bool failed;  /* u->end says why */
};

/* Ends the walk before the outermost frame. */
_printf_(2, 3) static void fail(struct walk *w, const char *fmt, ...)
{
	va_list ap;

	w->failed = true;
	va_start(ap, fmt);
	vsnprintf(w->u->end, sizeof(w->u->end), fmt, ap);
	va_end(ap);
}

static void save_regs(struct walk *w, struct stack_regs *ret)
{
	struct stack_regs regs = {0};

	for (unsigned i = 0; i < w->u->cpu->count; i++) {
		unw_word_t value;

		if (unw_get_reg(&w->cursor, (unw_regnum_t)i, &value) == 0)
			stack_reg_set(&regs, i, value);
	}
	stack_reg_set(&regs, w->u->cpu->pc, w->pc);
	stack_reg_set(&regs, w->u->cpu->sp, w->sp);
	*ret = regs;
}

/* Puts the cursor on a frame of which all that is known is in regs. */
static bool restart(struct walk *w, const struct stack_regs *regs, bool exact)
{
	struct unwinder *u = w->u;

	w->pc = regs->v[u->cpu->pc];
	w->sp = regs->v[u->cpu->sp];
	w->exact = exact;
	w->cursor_below = exact ? 0 : 1;
	u->regs = *regs;
	stack_reg_set(&u->regs, u->cpu->pc, w->pc - w->cursor_below);
	return unw_init_remote(&w->cursor, u->space, u) == 0;
}

static bool step_by_table(struct walk *w, bool signal_frame)
{
	unw_word_t pc = 0, sp = 0;
	int r = unw_step(&w->cursor);

	if (r < 0) {
		struct unwinder *u = w->u;

		if (u->read_failed)
			fail(w, "the stack at 0x%" PRIx64 " cannot be read", u->bad_address);
		else if (!u->reads_left || !u->step_reads_left)
			fail(w, "unwinding from 0x%" PRIx64 " takes too long", w->pc);
		else
			fail(w, "the unwind table for 0x%" PRIx64 " and the stack disagree", w->pc);
		return false;
	}
	if (r == 0) return false;
	unw_get_reg(&w->cursor, UNW_REG_IP, &pc);
	unw_get_reg(&w->cursor, UNW_REG_SP, &sp);
	w->pc = pc;
	w->sp = sp;
	w->exact = signal_frame;
	w->guessed = false;
	w->cursor_below = 0;
	return pc != 0;
}

static bool step_by_guess(struct walk *w)
{
	struct stack_regs regs, caller;

	save_regs(w, &regs);
	switch (guess_caller(w->u->cpu, w->u->memory, &regs, w->exact, &caller)) {
	case GUESS_CALLER:
		w->guessed = true;
		return restart(w, &caller, false);
	case GUESS_END:
		return false;
	case GUESS_NONE:
		break;
	}
	fail(w, "no unwind table for 0x%" PRIx64 ", and no frame pointer", w->pc);
	return false;
}

static bool step_over_signal(struct walk *w)
{
	struct stack_regs regs, interrupted;

	save_regs(w, &regs);
	if (!w->u->cpu->sigreturn(w->u->memory, &regs, &interrupted)) {
		fail(w, "the signal frame at 0x%" PRIx64 " cannot be read", w->sp);
		return false;
	}
	w->guessed = false;
	return restart(w, &interrupted, true);
}

/* From one frame to its caller; false at the end, or when failed. */
static bool step(struct walk *w, bool has_rule, bool signal_frame)
{
	uint64_t sp = w->sp;
	bool ok;

	w->u->read_failed = false;
	w->u->step_reads_left = STEP_READS_MAX;
	if (has_rule)
		ok = step_by_table(w, signal_frame);
	else
		ok = signal_frame ? step_over_signal(w) : step_by_guess(w);
	if (!ok) return false;
	/* A caller's stack is above; only a signal may have come on another stack. */
	if (!signal_frame && w->sp <= sp)
		fail(w, "the stack pointer does not rise above 0x%" PRIx64 "", sp);
	else if (!w->exact && !guess_is_code(w->u->memory, w->pc))
		fail(w, "the return address 0x%" PRIx64 " is not code", w->pc);
	return !w->failed;
}

static size_t walk_frames(struct walk *w, struct unwind_frame *frames, size_t max)
{
	struct unwinder *u = w->u;
	unsigned signals = 0;

	for (size_t n = 0;;) {
		const struct unwind_rule *rule =
		    unwind_tables_find(u->tables, w->exact ? w->pc : w->pc - 1);
		bool signal_frame =
		    rule ? rule->signal_frame : u->cpu->is_sigreturn(u->memory, w->pc);

		frames[n++] = (struct unwind_frame){w->pc, w->sp, signal_frame, w->guessed};
		if (signal_frame && ++signals > SIGNAL_FRAMES_MAX) {
			fail(w, "more than %d signal frames", SIGNAL_FRAMES_MAX);
			return n;
		}
		if (!step(w, rule != NULL, signal_frame)) return n;
		if (n == max) {
			fail(w, "more than %zu frames", max);
			return n;
		}
	}
}

void unwind_will_need(struct unwinder *u, const struct snapshot_thread *threads, size_t count)
{
	target_memory_will_use_stacks(u->memory, threads, count);
}

size_t unwind_thread(struct unwinder *u, const struct snapshot_thread *thread,
		     struct unwind_frame *frames, size_t max, const char **ret_end)
{
	struct walk w = {.u = u};
	struct stack_regs regs;
	size_t n;

	if (!stack_regs_of(u->cpu, thread, &regs)) {
		*ret_end = "registers not available";
		if (thread->pc == 0) return 0;
		frames[0] = (struct unwind_frame){.pc = thread->pc, .sp = thread->sp};
		return 1;
	}
	target_memory_use_stack(u->memory, regs.v[u->cpu->sp]);
	restart(&w, &regs, true);
	n = walk_frames(&w, frames, max);
	*ret_end = w.failed ? u->end : NULL;
	return n;
}
