#include "bundle_test.h"

#include "bundle/format.h"
#include "bundle/frame.h"
#include "bundle/le.h"
#include "bundle/reader.h"
#include "bundle/tar.h"

static struct blob *blob_of(const void *data, size_t len)
{
	struct blob *blob;

	assert_ok(blob_from_memory(data, len, &blob, &test_err));
	return blob;
}

static int open_memory(const void *data, size_t len, struct bundle **ret)
{
	struct blob *blob = blob_of(data, len);
	int r = bundle_open(blob, ret, &test_err);

	(void)bundle_probe(blob);
	blob_unref(blob);
	return r;
}

static const struct test_entry *find_packed(const struct test_bundle *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->entries[i].name, name) == 0) return &t->entries[i];
	return NULL;
}

/* Everything the bundle calls readable is as it was packed; only the last entry is cut. */
static void expect_prefix(struct bundle *b, const struct test_bundle *t)
{
	bool after_cut = false;

	assert_true(bundle_entry_count(b) >= 1);
	for (size_t i = 0; i < bundle_entry_count(b); i++) {
		const struct bundle_entry *entry = bundle_entry_at(b, i);
		const struct test_entry *want = find_packed(t, entry->name);
		uint64_t readable = entry->lost_count > 0 ? entry->lost[0].start : entry->size;
		_cleanup_free_ uint8_t *data = malloc(entry->size + 1);
		struct blob *blob;

		assert_non_null(want);
		assert_int_equal(entry->size, want->size);
		assert_false(after_cut);
		after_cut = entry->status != ENTRY_OK;
		assert_int_equal(entry->lost_count, after_cut);
		assert_ok(bundle_entry_blob(b, entry, &blob, &test_err));
		assert_ok(blob_read_at(blob, 0, data, readable, &test_err));
		assert_memory_equal(data, want->data, readable);
		if (after_cut) {
			assert_int_equal(entry->lost[0].end, entry->size);
			assert_int_equal(blob_read_at(blob, 0, data, entry->size, &test_err),
					 -ERR_TRUNCATED);
		}
		blob_unref(blob);
	}
}

/* A cut bundle is never whole; how many entries it still has. */
static size_t try_cut(const struct test_bundle *t, size_t len)
{
	struct bundle_verify_totals totals;
	struct bundle *b;
	size_t count;
	int r = open_memory(t->bytes.data, len, &b);

	if (r < 0) {
		if (r != -ERR_TRUNCATED) fail_msg("cut at %zu: %d %s", len, r, test_err.text);
		return 0;
	}
	if (!bundle_truncated(b)) fail_msg("cut at %zu of %zu passes", len, t->bytes.len);
	assert_null(strchr(bundle_truncated(b), '\n'));
	expect_prefix(b, t);
	assert_ok(bundle_verify(b, NULL, NULL, &totals, &test_err));
	if (totals.problems != 1)
		fail_msg("%d problems: %s", (int)totals.problems, bundle_truncated(b));
	count = bundle_entry_count(b);
	bundle_free(b);
	return count;
}

static void small_bundle_cut_at_every_byte(void **state)
{
	_cleanup_test_bundle_ struct test_bundle t = {0};
	size_t before = 0, count;

	test_bundle_add(&t, "meta.json", 60);
	test_bundle_add(&t, "a/empty", 0);
	test_bundle_add(&t, "a/core", (1 << 20) + 5000);
	test_bundle_add(&t, "b", 700);
	/* Noise would make it a MiB long: every byte of it is tried. */
	memset(t.entries[2].data, 'c', t.entries[2].size);
	test_bundle_pack(&t, 1);
	assert_true(t.bytes.len < 20000);
	for (size_t len = 0; len < t.bytes.len; len++) {
		count = try_cut(&t, len);
		assert_true(count >= before); /* more bytes never show less */
		before = count;
	}
	/* In the tail everything is there. */
	assert_int_equal(before, t.count);
}

