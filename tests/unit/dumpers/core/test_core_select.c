/* What each kind of core takes of each sort of memory, and what it says of the rest. */
#include "dumpers/proc/coredump_filter.h"
#include "tests/unit/dumpers/core/core_test.h"

enum { ALL_BITS = 0x1ff };

/*
 * One map. Pages and outcomes are a letter a page: b bytes, z zeros that the kernel has no page
 * for, f unmodified page of the file, - not captured. Every page can be read, as in a live process.
 */
struct row {
	const char *map;   /* behind its addresses */
	const char *pages; /* what the snapshot says */
	const char *full;  /* what a full core has */
	const char *taken; /* what a core has that takes it, by the filter */
	const char *left;  /* what one has that does not */
	unsigned bits;     /* of the filter; any takes it */
	bool heap, excluded;
	enum { DATA, ELF, ELF_WITHOUT_ID } file;
};

static const struct row rows[] = {
    /* private */
    {"rw-p 0 00:00 0", "bzb", "bzb", "bzb", "---", 0x01, .heap = true},
    {"rw-p 0 00:00 0 [heap]", "zb", "zb", "zb", "--", 0x01, .heap = true},
    {"rw-p 0 00:00 0 [stack]", "zb", "zb", "zb", "--", 0x01, .heap = true},
    {"---p 0 00:00 0", "z", "z", "z", "-", 0x01, .heap = true},
    {"rw-p 0 00:01 20 /memfd:copy (deleted)", "b", "b", "b", "-", 0x01, .heap = true},
    /* shared */
    {"rw-s 0 00:01 21 /dev/zero (deleted)", "bzb", "bzb", "bzb", "---", 0x02},
    {"rw-s 0 00:01 22 /memfd:x (deleted)", "bb", "bb", "bb", "--", 0x02},
    {"rw-s 0 00:01 28 /memfd:doublemapper (deleted)", "b", "b", "b", "-", 0x02, .heap = true},
    {"rw-s 0 00:01 23 /SYSV00000000 (deleted)", "b", "b", "b", "-", 0x02},
    {"rw-s 0 00:01 24 /dev/shm/named", "b", "b", "b", "-", 0x08},
    {"rw-s 0 08:01 25 /var/gone (deleted)", "b", "b", "b", "-", 0x02, .excluded = true},
    {"rw-s 0 08:01 26 /var/data", "ff", "ff", "bb", "ff", 0x08, .excluded = true},
    {"rw-s 0 08:01 27 /var/kept", "b", "b", "b", "-", 0x08, .excluded = true},
    /* files */
    {"rw-p 0 08:01 30 /var/data2", "f", "f", "b", "f", 0x04, .excluded = true},
    {"rw-p 0 08:01 31 /var/written", "b", "b", "b", "-", 0x05, .heap = true},
    {"r-xp 0 08:01 32 /tmp/jit", "f", "b", "b", "-", 0x04, .excluded = true},
    {"r-xs 0 08:01 33 /tmp/jit2", "f", "b", "b", "-", 0x08, .excluded = true},
    {"r--p 0 08:01 40 /lib/m.so", "f", "b", "b", "-", 0x14, .heap = true, .file = ELF},
    {"r-xp 1000 08:01 40 /lib/m.so", "ff", "ff", "bb", "ff", 0x04, .excluded = true, .file = ELF},
    {"rw-p 3000 08:01 40 /lib/m.so", "b", "b", "b", "-", 0x05, .heap = true, .file = ELF},
    {"r--p 0 08:01 41 /bin/n", "f", "b", "b", "-", 0x14, .heap = true, .file = ELF_WITHOUT_ID},
    {"r-xp 1000 08:01 41 /bin/n", "ff", "bb", "bb", "--", 0x04, .excluded = true,
     .file = ELF_WITHOUT_ID},
    /* A header that was written is a header still. */
    {"rw-p 0 08:01 42 /lib/o.so", "b", "b", "b", "-", 0x14, .heap = true, .file = ELF},
    /* huge pages, DAX */
    {"rw-p 0 00:01 50 /anon_hugepage (deleted)", "bz", "bz", "bz", "--", 0x20, .heap = true},
    {"rw-s 0 00:01 51 /anon_hugepage (deleted)", "b", "b", "b", "-", 0x40},
    {"rw-s 0 00:01 52 /dev/hugepages/x", "b", "b", "b", "-", 0x40},
    {"rw-s 0 00:01 53 /memfd:huge (deleted)", "b", "b", "b", "-", 0x40},
    {"rw-p 0 00:06 54 /dev/dax0.0", "b", "b", "b", "-", 0x80, .heap = true},
    {"rw-s 0 00:06 55 /dev/dax0.1", "b", "b", "b", "-", 0x100},
    /* no core of the kernel has it, and each has it */
    {"rw-p 0 00:00 0 [anon:dontdump]", "b", "b", "b", "-", 0, .heap = true},
    {"r-xp 0 00:00 0 [vdso]", "b", "b", "b", "-", ALL_BITS, .heap = true},
};

