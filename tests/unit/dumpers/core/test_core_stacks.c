/* Cores of stacks only: where they begin and end, how little they are, and the dynamic linker's
 * list, which the process may have filled with anything. */
#include "tests/unit/dumpers/core/core_test.h"

#define AT_0 0x10000000u /* where the tests' maps begin */

enum { GREGS = 216, GREGS_SP = 152, GREGS_FS_BASE = 168, MAPPED_MAX = 4096 };

/* A process in the making. */
struct made {
	struct buf maps;
	struct memory_range ranges[MAPPED_MAX];
	size_t count;
	struct snapshot_thread *threads;
	size_t thread_count;
	uint64_t phdr;
	uint64_t phnum;
	uint64_t *stack_pointers;
	size_t stack_pointer_count;
};

static void made_init(struct made *m, size_t threads)
{
	*m = (struct made){.maps = BUF_INIT(16 << 20)};
	m->threads = calloc(threads, sizeof(*m->threads));
	assert_non_null(m->threads);
	m->thread_count = threads;
	for (size_t i = 0; i < threads; i++) {
		m->threads[i].tid = (pid_t)(i + 1);
		m->threads[i].gregs_len = GREGS;
	}
}

static void set_reg(struct made *m, size_t thread, size_t offset, uint64_t value)
{
	memcpy(m->threads[thread].gregs + offset, &value, sizeof(value));
	if (offset == GREGS_SP) m->threads[thread].sp = value;
}

/* A map whose bytes the test goes on to fill; NULL for one that is zeros throughout. */
static uint8_t *add_map(struct made *m, uint64_t start, uint64_t pages, const char *rest,
			bool bytes)
{
	uint64_t len = pages * PAGE;
	uint8_t *data = bytes ? malloc(len) : NULL;

	assert_true(m->count < MAPPED_MAX);
	buf_printf(&m->maps, NULL, "%llx-%llx %s\n", (unsigned long long)start,
		   (unsigned long long)(start + len), rest);
	m->ranges[m->count++] =
	    (struct memory_range){start, start + len, bytes ? MEM_BYTES : MEM_ZERO, data};
	if (bytes) memset(data, (int)(start / PAGE % 250 + 1), len);
	return data;
}

static struct snapshot *open_made(struct made *m)
{
	uint64_t auxv[] = {AT_PHDR,  m->phdr,  AT_PHENT, sizeof(Elf64_Phdr),
			   AT_PHNUM, m->phnum, AT_NULL,  0};
	struct snapshot *s = NULL;
	struct err e = {0};

	if (snapshot_open_memory(m->maps.data, m->ranges, m->count, m->threads, m->thread_count, &s,
				 &e))
		fail_msg("%s", e.text);
	if (m->phdr) {
		memcpy(s->auxv, auxv, sizeof(auxv));
		s->auxv_len = sizeof(auxv);
	}
	return s;
}

/* Writes the core and reads it back; frees what was made. */
static struct snapshot *core_of(struct made *m, size_t *ret_size)
{
	const struct core_config config = {.kind = CORE_STACKS,
					   .hole_min = 1,
					   .stack_pointers = m->stack_pointers,
					   .stack_pointer_count = m->stack_pointer_count};
	struct snapshot *s = open_made(m), *core;
	struct memory_sink sink;

	sink_init(&sink, 1);
	write_core_as(s, &config, &sink);
	if (ret_size) *ret_size = sink.out.len;
	core = read_core(&sink.out, NULL);
	snapshot_free(s);
	sink_done(&sink);
	for (size_t i = 0; i < m->count; i++)
		free((void *)(uintptr_t)m->ranges[i].data);
	free(m->threads);
	buf_done(&m->maps);
	return core;
}

static enum mem_state state_at(struct snapshot *core, uint64_t addr)
{
	enum mem_state state;
	uint8_t byte;

	snapshot_read(core, addr, &byte, 1, &state);
	return state;
}

/* [start, start + taken) is there, and the rest up to end is not and says so. */
static void check_taken(struct snapshot *core, uint64_t start, uint64_t end, uint64_t from,
			uint64_t to)
{
	for (uint64_t at = start; at < end; at += PAGE) {
		enum mem_state want = at >= from && at < to ? MEM_BYTES : MEM_NOT_CAPTURED;

		if (state_at(core, at) != want)
			fail_msg("0x%llx is %s", (unsigned long long)at,
				 mem_state_name(state_at(core, at)));
	}
}

/* --- stacks ------------------------------------------------------------------------------------
 */

