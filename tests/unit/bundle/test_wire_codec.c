#include "bundle_test.h"

#include "bundle/le.h"
#include "bundle/wire.h"

/* A decoder for any of them, so that one loop tries them all. */
typedef int (*decode_fn)(const void *data, size_t len, void *ret, struct err *e);

static int decode_hello(const void *data, size_t len, void *ret, struct err *e)
{
	return wire_decode_hello(data, len, ret, e);
}
static int decode_entry(const void *data, size_t len, void *ret, struct err *e)
{
	struct bundle_entry entry;
	int r = wire_decode_entry(data, len, &entry, e);

	if (r == 0) bundle_entry_done(&entry);
	return r;
}
static int decode_progress(const void *data, size_t len, void *ret, struct err *e)
{
	return wire_decode_progress(data, len, ret, e);
}
static int decode_end(const void *data, size_t len, void *ret, struct err *e)
{
	return wire_decode_end(data, len, ret, e);
}

/* Every shorter payload, and one byte more, is refused. The copy's exact size shows ASan any
 * read past it. */
static void only_the_whole_payload(const struct buf *payload, decode_fn decode, void *ret)
{
	for (size_t len = 0; len <= payload->len + 1; len++) {
		uint8_t *copy = calloc(1, len > 0 ? len : 1);

		assert_non_null(copy);
		memcpy(copy, payload->data, MIN(len, payload->len));
		assert_int_equal(decode(copy, len, ret, &test_err),
				 len == payload->len ? 0 : -ERR_PROTOCOL);
		free(copy);
	}
}

static void hello(void **state)
{
	struct wire_hello in = {.pid = 4000000000u, .e_machine = 62, .version = "1.2.3"}, out;
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);

	random_fill(in.exe_sha256, sizeof(in.exe_sha256));
	random_fill(in.token, sizeof(in.token));
	assert_ok(wire_encode_hello(&in, &b, &test_err));
	only_the_whole_payload(&b, decode_hello, &out);
	assert_ok(wire_decode_hello(b.data, b.len, &out, &test_err));
	assert_int_equal(out.pid, in.pid);
	assert_int_equal(out.e_machine, in.e_machine);
	assert_memory_equal(out.exe_sha256, in.exe_sha256, sizeof(in.exe_sha256));
	assert_memory_equal(out.token, in.token, sizeof(in.token));
	assert_string_equal(out.version, in.version);
	/* A NUL inside a text would show less than was sent. */
	b.data[b.len - 2] = '\0';
	assert_int_equal(wire_decode_hello(b.data, b.len, &out, &test_err), -ERR_PROTOCOL);
}

static struct bundle_entry sample_entry(struct range *lost, struct range *torn)
{
	struct bundle_entry entry = {
	    .name = "12-java/core",
	    .status = ENTRY_PARTIAL,
	    .reason = "some pages went away",
	    .in_tar = true,
	    .header_offset = 1024,
	    .data_offset = 2048,
	    .size = 5000,
	    .lost = lost,
	    .lost_count = 2,
	    .torn = torn,
	    .torn_count = 1,
	};

	lost[0] = (struct range){0, 10};
	lost[1] = (struct range){10, 5000};
	torn[0] = (struct range){7, 8};
	random_fill(entry.sha256, sizeof(entry.sha256));
	return entry;
}

static void entry(void **state)
{
	struct range lost[2], torn[1];
	struct bundle_entry in = sample_entry(lost, torn), out;
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);

	assert_ok(wire_encode_entry(&in, &b, &test_err));
	only_the_whole_payload(&b, decode_entry, NULL);
	assert_ok(wire_decode_entry(b.data, b.len, &out, &test_err));
	assert_string_equal(out.name, in.name);
	assert_int_equal(out.status, in.status);
	assert_string_equal(out.reason, in.reason);
	assert_true(out.in_tar);
	assert_int_equal(out.header_offset, in.header_offset);
	assert_int_equal(out.data_offset, in.data_offset);
	assert_int_equal(out.size, in.size);
	assert_memory_equal(out.sha256, in.sha256, sizeof(in.sha256));
	assert_int_equal(out.lost_count, 2);
	assert_memory_equal(out.lost, lost, sizeof(lost));
	assert_int_equal(out.torn_count, 1);
	assert_memory_equal(out.torn, torn, sizeof(torn));
	bundle_entry_done(&out);
}

