/* What a live snapshot says of each kind of memory, and that reads give what is there. */
#include "dumpers/snapshot/live_internal.h"
#include "tests/unit/dumpers/snapshot/live_child.h"

#include <fcntl.h>

enum { PAGE = 4096, PAGES = 64, FILE_PAGES = 8, CLOSED_PAGES = 4 };

enum { ANON, SHARED, MEMFD, NONE, FILE_PRIVATE, FILE_SHARED, GONE, CLOSED, MAPPINGS };

static bool may_open_maps;
static char file_path[] = "/tmp/podsnap-test-XXXXXX";

static void *map(size_t pages, int prot, int flags, int fd)
{
	void *p = mmap(NULL, pages * PAGE, prot, flags, fd, 0);

	if (p == MAP_FAILED) _exit(1);
	/* Every single page shall be as the test says. */
	madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
	return p;
}

static void fill(void *start, size_t page)
{
	memset((char *)start + page * PAGE, (int)(page + 1), PAGE);
}

static void run_mappings(struct child_shared *s)
{
	int rw = PROT_READ | PROT_WRITE, fd = open(file_path, O_RDWR);
	int memfd = memfd_create("test", 0), shorter = memfd_create("shorter", 0);
	char *p[MAPPINGS];

	if (fd < 0 || ftruncate(memfd, PAGES * PAGE) < 0 || ftruncate(shorter, 2 * PAGE) < 0)
		_exit(1);
	p[ANON] = map(PAGES, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	p[SHARED] = map(PAGES, rw, MAP_SHARED | MAP_ANONYMOUS, -1);
	p[MEMFD] = map(PAGES, rw, MAP_SHARED, memfd);
	p[NONE] = map(PAGES, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	p[FILE_PRIVATE] = map(FILE_PAGES, rw, MAP_PRIVATE, fd);
	p[FILE_SHARED] = map(FILE_PAGES, PROT_READ, MAP_SHARED, fd);
	p[GONE] = map(PAGES, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	/* It goes on behind the end of its memory. */
	p[CLOSED] = map(CLOSED_PAGES, rw, MAP_PRIVATE, shorter);
	fill(p[CLOSED], 1);
	mprotect(p[CLOSED], CLOSED_PAGES * PAGE, PROT_NONE);
	for (size_t i = 0; i < PAGES; i += 3) {
		fill(p[ANON], i);
		fill(p[SHARED], i);
		fill(p[MEMFD], i);
		fill(p[NONE], i);
	}
	mprotect(p[NONE], PAGES * PAGE, PROT_NONE);
	fill(p[FILE_PRIVATE], 5);
	/* Read, but not written: still the file's. */
	if (*(volatile char *)(p[FILE_PRIVATE] + 2 * PAGE) != 'f') _exit(1);
	munmap(p[GONE] + PAGE, PAGE);
	for (int i = 0; i < MAPPINGS; i++)
		s->address[i] = (uint64_t)(uintptr_t)p[i];
	atomic_fetch_add(&s->ready, 1);
	child_beat_forever(s);
}

static void make_file(void)
{
	char page[PAGE];
	int fd = mkstemp(file_path);

	assert_true(fd >= 0);
	memset(page, 'f', sizeof(page));
	for (int i = 0; i < FILE_PAGES; i++)
		assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	close(fd);
}

static void check_extent(struct snapshot *s, uint64_t start, uint64_t end, enum mem_state want)
{
	enum mem_state state;

	while (start < end) {
		uint64_t to = snapshot_extent(s, start, end, &state);

		if (state != want)
			fail_msg("0x%llx is %s, not %s", (unsigned long long)start,
				 mem_state_name(state), mem_state_name(want));
		assert_true(to > start && to <= end);
		start = to;
	}
}

static void check_page(struct snapshot *s, uint64_t start, size_t page, char want)
{
	char got[PAGE], all[PAGE];
	struct err e = {0};

	memset(all, want, sizeof(all));
	if (snapshot_read_all(s, start + page * PAGE, got, PAGE, &e)) fail_msg("%s", e.text);
	assert_memory_equal(got, all, PAGE);
}

/* Who may ask the file behind it knows the holes; to others every page counts. */
static void check_shared(struct snapshot *s, uint64_t start)
{
	for (size_t i = 0; i < PAGES; i++)
		check_extent(s, start + i * PAGE, start + (i + 1) * PAGE,
			     i % 3 == 0 || !may_open_maps ? MEM_BYTES : MEM_ZERO);
}

static void check_mappings(const struct child *c, struct snapshot *s)
{
	const uint64_t *a = c->shared->address;

	for (size_t i = 0; i < PAGES; i++) {
		bool touched = i % 3 == 0;
		uint64_t at = i * PAGE;

		check_extent(s, a[ANON] + at, a[ANON] + at + PAGE, touched ? MEM_BYTES : MEM_ZERO);
		check_extent(s, a[NONE] + at, a[NONE] + at + PAGE, touched ? MEM_BYTES : MEM_ZERO);
		check_page(s, a[ANON], i, touched ? (char)(i + 1) : 0);
		check_page(s, a[NONE], i, touched ? (char)(i + 1) : 0);
	}
	check_shared(s, a[SHARED]);
	check_shared(s, a[MEMFD]);
	/* Reading makes the pages, so only now. */
	for (size_t i = 0; i < PAGES; i++) {
		check_page(s, a[SHARED], i, i % 3 == 0 ? (char)(i + 1) : 0);
		check_page(s, a[MEMFD], i, i % 3 == 0 ? (char)(i + 1) : 0);
	}
	for (size_t i = 0; i < FILE_PAGES; i++) {
		uint64_t at = a[FILE_PRIVATE] + i * PAGE;

		check_extent(s, at, at + PAGE, i == 5 ? MEM_BYTES : MEM_FILE);
		check_page(s, a[FILE_PRIVATE], i, i == 5 ? 6 : 'f');
	}
	check_extent(s, a[FILE_SHARED], a[FILE_SHARED] + FILE_PAGES * PAGE, MEM_FILE);
	check_extent(s, a[GONE] + PAGE, a[GONE] + 2 * PAGE, MEM_UNMAPPED);
	for (size_t i = 0; i < CLOSED_PAGES; i++)
		check_extent(s, a[CLOSED] + i * PAGE, a[CLOSED] + (i + 1) * PAGE,
			     i == 1 ? MEM_BYTES : MEM_NOT_CAPTURED);
	check_page(s, a[CLOSED], 1, 2);
}

static void test_kinds(void **state)
{
	struct snapshot *s;
	struct child c;

	child_start(&c, run_mappings, 1);
	s = child_snapshot(&c);
	check_mappings(&c, s);
	snapshot_free(s);
	child_end(&c);
}

/* Kernels before 6.7 have no PAGEMAP_SCAN; the answers are the same. */
static void test_kinds_by_pagemap(void **state)
{
	struct snapshot *s;
	struct child c;

	child_start(&c, run_mappings, 1);
	s = child_snapshot(&c);
	((struct live *)s)->pages.no_scan = true;
	check_mappings(&c, s);
	snapshot_free(s);
	child_end(&c);
}

/* Where pagemap may not be read, all private pages count. */
static void test_without_pagemap(void **state)
{
	struct snapshot *s;
	struct live *l;
	struct child c;

	child_start(&c, run_mappings, 1);
	s = child_snapshot(&c);
	l = (struct live *)s;
	close(l->pagemap_fd);
	l->pagemap_fd = -1;
	check_extent(s, c.shared->address[ANON], c.shared->address[ANON] + PAGES * PAGE, MEM_BYTES);
	check_extent(s, c.shared->address[FILE_SHARED],
		     c.shared->address[FILE_SHARED] + FILE_PAGES * PAGE, MEM_FILE);
	check_page(s, c.shared->address[ANON], 1, 0);
	snapshot_free(s);
	child_end(&c);
}

static void test_vdso_and_kernel_pages(void **state)
{
	struct snapshot *s;
	struct child c;
	uint8_t magic[4];
	size_t seen = 0;

	child_start(&c, run_mappings, 1);
	s = child_snapshot(&c);
	assert_int_equal(snapshot_read_all(s, snapshot_auxv(s, AT_SYSINFO_EHDR), magic, 4, NULL),
			 0);
	assert_memory_equal(magic, ELFMAG, 4);
	for (size_t i = 0; i < s->maps.count; i++) {
		const struct map *m = &s->maps.v[i];
		enum mem_state st;

		if (strcmp(m->name, "[vdso]") == 0) check_extent(s, m->start, m->end, MEM_BYTES);
		if (strncmp(m->name, "[vvar", 5) != 0 && strcmp(m->name, "[vsyscall]") != 0)
			continue;
		seen++;
		check_extent(s, m->start, m->end, MEM_NOT_CAPTURED);
		assert_int_equal(snapshot_read(s, m->start, magic, 4, &st), 4);
		assert_int_equal(st, MEM_NOT_CAPTURED);
	}
	assert_true(seen > 0);
	snapshot_free(s);
	child_end(&c);
}

static void test_read_errors(void **state)
{
	struct snapshot *s;
	struct err e = {0};
	enum mem_state st;
	struct child c;
	uint64_t gone;
	char bytes[2 * PAGE];

	child_start(&c, run_mappings, 1);
	s = child_snapshot(&c);
	gone = c.shared->address[GONE];
	/* Up to the hole, then the hole. */
	assert_int_equal(snapshot_read(s, gone + PAGE - 16, bytes, 100, &st), 16);
	assert_int_equal(st, MEM_BYTES);
	assert_int_equal(snapshot_read(s, gone + PAGE, bytes, sizeof(bytes), &st), PAGE);
	assert_int_equal(st, MEM_UNMAPPED);
	assert_int_equal(snapshot_read_all(s, gone, bytes, sizeof(bytes), &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "unmapped");
	assert_int_equal(snapshot_read_all(s, UINT64_MAX - 8, bytes, 100, &e), -ERR_NOT_FOUND);
	assert_int_equal(snapshot_read_all(s, 0, bytes, 1, &e), -ERR_NOT_FOUND);
	snapshot_free(s);
	child_end(&c);
}

/* Extents of the whole address space cover it without a gap, each a whole number of pages. */
static void test_cover(void **state)
{
	struct snapshot *s;
	struct child c;
	uint64_t at = 0, bytes = 0;

	child_start(&c, run_mappings, 1);
	s = child_snapshot(&c);
	while (at < UINT64_MAX) {
		enum mem_state st;
		uint64_t end = snapshot_extent(s, at, UINT64_MAX, &st);

		assert_true(end > at);
		assert_true(end == UINT64_MAX || end % PAGE == 0);
		assert_int_equal(st == MEM_UNMAPPED, maps_find(&s->maps, at) == NULL);
		if (st == MEM_BYTES) bytes += end - at;
		at = end;
	}
	assert_true(bytes >= 4 * PAGES / 3 * PAGE);
	snapshot_free(s);
	child_end(&c);
}

/* proc(5): following map_files takes CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE. */
static bool can_open_maps(void)
{
	char *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0), path[96];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)(uintptr_t)p,
		 (unsigned long)(uintptr_t)p + PAGE);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	close_fd(&fd);
	munmap(p, PAGE);
	return fd >= 0;
}

static int setup(void **state)
{
	may_open_maps = can_open_maps();
	make_file();
	return 0;
}

static int teardown(void **state)
{
	unlink(file_path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kinds),           cmocka_unit_test(test_kinds_by_pagemap),
	    cmocka_unit_test(test_without_pagemap), cmocka_unit_test(test_vdso_and_kernel_pages),
	    cmocka_unit_test(test_read_errors),     cmocka_unit_test(test_cover),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
