/* Cores written from snapshots in memory and read back. */
#include "tests/unit/dumpers/core/core_test.h"

/* --- what is read back is what was there -------------------------------------------------------
 */

static enum mem_state expected(enum mem_state before)
{
	return before == MEM_ERROR ? MEM_NOT_CAPTURED : before;
}

static void compare_page(struct snapshot *a, struct snapshot *b, uint64_t addr)
{
	uint8_t x[PAGE] = {0}, y[PAGE] = {0};
	enum mem_state before, after;

	assert_int_equal(snapshot_read(a, addr, x, PAGE, &before), PAGE);
	assert_int_equal(snapshot_read(b, addr, y, PAGE, &after), PAGE);
	/* Short holes are written as the zeros they are. */
	if (before == MEM_ZERO && after == MEM_BYTES) before = MEM_BYTES;
	if (after != expected(before))
		fail_msg("0x%llx: %s became %s", (unsigned long long)addr, mem_state_name(before),
			 mem_state_name(after));
	if (after == MEM_BYTES) assert_memory_equal(x, y, PAGE);
}

static void compare_memory(struct snapshot *a, struct snapshot *b)
{
	uint64_t at = 0;

	for (size_t i = 0; i < a->maps.count; i++) {
		const struct map *map = &a->maps.v[i];
		enum mem_state state;

		if (at < map->start) {
			assert_int_equal(snapshot_extent(b, at, map->start, &state), map->start);
			assert_int_equal(state, MEM_UNMAPPED);
		}
		for (at = map->start; at < map->end; at += PAGE)
			compare_page(a, b, at);
	}
}

static void compare_thread(const struct snapshot_thread *a, const struct snapshot_thread *b)
{
	assert_int_equal(a->tid, b->tid);
	assert_string_equal(a->name, b->name);
	assert_string_equal(a->wchan, b->wchan);
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->in_syscall, b->in_syscall);
	assert_int_equal(a->syscall_nr, b->syscall_nr);
	assert_int_equal(a->utime_ticks, b->utime_ticks);
	assert_int_equal(a->stime_ticks, b->stime_ticks);
	assert_int_equal(a->pc, b->pc);
	assert_int_equal(a->sp, b->sp);
	assert_int_equal(a->gregs_len, b->gregs_len);
	assert_memory_equal(a->gregs, b->gregs, a->gregs_len);
	assert_int_equal(a->fpregs_len, b->fpregs_len);
	assert_memory_equal(a->fpregs, b->fpregs, sizeof(a->fpregs));
	assert_int_equal(a->xstate_len, b->xstate_len);
	if (a->xstate_len) assert_memory_equal(a->xstate, b->xstate, a->xstate_len);
	assert_memory_equal(a->siginfo, b->siginfo, sizeof(a->siginfo));
	assert_int_equal(a->cursig, b->cursig);
	assert_int_equal(a->sigpend, b->sigpend);
	assert_int_equal(a->sighold, b->sighold);
}

static void compare_facts(const struct snapshot *a, const struct snapshot *b)
{
	struct buf x = BUF_INIT(1 << 20), y = BUF_INIT(1 << 20);

	assert_memory_equal(&a->id, &b->id, sizeof(a->id));
	assert_int_equal(a->e_machine, b->e_machine);
	assert_int_equal(a->taken_ns, b->taken_ns);
	assert_int_equal(a->auxv_len, b->auxv_len);
	assert_memory_equal(a->auxv, b->auxv, sizeof(a->auxv));
	assert_int_equal(maps_format(&a->maps, &x, NULL), 0);
	assert_int_equal(maps_format(&b->maps, &y, NULL), 0);
	assert_string_equal(x.data ? x.data : "", y.data ? y.data : "");
	assert_int_equal(a->thread_count, b->thread_count);
	for (size_t i = 0; i < a->thread_count; i++)
		compare_thread(&a->threads[i], &b->threads[i]);
	buf_done(&x);
	buf_done(&y);
}