static void refuse(const struct bundle_entry *in)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
	struct bundle_entry out;

	assert_ok(wire_encode_entry(in, &b, &test_err));
	assert_int_equal(wire_decode_entry(b.data, b.len, &out, &test_err), -ERR_PROTOCOL);
}

static void entries_that_contradict_themselves(void **state)
{
	const char *bad_names[] = {"",      "/",    "/etc/passwd", "a//b",    "a/",
				   "..",    "../a", "a/..",        "a/../b",  ".",
				   "a/./b", "a\nb", "a\x7f",       "\xc3\xa4"};
	struct range lost[2], torn[1];
	struct bundle_entry in;

	for (size_t i = 0; i < ARRAY_SIZE(bad_names); i++) {
		in = sample_entry(lost, torn);
		snprintf(in.name, sizeof(in.name), "%s", bad_names[i]);
		refuse(&in);
	}
	in = sample_entry(lost, torn);
	lost[1] = (struct range){9, 11}; /* overlaps */
	refuse(&in);
	in = sample_entry(lost, torn);
	torn[0].end = 5001;
	refuse(&in);
	in = sample_entry(lost, torn);
	torn[0].start = torn[0].end;
	refuse(&in);
	in = sample_entry(lost, torn);
	in.status = ENTRY_OK;
	refuse(&in);
	in = sample_entry(lost, torn);
	in.status = (enum entry_status)4;
	refuse(&in);
	in = sample_entry(lost, torn);
	in.size = UINT64_MAX - 100;
	refuse(&in);
	in = sample_entry(lost, torn);
	in.data_offset = BUNDLE_SIZE_MAX;
	refuse(&in);
	in = sample_entry(lost, torn);
	in.data_offset = in.header_offset;
	refuse(&in);
	in = sample_entry(lost, torn);
	in.header_offset = 1;
	refuse(&in);
}

static void most_ranges_fit_a_frame(void **state)
{
	static struct range lost[BUNDLE_RANGES_MAX], torn[BUNDLE_RANGES_MAX];
	struct bundle_entry in = {.status = ENTRY_PARTIAL, .in_tar = true, .data_offset = 512}, out;
	_cleanup_buf_ struct buf b = BUF_INIT(WIRE_PAYLOAD_MAX);

	memset(in.name, 'n', sizeof(in.name) - 1);
	memset(in.reason, 'r', sizeof(in.reason) - 1);
	for (size_t i = 0; i < BUNDLE_RANGES_MAX; i++)
		lost[i] = torn[i] = (struct range){2 * i, 2 * i + 1};
	in.size = 2 * BUNDLE_RANGES_MAX;
	in.lost = lost;
	in.torn = torn;
	in.lost_count = in.torn_count = BUNDLE_RANGES_MAX;
	assert_ok(wire_encode_entry(&in, &b, &test_err));
	assert_ok(wire_decode_entry(b.data, b.len, &out, &test_err));
	assert_int_equal(out.torn_count, BUNDLE_RANGES_MAX);
	assert_memory_equal(out.lost, lost, sizeof(lost));
	bundle_entry_done(&out);
}

