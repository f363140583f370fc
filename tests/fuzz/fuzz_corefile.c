/*
 * The reader of core files: opens the input, walks every extent, reads a little of each, looks at
 * all facts, and plans a core of stacks from it, which follows what the memory says. The first
 * byte, if odd, says that some file offsets are lost.
 */
#include "dumpers/core/core.h"
#include "dumpers/snapshot/corefile.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct snapshot *s)
{
	uint64_t at = 0;

	/* Bounded: a few bytes can announce any number of maps. */
	for (int i = 0; i < 2000 && at < UINT64_MAX; i++) {
		enum mem_state state, read_state;
		uint8_t bytes[32];
		uint64_t end = snapshot_extent(s, at, UINT64_MAX, &state);
		size_t n = snapshot_read(s, at, bytes, sizeof(bytes), &read_state);

		if (end <= at || n == 0 || n > sizeof(bytes)) abort();
		if (read_state != state && read_state != MEM_ERROR) abort();
		at = end;
	}
}

static void check_threads(const struct snapshot *s)
{
	if (!s->thread_count || s->thread_count > SNAPSHOT_THREADS_MAX) abort();
	for (size_t i = 0; i < s->thread_count; i++) {
		const struct snapshot_thread *t = &s->threads[i];

		if (t->gregs_len > sizeof(t->gregs) || t->fpregs_len > sizeof(t->fpregs)) abort();
		if (t->xstate_len > SNAPSHOT_XSTATE_MAX || (t->xstate_len && !t->xstate)) abort();
		if (!memchr(t->name, 0, sizeof(t->name))) abort();
		if (!memchr(t->wchan, 0, sizeof(t->wchan))) abort();
	}
}

static void plan_stacks(struct snapshot *s)
{
	const struct core_config config = {.kind = CORE_STACKS};
	struct core *core;

	if (core_plan(s, &config, &core, NULL) < 0) return;
	if (core_size(core) < sizeof(Elf64_Ehdr)) abort();
	core_free(core);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct range lost[] = {{5000, 5100}, {9000, 100000}};
	struct snapshot *s = NULL;
	struct blob *blob;

	if (!size || blob_from_memory(data + 1, size - 1, &blob, NULL) < 0) return 0;
	corefile_probe(blob);
	if (snapshot_open_core(blob, lost, data[0] % 2 ? ARRAY_SIZE(lost) : 0, &s, NULL) == 0) {
		walk(s);
		check_threads(s);
		snapshot_auxv(s, AT_SYSINFO_EHDR);
		plan_stacks(s);
		snapshot_free(s);
	}
	blob_unref(blob);
	return 0;
}
