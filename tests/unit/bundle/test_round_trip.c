#include "bundle_test.h"

#include "bundle/reader.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

static struct bundle *open_bytes(const struct buf *bytes)
{
	struct blob *blob;
	struct bundle *b;

	assert_ok(blob_from_memory(bytes->data, bytes->len, &blob, &test_err));
	assert_true(bundle_probe(blob));
	assert_ok(bundle_open(blob, &b, &test_err));
	blob_unref(blob);
	return b;
}

static void print_problem(void *ctx, const struct bundle_entry *entry, const char *problem)
{
	print_error("%s: %s\n", entry ? entry->name : "bundle", problem);
}

static void expect_whole(struct bundle *b, size_t entries)
{
	struct bundle_verify_totals totals;

	if (bundle_truncated(b)) fail_msg("%s", bundle_truncated(b));
	assert_int_equal(bundle_entry_count(b), entries);
	assert_ok(bundle_verify(b, print_problem, NULL, &totals, &test_err));
	assert_int_equal(totals.problems, 0);
	assert_int_equal(totals.entries, entries);
}

static void expect_entry(struct bundle *b, const struct test_entry *want)
{
	const struct bundle_entry *entry = bundle_find(b, want->name);
	_cleanup_free_ uint8_t *data = malloc(want->size + 1);
	uint8_t hash[SHA256_BYTES];
	struct blob *blob;

	assert_non_null(entry);
	assert_non_null(data);
	assert_int_equal(entry->status, ENTRY_OK);
	assert_int_equal(entry->size, want->size);
	sha256_of(want->data, want->size, hash);
	assert_memory_equal(entry->sha256, hash, sizeof(hash));
	assert_ok(bundle_entry_blob(b, entry, &blob, &test_err));
	assert_int_equal(blob->size, want->size);
	assert_ok(blob_read_at(blob, 0, data, want->size, &test_err));
	assert_memory_equal(data, want->data, want->size);
	for (int i = 0; i < 20 && want->size > 0; i++) {
		size_t start = random_below(want->size);
		size_t len = random_below(want->size - start + 1);

		assert_ok(blob_read_at(blob, start, data, len, &test_err));
		assert_memory_equal(data, want->data + start, len);
	}
	assert_int_equal(blob_read_at(blob, want->size, data, 1, &test_err), -ERR_TRUNCATED);
	blob_unref(blob);
}

static void add_of_each_size(struct test_bundle *t)
{
	const size_t mib = 1 << 20;
	const size_t sizes[] = {0,       1,   511,     512,       513,          1024,
				mib - 1, mib, mib + 1, mib - 512, 3 * mib + 77, 2 * mib};
	char name[64];

	test_bundle_add(t, "meta.json", 100);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		snprintf(name, sizeof(name), "12-java/size-%zu", sizes[i]);
		test_bundle_add(t, name, sizes[i]);
	}
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "12-java/proc/many/%d", i);
		test_bundle_add(t, name, random_below(random_below(8) ? 3000 : 60000));
	}
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "random-%d", i);
		test_bundle_add(t, name, random_below(6 * mib));
	}
}

static void round_trip(void **state)
{
	const int threads[] = {1, 3};

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		_cleanup_test_bundle_ struct test_bundle t = {0};
		struct bundle *b;

		add_of_each_size(&t);
		test_bundle_pack(&t, threads[i]);
		b = open_bytes(&t.bytes);
		expect_whole(b, t.count);
		for (size_t k = 0; k < t.count; k++) {
			expect_entry(b, &t.entries[k]);
			assert_string_equal(bundle_entry_at(b, k)->name, t.entries[k].name);
		}
		assert_null(bundle_find(b, "12-java"));
		assert_null(bundle_find(b, "manifest.json"));
		bundle_free(b);
	}
}

/* The order of frames, and so the bytes, are the same however many threads there are. */
static void threads_do_not_show(void **state)
{
	_cleanup_test_bundle_ struct test_bundle t = {0};
	struct buf one;

	test_bundle_add(&t, "meta.json", 10);
	test_bundle_add(&t, "core", 9 << 20);
	test_bundle_add(&t, "small", 10000);
	test_bundle_pack(&t, 1);
	one = t.bytes;
	test_bundle_pack(&t, 4);
	/* The manifest's own header has a time of its own. */
	assert_memory_equal(one.data, t.bytes.data, 9 << 20 >> 2);
	assert_true(one.len > 9 << 20 >> 2);
	buf_done(&one);
}