static void progress_and_end(void **state)
{
	struct wire_progress p = {1234567890123u, UINT64_MAX}, p_out;
	struct wire_end in = {.error_code = ERR_GONE, .data_bytes = 99}, *out;
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);

	assert_ok(wire_encode_progress(&p, &b, &test_err));
	only_the_whole_payload(&b, decode_progress, &p_out);
	assert_ok(wire_decode_progress(b.data, b.len, &p_out, &test_err));
	assert_int_equal(p_out.plain_done, p.plain_done);
	assert_true(p_out.plain_total == UINT64_MAX);

	out = malloc(sizeof(*out));
	assert_non_null(out);
	random_fill(in.sha256, sizeof(in.sha256));
	snprintf(in.text, sizeof(in.text), "it went away");
	memset(in.hint, 'h', sizeof(in.hint) - 1);
	memset(in.result_json, ' ', sizeof(in.result_json) - 1);
	buf_clear(&b);
	assert_ok(wire_encode_end(&in, &b, &test_err));
	only_the_whole_payload(&b, decode_end, out);
	assert_ok(wire_decode_end(b.data, b.len, out, &test_err));
	assert_int_equal(out->error_code, ERR_GONE);
	assert_int_equal(out->data_bytes, 99);
	assert_memory_equal(out->sha256, in.sha256, sizeof(in.sha256));
	assert_string_equal(out->text, in.text);
	assert_string_equal(out->hint, in.hint);
	assert_string_equal(out->result_json, in.result_json);
	b.data[0] = ERR_CODE_COUNT;
	assert_int_equal(wire_decode_end(b.data, b.len, out, &test_err), -ERR_PROTOCOL);
	free(out);
}

static int decode_read(const void *data, size_t len, void *ret, struct err *e)
{
	return wire_decode_read(data, len, ret, e);
}
static int decode_listed(const void *data, size_t len, void *ret, struct err *e)
{
	return wire_decode_listed(data, len, ret, e);
}

static void reads(void **state)
{
	const uint64_t far = 1ull << 40, half = WIRE_READ_MAX / 2;
	struct wire_read in = {7, 3, 2, {{far, far + half}, {5, 5 + half}}}, out;
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);

	assert_ok(wire_encode_read(&in, &b, &test_err));
	only_the_whole_payload(&b, decode_read, &out);
	assert_ok(wire_decode_read(b.data, b.len, &out, &test_err));
	assert_int_equal(out.id, 7);
	assert_int_equal(out.entry, 3);
	assert_int_equal(out.count, 2);
	assert_memory_equal(out.ranges, in.ranges, 2 * sizeof(struct range));
	assert_int_equal(wire_read_bytes(&out), WIRE_READ_MAX);
}

/* None of them is a READ. */
static void hostile_reads(void **state)
{
	static const struct wire_read bad[] = {
	    {7, 3, 0, {{0}}},
	    {7, 3, 1, {{5, 5}}},
	    {7, 3, 1, {{0, WIRE_READ_MAX + 1}}},
	    {7, 3, 2, {{0, WIRE_READ_MAX}, {0, 1}}},
	    {7, 3, 1, {{UINT64_MAX - 1, 5}}},
	};
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
	struct wire_read out;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		buf_clear(&b);
		assert_ok(wire_encode_read(&bad[i], &b, &test_err));
		assert_int_equal(wire_decode_read(b.data, b.len, &out, &test_err), -ERR_PROTOCOL);
	}
	le32_put((uint8_t *)b.data + 8, WIRE_READ_RANGES + 1);
	assert_int_equal(wire_decode_read(b.data, b.len, &out, &test_err), -ERR_PROTOCOL);
}

