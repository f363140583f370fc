#include "base/range_set.h"
#include "tests/unit/base/unit.h"

static void assert_ranges(const struct range_list *list, const struct range *expected, size_t count)
{
	assert_int_equal(list->count, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(list->ranges[i].start, expected[i].start);
		assert_int_equal(list->ranges[i].end, expected[i].end);
	}
}

#define ASSERT_RANGES(list, ...)                                                                   \
	do {                                                                                       \
		const struct range expected_[] = {__VA_ARGS__};                                    \
		assert_ranges(list, expected_, ARRAY_SIZE(expected_));                             \
	} while (0)

static void appending_merges_neighbours(void **state)
{
	_cleanup_range_list_ struct range_list list = RANGE_LIST_INIT(100);

	assert_int_equal(range_list_add(&list, 0x1000, 0x2000, NULL), 0);
	assert_int_equal(range_list_add(&list, 0x2000, 0x3000, NULL), 0);
	assert_int_equal(range_list_add(&list, 0x2800, 0x3800, NULL), 0);
	assert_int_equal(range_list_add(&list, 0x3000, 0x3100, NULL), 0);
	assert_int_equal(range_list_add(&list, 0x5000, 0x6000, NULL), 0);
	ASSERT_RANGES(&list, {0x1000, 0x3800}, {0x5000, 0x6000});
	assert_int_equal(range_list_bytes(&list), 0x3800);
}

static void adding_elsewhere_keeps_the_order(void **state)
{
	_cleanup_range_list_ struct range_list list = RANGE_LIST_INIT(100);

	assert_int_equal(range_list_add(&list, 50, 60, NULL), 0);
	assert_int_equal(range_list_add(&list, 10, 20, NULL), 0);
	assert_int_equal(range_list_add(&list, 30, 40, NULL), 0);
	ASSERT_RANGES(&list, {10, 20}, {30, 40}, {50, 60});
	assert_int_equal(range_list_add(&list, 20, 30, NULL), 0);
	ASSERT_RANGES(&list, {10, 40}, {50, 60});
	assert_int_equal(range_list_add(&list, 0, 55, NULL), 0);
	ASSERT_RANGES(&list, {0, 60});
}

static void nothing_and_nonsense(void **state)
{
	_cleanup_range_list_ struct range_list list = RANGE_LIST_INIT(100);
	struct err e;

	assert_int_equal(range_list_add(&list, 5, 5, &e), 0);
	assert_int_equal(list.count, 0);
	assert_int_equal(range_list_bytes(&list), 0);
	assert_null(range_list_find(&list, 5));
	assert_null(range_list_next(&list, 0));
	assert_int_equal(range_list_add(&list, 6, 5, &e), -ERR_USAGE);
	assert_int_equal(list.count, 0);
}

static void the_cap_counts_ranges(void **state)
{
	_cleanup_range_list_ struct range_list list;
	struct err e;

	range_list_init(&list, 20);
	for (uint64_t i = 0; i < 20; i++)
		assert_int_equal(range_list_add(&list, 10 * i, 10 * i + 5, &e), 0);
	assert_int_equal(range_list_add(&list, 1000, 1001, &e), -ERR_LIMIT);
	assert_int_equal(range_list_add(&list, 6, 7, &e), -ERR_LIMIT);
	assert_int_equal(list.count, 20);
	assert_true(list.cap <= 20);
	/* What merges needs no room. */
	assert_int_equal(range_list_add(&list, 195, 199, &e), 0);
	assert_int_equal(range_list_add(&list, 5, 10, &e), 0);
	assert_int_equal(list.count, 19);
	range_list_done(&list);
	range_list_done(&list);
	range_list_done(NULL);
}

static void find_and_next_at_the_edges(void **state)
{
	_cleanup_range_list_ struct range_list list = RANGE_LIST_INIT(100);

	assert_int_equal(range_list_add(&list, 10, 20, NULL), 0);
	assert_int_equal(range_list_add(&list, 30, UINT64_MAX, NULL), 0);
	assert_null(range_list_find(&list, 9));
	assert_ptr_equal(range_list_find(&list, 10), &list.ranges[0]);
	assert_ptr_equal(range_list_find(&list, 19), &list.ranges[0]);
	assert_null(range_list_find(&list, 20));
	assert_ptr_equal(range_list_next(&list, 0), &list.ranges[0]);
	assert_ptr_equal(range_list_next(&list, 20), &list.ranges[1]);
	assert_ptr_equal(range_list_find(&list, UINT64_MAX - 1), &list.ranges[1]);
	assert_null(range_list_find(&list, UINT64_MAX));
	assert_null(range_list_next(&list, UINT64_MAX));
}

/* --- against a plain array of flags --- */

enum { SPACE = 200 };

static void assert_same(const struct range_list *list, const bool *held)
{
	uint64_t bytes = 0;

	for (uint64_t i = 0; i < SPACE; i++) {
		const struct range *range = range_list_find(list, i);

		assert_int_equal(range != NULL, held[i]);
		bytes += held[i];
		if (range) assert_true(range->start <= i && i < range->end);
	}
	assert_int_equal(range_list_bytes(list), bytes);
	for (size_t i = 0; i < list->count; i++) {
		assert_true(list->ranges[i].start < list->ranges[i].end);
		if (i > 0) assert_true(list->ranges[i - 1].end < list->ranges[i].start);
	}
}

static void random_adds_equal_a_model(void **state)
{
	uint64_t seed = unit_seed();

	for (int round = 0; round < 200; round++) {
		_cleanup_range_list_ struct range_list list = RANGE_LIST_INIT(SPACE);
		bool held[SPACE] = {false};

		for (int i = 0; i < 30; i++) {
			uint64_t start = unit_random(&seed) % SPACE;
			uint64_t len = unit_random(&seed) % 12;
			uint64_t end = MIN(start + len, (uint64_t)SPACE);

			assert_int_equal(range_list_add(&list, start, end, NULL), 0);
			memset(held + start, true, end - start);
			assert_same(&list, held);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(appending_merges_neighbours),
	    cmocka_unit_test(adding_elsewhere_keeps_the_order),
	    cmocka_unit_test(nothing_and_nonsense),
	    cmocka_unit_test(the_cap_counts_ranges),
	    cmocka_unit_test(find_and_next_at_the_edges),
	    cmocka_unit_test(random_adds_equal_a_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