static void big_data_starts_a_frame(void **state)
{
	_cleanup_test_bundle_ struct test_bundle t = {0};
	const struct bundle_entry *core;
	struct bundle *b;

	test_bundle_add(&t, "meta.json", 10);
	test_bundle_add(&t, "core", 3 << 20);
	test_bundle_pack(&t, 2);
	b = open_bytes(&t.bytes);
	core = bundle_find(b, "core");
	assert_non_null(core);
	/* meta.json and core's header: one frame of three and one block. */
	assert_int_equal(core->header_offset, 1024);
	assert_int_equal(core->data_offset, 1536);
	bundle_free(b);
}

/* Names that do not fit a ustar header need an extended one. */
static void long_names(void **state)
{
	_cleanup_test_bundle_ struct test_bundle t = {0};
	const size_t lengths[] = {99, 100, 101, 155, 156, 255, 256, 257, 600, BUNDLE_NAME_MAX - 1};
	char name[BUNDLE_NAME_MAX];
	struct bundle *b;

	test_bundle_add(&t, "meta.json", 10);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		memset(name, 'a' + (int)i, lengths[i]);
		name[lengths[i]] = '\0';
		/* With and without slashes to split it at. */
		for (size_t k = 40; i % 2 && k < lengths[i] - 1; k += 41)
			name[k] = '/';
		test_bundle_add(&t, name, 1 + random_below(2000));
	}
	test_bundle_add(&t, "space in 'it' \"$x\" \\ *", 5);
	test_bundle_pack(&t, 1);
	b = open_bytes(&t.bytes);
	expect_whole(b, t.count);
	for (size_t i = 0; i < t.count; i++)
		expect_entry(b, &t.entries[i]);
	bundle_free(b);
}

static void pack_flawed(struct packer *p)
{
	static uint8_t data[10000];
	char text[400];

	memset(data, 'x', sizeof(data));
	assert_ok(packer_add(p, "meta.json", "{}", 2, &test_err));
	/* Ends early. */
	assert_ok(packer_begin(p, "short", 3 << 20, &test_err));
	assert_ok(packer_write(p, data, 1000, &test_err));
	assert_ok(packer_end(p, ENTRY_OK, NULL, &test_err));
	/* Lost and torn ranges out of order, touching and overlapping; the bytes stand there. */
	assert_ok(packer_begin(p, "holes", sizeof(data), &test_err));
	assert_ok(packer_mark_lost(p, 5000, 6000, &test_err));
	assert_ok(packer_mark_lost(p, 100, 200, &test_err));
	assert_ok(packer_mark_lost(p, 200, 300, &test_err));
	assert_ok(packer_mark_lost(p, 5500, 7000, &test_err));
	assert_ok(packer_mark_lost(p, 50, 50, &test_err));
	assert_ok(packer_mark_torn(p, 0, 1, &test_err));
	assert_int_equal(packer_mark_torn(p, 0, sizeof(data) + 1, &test_err), -ERR_USAGE);
	assert_ok(packer_write(p, data, sizeof(data), &test_err));
	assert_int_equal(packer_write(p, data, 1, &test_err), -ERR_LIMIT);
	assert_ok(packer_end(p, ENTRY_OK, NULL, &test_err));
	/* More ranges than are kept. */
	assert_ok(packer_begin(p, "scattered", 1 << 20, &test_err));
	for (uint64_t at = 0; at < 1 << 20; at += 64)
		assert_ok(packer_mark_torn(p, at, at + 1, &test_err));
	assert_ok(packer_end(p, ENTRY_FAILED, "it failed", &test_err));
	/* No UTF-8: longer in JSON than it is here. */
	memset(text, 0xff, sizeof(text) - 1);
	text[0] = '\n';
	text[sizeof(text) - 1] = '\0';
	assert_ok(packer_absent(p, "missing", ENTRY_SKIPPED, text, &test_err));
	/* Mistakes of the caller change nothing. */
	assert_int_equal(packer_begin(p, "short", 1, &test_err), -ERR_EXISTS);
	assert_int_equal(packer_begin(p, "../x", 1, &test_err), -ERR_CORRUPT);
	assert_int_equal(packer_begin(p, "huge", BUNDLE_SIZE_MAX, &test_err), -ERR_LIMIT);
	assert_int_equal(packer_end(p, ENTRY_OK, NULL, &test_err), -ERR_USAGE);
	assert_int_equal(packer_write(p, data, 1, &test_err), -ERR_USAGE);
	assert_int_equal(packer_absent(p, "y", ENTRY_OK, "", &test_err), -ERR_USAGE);
	assert_ok(packer_begin(p, "open", 1, &test_err));
	assert_int_equal(packer_begin(p, "second", 1, &test_err), -ERR_USAGE);
	assert_ok(packer_write(p, data, 1, &test_err));
	assert_ok(packer_end(p, ENTRY_OK, NULL, &test_err));
	assert_ok(packer_flush(p, &test_err));
}

