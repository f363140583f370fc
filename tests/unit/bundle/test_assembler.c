#include "bundle_test.h"

#include "bundle/frame.h"
#include "bundle/reader.h"

/* A producer by hand: one frame of a tar of one empty entry, and its record. */
struct produced {
	uint8_t packed[1000];
	struct bundle_frame frame;
	struct bundle_entry entry;
};

static int keep_frame(struct bundle_output *out, const struct bundle_frame *frame, struct err *e);
static int keep_entry(struct bundle_output *out, const struct bundle_entry *entry, struct err *e);

static struct {
	struct bundle_output out;
	struct produced *to;
} keeper = {.out = {keep_frame, keep_entry}};

static int keep_frame(struct bundle_output *out, const struct bundle_frame *frame, struct err *e)
{
	assert_true(frame->len <= sizeof(keeper.to->packed));
	memcpy(keeper.to->packed, frame->data, frame->len);
	keeper.to->frame = *frame;
	keeper.to->frame.data = keeper.to->packed;
	return 0;
}

static int keep_entry(struct bundle_output *out, const struct bundle_entry *entry, struct err *e)
{
	keeper.to->entry = *entry;
	return 0;
}

static void produce(struct produced *p, const char *name)
{
	const struct packer_config config = {.level = 1, .threads = 1};
	struct packer *packer;

	keeper.to = p;
	assert_ok(packer_new(&packer, &config, &keeper.out, &test_err));
	assert_ok(packer_add(packer, name, "{}", 2, &test_err));
	assert_ok(packer_flush(packer, &test_err));
	packer_free(packer);
}

static struct buf written;

static struct assembler *new_assembler(void)
{
	struct assembler *a;

	buf_done(&written);
	written = BUF_INIT(1 << 20);
	assert_ok(assembler_new(&a, write_to_buf, &written, &test_err));
	return a;
}

/* After a refusal the bundle cannot be finished, and nothing more of it is taken. */
static void expect_dead(struct assembler *a, struct bundle_output *out, const struct produced *p)
{
	size_t len = written.len;

	assert_true(out->frame(out, &p->frame, &test_err) < 0);
	assert_true(out->entry(out, &p->entry, &test_err) < 0);
	assert_true(assembler_finish(a, &test_summary, &test_err) < 0);
	assert_int_equal(written.len, len);
	assembler_free(a);
}

static void frames_that_lie_are_refused(void **state)
{
	struct produced good, bad;
	struct bundle_output *out;
	struct assembler *a;

	produce(&good, "meta.json");
	for (int i = 0; i < 7; i++) {
		bad = good;
		bad.frame.data = bad.packed;
		switch (i) {
		case 0:
			bad.frame.plain_offset = 1;
			break;
		case 1:
			bad.frame.plain_len++;
			break;
		case 2:
			bad.frame.len--;
			break;
		case 3:
			bad.packed[bad.frame.len - 1] ^= 1; /* the checksum */
			break;
		case 4:
			bad.packed[bad.frame.len / 2] ^= 0x10;
			break;
		case 5:
			bad.frame.plain_len = 0;
			break;
		case 6:
			bad.frame.len++;
			bad.packed[bad.frame.len - 1] = 0;
			break;
		}
		a = new_assembler();
		out = assembler_stream(a, true);
		assert_int_equal(out->frame(out, &bad.frame, &test_err), -ERR_CORRUPT);
		assert_int_equal(written.len, 0);
		expect_dead(a, out, &good);
	}
}

static void records_that_lie_are_refused(void **state)
{
	struct produced good, bad;
	struct bundle_output *out;
	struct assembler *a;

	produce(&good, "meta.json");
	for (int i = 0; i < 5; i++) {
		bad = good;
		switch (i) {
		case 0:
			bad.entry.header_offset += 512;
			bad.entry.data_offset += 512;
			break;
		case 1:
			strcpy(bad.entry.name, "../meta.json");
			break;
		case 2:
			strcpy(bad.entry.name, "manifest.json");
			break;
		case 3:
			bad.entry.size = UINT64_MAX;
			break;
		case 4:
			bad.entry.in_tar = false; /* and yet ok */
			break;
		}
		a = new_assembler();
		out = assembler_stream(a, true);
		assert_ok(out->frame(out, &good.frame, &test_err));
		assert_int_equal(out->entry(out, &bad.entry, &test_err), -ERR_CORRUPT);
		expect_dead(a, out, &good);
	}
}