static void big_bundle_cut_at_random(void **state)
{
	_cleanup_test_bundle_ struct test_bundle t = {0};
	size_t partial = 0;
	char name[32];

	test_bundle_add(&t, "meta.json", 60);
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "entry-%d", i);
		test_bundle_add(&t, name, random_below(i % 3 ? 3000 : 2 << 20));
	}
	test_bundle_add(&t, "core", 5 << 20);
	test_bundle_pack(&t, 2);
	for (int i = 0; i < 200; i++) {
		size_t count = try_cut(&t, random_below(t.bytes.len));

		partial += count > 0 && count < t.count;
	}
	assert_true(partial > 0);
}

static void count_problem(void *ctx, const struct bundle_entry *entry, const char *problem)
{
	assert_null(strchr(problem, '\n'));
	assert_true(strlen(problem) > 0);
	(*(int *)ctx)++;
}

/* Opens and verifies: true if something was found to be wrong. */
static bool finds_damage(const void *data, size_t len)
{
	struct bundle_verify_totals totals;
	struct bundle *b;
	int problems = 0;

	if (open_memory(data, len, &b) < 0) return true;
	assert_ok(bundle_verify(b, count_problem, &problems, &totals, &test_err));
	assert_int_equal(problems, totals.problems);
	if (bundle_truncated(b)) assert_true(problems > 0);
	bundle_free(b);
	return problems > 0;
}

static void flipped_bytes_are_found(void **state)
{
	_cleanup_test_bundle_ struct test_bundle t = {0};
	uint8_t *copy;

	test_bundle_add(&t, "meta.json", 60);
	test_bundle_add(&t, "core", (1 << 20) + 300);
	test_bundle_add(&t, "small", 3000);
	memset(t.entries[1].data, 'c', t.entries[1].size);
	test_bundle_pack(&t, 1);
	copy = malloc(t.bytes.len);
	assert_non_null(copy);
	for (size_t i = 0; i < t.bytes.len; i++) {
		memcpy(copy, t.bytes.data, t.bytes.len);
		copy[i] ^= (uint8_t)(1 + random_below(255));
		/* Some bits mean nothing to zstd; the hash of the packed bytes finds those. */
		if (!finds_damage(copy, t.bytes.len)) fail_msg("byte %zu", i);
	}
	free(copy);
}

static void frame_lost_in_the_middle(void **state)
{
	_cleanup_test_bundle_ struct test_bundle t = {0};
	struct bundle_verify_totals totals;
	struct blob *blob;
	struct bundle *b;
	uint8_t data[4096];
	int problems = 0;

	test_bundle_add(&t, "meta.json", 60);
	test_bundle_add(&t, "core", 8 << 20);
	test_bundle_add(&t, "after", 3000);
	test_bundle_pack(&t, 2);
	/* Well inside the core's packed bytes, which are half noise. */
	memset(t.bytes.data + t.bytes.len / 2, 0x5a, 16);
	assert_ok(open_memory(t.bytes.data, t.bytes.len, &b));
	assert_null(bundle_truncated(b));
	assert_ok(bundle_verify(b, count_problem, &problems, &totals, &test_err));
	assert_in_range(problems, 1, 2); /* two if it fell on the border of two frames */

	assert_ok(bundle_entry_blob(b, bundle_find(b, "core"), &blob, &test_err));
	assert_ok(blob_read_at(blob, 0, data, sizeof(data), &test_err));
	assert_memory_equal(data, t.entries[1].data, sizeof(data));
	int bad = 0;
	for (uint64_t at = 0; at < blob->size; at += 1 << 20) {
		int r = blob_read_at(blob, at, data, sizeof(data), &test_err);

		if (r == 0) {
			assert_memory_equal(data, t.entries[1].data + at, sizeof(data));
			continue;
		}
		assert_int_equal(r, -ERR_CORRUPT);
		assert_non_null(strstr(test_err.text, "entry core: frame "));
		bad++;
	}
	assert_int_equal(bad, problems);
	blob_unref(blob);
	assert_ok(bundle_entry_blob(b, bundle_find(b, "after"), &blob, &test_err));
	assert_ok(blob_read_at(blob, 0, data, 3000, &test_err));
	assert_memory_equal(data, t.entries[2].data, 3000);
	blob_unref(blob);
	bundle_free(b);
}