static void check_flawed(struct bundle *b)
{
	const struct bundle_entry *e = bundle_find(b, "short");
	uint8_t data[10000];
	struct blob *blob;

	assert_int_equal(e->status, ENTRY_PARTIAL);
	assert_int_equal(e->lost_count, 1);
	assert_int_equal(e->lost[0].start, 1000);
	assert_int_equal(e->lost[0].end, 3 << 20);
	assert_non_null(strstr(e->reason, "1000"));

	e = bundle_find(b, "holes");
	assert_int_equal(e->status, ENTRY_PARTIAL);
	assert_int_equal(e->lost_count, 2);
	assert_int_equal(e->lost[0].start, 100);
	assert_int_equal(e->lost[0].end, 300);
	assert_int_equal(e->lost[1].start, 5000);
	assert_int_equal(e->lost[1].end, 7000);
	assert_int_equal(e->torn_count, 1);
	assert_ok(bundle_entry_blob(b, e, &blob, &test_err));
	assert_ok(blob_read_at(blob, 0, data, sizeof(data), &test_err));
	for (size_t i = 0; i < sizeof(data); i++) {
		bool lost = (i >= 100 && i < 300) || (i >= 5000 && i < 7000);

		assert_int_equal(data[i], lost ? 0 : 'x');
	}
	blob_unref(blob);

	e = bundle_find(b, "scattered");
	assert_int_equal(e->status, ENTRY_FAILED);
	assert_string_equal(e->reason, "it failed");
	assert_in_range(e->torn_count, 1, BUNDLE_RANGES_MAX);
	for (uint64_t at = 0, i = 0; at < 1 << 20; at += 64) {
		while (e->torn[i].end <= at)
			assert_true(++i < e->torn_count);
		assert_true(e->torn[i].start <= at);
	}

	e = bundle_find(b, "missing");
	assert_int_equal(e->status, ENTRY_SKIPPED);
	assert_int_equal(strlen(e->reason), BUNDLE_REASON_MAX - 1);
	assert_int_equal(e->reason[0], '?');
	assert_false(e->in_tar);
	assert_int_equal(bundle_entry_blob(b, e, &blob, &test_err), -ERR_NOT_FOUND);
}

/* Also: two producers, the second one's offsets rebased; records arrive as told. */
static void flaws_are_listed(void **state)
{
	const struct packer_config config = {.level = -1, .threads = 2};
	struct buf bytes = BUF_INIT(SIZE_MAX), text = BUF_INIT(1000);
	struct bundle_totals totals;
	struct assembler *a;
	struct bundle *b;
	struct packer *p;

	assert_ok(assembler_new(&a, write_to_buf, &bytes, &test_err));
	assert_ok(packer_new(&p, &config, assembler_stream(a, true), &test_err));
	pack_flawed(p);
	packer_free(p);
	assert_ok(packer_new(&p, &config, assembler_stream(a, false), &test_err));
	assert_ok(packer_add(p, "kube/pod.json", "{\"kind\":\"Pod\"}", 14, &test_err));
	assert_ok(packer_flush(p, &test_err));
	packer_free(p);
	assert_ok(assembler_finish(a, &test_summary, &test_err));
	assembler_totals(a, &totals);
	assert_int_equal(totals.entries, 7);
	assert_int_equal(totals.not_ok, 4);
	/* Whatever comes behind them; one is skipped. */
	assert_int_equal(totals.incomplete, 3);
	assert_int_equal(totals.written_bytes, bytes.len);
	assert_int_equal(assembler_finish(a, &test_summary, &test_err), -ERR_USAGE);
	assembler_free(a);

	b = open_bytes(&bytes);
	expect_whole(b, 7);
	check_flawed(b);
	assert_ok(bundle_read_entry(b, "kube/pod.json", &text, &test_err));
	assert_string_equal(text.data, "{\"kind\":\"Pod\"}");
	assert_int_equal(bundle_read_entry(b, "holes", &text, &test_err), -ERR_LIMIT);
	assert_int_equal(bundle_read_entry(b, "nothing", &text, &test_err), -ERR_NOT_FOUND);
	bundle_free(b);
	buf_done(&bytes);
	buf_done(&text);
}

