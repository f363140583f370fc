/* What the compiler calls the state machine of an async method, and what the method is called. */
#include "dumpers/dotnet/async.h"
#include "tests/unit/base/unit.h"

static void names_of_methods(void **state)
{
	static const struct {
		const char *type, *name;
	} cases[] = {
	    {"Shop.Till+<Charge>d__5", "Shop.Till.Charge"},
	    {"Shop.Till+<Charge>d__5[System.Int32]", "Shop.Till.Charge"},
	    {"Store`1+<Map>d__3`1[System.String,System.Int32]", "Store`1.Map"},
	    {"Shop.Program+<>c+<<Main>b__11_0>d", "Shop.Program+<>c.<Main>b__11_0"},
	    {"Shop.Program+<<Main>g__Local|11_1>d", "Shop.Program.<Main>g__Local|11_1"},
	    {"Shop.Program+<>c__DisplayClass1_0+<<Main>b__0>d[Shop.A+<B>d__1]",
	     "Shop.Program+<>c__DisplayClass1_0.<Main>b__0"},
	    {"Shop.Machine", "Shop.Machine"},
	    {"Shop.Machine+<>d", "Shop.Machine+<>d"},
	    {"+<", "+<"},
	    {"A\033+<B\n>d", "A?.B?"},
	    {"", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf text = BUF_INIT(256);

		assert_int_equal(async_method_name(cases[i].type, &text, NULL), 0);
		assert_string_equal(text.len ? text.data : "", cases[i].name);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(names_of_methods)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