static void test_round_trip(void **state)
{
	uint64_t seed = unit_seed();

	for (int round = 0; round < 300; round++) {
		uint64_t hole_min = unit_random(&seed) % 3 * 3 * PAGE;
		struct snapshot *a = random_snapshot(&seed), *b;
		struct memory_sink sink;

		sink_init(&sink, unit_random(&seed));
		write_core(a, hole_min, &sink);
		b = read_core(&sink.out, NULL);
		assert_int_equal(b->consistency, CONSISTENCY_CORE);
		compare_facts(a, b);
		compare_memory(a, b);
		assert_int_equal(sink.lost.count, 0);
		assert_int_equal(sink.torn.count, 0);
		snapshot_free(a);
		snapshot_free(b);
		sink_done(&sink);
	}
}

/* Ranges of the file that are padding read as not captured, and nothing else changes. */
static void test_lost(void **state)
{
	uint64_t seed = unit_seed();

	for (int round = 0; round < 50; round++) {
		struct range_list lost = RANGE_LIST_INIT(100);
		struct snapshot *a = random_snapshot(&seed), *whole, *holed;
		struct memory_sink sink;

		sink_init(&sink, unit_random(&seed));
		write_core(a, 0, &sink);
		whole = read_core(&sink.out, NULL);
		for (int i = 0; i < 5; i++) {
			uint64_t start = unit_random(&seed) % sink.out.len;

			range_list_add(&lost, start, start + 1 + unit_random(&seed) % 9000, NULL);
		}
		holed = read_core(&sink.out, &lost);
		for (size_t m = 0; m < a->maps.count; m++)
			for (uint64_t at = a->maps.v[m].start; at < a->maps.v[m].end; at += 512) {
				enum mem_state x, y;
				uint8_t p, q;

				snapshot_read(whole, at, &p, 1, &x);
				snapshot_read(holed, at, &q, 1, &y);
				if (x == MEM_BYTES && y == MEM_NOT_CAPTURED) continue;
				assert_int_equal(x, y);
				if (x == MEM_BYTES) assert_int_equal(p, q);
			}
		range_list_done(&lost);
		snapshot_free(a);
		snapshot_free(whole);
		snapshot_free(holed);
		sink_done(&sink);
	}
}

static void test_lost_everywhere(void **state)
{
	const uint8_t bytes[PAGE] = {1};
	const struct memory_range range = {PAGE, 2 * PAGE, MEM_BYTES, bytes};
	const struct snapshot_thread thread = {.tid = 1};
	const struct range everything = {0, UINT64_MAX};
	struct range_list lost = RANGE_LIST_INIT(1);
	struct snapshot *a = NULL, *b;
	struct memory_sink sink;
	enum mem_state st;
	uint8_t byte;

	assert_int_equal(
	    snapshot_open_memory("1000-2000 rw-p 0 00:00 0\n", &range, 1, &thread, 1, &a, NULL), 0);
	sink_init(&sink, 1);
	write_core(a, 0, &sink);
	range_list_add(&lost, everything.start, everything.end, NULL);
	b = read_core(&sink.out, &lost);
	snapshot_read(b, PAGE, &byte, 1, &st);
	assert_int_equal(st, MEM_NOT_CAPTURED);
	range_list_done(&lost);
	snapshot_free(a);
	snapshot_free(b);
	sink_done(&sink);
}

/* --- layout ------------------------------------------------------------------------------------
 */