/* --- a snapshot of all rows --------------------------------------------------------------------
 */

enum { ROW_SPACE = 16 * PAGE };

static uint64_t address(size_t row)
{
	return (row + 1) * ROW_SPACE;
}

static const struct row *row_at(uint64_t addr)
{
	return &rows[addr / ROW_SPACE - 1];
}

static bool is_header(const struct row *row)
{
	return row->file != DATA && strstr(row->map, "-p 0 ");
}

static void page_bytes(uint64_t addr, uint8_t *page)
{
	const struct row *row = row_at(addr);

	memset(page, (int)(addr / PAGE % 251), PAGE);
	if (is_header(row)) make_elf(page, row->file == ELF);
}

static size_t rows_read(struct snapshot *s, uint64_t addr, void *data, size_t len,
			enum mem_state *state)
{
	size_t into = addr % PAGE, n = MIN(len, PAGE - into);
	uint8_t page[PAGE];

	page_bytes(addr, page);
	memcpy(data, page + into, n);
	*state = MEM_BYTES;
	return n;
}

static uint64_t rows_extent(struct snapshot *s, uint64_t addr, uint64_t end, enum mem_state *state)
{
	char page = row_at(addr)->pages[addr % ROW_SPACE / PAGE];

	*state = page == 'b' ? MEM_BYTES : page == 'z' ? MEM_ZERO : MEM_FILE;
	return MIN(end, addr / PAGE * PAGE + PAGE);
}

static void rows_free(struct snapshot *s)
{
	snapshot_base_done(s);
	free(s);
}

static struct snapshot *all_rows(void)
{
	static const struct snapshot_ops ops = {
	    .read = rows_read, .extent = rows_extent, .free = rows_free};
	struct snapshot *s = calloc(1, sizeof(*s));
	struct buf maps = BUF_INIT(1 << 20);

	assert_non_null(s);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		buf_printf(&maps, NULL, "%llx-%llx %s\n", (unsigned long long)address(i),
			   (unsigned long long)(address(i) + strlen(rows[i].pages) * PAGE),
			   rows[i].map);
	s->ops = &ops;
	s->e_machine = EM_X86_64;
	s->elf_class = ELFCLASS64;
	assert_int_equal(maps_parse(maps.data, maps.len, &s->maps, NULL), 0);
	s->threads = calloc(1, sizeof(*s->threads));
	s->threads[0].tid = s->id.pid = 5;
	s->thread_count = 1;
	buf_done(&maps);
	return s;
}

/* --- cores of it -------------------------------------------------------------------------------
 */

/* The letters of a row as the core has it; bytes must be the right ones. */
static void outcome(struct snapshot *core, const struct buf *bytes, size_t i, char *ret)
{
	size_t count = strlen(rows[i].pages);

	for (size_t k = 0; k < count; k++) {
		static const char letters[] = {
		    [MEM_BYTES] = 'b',        [MEM_ZERO] = 'z',     [MEM_FILE] = 'f',
		    [MEM_NOT_CAPTURED] = '-', [MEM_UNMAPPED] = 'u', [MEM_ERROR] = 'e'};
		uint64_t at = address(i) + k * PAGE;
		uint8_t got[PAGE], want[PAGE];
		enum mem_state state;

		snapshot_read(core, at, got, PAGE, &state);
		ret[k] = letters[state];
		page_bytes(at, want);
		if (state == MEM_BYTES) assert_memory_equal(got, want, PAGE);
		/* Our reader takes for not captured what nothing is said of; others might not. */
		assert_int_equal(note_names(bytes, NOTE_NOT_CAPTURED, at),
				 state == MEM_NOT_CAPTURED);
		assert_int_equal(note_names(bytes, NOTE_FILE_PAGES, at), state == MEM_FILE);
	}
	ret[count] = '\0';
}

static void check(const struct core_config *config, const char *(*expected)(const struct row *row))
{
	struct snapshot *s = all_rows(), *core;
	struct memory_sink sink;

	sink_init(&sink, 1);
	write_core_as(s, config, &sink);
	core = read_core(&sink.out, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *want = expected(&rows[i]);
		char got[16];

		outcome(core, &sink.out, i, got);
		if (strcmp(got, want))
			fail_msg("%s: %s became %s, not %s", rows[i].map, rows[i].pages, got, want);
	}
	snapshot_free(core);
	snapshot_free(s);
	sink_done(&sink);
}

static const char *in_full(const struct row *row)
{
	return row->full;
}

static void test_full(void **state)
{
	check(&(struct core_config){.hole_min = 1}, in_full);
}

/* Left to the file is what the full core leaves to it, too. */
static const char *in_heap(const struct row *row)
{
	return row->heap ? row->full : row->left;
}

