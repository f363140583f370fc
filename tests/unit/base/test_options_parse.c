/* The value parsers on their own. */
#include "base/options.h"
#include "tests/unit/base/unit.h"

static void assert_size(const char *text, int64_t expected)
{
	int64_t bytes = -7;
	struct err e = {0};

	if (parse_size(text, &bytes, &e) != 0) fail_msg("%s: %s", text, e.text);
	assert_int_equal(bytes, expected);
}

static void sizes_are_powers_of_two(void **state)
{
	assert_size("0", 0);
	assert_size("1", 1);
	assert_size("100B", 100);
	assert_size("64K", 64 << 10);
	assert_size("64k", 64 << 10);
	assert_size("64Ki", 64 << 10);
	assert_size("64KiB", 64 << 10);
	assert_size("16M", 16 << 20);
	assert_size("16MiB", 16 << 20);
	assert_size("1G", 1 << 30);
	assert_size("3Ti", (int64_t)3 << 40);
	assert_size("2P", (int64_t)2 << 50);
	assert_size("7E", (int64_t)7 << 60);
	assert_size("9223372036854775807", INT64_MAX);
	assert_size("0000000000000000000000001K", 1024);
}

static void other_sizes_are_refused(void **state)
{
	static const char *const wrong[] = {"",     "K",    "-1",  "+1",  "1 K",  "1KB",
					    "1.5G", "1Kib", "1Kx", "1X",  "0x10", "1iB",
					    " 1",   "1 ",   "1Bi", "1e3", "1KiBB"};
	static const char *const large[] = {"8E", "9223372036854775808", "8796093022208M",
					    "18446744073709551616", "99999999999999999999999999G"};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		int64_t bytes = -7;
		struct err e;

		if (parse_size(wrong[i], &bytes, &e) != -ERR_USAGE) fail_msg("%s", wrong[i]);
		assert_contains(e.text, "is not a size");
		assert_int_equal(bytes, -7);
	}
	for (size_t i = 0; i < ARRAY_SIZE(large); i++) {
		int64_t bytes = -7;
		struct err e;

		if (parse_size(large[i], &bytes, &e) != -ERR_USAGE) fail_msg("%s", large[i]);
		assert_contains(e.text, "more bytes than");
		assert_int_equal(bytes, -7);
	}
}

static void assert_duration(const char *text, int64_t expected)
{
	int64_t ns = -7;
	struct err e = {0};

	if (parse_duration(text, &ns, &e) != 0) fail_msg("%s: %s", text, e.text);
	assert_int_equal(ns, expected);
}

static void durations_have_units(void **state)
{
	const int64_t s = NS_PER_S;

	assert_duration("0", 0);
	assert_duration("0s", 0);
	assert_duration("5ns", 5);
	assert_duration("5us", 5000);
	assert_duration("5\xc2\xb5s", 5000);
	assert_duration("250ms", s / 4);
	assert_duration("2s", 2 * s);
	assert_duration("5m", 300 * s);
	assert_duration("1h", 3600 * s);
	assert_duration("1m30s", 90 * s);
	assert_duration("1h1m1s1ms1us1ns", 3661 * s + 1001001);
	assert_duration("1.5s", s + s / 2);
	assert_duration("0.25h", 900 * s);
	assert_duration("1.000000001s", s + 1);
	assert_duration("1.0000000019s", s + 1);
	assert_duration("0.5ns", 0);
	assert_duration("1.5m2.5s", 92 * s + s / 2);
	assert_duration("9223372036854775807ns", INT64_MAX);
	assert_duration("9223372036.854775807s", INT64_MAX);
}

static void other_durations_are_refused(void **state)
{
	static const char *const wrong[] = {"",    "s",   "-1s", "+1s", "1 s", "1x", "1S",
					    ".5s", "1.s", "1s ", "s1",  "1ss", "1d", "1,5s"};
	static const char *const bare[] = {"5", "00", "1.5", "99999999999999999999", "1s5"};
	static const char *const large[] = {
	    "9223372036854775808ns", "9223372036.854775808s", "2562048h",
	    "99999999999999999999h", "2562047h2562047h",      "9223372036s2s"};
	int64_t ns = -7;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		if (parse_duration(wrong[i], &ns, &e) != -ERR_USAGE) fail_msg("%s", wrong[i]);
		assert_contains(e.text, "is not a duration");
	}
	for (size_t i = 0; i < ARRAY_SIZE(bare); i++) {
		if (parse_duration(bare[i], &ns, &e) != -ERR_USAGE) fail_msg("%s", bare[i]);
		assert_contains(e.text, "ns, us, ms, s, m or h");
	}
	for (size_t i = 0; i < ARRAY_SIZE(large); i++) {
		if (parse_duration(large[i], &ns, &e) != -ERR_USAGE) fail_msg("%s", large[i]);
		assert_contains(e.text, "292 years");
	}
	assert_int_equal(ns, -7);
}