/* Each of many maps is a segment of its own; beyond 65,534 elf(5) counts them elsewhere. */
static void test_many_segments(void **state)
{
	enum { MAPS = 70000 };
	struct buf text = BUF_INIT(16 << 20);
	struct memory_range *ranges = calloc(MAPS, sizeof(*ranges));
	const struct snapshot_thread thread = {.tid = 1};
	struct snapshot *a = NULL, *b;
	struct memory_sink sink;
	Elf64_Ehdr h;
	Elf64_Shdr section;
	uint8_t page[PAGE];

	assert_non_null(ranges);
	memset(page, 0x5a, sizeof(page));
	for (uint64_t i = 0; i < MAPS; i++) {
		uint64_t start = (i + 1) * 2 * PAGE;
		bool bytes = i % 1000 == 999;

		buf_printf(&text, NULL, "%llx-%llx rw-p 0 00:00 0\n", (unsigned long long)start,
			   (unsigned long long)start + PAGE);
		ranges[i] =
		    (struct memory_range){start, start + PAGE, bytes ? MEM_BYTES : MEM_ZERO, page};
	}
	assert_int_equal(snapshot_open_memory(text.data, ranges, MAPS, &thread, 1, &a, NULL), 0);
	sink_init(&sink, 1);
	write_core(a, 0, &sink);
	memcpy(&h, sink.out.data, sizeof(h));
	assert_int_equal(h.e_phnum, PN_XNUM);
	memcpy(&section, sink.out.data + h.e_shoff, sizeof(section));
	assert_int_equal(section.sh_info, MAPS + 1);
	b = read_core(&sink.out, NULL);
	compare_memory(a, b);
	snapshot_free(a);
	snapshot_free(b);
	sink_done(&sink);
	free(ranges);
	buf_done(&text);
}

/* A hole shorter than hole_min is bytes within a segment, a longer one ends it. */
static void test_holes(void **state)
{
	const uint8_t bytes[PAGE] = {1};
	const struct memory_range ranges[] = {
	    {1 * PAGE, 2 * PAGE, MEM_BYTES, bytes},   {2 * PAGE, 5 * PAGE, MEM_ZERO, NULL},
	    {5 * PAGE, 6 * PAGE, MEM_BYTES, bytes},   {6 * PAGE, 10 * PAGE, MEM_ZERO, NULL},
	    {10 * PAGE, 11 * PAGE, MEM_BYTES, bytes}, {11 * PAGE, 12 * PAGE, MEM_ZERO, NULL},
	};
	const struct snapshot_thread thread = {.tid = 1};
	const struct core_config config = {.hole_min = 4 * PAGE};
	struct snapshot *s = NULL;
	struct core *core = NULL;
	Elf64_Phdr p[3];
	struct memory_sink sink;

	assert_int_equal(snapshot_open_memory("1000-c000 rw-p 0 00:00 0\n", ranges,
					      ARRAY_SIZE(ranges), &thread, 1, &s, NULL),
			 0);
	assert_int_equal(core_plan(s, &config, &core, NULL), 0);
	assert_int_equal(core_segment_count(core), 2);
	sink_init(&sink, 1);
	assert_int_equal(core_write(core, &sink.base, NULL), 0);
	memcpy(p, sink.out.data + sizeof(Elf64_Ehdr), sizeof(p));
	assert_int_equal(p[0].p_type, PT_NOTE);
	assert_int_equal(p[1].p_vaddr, PAGE);
	assert_int_equal(p[1].p_filesz, 5 * PAGE);
	assert_int_equal(p[1].p_memsz, 9 * PAGE);
	assert_int_equal(p[2].p_vaddr, 10 * PAGE);
	assert_int_equal(p[2].p_filesz, PAGE);
	assert_int_equal(p[2].p_memsz, 2 * PAGE);
	assert_int_equal(p[1].p_offset % PAGE, 0);
	assert_int_equal(p[2].p_offset, p[1].p_offset + p[1].p_filesz);
	assert_int_equal(core_size(core), p[2].p_offset + PAGE);
	core_free(core);
	snapshot_free(s);
	sink_done(&sink);
}

/* --- files -------------------------------------------------------------------------------------
 */

/* As a live process: pages of a file are in state FILE, and can be read. */
struct file_snapshot {
	struct snapshot base;
	uint8_t bytes[3 * PAGE];
};

static size_t file_read(struct snapshot *s, uint64_t addr, void *data, size_t len,
			enum mem_state *state)
{
	uint64_t offset = (addr - 0x10000) % sizeof(((struct file_snapshot *)0)->bytes);
	size_t n = MIN(len, sizeof(((struct file_snapshot *)0)->bytes) - offset);

	*state = MEM_BYTES;
	memcpy(data, ((struct file_snapshot *)s)->bytes + offset, n);
	return n;
}

