/*
 * Pages of the target, read through modules_read once and kept: an unwinder reads words, many of
 * them again and again. Also the top of the stack in use, read in one go.
 */
#ifndef DUMPERS_STACK_TARGET_MEMORY_H
#define DUMPERS_STACK_TARGET_MEMORY_H

#include "dumpers/stack/modules.h"

struct target_memory;
/* The modules are borrowed. */
int target_memory_new(struct modules *modules, struct target_memory **ret, struct err *e);
void target_memory_free(struct target_memory *t); /* NULL-safe */
/* The stacks of count threads will be used soon. */
void target_memory_will_use_stacks(struct target_memory *t, const struct snapshot_thread *threads,
				   size_t count);
/* Copies the stack from sp on (16 KiB, less at the end of its map); a failure only means that the
 * pages are read one by one. */
void target_memory_use_stack(struct target_memory *t, uint64_t sp);
/* Exactly len bytes or the error code of modules_read. */
int target_memory_read(struct target_memory *t, uint64_t addr, void *data, size_t len);
struct modules *target_memory_modules(const struct target_memory *t);

#endif