static void test_from_the_stack_pointer_up(void **state)
{
	/* With the red zone below, which may be in another page. */
	static const struct {
		uint64_t into, from;
	} cases[] = {{5 * PAGE + 128, 5}, {5 * PAGE + 127, 4}, {0, 0}, {64 * PAGE - 8, 63}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct snapshot *core;
		struct made m;

		made_init(&m, 1);
		add_map(&m, AT_0, 64, "rw-p 0 00:00 0", true);
		add_map(&m, AT_0 + 64 * PAGE, 8, "rw-p 0 00:00 0 [heap]", true);
		add_map(&m, AT_0 + 80 * PAGE, 8, "rw-p 0 00:00 0", false);
		set_reg(&m, 0, GREGS_SP, AT_0 + cases[i].into);
		core = core_of(&m, NULL);
		check_taken(core, AT_0, AT_0 + 72 * PAGE, AT_0 + cases[i].from * PAGE,
			    AT_0 + 64 * PAGE);
		/* Also what was zeros is not said to be. */
		check_taken(core, AT_0 + 80 * PAGE, AT_0 + 88 * PAGE, 0, 0);
		snapshot_free(core);
	}
}

static void test_untouched_pages_of_a_stack_are_zeros(void **state)
{
	struct snapshot *core;
	struct made m;

	made_init(&m, 1);
	add_map(&m, AT_0, 8, "rw-p 0 00:00 0", false);
	set_reg(&m, 0, GREGS_SP, AT_0 + 4 * PAGE + 512);
	core = core_of(&m, NULL);
	assert_int_equal(state_at(core, AT_0 + 3 * PAGE), MEM_NOT_CAPTURED);
	assert_int_equal(state_at(core, AT_0 + 4 * PAGE), MEM_ZERO);
	assert_int_equal(state_at(core, AT_0 + 7 * PAGE), MEM_ZERO);
	snapshot_free(core);
}

static void test_a_large_stack_is_cut(void **state)
{
	const uint64_t sp = AT_0 + 10 * PAGE + 128;
	struct snapshot *core;
	struct made m;

	made_init(&m, 1);
	add_map(&m, AT_0, 1024, "rw-p 0 00:00 0", true);
	set_reg(&m, 0, GREGS_SP, sp);
	core = core_of(&m, NULL);
	check_taken(core, AT_0, AT_0 + 1024 * PAGE, AT_0 + 10 * PAGE, AT_0 + 10 * PAGE + (1 << 20));
	snapshot_free(core);
}

/* Threads share a few MiB; the small stacks are whole, and none goes without. */
static void test_many_threads(void **state)
{
	enum { THREADS = 1000, STACK_PAGES = 64, SPACE = 65 * PAGE };
	struct snapshot *core;
	struct made m;
	size_t size;

	made_init(&m, THREADS);
	for (size_t i = 0; i < THREADS; i++) {
		uint64_t start = AT_0 + i * SPACE;

		add_map(&m, start, STACK_PAGES, "rw-p 0 00:00 0", true);
		/* Every tenth has its whole stack in use. */
		set_reg(&m, i, GREGS_SP,
			i % 10 ? start + (STACK_PAGES - 1) * PAGE + 256 : start + 256);
	}
	core = core_of(&m, &size);
	for (size_t i = 0; i < THREADS; i++) {
		uint64_t start = AT_0 + i * SPACE, end = start + STACK_PAGES * PAGE;
		uint64_t from = i % 10 ? end - PAGE : start;

		assert_int_equal(state_at(core, from), MEM_BYTES);
		assert_int_equal(state_at(core, from + 15 * 1024 < end ? from + 15 * 1024 : from),
				 MEM_BYTES);
	}
	/* 900 pages, 100 stacks of 16 KiB and their pages' fractions, and the notes. */
	assert_true(size < 8 << 20);
	snapshot_free(core);
}

/* Who ran over a stack's end stands below it. */
static void test_overflown_stacks(void **state)
{
	const uint64_t pthread = AT_0, leader = AT_0 + 100 * PAGE, far = AT_0 + 2000 * PAGE;
	struct snapshot *core;
	struct made m;

	made_init(&m, 3);
	add_map(&m, pthread, 4, "---p 0 00:00 0", false);
	add_map(&m, pthread + 4 * PAGE, 8, "rw-p 0 00:00 0", true);
	add_map(&m, leader, 8, "rw-p 0 00:00 0 [stack]", true);
	add_map(&m, far, 8, "rw-p 0 00:00 0", true);
	set_reg(&m, 0, GREGS_SP, leader - 64);
	set_reg(&m, 1, GREGS_SP, pthread + 4 * PAGE - 200);
	/* That one points at nothing near. */
	set_reg(&m, 2, GREGS_SP, far - (2 << 20));
	core = core_of(&m, NULL);
	check_taken(core, pthread + 4 * PAGE, pthread + 12 * PAGE, pthread + 4 * PAGE,
		    pthread + 12 * PAGE);
	check_taken(core, leader, leader + 8 * PAGE, leader, leader + 8 * PAGE);
	check_taken(core, far, far + 8 * PAGE, 0, 0);
	snapshot_free(core);
}