static void a_name_twice_is_refused(void **state)
{
	struct assembler *a = new_assembler();
	struct bundle_output *out = assembler_stream(a, true);
	struct produced one;

	produce(&one, "meta.json");
	assert_ok(out->frame(out, &one.frame, &test_err));
	assert_ok(out->entry(out, &one.entry, &test_err));
	out = assembler_stream(a, true);
	assert_ok(out->frame(out, &one.frame, &test_err));
	assert_int_equal(out->entry(out, &one.entry, &test_err), -ERR_CORRUPT);
	expect_dead(a, out, &one);
}

/* A producer that died before its entry's record or bytes were all there. */
static void a_stream_that_stops_midway_is_not_finished(void **state)
{
	struct produced one;
	struct bundle_output *out;
	struct assembler *a;

	produce(&one, "meta.json");
	a = new_assembler();
	out = assembler_stream(a, true);
	assert_ok(out->frame(out, &one.frame, &test_err));
	assert_int_equal(assembler_finish(a, &test_summary, &test_err), -ERR_CORRUPT);
	assembler_free(a);

	a = new_assembler();
	out = assembler_stream(a, true);
	one.entry.size = 5000;
	assert_ok(out->frame(out, &one.frame, &test_err));
	assert_ok(out->entry(out, &one.entry, &test_err));
	assert_int_equal(assembler_finish(a, &test_summary, &test_err), -ERR_CORRUPT);
	assembler_free(a);
}

static void extra_members_are_checked(void **state)
{
	static const char *const bad[] = {"\"entries\":[]", "\"not_ok\":0", "\"a\":1}",
					  "\"a\"",          "\"a\":1,",     "\"a\":1},{\"b\":2"};
	struct produced one;

	produce(&one, "meta.json");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct bundle_summary summary = test_summary;
		struct assembler *a = new_assembler();
		struct bundle_output *out = assembler_stream(a, true);

		summary.extra_json = bad[i];
		assert_ok(out->frame(out, &one.frame, &test_err));
		assert_ok(out->entry(out, &one.entry, &test_err));
		assert_int_equal(assembler_finish(a, &summary, &test_err), -ERR_USAGE);
		assembler_free(a);
	}
}

/* A sink that is full after a number of bytes. */
static int full_sink(void *ctx, const void *data, size_t len, struct err *e)
{
	size_t *room = ctx;

	if (len > *room) return err_set(e, ERR_NO_SPACE, "the disk is full");
	*room -= len;
	return 0;
}

/* The first failure of the sink is what every later call says, whichever thread compressed. */
static void a_full_sink_ends_it(void **state)
{
	static uint8_t data[3 << 20];
	const int threads[] = {1, 3};

	random_fill(data, sizeof(data));
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		const struct packer_config config = {.level = 1, .threads = threads[i]};
		size_t room = 3 << 20;
		struct assembler *a;
		struct packer *p;
		char name[32];
		int r = 0;

		assert_ok(assembler_new(&a, full_sink, &room, &test_err));
		assert_ok(packer_new(&p, &config, assembler_stream(a, false), &test_err));
		for (int k = 0; k < 20 && r == 0; k++) {
			snprintf(name, sizeof(name), "entry-%d", k);
			r = packer_add(p, name, data, sizeof(data), &test_err);
		}
		assert_int_equal(r, -ERR_NO_SPACE);
		for (int k = 0; k < 3; k++) {
			memset(&test_err, 0, sizeof(test_err));
			assert_int_equal(packer_begin(p, "x", 1, &test_err), -ERR_NO_SPACE);
			assert_string_equal(test_err.text, "the disk is full");
			assert_int_equal(packer_flush(p, &test_err), -ERR_NO_SPACE);
			assert_int_equal(packer_absent(p, "y", ENTRY_FAILED, "", &test_err),
					 -ERR_NO_SPACE);
		}
		packer_free(p);
		assert_true(assembler_finish(a, &test_summary, &test_err) < 0);
		assembler_free(a);
	}
}