static void test_heap(void **state)
{
	check(&(struct core_config){.hole_min = 1, .kind = CORE_HEAP}, in_heap);
}

static const char *without_files(const struct row *row)
{
	return row->excluded ? row->left : row->full;
}

static void test_exclude_files(void **state)
{
	check(&(struct core_config){.hole_min = 1, .exclude_files = true}, without_files);
}

/* Of threads whose registers are not known there is no stack. */
static const char *in_stacks(const struct row *row)
{
	return is_header(row) || strstr(row->map, "[vdso]") ? row->full : row->left;
}

static void test_stacks(void **state)
{
	check(&(struct core_config){.hole_min = 1, .kind = CORE_STACKS}, in_stacks);
}

/* --- the process's own filter ------------------------------------------------------------------
 */

static uint32_t mask;

static const char *by_filter(const struct row *row)
{
	return row->bits & mask || row->bits == ALL_BITS ? row->taken : row->left;
}

static const char *by_filter_of_heap(const struct row *row)
{
	bool filter = row->bits & mask || row->bits == ALL_BITS;

	return row->heap && filter ? row->full : row->left;
}

static const char *by_filter_without_files(const struct row *row)
{
	return row->excluded ? row->left : by_filter(row);
}

/* smaps tells what names do not. */
static void add_flags(struct coredump_filter *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t start = address(i), end = start + PAGE;

		if (strstr(rows[i].map, "/memfd:huge"))
			assert_int_equal(range_list_add(&f->huge, start, end, NULL), 0);
		if (strstr(rows[i].map, "[anon:dontdump]"))
			assert_int_equal(range_list_add(&f->dontdump, start, end, NULL), 0);
	}
}

static void test_filter(void **state)
{
	struct coredump_filter f = {.huge = RANGE_LIST_INIT(10), .dontdump = RANGE_LIST_INIT(10)};
	struct core_config config = {.hole_min = 1, .filter = &f};

	add_flags(&f);
	for (int bit = -1; bit < 10; bit++) {
		/* None, each, and the kernel's default. */
		mask = f.mask = bit < 0 ? 0 : bit == 9 ? 0x33 : 1u << bit;
		config.kind = CORE_FULL;
		check(&config, by_filter);
		config.exclude_files = true;
		check(&config, by_filter_without_files);
		config.exclude_files = false;
		config.kind = CORE_HEAP;
		check(&config, by_filter_of_heap);
	}
	coredump_filter_done(&f);
}

/* --- whatever the kind -------------------------------------------------------------------------
 */

/* A smaller core has the bytes of the full one or says that it has not; it never says zeros where
 * there were others, and it never forgets a page. */
static void compare_cores(struct snapshot *origin, struct snapshot *full, struct snapshot *less)
{
	for (size_t i = 0; i < origin->maps.count; i++) {
		const struct map *map = &origin->maps.v[i];

		for (uint64_t at = map->start; at < map->end; at += PAGE) {
			uint8_t x[PAGE], y[PAGE];
			enum mem_state a, b;

			snapshot_read(full, at, x, PAGE, &a);
			snapshot_read(less, at, y, PAGE, &b);
			if (b == MEM_NOT_CAPTURED) continue;
			/* Short holes between bytes are zeros in one and none in the other. */
			if (a == MEM_BYTES && b == MEM_ZERO) {
				for (size_t k = 0; k < PAGE; k++)
					assert_int_equal(x[k], 0);
				continue;
			}
			assert_int_equal(a, b);
			if (a == MEM_BYTES) assert_memory_equal(x, y, PAGE);
		}
	}
}

static void test_less_is_never_wrong(void **state)
{
	uint64_t seed = unit_seed();

	for (int round = 0; round < 200; round++) {
		struct snapshot *s = random_snapshot(&seed), *full, *less;
		struct coredump_filter f = {.mask = (uint32_t)unit_random(&seed)};
		const struct core_config config = {
		    .kind = (enum core_kind)(unit_random(&seed) % 3),
		    .exclude_files = unit_random(&seed) % 2,
		    .filter = unit_random(&seed) % 2 ? &f : NULL,
		};
		struct memory_sink x, y;

		sink_init(&x, unit_random(&seed));
		sink_init(&y, unit_random(&seed));
		write_core(s, 0, &x);
		write_core_as(s, &config, &y);
		full = read_core(&x.out, NULL);
		less = read_core(&y.out, NULL);
		compare_cores(s, full, less);
		snapshot_free(s);
		snapshot_free(full);
		snapshot_free(less);
		sink_done(&x);
		sink_done(&y);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_full),   cmocka_unit_test(test_heap),
	    cmocka_unit_test(test_stacks), cmocka_unit_test(test_exclude_files),
	    cmocka_unit_test(test_filter), cmocka_unit_test(test_less_is_never_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
