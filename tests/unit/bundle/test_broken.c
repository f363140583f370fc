/* A producer that is gone after any of its frames and records: what came of it is a whole bundle,
 * and what did not come is listed. */
#include "bundle_test.h"

#include "bundle/reader.h"

enum { EVENTS_MAX = 200 };

/* What a producer emitted, in its order. */
struct event {
	bool is_entry;
	struct bundle_frame frame;
	struct bundle_entry entry;
};
struct recorder {
	struct bundle_output out;
	struct event events[EVENTS_MAX];
	size_t count;
};

static int record_frame(struct bundle_output *out, const struct bundle_frame *frame, struct err *e)
{
	struct recorder *r = (struct recorder *)out;
	struct event *event = &r->events[r->count++];
	void *copy = malloc(frame->len);

	assert_in_range(r->count, 1, EVENTS_MAX);
	memcpy(copy, frame->data, frame->len);
	*event = (struct event){.frame = *frame};
	event->frame.data = copy;
	return 0;
}

static int record_entry(struct bundle_output *out, const struct bundle_entry *entry, struct err *e)
{
	struct recorder *r = (struct recorder *)out;
	struct event *event = &r->events[r->count++];

	assert_in_range(r->count, 1, EVENTS_MAX);
	*event = (struct event){.is_entry = true, .entry = *entry};
	event->entry.lost = event->entry.torn = NULL;
	event->entry.lost_count = event->entry.torn_count = 0;
	return 0;
}

static void produce(struct recorder *r, const struct test_bundle *t)
{
	const struct packer_config config = {.level = 1, .threads = 3};
	struct packer *p;

	*r = (struct recorder){.out = {record_frame, record_entry}};
	assert_ok(packer_new(&p, &config, &r->out, &test_err));
	for (size_t i = 0; i < t->count; i++)
		pack_entry(p, &t->entries[i]);
	assert_ok(packer_absent(p, "absent", ENTRY_SKIPPED, "not wanted", &test_err));
	assert_ok(packer_flush(p, &test_err));
	packer_free(p);
}

static void add(struct assembler *a, const char *name)
{
	const struct packer_config config = {.level = 1, .threads = 1};
	struct packer *p;

	assert_ok(packer_new(&p, &config, assembler_stream(a, false), &test_err));
	assert_ok(packer_add(p, name, "{}", 2, &test_err));
	assert_ok(packer_flush(p, &test_err));
	packer_free(p);
}

/* The bundle of the first events, and of what we had to say before and after. */
static void assemble(const struct recorder *r, size_t events, struct buf *ret,
		     struct bundle_totals *totals)
{
	struct bundle_output *out;
	struct assembler *a;

	assert_ok(assembler_new(&a, write_to_buf, ret, &test_err));
	add(a, "meta.json");
	out = assembler_stream(a, true);
	for (size_t i = 0; i < events; i++)
		assert_ok(r->events[i].is_entry ? out->entry(out, &r->events[i].entry, &test_err)
						: out->frame(out, &r->events[i].frame, &test_err));
	assert_ok(assembler_end_broken(a, "it was killed", &test_err));
	add(a, "kube/pod.json");
	assert_ok(assembler_finish(a, &test_summary, &test_err));
	assembler_totals(a, totals);
	assembler_free(a);
}

static void count_problem(void *ctx, const struct bundle_entry *entry, const char *problem)
{
	fail_msg("%s: %s", entry ? entry->name : "", problem);
}

static void check_entry(struct bundle *b, const struct test_entry *was,
			const struct bundle_entry *is)
{
	uint64_t good = is->lost_count > 0 ? is->lost[0].start : is->size;
	_cleanup_free_ uint8_t *bytes = malloc(MAX(is->size, (size_t)1));
	struct blob *blob;

	assert_int_equal(is->size, was->size);
	if (is->status == ENTRY_OK) assert_int_equal(good, was->size);
	if (is->lost_count > 0) {
		assert_int_equal(is->status, ENTRY_PARTIAL);
		assert_int_equal(is->lost_count, 1);
		assert_int_equal(is->lost[0].end, was->size);
	}
	assert_ok(bundle_entry_blob(b, is, &blob, &test_err));
	assert_ok(blob_read_at(blob, 0, bytes, is->size, &test_err));
	assert_memory_equal(bytes, was->data, good);
	for (uint64_t i = good; i < is->size; i++)
		if (bytes[i] != 0) fail_msg("%s: byte %llu", is->name, (unsigned long long)i);
	blob_unref(blob);
}

/* Returns how many bytes of the producer's entries are there. */
static uint64_t check_bundle(const struct test_bundle *t, struct buf *bytes,
			     const struct bundle_totals *totals)
{
	struct bundle_verify_totals verified;
	_cleanup_bundle_ struct bundle *b = NULL;
	struct blob *blob;
	uint64_t there = 0, listed = 0;

	assert_ok(blob_from_memory(bytes->data, bytes->len, &blob, &test_err));
	assert_ok(bundle_open(blob, &b, &test_err));
	assert_null(bundle_truncated(b));
	assert_ok(bundle_verify(b, count_problem, NULL, &verified, &test_err));
	assert_non_null(bundle_find(b, "kube/pod.json"));
	assert_int_equal(bundle_entry_count(b), totals->entries);
	for (size_t i = 0; i < t->count; i++) {
		const struct bundle_entry *is = bundle_find(b, t->entries[i].name);

		if (!is) continue;
		listed++;
		if (!is->in_tar) {
			assert_int_equal(is->status, ENTRY_FAILED);
			assert_string_equal(is->reason, "it was killed");
			continue;
		}
		check_entry(b, &t->entries[i], is);
		there += is->lost_count > 0 ? is->lost[0].start : is->size;
	}
	assert_in_range(listed, 0, t->count);
	blob_unref(blob);
	return there;
}

static void after_any_event(void **state)
{
	static struct recorder r;
	_cleanup_test_bundle_ struct test_bundle t = {0};
	uint64_t before = 0, all = 0;

	test_bundle_add(&t, "1-app/process.json", 700);
	test_bundle_add(&t, "1-app/empty", 0);
	test_bundle_add(&t, "1-app/maps", 300000);
	test_bundle_add(&t, "1-app/core", 3500000 + random_below(4000));
	test_bundle_add(&t, "modules/a", 1000);
	test_bundle_add(&t, "modules/b", 1200000);
	test_bundle_add(&t, "modules/c", 512);
	for (size_t i = 0; i < t.count; i++)
		all += t.entries[i].size;
	produce(&r, &t);
	for (size_t events = 0; events <= r.count; events++) {
		_cleanup_buf_ struct buf bytes = BUF_INIT(SIZE_MAX);
		struct bundle_totals totals;
		uint64_t there;

		assemble(&r, events, &bytes, &totals);
		there = check_bundle(&t, &bytes, &totals);
		assert_true(there >= before);
		before = there;
	}
	assert_int_equal(before, all);
	for (size_t i = 0; i < r.count; i++)
		free((void *)r.events[i].frame.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(after_any_event),
	};

	return cmocka_run_group_tests(tests, random_setup, NULL);
}
