#include "base/search.h"
#include "tests/unit/base/unit.h"

struct item {
	char name;
	uint64_t end;
};

static void the_first_above(void **state)
{
	static const struct item items[] = {{'a', 1}, {'b', 5}, {'c', 5}, {'d', UINT64_MAX}};
	static const struct {
		uint64_t value;
		size_t index;
	} cases[] = {{0, 0}, {1, 1}, {4, 1}, {5, 3}, {6, 3}, {UINT64_MAX - 1, 3}, {UINT64_MAX, 4}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(FIRST_ABOVE(items, ARRAY_SIZE(items), end, cases[i].value),
				 cases[i].index);
}

static void nothing_to_search(void **state)
{
	const struct item *none = NULL;
	size_t count = 0;

	assert_int_equal(FIRST_ABOVE(none, count, end, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_first_above),
	    cmocka_unit_test(nothing_to_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
