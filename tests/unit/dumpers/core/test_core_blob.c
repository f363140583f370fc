/* A core read at random is the core that is written. */
#include "dumpers/core/core_blob.h"

#include "tests/unit/dumpers/core/core_test.h"

static void compare_pieces(struct blob *blob, const struct buf *written, uint64_t *seed)
{
	assert_int_equal(blob->size, written->len);
	for (int i = 0; i < 40; i++) {
		uint64_t start = unit_random(seed) % (written->len + 1);
		size_t len = (size_t)(unit_random(seed) % (written->len - start + 1));
		size_t few = (size_t)(unit_random(seed) % 200);
		uint8_t *piece;

		if (i % 2) len = MIN(len, few);
		piece = malloc(MAX(len, (size_t)1));
		assert_non_null(piece);
		assert_int_equal(blob_read_at(blob, start, piece, len, NULL), 0);
		assert_memory_equal(piece, written->data + start, len);
		free(piece);
	}
}

static void test_same_bytes(void **state)
{
	uint64_t seed = unit_seed();

	for (int round = 0; round < 100; round++) {
		const struct core_config config = {.hole_min = unit_random(&seed) % 3 * 3 * PAGE,
						   .version = "test"};
		struct snapshot *s = random_snapshot(&seed);
		struct core *core = NULL;
		struct blob *blob = NULL;
		struct memory_sink sink;

		sink_init(&sink, unit_random(&seed));
		assert_int_equal(core_plan(s, &config, &core, NULL), 0);
		assert_int_equal(core_open_blob(core, &blob, NULL), 0);
		assert_int_equal(core_write(core, &sink.base, NULL), 0);
		compare_pieces(blob, &sink.out, &seed);
		blob_unref(blob);
		core_free(core);
		snapshot_free(s);
		sink_done(&sink);
	}
}

/* Its plan says that there are bytes; reading shows that there are none. */
struct liar {
	struct snapshot base;
};

static size_t liar_read(struct snapshot *s, uint64_t addr, void *data, size_t len,
			enum mem_state *state)
{
	size_t n = (size_t)MIN((uint64_t)len, align_down(addr, PAGE) + PAGE - addr);

	*state = addr < 3 * PAGE ? MEM_BYTES : MEM_ERROR;
	if (*state == MEM_BYTES) memset(data, 0x11, n);
	return n;
}

static uint64_t liar_extent(struct snapshot *s, uint64_t addr, uint64_t end, enum mem_state *state)
{
	*state = MEM_BYTES;
	return end;
}

static void liar_free(struct snapshot *s)
{
	snapshot_base_done(s);
	free(s);
}

static void test_unreadable(void **state)
{
	static const char maps[] = "1000-5000 rw-p 0 00:00 0\n";
	static const struct snapshot_ops ops = {
	    .read = liar_read, .extent = liar_extent, .free = liar_free};
	const struct core_config config = {.version = "test"};
	struct liar *liar = calloc(1, sizeof(*liar));
	struct core *core = NULL;
	struct blob *blob = NULL;
	struct err e = {0};
	uint8_t pages[4 * PAGE];
	uint64_t data;

	assert_non_null(liar);
	liar->base.ops = &ops;
	liar->base.e_machine = EM_X86_64;
	liar->base.elf_class = ELFCLASS64;
	assert_int_equal(maps_parse(maps, strlen(maps), &liar->base.maps, NULL), 0);
	liar->base.threads = calloc(1, sizeof(*liar->base.threads));
	liar->base.threads[0].tid = liar->base.id.pid = 5;
	liar->base.thread_count = 1;
	assert_int_equal(core_plan(&liar->base, &config, &core, NULL), 0);
	assert_int_equal(core_open_blob(core, &blob, NULL), 0);
	data = blob->size - sizeof(pages);
	assert_int_equal(blob_read_at(blob, data, pages, 2 * PAGE, NULL), 0);
	assert_int_equal(pages[2 * PAGE - 1], 0x11);
	assert_int_equal(blob_read_at(blob, data, pages, sizeof(pages), &e), -ERR_IO);
	assert_string_equal(e.text, "the memory at 0x3000 cannot be read");
	blob_unref(blob);
	core_free(core);
	snapshot_free(&liar->base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same_bytes),
	    cmocka_unit_test(test_unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