/* Behind a signal that came on a stack of its own. */
static void test_more_stack_pointers(void **state)
{
	uint64_t more[] = {AT_0 + 22 * PAGE + 500, 0, UINT64_MAX};
	struct snapshot *core;
	struct made m;

	made_init(&m, 1);
	add_map(&m, AT_0, 8, "rw-p 0 00:00 0", true);
	add_map(&m, AT_0 + 20 * PAGE, 8, "rw-p 0 00:00 0", true);
	set_reg(&m, 0, GREGS_SP, AT_0 + 4 * PAGE + 500);
	m.stack_pointers = more;
	m.stack_pointer_count = ARRAY_SIZE(more);
	core = core_of(&m, NULL);
	check_taken(core, AT_0, AT_0 + 8 * PAGE, AT_0 + 4 * PAGE, AT_0 + 8 * PAGE);
	check_taken(core, AT_0 + 20 * PAGE, AT_0 + 28 * PAGE, AT_0 + 22 * PAGE, AT_0 + 28 * PAGE);
	snapshot_free(core);
}

static void test_thread_descriptors(void **state)
{
	struct snapshot *core;
	struct made m;

	made_init(&m, 3);
	add_map(&m, AT_0, 8, "rw-p 0 00:00 0", true);
	add_map(&m, AT_0 + 20 * PAGE, 8, "rw-p 0 00:00 0", true);
	for (size_t i = 0; i < 3; i++)
		set_reg(&m, i, GREGS_SP, AT_0 + 7 * PAGE);
	set_reg(&m, 0, GREGS_FS_BASE, AT_0 + 23 * PAGE + 700);
	set_reg(&m, 1, GREGS_FS_BASE, UINT64_MAX - 100);
	set_reg(&m, 2, GREGS_FS_BASE, 100);
	core = core_of(&m, NULL);
	check_taken(core, AT_0 + 20 * PAGE, AT_0 + 28 * PAGE, AT_0 + 23 * PAGE, AT_0 + 24 * PAGE);
	snapshot_free(core);
}

/* --- the dynamic linker's list -----------------------------------------------------------------
 */

/* A program at EXE, its linker's data at LINKER, list and names on a heap of one thing a page. */
enum { EXE = AT_0, DYNAMIC = EXE + 2 * PAGE, LINKER = AT_0 + 100 * PAGE, HEAP = AT_0 + 200 * PAGE };
enum { HEAP_PAGES = 16, LINKER_PAGES = 40, LIBRARY = AT_0 + 300 * PAGE };

static void put(uint8_t *at, const uint64_t *words, size_t count)
{
	memcpy(at, words, count * sizeof(*words));
}

static uint64_t heap(size_t page)
{
	return HEAP + page * PAGE + 100;
}

/* The heap's pages 1, 3 and 5 are nodes, 2, 4 and 6 their names, 7 the second namespace. */
static void make_heap(uint8_t *data)
{
	const uint64_t nodes[][5] = {{EXE, heap(2), DYNAMIC, heap(3)},
				     {LIBRARY, heap(4), LIBRARY + PAGE + 64, 0},
				     {LIBRARY, heap(6), 0, 0}};

	memset(data, 'n', HEAP_PAGES * PAGE);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		put(data + (2 * i + 1) * PAGE + 100, nodes[i], 5);
		strcpy((char *)data + (2 * i + 2) * PAGE + 100, "/lib/library.so");
	}
}