static void foreign_bytes_behind_the_end(void **state)
{
	_cleanup_test_bundle_ struct test_bundle t = {0};
	struct bundle *b;
	size_t whole;

	test_bundle_add(&t, "meta.json", 60);
	test_bundle_add(&t, "core", 100000);
	test_bundle_pack(&t, 1);
	whole = t.bytes.len;
	assert_ok(buf_append(&t.bytes, "x", 1, &test_err));
	assert_ok(open_memory(t.bytes.data, t.bytes.len, &b));
	assert_non_null(strstr(bundle_truncated(b), "1 foreign bytes follow"));
	assert_int_equal(bundle_entry_count(b), 2);
	bundle_free(b);
	assert_true(finds_damage(t.bytes.data, t.bytes.len));

	/* A second bundle behind the first ends like one, but is not this one's end. */
	t.bytes.len = whole;
	char *copy = malloc(whole);
	assert_non_null(copy);
	memcpy(copy, t.bytes.data, whole);
	assert_ok(buf_append(&t.bytes, copy, whole, &test_err));
	assert_true(finds_damage(t.bytes.data, t.bytes.len));
	free(copy);
}

static void seek_table_that_is_wrong(void **state)
{
	_cleanup_test_bundle_ struct test_bundle t = {0};
	uint8_t *table, *footer;
	struct bundle *b;
	size_t frames;

	test_bundle_add(&t, "meta.json", 60);
	test_bundle_add(&t, "core", 5 << 20);
	test_bundle_pack(&t, 1);
	footer = (uint8_t *)t.bytes.data + t.bytes.len - SEEK_FOOTER_BYTES;
	frames = le32_get(footer);
	table = footer - frames * SEEK_ENTRY_BYTES;
	/* The sums stay right: only reading the frames tells. */
	le32_put(table, le32_get(table) + 1);
	le32_put(table + 8, le32_get(table + 8) - 1);
	assert_true(finds_damage(t.bytes.data, t.bytes.len));
	le32_put(table, le32_get(table) - 1);
	le32_put(table + 8, le32_get(table + 8) + 1);
	assert_false(finds_damage(t.bytes.data, t.bytes.len));
	/* More frames than bytes. */
	le32_put(footer, UINT32_MAX);
	assert_ok(open_memory(t.bytes.data, t.bytes.len, &b));
	assert_non_null(bundle_truncated(b));
	/* The walk finds the manifest all the same. */
	assert_non_null(strstr(bundle_truncated(b), "all there"));
	expect_prefix(b, &t);
	bundle_free(b);
}

/* --- a bundle put together by hand, so that its parts can disagree --- */

struct forged {
	struct buf bytes, seek;
	struct sha256 digest; /* frame_digest_add */
	uint64_t plain;
};

static void forge_frame(struct forged *f, const void *plain, size_t len)
{
	_cleanup_free_ void *packed = malloc(BUNDLE_FRAME_MAX);
	ZSTD_CCtx *ctx = frame_compressor(1);
	uint8_t entry[8];
	size_t n;

	assert_ok(frame_compress(ctx, plain, len, packed, BUNDLE_FRAME_MAX, &n, &test_err));
	ZSTD_freeCCtx(ctx);
	assert_ok(buf_append(&f->bytes, packed, n, &test_err));
	frame_digest_add(&f->digest, packed, n);
	le32_put(entry, (uint32_t)n);
	le32_put(entry + 4, (uint32_t)len);
	assert_ok(buf_append(&f->seek, entry, 8, &test_err));
	f->plain += len;
}

static void forge_end(struct forged *f, uint64_t offset, const char *manifest)
{
	uint8_t head[8 + TRAILER_BYTES], footer[SEEK_FOOTER_BYTES] = {0};

	le32_put(head, TRAILER_MAGIC);
	le32_put(head + 4, TRAILER_BYTES);
	memcpy(head + 8, TRAILER_TAG, 8);
	le64_put(head + 16, offset);
	le64_put(head + 24, strlen(manifest));
	sha256_of(manifest, strlen(manifest), head + 32);
	sha256_final(&f->digest, head + 32 + SHA256_BYTES);
	assert_ok(buf_append(&f->bytes, head, sizeof(head), &test_err));
	le32_put(footer, sizeof(head));
	assert_ok(buf_append(&f->seek, footer, 8, &test_err));
	le32_put(footer, (uint32_t)(f->seek.len / 8));
	le32_put(footer + 5, SEEK_FOOTER_MAGIC);
	assert_ok(buf_append(&f->seek, footer, sizeof(footer), &test_err));
	le32_put(head, SEEK_TABLE_MAGIC);
	le32_put(head + 4, (uint32_t)f->seek.len);
	assert_ok(buf_append(&f->bytes, head, 8, &test_err));
	assert_ok(buf_append(&f->bytes, f->seek.data, f->seek.len, &test_err));
}

