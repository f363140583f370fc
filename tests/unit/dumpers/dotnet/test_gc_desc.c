/* Where references are, as the collector has it. */
#include "dumpers/dotnet/gc_desc.h"

#include "tests/unit/base/unit.h"

/* Words as they lie below a method table: the last is the count. */
static struct gc_desc *parse(const uint64_t *words, size_t count)
{
	struct gc_desc *d = NULL;
	struct err e = {0};
	assert_int_equal(gc_desc_parse((const uint8_t *)words, count * 8, &d, &e), 0);
	return d;
}
static void assert_refused(const uint64_t *words, size_t count)
{
	struct gc_desc *d = NULL;
	assert_int_equal(gc_desc_parse((const uint8_t *)words, count * 8, &d, NULL), -ERR_CORRUPT);
}
static void assert_runs(struct gc_desc *d, uint64_t size, const struct range *runs, size_t count)
{
	struct gc_run run = {0};
	for (size_t i = 0; i < count; i++) {
		assert_true(gc_desc_next(d, size, &run));
		assert_int_equal(run.start, runs[i].start);
		assert_int_equal(run.end, runs[i].end);
	}
	assert_false(gc_desc_next(d, size, &run));
}
#define RUNS(...)                                                                                  \
	(const struct range[]){__VA_ARGS__},                                                       \
	    sizeof((const struct range[]){__VA_ARGS__}) / sizeof(struct range)

static void series_are_relative_to_the_size(void **state)
{
	/* Of 48 bytes: one reference at 8, two at 24. */
	const uint64_t words[] = {(uint64_t)(16 - 48), 24, (uint64_t)(8 - 48), 8, 2};
	struct gc_desc *d = parse(words, ARRAY_SIZE(words));
	assert_runs(d, 48, RUNS({8, 16}, {24, 40}));
	free(d);
}

static void an_array_of_references_is_one_run_of_its_length(void **state)
{
	uint64_t random = unit_seed(), count = unit_random(&random) % 1000 + 1;
	const uint64_t words[] = {(uint64_t)-24, 16, 1};
	struct gc_desc *d = parse(words, ARRAY_SIZE(words));
	assert_runs(d, 24 + 8 * count, RUNS({16, 16 + 8 * count}));
	assert_runs(d, 24, NULL, 0);
	free(d);
}

static void items_repeat_for_each_element(void **state)
{
	/* Elements of 40 bytes: a reference, 8 bytes, two references, 8 bytes. */
	const uint64_t words[] = {2 | UINT64_C(8) << 32, 1 | UINT64_C(8) << 32, 16, (uint64_t)-2};
	struct gc_desc *d = parse(words, ARRAY_SIZE(words));
	assert_runs(d, 24 + 2 * 40, RUNS({16, 24}, {32, 48}, {56, 64}, {72, 88}));
	free(d);
}

static void what_lies_outside_of_the_object_is_left_out(void **state)
{
	const uint64_t over[] = {0, 8, 1};                  /* longer than the object */
	const uint64_t first[] = {(uint64_t)-8, 0, 1};      /* on its first word */
	const uint64_t odd[] = {(uint64_t)-16, 12, 1};      /* between words */
	const uint64_t far[] = {(uint64_t)-16, 1 << 20, 1}; /* behind it */
	const uint64_t wide[] = {UINT32_MAX, 16, (uint64_t)-1};
	struct gc_desc *d = parse(over, 3);
	assert_runs(d, 32, RUNS({8, 24}));
	free(d);
	d = parse(first, 3);
	assert_runs(d, 32, NULL, 0);
	free(d);
	d = parse(odd, 3);
	assert_runs(d, 32, NULL, 0);
	free(d);
	d = parse(far, 3);
	assert_runs(d, 32, NULL, 0);
	free(d);
	d = parse(wide, 3);
	assert_runs(d, 64, RUNS({16, 56}));
	assert_runs(d, 8, NULL, 0);
	assert_runs(d, UINT64_MAX, NULL, 0);
	free(d);
}

static void nonsense_is_refused(void **state)
{
	const uint64_t none[] = {0, 0, 0}, cut[] = {8, 2}, endless[] = {0, 16, (uint64_t)-1};
	const uint64_t many[] = {0, 0, GC_DESC_SERIES_MAX + 1};
	const uint64_t most[] = {0, 0, (uint64_t)INT64_MIN};
	/* One item each: how much to skip, how many references before. */
	const uint64_t empty[] = {(uint64_t)8 << 32, 16, (uint64_t)-1};
	const uint64_t odd_skip[] = {(uint64_t)4 << 32 | 1, 16, (uint64_t)-1};
	const uint64_t odd_start[] = {(uint64_t)8 << 32 | 1, 12, (uint64_t)-1};
	size_t len;
	assert_refused(none, 3);
	assert_refused(cut, 2);
	assert_refused(endless, 3);
	assert_refused(empty, 3);
	assert_refused(odd_skip, 3);
	assert_refused(odd_start, 3);
	assert_refused(many, 3);
	assert_refused(most, 3);
	assert_refused(none, 0);
	assert_int_equal(gc_desc_size(GC_DESC_SERIES_MAX, &len, NULL), 0);
	assert_int_equal(len, GC_DESC_BYTES_MAX);
	assert_int_equal(gc_desc_size(-3, &len, NULL), 0);
	assert_int_equal(len, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(series_are_relative_to_the_size),
	    cmocka_unit_test(an_array_of_references_is_one_run_of_its_length),
	    cmocka_unit_test(items_repeat_for_each_element),
	    cmocka_unit_test(what_lies_outside_of_the_object_is_left_out),
	    cmocka_unit_test(nonsense_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