static void cpus_are_those_of_kubernetes(void **state)
{
	static const struct {
		const char *text;
		int64_t thousandths;
	} right[] = {{"0", 0},      {"2", 2000},     {"0.5", 500},  {"1.25", 1250},
		     {"500m", 500}, {"1500m", 1500}, {"0.0019", 1}, {"64", 64000}};
	static const char *const wrong[] = {"",
					    "m",
					    "-1",
					    "+1",
					    "1 ",
					    ".5",
					    "1.",
					    "1k",
					    "0.5m",
					    "1.5.",
					    "50%",
					    "1e3",
					    "99999999999999999999",
					    "9223372036854775807"};
	int64_t n = -7;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
		if (parse_cpus(right[i].text, &n, &e)) fail_msg("%s: %s", right[i].text, e.text);
		assert_int_equal(n, right[i].thousandths);
	}
	n = -7;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		if (parse_cpus(wrong[i], &n, &e) != -ERR_USAGE) fail_msg("%s", wrong[i]);
		assert_contains(e.text, "500m");
	}
	assert_int_equal(n, -7);
}

static void ints_keep_their_range(void **state)
{
	int64_t n = -7;
	struct err e;

	assert_int_equal(parse_int("-5", -5, 5, &n, &e), 0);
	assert_int_equal(n, -5);
	assert_int_equal(parse_int("007", -5, 7, &n, &e), 0);
	assert_int_equal(n, 7);
	assert_int_equal(parse_int("9223372036854775807", 0, INT64_MAX, &n, &e), 0);
	assert_int_equal(n, INT64_MAX);
	n = -7;
	assert_int_equal(parse_int("6", -5, 5, &n, &e), -ERR_USAGE);
	assert_contains(e.text, "6 is not between -5 and 5");
	assert_int_equal(parse_int("-6", -5, 5, &n, &e), -ERR_USAGE);
	assert_int_equal(parse_int("9223372036854775808", 0, INT64_MAX, &n, &e), -ERR_USAGE);
	assert_contains(e.text, "is not between");
	assert_int_equal(parse_int("-99999999999999999999", INT64_MIN, 0, &n, &e), -ERR_USAGE);
	/* What would be -1, or INT64_MIN, if it were only stored in 64 bits. */
	assert_int_equal(parse_int("18446744073709551615", INT64_MIN, INT64_MAX, &n, &e),
			 -ERR_USAGE);
	assert_int_equal(parse_int("-9223372036854775808", INT64_MIN, 0, &n, &e), -ERR_USAGE);
	assert_int_equal(n, -7);
}

static void other_ints_are_refused(void **state)
{
	static const char *const wrong[] = {"", "-", "+1", "1 ", " 1", "1k", "0x1", "--1", "1.0"};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		int64_t n = -7;
		struct err e;

		if (parse_int(wrong[i], -10, 10, &n, &e) != -ERR_USAGE) fail_msg("%s", wrong[i]);
		assert_contains(e.text, "is not a whole number");
		assert_int_equal(n, -7);
	}
}

/* Random bytes: a parser either refuses or gives a number in range; ASan watches the rest. */
static void hostile_texts_do_no_harm(void **state)
{
	static const char alphabet[] = "0123456789.-KMGTPEiBnusmh\xc2\xb5 x";
	uint64_t seed = unit_seed();
	int taken = 0;

	for (int round = 0; round < 100000; round++) {
		size_t len = unit_random(&seed) % 12;
		int64_t n = 0;
		char *text = calloc(1, len + 1);

		for (size_t i = 0; i < len; i++)
			text[i] = alphabet[unit_random(&seed) % (sizeof(alphabet) - 1)];
		taken += parse_size(text, &n, NULL) == 0;
		assert_true(n >= 0);
		taken += parse_duration(text, &n, NULL) == 0;
		assert_true(n >= 0);
		taken += parse_int(text, -1000, 1000, &n, NULL) == 0;
		free(text);
	}
	assert_true(taken > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes_are_powers_of_two),
	    cmocka_unit_test(other_sizes_are_refused),
	    cmocka_unit_test(durations_have_units),
	    cmocka_unit_test(other_durations_are_refused),
	    cmocka_unit_test(cpus_are_those_of_kubernetes),
	    cmocka_unit_test(ints_keep_their_range),
	    cmocka_unit_test(other_ints_are_refused),
	    cmocka_unit_test(hostile_texts_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