/* Plain bytes of a tar with the given entry, then the manifest, then the end. */
static void append_file(struct buf *tar, const char *name, const void *data, size_t len)
{
	static const uint8_t zeros[512];

	assert_ok(tar_header_write(name, len, 0, tar, &test_err));
	assert_ok(buf_append(tar, data, len, &test_err));
	assert_ok(buf_append(tar, zeros, -len % 512, &test_err));
}

/* One entry "meta.json" of "{}", described by the manifest given. */
static bool forged_is_refused(const char *tar_name, const char *manifest, char padding)
{
	struct buf tar = BUF_INIT(1 << 20);
	struct forged f = {.bytes = BUF_INIT(1 << 20), .seek = BUF_INIT(1 << 20)};
	static const uint8_t zeros[1024];
	uint64_t manifest_data;
	bool refused;

	sha256_init(&f.digest);
	append_file(&tar, tar_name, "{}", 2);
	tar.data[700] = padding;
	manifest_data = tar.len + 512;
	append_file(&tar, "manifest.json", manifest, strlen(manifest));
	assert_ok(buf_append(&tar, zeros, sizeof(zeros), &test_err));
	forge_frame(&f, tar.data, tar.len);
	forge_end(&f, manifest_data, manifest);
	refused = finds_damage(f.bytes.data, f.bytes.len);
	buf_done(&tar);
	buf_done(&f.bytes);
	buf_done(&f.seek);
	return refused;
}

#define SHA_OF_BRACES "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define MANIFEST(schema, members)                                                                  \
	"{\"schema\":\"" schema "\",\"tool\":\"t\",\"created\":\"c\",\"entries\":[" members        \
	"],\"not_ok\":0}"
#define ENTRY(name, header, offset, size, sha, more)                                               \
	"{\"name\":\"" name "\",\"status\":\"ok\",\"header_offset\":" header ",\"offset\":" offset \
	",\"size\":" size ",\"sha256\":\"" sha "\"" more "}"
#define V1 "podsnap.manifest/1"

static void manifest_and_tar_disagree(void **state)
{
	static const char *const wrong[] = {
	    MANIFEST(V1, ENTRY("other", "0", "512", "2", SHA_OF_BRACES, "")),
	    MANIFEST(V1, ENTRY("meta.json", "0", "512", "3", SHA_OF_BRACES, "")),
	    MANIFEST(V1, ENTRY("meta.json", "0", "1024", "2", SHA_OF_BRACES, "")),
	    MANIFEST(V1, ENTRY("meta.json", "512", "1024", "2", SHA_OF_BRACES, "")),
	    MANIFEST(V1, ENTRY("meta.json", "0", "512", "600", SHA_OF_BRACES, "")),
	    MANIFEST(V1, ENTRY("meta.json", "0", "512", "-2", SHA_OF_BRACES, "")),
	    MANIFEST(V1, ENTRY("meta.json", "0", "512", "2.5", SHA_OF_BRACES, "")),
	    MANIFEST(V1, ENTRY("meta.json", "0", "512", "1e300", SHA_OF_BRACES, "")),
	    MANIFEST(V1, ENTRY("meta.json", "0", "512", "\"2\"", SHA_OF_BRACES, "")),
	    MANIFEST(V1, ENTRY("meta.json", "0", "512", "2", "00", "")),
	    MANIFEST(V1, ENTRY("../meta.json", "0", "512", "2", SHA_OF_BRACES, "")),
	    MANIFEST(V1, ENTRY("meta.json", "0", "512", "2", SHA_OF_BRACES, ",\"torn\":[[0,3]]")),
	    MANIFEST(V1, ENTRY("meta.json", "0", "512", "2", SHA_OF_BRACES, ",\"torn\":[[0]]")),
	    MANIFEST(V1, ENTRY("meta.json", "0", "512", "2", SHA_OF_BRACES, ",\"torn\":7")),
	    MANIFEST(V1, ENTRY("meta.json", "0", "512", "2", SHA_OF_BRACES, ",\"lost\":[[0,1]]")),
	    MANIFEST(V1,
		     ENTRY("meta.json", "0", "512", "2",
			   "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8b", "")),
	    MANIFEST(V1, ENTRY("meta.json", "0", "512", "2", SHA_OF_BRACES,
			       "") "," ENTRY("meta.json", "1024", "1536", "2", SHA_OF_BRACES, "")),
	    MANIFEST(V1, ""),
	    MANIFEST("podsnap.manifest/2", ""),
	    "{}",
	    "[]",
	    "nonsense",
	    "",
	};
	const char *right = MANIFEST(V1, ENTRY("meta.json", "0", "512", "2", SHA_OF_BRACES, ""));
	const char *absent = MANIFEST(
	    V1, ENTRY("meta.json", "0", "512", "2", SHA_OF_BRACES,
		      "") ",{\"name\":\"core\",\"status\":\"skipped\",\"reason\":\"no room\"}");

	assert_false(forged_is_refused("meta.json", right, 0));
	assert_false(forged_is_refused("meta.json", absent, 0));
	assert_true(forged_is_refused("meta.json", right, 1));
	assert_true(forged_is_refused("meta.jsom", right, 0));
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (!forged_is_refused("meta.json", wrong[i], 0)) fail_msg("passed: %s", wrong[i]);
}