static void manifest_carries_the_summary(void **state)
{
	_cleanup_test_bundle_ struct test_bundle t = {0};
	struct buf text = BUF_INIT(1 << 20);
	struct bundle *b;
	size_t len;

	test_bundle_add(&t, "meta.json", 10);
	test_bundle_pack(&t, 1);
	b = open_bytes(&t.bytes);
	assert_non_null(strstr(bundle_manifest(b, &len), "\"schema\":\"podsnap.manifest/1\""));
	assert_non_null(strstr(bundle_manifest(b, &len), "\"tool\":\"podsnap test\""));
	assert_non_null(strstr(bundle_manifest(b, &len), "\"pause_ns\":123,\"note\""));
	assert_non_null(strstr(bundle_manifest(b, &len), "\"not_ok\":0}"));
	assert_ok(bundle_read_entry(b, "manifest.json", &text, &test_err));
	assert_string_equal(text.data, bundle_manifest(b, &len));
	assert_int_equal(text.len, len);
	buf_done(&text);
	bundle_free(b);
}

static void entry_blobs_outlive_the_bundle(void **state)
{
	_cleanup_test_bundle_ struct test_bundle t = {0};
	uint8_t data[1000];
	struct blob *blob;
	struct bundle *b;

	test_bundle_add(&t, "meta.json", sizeof(data));
	test_bundle_pack(&t, 1);
	b = open_bytes(&t.bytes);
	assert_ok(bundle_entry_blob(b, bundle_find(b, "meta.json"), &blob, &test_err));
	bundle_free(b);
	assert_ok(blob_read_at(blob, 0, data, sizeof(data), &test_err));
	assert_memory_equal(data, t.entries[0].data, sizeof(data));
	blob_unref(blob);
}

/* --- what others read --- */

static void run(const char *command)
{
	int status = system(command);

	if (status != 0) fail_msg("status %d of: %s", status, command);
}

static void write_file(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* libzstd by itself, without the seek table, as `zstd -dc` does. */
static void write_plain(const char *path, const struct buf *packed)
{
	const size_t plain_max = 64 << 20;
	void *plain = malloc(plain_max);
	size_t len;

	assert_non_null(plain);
	len = ZSTD_decompress(plain, plain_max, packed->data, packed->len);
	if (ZSTD_isError(len)) fail_msg("%s", ZSTD_getErrorName(len));
	write_file(path, plain, len);
	free(plain);
}

/* zstd decompresses what was packed, and tar unpacks that. */
static void tar_and_zstd_read_it(void **state)
{
	_cleanup_test_bundle_ struct test_bundle t = {0};
	char dir[] = "/tmp/podsnap-test-XXXXXX", command[256], path[BUNDLE_NAME_MAX + 64];
	uint8_t *data = malloc(8 << 20);

	assert_non_null(data);
	assert_non_null(mkdtemp(dir));
	add_of_each_size(&t);
	memset(path, 'l', 200);
	path[200] = '\0';
	test_bundle_add(&t, path, 1234);
	test_bundle_pack(&t, 3);
	snprintf(path, sizeof(path), "%s/b.tar", dir);
	write_plain(path, &t.bytes);
	snprintf(command, sizeof(command), "cd %s && tar -xf b.tar", dir);
	run(command);
	for (size_t i = 0; i < t.count; i++) {
		struct stat st;
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", dir, t.entries[i].name);
		f = fopen(path, "r");
		assert_non_null(f);
		assert_int_equal(fstat(fileno(f), &st), 0);
		assert_int_equal(st.st_mode, S_IFREG | 0600);
		assert_int_equal(st.st_mtime, 1700000000);
		assert_int_equal(fread(data, 1, 8 << 20, f), t.entries[i].size);
		assert_memory_equal(data, t.entries[i].data, t.entries[i].size);
		fclose(f);
	}
	snprintf(command, sizeof(command), "test -s %s/manifest.json && rm -r %s", dir, dir);
	run(command);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_trip),
	    cmocka_unit_test(threads_do_not_show),
	    cmocka_unit_test(big_data_starts_a_frame),
	    cmocka_unit_test(long_names),
	    cmocka_unit_test(flaws_are_listed),
	    cmocka_unit_test(manifest_carries_the_summary),
	    cmocka_unit_test(entry_blobs_outlive_the_bundle),
	    cmocka_unit_test(tar_and_zstd_read_it),
	};

	return cmocka_run_group_tests(tests, random_setup, NULL);
}