static uint64_t file_extent(struct snapshot *s, uint64_t addr, uint64_t end, enum mem_state *state)
{
	*state = MEM_FILE;
	return end;
}

static void file_free(struct snapshot *s)
{
	snapshot_base_done(s);
	free(s);
}

static struct snapshot *file_snapshot(const char *maps, bool is_elf, bool build_id)
{
	static const struct snapshot_ops ops = {
	    .read = file_read, .extent = file_extent, .free = file_free};
	struct file_snapshot *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->base.ops = &ops;
	f->base.e_machine = EM_X86_64;
	f->base.elf_class = ELFCLASS64;
	memset(f->bytes, 0x77, sizeof(f->bytes));
	if (is_elf) make_elf(f->bytes, build_id);
	assert_int_equal(maps_parse(maps, strlen(maps), &f->base.maps, NULL), 0);
	f->base.threads = calloc(1, sizeof(*f->base.threads));
	f->base.threads[0].tid = f->base.id.pid = 5;
	f->base.thread_count = 1;
	return &f->base;
}

/* States of the first and the other pages of a module after the round trip. */
static void check_file(const char *maps, bool is_elf, bool build_id, enum mem_state first,
		       enum mem_state others)
{
	struct snapshot *a = file_snapshot(maps, is_elf, build_id), *b;
	struct memory_sink sink;
	enum mem_state st;
	uint8_t byte;

	sink_init(&sink, 1);
	write_core(a, 0, &sink);
	b = read_core(&sink.out, NULL);
	snapshot_read(b, 0x10000, &byte, 1, &st);
	assert_int_equal(st, first);
	for (uint64_t at = 0x11000; at < 0x13000; at += PAGE) {
		snapshot_read(b, at, &byte, 1, &st);
		assert_int_equal(st, others);
		if (st == MEM_BYTES) assert_int_equal(byte, 0x77);
	}
	snapshot_free(a);
	snapshot_free(b);
	sink_done(&sink);
}

static void test_files(void **state)
{
	static const char module[] = "10000-11000 r--p 00000000 08:01 9 /lib/m.so\n"
				     "11000-12000 r-xp 00001000 08:01 9 /lib/m.so\n"
				     "12000-13000 r--p 00002000 08:01 9 /lib/m.so\n";
	static const char data[] = "10000-13000 r--s 00000000 08:01 9 /var/data\n";
	static const char code[] = "10000-13000 r-xp 00000000 08:01 9 /tmp/jit\n";

	check_file(module, true, true, MEM_BYTES, MEM_FILE);
	check_file(module, true, false, MEM_BYTES, MEM_BYTES);
	check_file(data, false, false, MEM_FILE, MEM_FILE);
	check_file(code, false, false, MEM_BYTES, MEM_BYTES);
}

/* Unmodified pages of data files are in no segment: a debugger would show them as zeros. */
static void test_no_segment_for_data_files(void **state)
{
	struct snapshot *s =
	    file_snapshot("10000-13000 r--s 00000000 08:01 9 /var/data\n", false, false);
	const struct core_config config = {0};
	struct core *core = NULL;

	assert_int_equal(core_plan(s, &config, &core, NULL), 0);
	assert_int_equal(core_segment_count(core), 0);
	core_free(core);
	snapshot_free(s);
}

/* --- failures ----------------------------------------------------------------------------------
 */

/* Says bytes, and cannot read every third page. */
static size_t faulty_read(struct snapshot *s, uint64_t addr, void *data, size_t len,
			  enum mem_state *state)
{
	uint64_t page = addr / PAGE;
	size_t n = (size_t)MIN((uint64_t)len, (page + 1) * PAGE - addr);

	*state = page % 3 == 0 ? MEM_ERROR : MEM_BYTES;
	memset(data, (int)page, n);
	return n;
}

static uint64_t faulty_extent(struct snapshot *s, uint64_t addr, uint64_t end,
			      enum mem_state *state)
{
	*state = MEM_BYTES;
	return end;
}

