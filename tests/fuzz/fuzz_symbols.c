/*
 * ELF images: the symbol tables of a module's file, and the same bytes mapped as a module of a
 * snapshot, whose headers, .eh_frame and stack are then what a thread is unwound by. The first two
 * bytes say where in the image the thread stands.
 */
#include "dumpers/snapshot/memory.h"
#include "dumpers/stack/stacks.h"
#include "dumpers/stack/symbols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGE_MAX = 64 << 10, PAGE = 4096, STACK_SIZE = 8 << 10, RIP_AT = 128, RSP_AT = 152 };
#define IMAGE_BASE 0x7f0000000000u
#define STACK_BASE 0x7fff00000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(const struct symbols *symbols)
{
	for (uint64_t vaddr = 0; vaddr < 4 * PAGE; vaddr += 61) {
		uint64_t offset = 0;
		const char *name = symbols_find(symbols, vaddr, &offset);

		if (name && (strlen(name) == 0 || offset > vaddr)) abort();
	}
}

static int find_file(void *ctx, const struct module *module, struct blob **ret, struct err *e)
{
	*ret = blob_ref(ctx);
	return 0;
}

/* The stack holds addresses of the image, so that a walk goes on. */
static void fill_stack(uint8_t *stack, uint64_t image_len, uint64_t seed)
{
	for (size_t at = 0; at < STACK_SIZE; at += sizeof(uint64_t)) {
		uint64_t value;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		value = seed >> 63 ? STACK_BASE + (seed >> 40) % STACK_SIZE / 8 * 8
				   : IMAGE_BASE + (seed >> 32) % image_len;
		memcpy(stack + at, &value, sizeof(value));
	}
}

static void check_report(const struct stacks *stacks)
{
	struct buf text = BUF_INIT(16 << 20);

	if (stacks->v[0].frame_count == 0 || stacks->v[0].frame_count > STACK_FRAMES_MAX) abort();
	if (stacks_print_text(stacks, false, &text, NULL) < 0) abort();
	if (stacks_print_json(stacks, false, &text, NULL) < 0) abort();
	buf_done(&text);
}

static void unwind(const uint8_t *image, size_t len, uint64_t at, struct blob *file)
{
	static uint8_t pages[IMAGE_MAX], stack[STACK_SIZE];
	uint64_t mapped = align_up(len, PAGE);
	struct snapshot_thread thread = {.tid = 1, .state = 'S', .gregs_len = 216};
	uint64_t pc = IMAGE_BASE + at % mapped, sp = STACK_BASE;
	struct memory_range ranges[] = {
	    {IMAGE_BASE, IMAGE_BASE + mapped, MEM_BYTES, pages},
	    {STACK_BASE, STACK_BASE + STACK_SIZE, MEM_BYTES, stack},
	};
	struct snapshot *snapshot = NULL;
	struct modules *modules = NULL;
	struct stacks *stacks = NULL;
	char maps[256];

	memset(pages, 0, sizeof(pages));
	memcpy(pages, image, len);
	fill_stack(stack, mapped, at);
	memcpy(thread.gregs + RIP_AT, &pc, sizeof(pc));
	memcpy(thread.gregs + RSP_AT, &sp, sizeof(sp));
	snprintf(maps, sizeof(maps),
		 "%llx-%llx r-xp 00000000 08:01 7 /lib/fuzz.so\n"
		 "%llx-%llx rw-p 00000000 00:00 0 [stack]\n",
		 (unsigned long long)IMAGE_BASE, (unsigned long long)(IMAGE_BASE + mapped),
		 (unsigned long long)STACK_BASE, (unsigned long long)(STACK_BASE + STACK_SIZE));
	if (snapshot_open_memory(maps, ranges, ARRAY_SIZE(ranges), &thread, 1, &snapshot, NULL) < 0)
		abort();
	if (modules_new(snapshot, find_file, file, &modules, NULL) < 0) abort();
	if (stacks_collect(modules, &stacks, NULL) < 0) abort();
	check_report(stacks);
	stacks_free(stacks);
	modules_free(modules);
	snapshot_free(snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct symbols *symbols = NULL;
	struct blob *file = NULL;
	uint16_t at;

	if (size <= sizeof(at) || size - sizeof(at) > IMAGE_MAX) return 0;
	memcpy(&at, data, sizeof(at));
	data += sizeof(at);
	size -= sizeof(at);
	if (blob_from_memory(data, size, &file, NULL) < 0) abort();
	if (symbols_new(file, &symbols, NULL) == 0) look_up(symbols);
	symbols_free(symbols);
	unwind(data, size, at, file);
	blob_unref(file);
	return 0;
}
