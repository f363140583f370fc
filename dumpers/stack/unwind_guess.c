#include "dumpers/stack/unwind_guess.h"

#include "dumpers/stack/modules_internal.h"

/*
 * A core of another program need not say how text was mapped: then the module's segments tell. Of a
 * file that is no module (.NET's assemblies) nothing tells; such a map, which is made from the
 * core's list of files, has no device.
 */
bool guess_is_code(struct target_memory *memory, uint64_t pc)
{
	const struct modules *modules = target_memory_modules(memory);
	const struct map *map = maps_find(&modules_snapshot(modules)->maps, pc);
	const struct module *module;

	if (!map) return false;
	if (map->prot & PROT_EXEC) return true;
	module = modules_find(modules, pc);
	if (module) return elf_image_is_code(module_image(module), pc - module->bias);
	return map->inode && !map->dev_major && !map->dev_minor && !(map->prot & PROT_WRITE);
}

static bool read_word(struct target_memory *memory, uint64_t addr, uint64_t *ret)
{
	return target_memory_read(memory, addr, ret, sizeof(*ret)) == 0;
}

/* A call to an address without code has pushed its return address and done nothing else. */
static enum guess bad_call(const struct stack_cpu *cpu, struct target_memory *memory,
			   const struct stack_regs *regs, struct stack_regs *ret)
{
	uint64_t sp = regs->v[cpu->sp], pc;

	if (!read_word(memory, sp, &pc) || !guess_is_code(memory, pc)) return GUESS_NONE;
	*ret = *regs;
	stack_reg_set(ret, cpu->pc, pc);
	stack_reg_set(ret, cpu->sp, sp + sizeof(pc));
	return GUESS_CALLER;
}

enum guess guess_caller(const struct stack_cpu *cpu, struct target_memory *memory,
			const struct stack_regs *regs, bool exact, struct stack_regs *ret)
{
	uint64_t sp = regs->v[cpu->sp], fp = regs->v[cpu->fp], pc, caller_fp;

	if (exact && !guess_is_code(memory, regs->v[cpu->pc]))
		return bad_call(cpu, memory, regs, ret);
	if (!stack_reg_known(regs, cpu->fp)) return GUESS_NONE;
	/* System V ABI, 3.4.1: the outermost frame's frame pointer is zero. */
	if (fp == 0) return exact ? GUESS_NONE : GUESS_END;
	if (fp < sp || fp - sp > GUESS_FRAME_MAX || fp % sizeof(uint64_t) != 0) return GUESS_NONE;
	if (!read_word(memory, fp, &caller_fp) || !read_word(memory, fp + sizeof(uint64_t), &pc))
		return GUESS_NONE;
	if (pc == 0 && caller_fp == 0) return GUESS_END;
	if (!guess_is_code(memory, pc)) return GUESS_NONE;
	*ret = *regs;
	stack_reg_set(ret, cpu->pc, pc);
	stack_reg_set(ret, cpu->sp, fp + 2 * sizeof(uint64_t));
	stack_reg_set(ret, cpu->fp, caller_fp);
	return GUESS_CALLER;
}