static void replies(void **state)
{
	struct wire_read_reply in = {.id = 9, .plain_len = 300, .frame = "frame", .frame_len = 5},
			       out;
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);

	assert_ok(wire_encode_read_reply(&in, &b, &test_err));
	for (size_t len = 0; len < b.len - in.frame_len; len++)
		assert_int_equal(wire_decode_read_reply(b.data, len, &out, &test_err),
				 -ERR_PROTOCOL);
	assert_ok(wire_decode_read_reply(b.data, b.len, &out, &test_err));
	assert_int_equal(out.id, 9);
	assert_int_equal(out.why.code, 0);
	assert_int_equal(out.plain_len, 300);
	assert_int_equal(out.frame_len, 5);
	assert_memory_equal(out.frame, "frame", 5);
	buf_clear(&b);
	err_set(&in.why, ERR_IO, "no such page");
	in.plain_len = WIRE_READ_MAX + 1;
	assert_ok(wire_encode_read_reply(&in, &b, &test_err));
	assert_int_equal(wire_decode_read_reply(b.data, b.len, &out, &test_err), -ERR_PROTOCOL);
	buf_clear(&b);
	in.plain_len = 0;
	assert_ok(wire_encode_read_reply(&in, &b, &test_err));
	assert_ok(wire_decode_read_reply(b.data, b.len, &out, &test_err));
	assert_int_equal(out.why.code, ERR_IO);
	assert_string_equal(out.why.text, "no such page");
}

static void listed(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
	struct bundle_entry out;

	assert_ok(wire_encode_listed("12-java/core", 1ull << 50, &b, &test_err));
	only_the_whole_payload(&b, decode_listed, &out);
	assert_ok(wire_decode_listed(b.data, b.len, &out, &test_err));
	assert_string_equal(out.name, "12-java/core");
	assert_int_equal(out.size, 1ull << 50);
	assert_true(out.in_tar);
	buf_clear(&b);
	assert_ok(wire_encode_listed("../core", 1, &b, &test_err));
	assert_int_equal(wire_decode_listed(b.data, b.len, &out, &test_err), -ERR_PROTOCOL);
	buf_clear(&b);
	assert_ok(wire_encode_listed("core", 1ull << 63, &b, &test_err));
	assert_int_equal(wire_decode_listed(b.data, b.len, &out, &test_err), -ERR_PROTOCOL);
}

static void data(void **state)
{
	struct wire_frame f = {.type = WIRE_DATA,
			       .plain_offset = 77,
			       .payload = (const uint8_t *)"\5\0\0\0xy",
			       .len = 6};
	struct bundle_frame out;

	assert_ok(wire_decode_data(&f, &out, &test_err));
	assert_int_equal(out.plain_len, 5);
	assert_int_equal(out.plain_offset, 77);
	assert_int_equal(out.len, 2);
	assert_memory_equal(out.data, "xy", 2);
	for (f.len = 0; f.len <= 4; f.len++)
		assert_int_equal(wire_decode_data(&f, &out, &test_err), -ERR_PROTOCOL);
	f.payload = (const uint8_t *)"\1\0\x10\0xy";
	f.len = 6;
	assert_int_equal(wire_decode_data(&f, &out, &test_err), -ERR_PROTOCOL);
}

static void noise(void **state)
{
	static union {
		struct wire_hello hello;
		struct wire_progress progress;
		struct wire_end end;
	} ret;
	const decode_fn decoders[] = {decode_hello, decode_entry, decode_progress, decode_end};
	uint8_t raw[300];

	for (int i = 0; i < 20000; i++) {
		size_t len = random_below(sizeof(raw));

		random_fill(raw, len);
		/* Small lengths up front get further. */
		if (len > 2 && random_below(2)) raw[1] = 0;
		int r = decoders[i % 4](raw, len, &ret, &test_err);
		assert_true(r == 0 || r == -ERR_PROTOCOL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hello),
	    cmocka_unit_test(entry),
	    cmocka_unit_test(entries_that_contradict_themselves),
	    cmocka_unit_test(most_ranges_fit_a_frame),
	    cmocka_unit_test(progress_and_end),
	    cmocka_unit_test(reads),
	    cmocka_unit_test(hostile_reads),
	    cmocka_unit_test(replies),
	    cmocka_unit_test(listed),
	    cmocka_unit_test(data),
	    cmocka_unit_test(noise),
	};

	return cmocka_run_group_tests(tests, random_setup, NULL);
}