static uint8_t *make_linked(struct made *m)
{
	const uint64_t dynamic[] = {DT_NEEDED, 1, DT_DEBUG, LINKER + 8 * PAGE, DT_NULL, 0};
	const uint64_t r_debug[] = {2, heap(1), 0, 0, 0, LINKER + 9 * PAGE};
	const uint64_t second[] = {1, heap(5), 0, 0, 0, 0xbad};
	const Elf64_Phdr p[] = {{.p_type = PT_PHDR, .p_vaddr = 64},
				{.p_type = PT_DYNAMIC, .p_vaddr = 2 * PAGE}};
	uint8_t *exe, *linker, *on_heap;

	made_init(m, 1);
	exe = add_map(m, EXE, 4, "rw-p 0 00:00 0", true);
	memcpy(exe + 64, p, sizeof(p));
	put(exe + 2 * PAGE, dynamic, ARRAY_SIZE(dynamic));
	linker = add_map(m, LINKER, LINKER_PAGES, "rw-p 0 00:00 0", true);
	put(linker + 8 * PAGE, r_debug, ARRAY_SIZE(r_debug));
	put(linker + 9 * PAGE, second, ARRAY_SIZE(second));
	on_heap = add_map(m, HEAP, HEAP_PAGES, "rw-p 0 00:00 0 [heap]", true);
	make_heap(on_heap);
	add_map(m, LIBRARY, 3, "rw-p 0 00:00 0", true);
	add_map(m, LIBRARY + 3 * PAGE, 2, "rw-p 0 00:00 0", true);
	add_map(m, LIBRARY + 6 * PAGE, 2, "rw-p 0 00:00 0", true);
	m->phdr = EXE + 64;
	m->phnum = ARRAY_SIZE(p);
	return on_heap;
}

static void test_link_map(void **state)
{
	struct snapshot *core;
	struct made m;

	make_linked(&m);
	core = core_of(&m, NULL);
	for (size_t page = 0; page < HEAP_PAGES; page++) {
		bool in_list = page >= 1 && page <= 6;

		if (state_at(core, heap(page)) != (in_list ? MEM_BYTES : MEM_NOT_CAPTURED))
			fail_msg("page %zu of the heap: %s", page,
				 mem_state_name(state_at(core, heap(page))));
	}
	assert_int_equal(state_at(core, EXE), MEM_BYTES);
	assert_int_equal(state_at(core, DYNAMIC), MEM_BYTES);
	/* 64 KiB of the linker's data, and of a library that at its dynamic section and the next.
	 */
	check_taken(core, LINKER, LINKER + LINKER_PAGES * PAGE, LINKER, LINKER + 16 * PAGE);
	check_taken(core, LIBRARY, LIBRARY + 5 * PAGE, LIBRARY, LIBRARY + 5 * PAGE);
	check_taken(core, LIBRARY + 6 * PAGE, LIBRARY + 8 * PAGE, 0, 0);
	snapshot_free(core);
}

/* Lists without an end, names without one, addresses of nothing: a core comes out, a small one. */
static void test_hostile_link_map(void **state)
{
	static const uint64_t bad[] = {0,
				       8,
				       HEAP + HEAP_PAGES * PAGE - 8,
				       UINT64_MAX,
				       INT64_MAX,
				       EXE,
				       HEAP,
				       UINT64_MAX - 7,
				       1ull << 63,
				       AT_0 - 100,
				       LINKER,
				       HEAP + PAGE - 4,
				       UINT64_MAX - 1500};
	uint64_t seed = unit_seed();

	for (int round = 0; round < 300; round++) {
		struct made m;
		uint8_t *on_heap = make_linked(&m);
		size_t size;

		for (size_t i = 1 + unit_random(&seed) % 6; i > 0; i--) {
			size_t node = 1 + unit_random(&seed) % 3 * 2, word = unit_random(&seed) % 5;
			uint64_t value = unit_random(&seed) % 2
					     ? bad[unit_random(&seed) % ARRAY_SIZE(bad)]
					     : heap(1 + unit_random(&seed) % 5);

			put(on_heap + node * PAGE + 100 + word * 8, &value, 1);
		}
		if (round % 10 == 0) m.phdr = bad[unit_random(&seed) % ARRAY_SIZE(bad)];
		snapshot_free(core_of(&m, &size));
		assert_true(size < 1 << 20);
	}
}

/* The chain of the second node to the first again: it ends, and all of it is there. */
static void test_circular_link_map(void **state)
{
	const uint64_t again = heap(1);
	struct snapshot *core;
	struct made m;
	uint8_t *on_heap = make_linked(&m);

	put(on_heap + 3 * PAGE + 100 + 24, &again, 1);
	core = core_of(&m, NULL);
	assert_int_equal(state_at(core, heap(1)), MEM_BYTES);
	assert_int_equal(state_at(core, heap(4)), MEM_BYTES);
	snapshot_free(core);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_from_the_stack_pointer_up),
	    cmocka_unit_test(test_untouched_pages_of_a_stack_are_zeros),
	    cmocka_unit_test(test_a_large_stack_is_cut),
	    cmocka_unit_test(test_many_threads),
	    cmocka_unit_test(test_overflown_stacks),
	    cmocka_unit_test(test_more_stack_pointers),
	    cmocka_unit_test(test_thread_descriptors),
	    cmocka_unit_test(test_link_map),
	    cmocka_unit_test(test_hostile_link_map),
	    cmocka_unit_test(test_circular_link_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