static void test_unreadable(void **state)
{
	static const struct snapshot_ops ops = {
	    .read = faulty_read, .extent = faulty_extent, .free = file_free};
	struct snapshot *s = file_snapshot("20000-30000 rw-p 00000000 00:00 0\n", false, false), *b;
	struct memory_sink sink;

	s->ops = &ops;
	sink_init(&sink, unit_seed());
	write_core(s, 0, &sink);
	b = read_core(&sink.out, &sink.lost);
	for (uint64_t at = 0x20000; at < 0x30000; at += PAGE) {
		enum mem_state st;
		uint8_t byte = 0;

		snapshot_read(b, at, &byte, 1, &st);
		assert_int_equal(st, at / PAGE % 3 == 0 ? MEM_NOT_CAPTURED : MEM_BYTES);
		if (st == MEM_BYTES) assert_int_equal(byte, (uint8_t)(at / PAGE));
	}
	assert_int_equal(range_list_bytes(&sink.lost), 5 * PAGE);
	/* Padding is zeros, not what happened to be in the sink's room. */
	for (size_t i = 0; i < sink.lost.count; i++)
		for (uint64_t at = sink.lost.ranges[i].start; at < sink.lost.ranges[i].end; at++)
			assert_int_equal(sink.out.data[at], 0);
	assert_int_equal(sink.torn.count, 0);
	snapshot_free(b);
	snapshot_free(s);
	sink_done(&sink);
}

static void test_full_sink(void **state)
{
	uint64_t seed = unit_seed();

	for (int round = 0; round < 50; round++) {
		const struct core_config config = {0};
		struct snapshot *s = random_snapshot(&seed);
		struct core *core = NULL;
		struct memory_sink sink;
		struct err e = {0};

		sink_init(&sink, unit_random(&seed));
		assert_int_equal(core_plan(s, &config, &core, NULL), 0);
		sink.fail_after = 1 + unit_random(&seed) % (core_size(core) - 1);
		assert_int_equal(core_write(core, &sink.base, &e), -ERR_NO_SPACE);
		assert_string_equal(e.text, "the sink is full");
		core_free(core);
		snapshot_free(s);
		sink_done(&sink);
	}
}

/* --- reading what is damaged -------------------------------------------------------------------
 */

/* Whatever it says, it must not crash, and its extents must go forward. */
static void walk(struct snapshot *s)
{
	uint64_t at = 0;

	for (int i = 0; i < 10000 && at < UINT64_MAX; i++) {
		enum mem_state st;
		uint8_t bytes[64];
		uint64_t end = snapshot_extent(s, at, UINT64_MAX, &st);

		assert_true(end > at);
		assert_true(snapshot_read(s, at, bytes, sizeof(bytes), &st) > 0);
		at = end;
	}
}

static void test_damaged(void **state)
{
	uint64_t seed = unit_seed();
	size_t opened = 0;

	for (int round = 0; round < 400; round++) {
		struct snapshot *a = random_snapshot(&seed), *b = NULL;
		struct blob *blob = NULL;
		struct memory_sink sink;
		size_t len;

		sink_init(&sink, unit_random(&seed));
		write_core(a, 0, &sink);
		len = round % 2 ? sink.out.len : unit_random(&seed) % sink.out.len;
		for (uint64_t i = round % 2 ? unit_random(&seed) % 20 : 0; i > 0; i--)
			sink.out.data[unit_random(&seed) % MIN(sink.out.len, (size_t)8192)] =
			    (char)unit_random(&seed);
		assert_int_equal(blob_from_memory(sink.out.data, len, &blob, NULL), 0);
		if (snapshot_open_core(blob, NULL, 0, &b, NULL) == 0) {
			opened++;
			walk(b);
			snapshot_free(b);
		}
		blob_unref(blob);
		snapshot_free(a);
		sink_done(&sink);
	}
	/* Else the test tests nothing. */
	assert_true(opened > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_lost),
	    cmocka_unit_test(test_lost_everywhere),
	    cmocka_unit_test(test_many_segments),
	    cmocka_unit_test(test_holes),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_no_segment_for_data_files),
	    cmocka_unit_test(test_unreadable),
	    cmocka_unit_test(test_full_sink),
	    cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