static void other_files_are_no_bundles(void **state)
{
	struct bundle *b;
	uint8_t noise[5000];
	struct blob *blob;
	int r;

	random_fill(noise, sizeof(noise));
	memcpy(noise,
	       "\x7f"
	       "ELF",
	       4);
	assert_int_equal(open_memory(noise, sizeof(noise), &b), -ERR_CORRUPT);
	assert_non_null(strstr(test_err.text, "not a podsnap bundle"));
	blob = blob_of(noise, sizeof(noise));
	assert_false(bundle_probe(blob));
	blob_unref(blob);
	assert_int_equal(open_memory("", 0, &b), -ERR_TRUNCATED);
	/* A zstd file, but of something else. */
	struct forged f = {.bytes = BUF_INIT(1 << 20), .seek = BUF_INIT(1 << 20)};
	forge_frame(&f, noise, sizeof(noise));
	r = open_memory(f.bytes.data, f.bytes.len, &b);
	assert_true(r == -ERR_CORRUPT || r == -ERR_TRUNCATED);
	blob = blob_of(f.bytes.data, f.bytes.len);
	assert_false(bundle_probe(blob));
	blob_unref(blob);
	buf_done(&f.bytes);
	buf_done(&f.seek);
}

/* A blob whose reads fail: that is no truncation. */
static int failing_read(struct blob *b, uint64_t offset, void *data, size_t len, struct err *e)
{
	return err_set(e, ERR_NETWORK, "the line is cut");
}
static void failing_free(struct blob *b)
{
}

static void failed_reads_are_not_truncation(void **state)
{
	static const struct blob_ops ops = {failing_read, failing_free};
	struct blob blob;
	struct bundle *b;

	blob_init(&blob, &ops, 1 << 20);
	assert_int_equal(bundle_open(&blob, &b, &test_err), -ERR_NETWORK);
	assert_string_equal(test_err.text, "the line is cut");
	assert_false(bundle_probe(&blob));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(small_bundle_cut_at_every_byte),
	    cmocka_unit_test(big_bundle_cut_at_random),
	    cmocka_unit_test(flipped_bytes_are_found),
	    cmocka_unit_test(frame_lost_in_the_middle),
	    cmocka_unit_test(foreign_bytes_behind_the_end),
	    cmocka_unit_test(seek_table_that_is_wrong),
	    cmocka_unit_test(manifest_and_tar_disagree),
	    cmocka_unit_test(other_files_are_no_bundles),
	    cmocka_unit_test(failed_reads_are_not_truncation),
	};

	return cmocka_run_group_tests(tests, random_setup, NULL);
}
