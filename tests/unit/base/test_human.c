#include "base/human.h"
#include "base/rfc3339.h"
#include "tests/unit/base/unit.h"

static void sizes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
	    {0, "0 B"},
	    {1023, "1023 B"},
	    {KIB, "1.0 KiB"},
	    {1536, "1.5 KiB"},
	    {MIB - 1, "1.0 MiB"},
	    {1023 * KIB, "1023.0 KiB"},
	    {MIB, "1.0 MiB"},
	    {GIB + GIB / 2, "1.5 GiB"},
	    {1024 * GIB, "1.0 TiB"},
	    {UINT64_MAX, "16.0 EiB"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[HUMAN_MAX];

		assert_ptr_equal(human_size(rows[i].bytes, text), text);
		assert_string_equal(text, rows[i].text);
	}
}

static void durations(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} rows[] = {
	    {0, "0 ns"},
	    {999, "999 ns"},
	    {1000, "1.0 us"},
	    {999949, "999.9 us"},
	    {999950, "1.0 ms"},
	    {12345678, "12.3 ms"},
	    {NS_PER_S - 1, "1.0 s"},
	    {NS_PER_S, "1.0 s"},
	    {(uint64_t)59900 * NS_PER_MS, "59.9 s"},
	    {(uint64_t)59960 * NS_PER_MS, "1m00s"},
	    {(uint64_t)125 * NS_PER_S, "2m05s"},
	    {(uint64_t)3599999 * NS_PER_MS, "1h00m"},
	    {(uint64_t)11250 * NS_PER_S, "3h07m"},
	    {(uint64_t)49 * 3600 * NS_PER_S, "49h00m"},
	    {UINT64_MAX, "5124095h34m"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[HUMAN_MAX];

		assert_ptr_equal(human_duration(rows[i].ns, text), text);
		assert_string_equal(text, rows[i].text);
	}
}

static void times(void **state)
{
	char text[RFC3339_SIZE];

	assert_string_equal(rfc3339_utc(0, text), "1970-01-01T00:00:00Z");
	assert_string_equal(rfc3339_utc(1767323045, text), "2026-01-02T03:04:05Z");
	assert_string_equal(rfc3339_utc(951782400, text), "2000-02-29T00:00:00Z");
	assert_string_equal(rfc3339_utc(-1, text), "1969-12-31T23:59:59Z");
}

static void times_outside_the_format_are_clamped(void **state)
{
	char text[RFC3339_SIZE];

	assert_string_equal(rfc3339_utc(253402300799, text), "9999-12-31T23:59:59Z");
	assert_string_equal(rfc3339_utc(253402300800, text), "9999-12-31T23:59:59Z");
	assert_string_equal(rfc3339_utc(INT64_MAX, text), "9999-12-31T23:59:59Z");
	assert_string_equal(rfc3339_utc(INT64_MIN, text), "0000-01-01T00:00:00Z");
}

static void the_local_time_zone_does_not_matter(void **state)
{
	char text[RFC3339_SIZE];

	setenv("TZ", "XYZ-05:30", 1);
	tzset();
	assert_string_equal(rfc3339_utc(0, text), "1970-01-01T00:00:00Z");
	unsetenv("TZ");
	tzset();
}

static void rfc3339_is_read(void **state)
{
	static const struct {
		const char *text;
		long long time; /* -1: refused */
	} cases[] = {
	    {"1970-01-01T00:00:00Z", 0},
	    {"2026-01-02T03:04:05Z", 1767323045},
	    {"2026-01-02T03:04:05.999999999Z", 1767323045},
	    {"2026-01-02T05:04:05+02:00", 1767323045},
	    {"2026-01-01T21:34:05-05:30", 1767323045},
	    {"9999-12-31T23:59:59Z", 253402300799},
	    {"2026-01-02T03:04:05", -1},
	    {"2026-01-02 03:04:05Z", -1},
	    {"2026-13-02T03:04:05Z", -1},
	    {"2026-00-02T03:04:05Z", -1},
	    {"2026-01-02T24:04:05Z", -1},
	    {"2026-01-02T03:04:05.Z", -1},
	    {"2026-01-02T03:04:05+0200", -1},
	    {"2026-01-02T03:04:05Zx", -1},
	    {"", -1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		time_t time = -2;

		assert_int_equal(rfc3339_parse(cases[i].text, &time), cases[i].time != -1);
		if (cases[i].time != -1) assert_int_equal(time, cases[i].time);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes),
	    cmocka_unit_test(durations),
	    cmocka_unit_test(times),
	    cmocka_unit_test(times_outside_the_format_are_clamped),
	    cmocka_unit_test(the_local_time_zone_does_not_matter),
	    cmocka_unit_test(rfc3339_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