/* Every entry may have as many ranges as one may; all together fit a manifest that opens. */
static void ranges_of_all_entries_are_bounded(void **state)
{
	static struct range torn[BUNDLE_RANGES_MAX];
	const struct packer_config config = {.level = 1, .threads = 1};
	struct assembler *a;
	struct blob *blob;
	struct bundle *b;
	struct packer *p;
	char name[32];
	enum { ENTRIES = 300 };

	for (size_t i = 0; i < ARRAY_SIZE(torn); i++)
		torn[i] = (struct range){10 * i, 10 * i + 5};
	buf_done(&written);
	written = BUF_INIT(SIZE_MAX);
	assert_ok(assembler_new(&a, write_to_buf, &written, &test_err));
	assert_ok(packer_new(&p, &config, assembler_stream(a, true), &test_err));
	for (int i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), i ? "entry-%d" : "meta.json", i);
		assert_ok(packer_begin(p, name, 10 * BUNDLE_RANGES_MAX, &test_err));
		for (size_t k = 0; k < ARRAY_SIZE(torn); k++)
			assert_ok(packer_mark_torn(p, torn[k].start, torn[k].end, &test_err));
		assert_ok(packer_end(p, ENTRY_OK, NULL, &test_err));
	}
	assert_ok(packer_flush(p, &test_err));
	packer_free(p);
	assert_ok(assembler_finish(a, &test_summary, &test_err));
	assembler_free(a);

	assert_ok(blob_from_memory(written.data, written.len, &blob, &test_err));
	assert_ok(bundle_open(blob, &b, &test_err));
	blob_unref(blob);
	if (bundle_truncated(b)) fail_msg("%s", bundle_truncated(b));
	assert_int_equal(bundle_entry_count(b), ENTRIES);
	for (size_t i = 0; i < ENTRIES; i++) {
		const struct bundle_entry *entry = bundle_entry_at(b, i);

		/* Coarser towards the end, never less than what is torn. */
		assert_in_range(entry->torn_count, 1, BUNDLE_RANGES_MAX);
		assert_int_equal(entry->torn[0].start, 0);
		assert_int_equal(entry->torn[entry->torn_count - 1].end,
				 torn[BUNDLE_RANGES_MAX - 1].end);
	}
	assert_int_equal(bundle_entry_at(b, 0)->torn_count, BUNDLE_RANGES_MAX);
	bundle_free(b);
}

static void reducing_keeps_the_widest_gaps(void **state)
{
	struct range ranges[] = {
	    {0, 10}, {20, 30}, {100000, 100001}, {100500, 100600}, {10000000, 10000001}};

	assert_int_equal(bundle_ranges_reduce(ranges, 5, 5), 5);
	assert_int_equal(bundle_ranges_reduce(ranges, 5, 3), 3);
	assert_int_equal(ranges[0].start, 0);
	assert_int_equal(ranges[0].end, 30);
	assert_int_equal(ranges[1].start, 100000);
	assert_int_equal(ranges[1].end, 100600);
	assert_int_equal(ranges[2].start, 10000000);
	assert_int_equal(bundle_ranges_reduce(ranges, 3, 1), 1);
	assert_int_equal(ranges[0].start, 0);
	assert_int_equal(ranges[0].end, 10000001);
}

static void components_become_safe(void **state)
{
	static const char *const cases[][2] = {
	    {"java", "java"},
	    {"a/b", "a_b"},
	    {"", "_"},
	    {".", "_"},
	    {"..", "_"},
	    {"...", "..."},
	    {"a\n\x1b[31m", "a__[31m"},
	    {"\xc3\xa4", "__"},
	    {"a b", "a b"},
	};
	char text[16];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bundle_name_component(cases[i][0], text, sizeof(text));
		assert_string_equal(text, cases[i][1]);
		assert_ok(bundle_entry_name_check(text, &test_err));
	}
	bundle_name_component("0123456789abcdefghij", text, sizeof(text));
	assert_string_equal(text, "0123456789abcde");
	bundle_name_component("..", text, 2); /* cut to one dot */
	assert_string_equal(text, "_");
}

static int done(void **state)
{
	buf_done(&written);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(frames_that_lie_are_refused),
	    cmocka_unit_test(records_that_lie_are_refused),
	    cmocka_unit_test(a_name_twice_is_refused),
	    cmocka_unit_test(a_stream_that_stops_midway_is_not_finished),
	    cmocka_unit_test(extra_members_are_checked),
	    cmocka_unit_test(a_full_sink_ends_it),
	    cmocka_unit_test(ranges_of_all_entries_are_bounded),
	    cmocka_unit_test(reducing_keeps_the_widest_gaps),
	    cmocka_unit_test(components_become_safe),
	};

	return cmocka_run_group_tests(tests, random_setup, done);
}
