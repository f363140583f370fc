/* The word before an object: layouts of syncblk.h before .NET 8 and since. */
#include "dumpers/dotnet/monitors.h"

#include "tests/unit/base/unit.h"

struct ids {
	const uint32_t *v;
	size_t count;
};
static bool is_one(void *ctx, uint32_t id)
{
	const struct ids *ids = ctx;
	for (size_t i = 0; i < ids->count; i++) {
		if (ids->v[i] == id) return true;
	}
	return false;
}

static uint32_t word_before_8(uint32_t id, uint32_t times)
{
	return id | (times - 1) << 10;
}
static uint32_t word_since_8(uint32_t id, uint32_t times)
{
	return id | (times - 1) << 16;
}

static void both_layouts(void **state)
{
	const uint32_t v[] = {1, 5, 1023, 1025, 65535};
	struct ids ids = {v, ARRAY_SIZE(v)};
	struct thin_lock lock;
	for (uint32_t times = 1; times <= 64; times++) {
		for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
			assert_true(
			    thin_lock_parse(word_since_8(v[i], times), is_one, &ids, &lock));
			if (v[i] > 1023 && times == 1) continue; /* below */
			assert_true(lock.is_sure);
			assert_int_equal(lock.id, v[i]);
			assert_int_equal(lock.times, times);
			if (v[i] > 1023) continue;
			assert_true(
			    thin_lock_parse(word_before_8(v[i], times), is_one, &ids, &lock));
			if ((v[i] | (times - 1) << 10) == 1025 ||
			    (v[i] | (times - 1) << 10) == 65535)
				continue;
			assert_true(lock.is_sure);
			assert_int_equal(lock.id, v[i]);
			assert_int_equal(lock.times, times);
		}
	}
}

/* 1025 once, or 1 twice. */
static void what_can_be_two_threads_is_not_sure(void **state)
{
	const uint32_t both[] = {1, 1025};
	struct ids ids = {both, 2}, first = {both, 1}, second = {both + 1, 1}, none = {both, 0};
	struct thin_lock lock;
	assert_true(thin_lock_parse(1025, is_one, &ids, &lock));
	assert_false(lock.is_sure);
	assert_true(thin_lock_parse(1025, is_one, &first, &lock));
	assert_true(lock.is_sure && lock.id == 1 && lock.times == 2);
	assert_true(thin_lock_parse(1025, is_one, &second, &lock));
	assert_true(lock.is_sure && lock.id == 1025 && lock.times == 1);
	assert_true(thin_lock_parse(1025, is_one, &none, &lock));
	assert_false(lock.is_sure);
}

static void other_words_are_no_locks(void **state)
{
	const uint32_t v[] = {5};
	struct ids ids = {v, 1};
	struct thin_lock lock;
	static const uint32_t words[] = {0, 0x08000005, 0x0c000005, 0x10000005, 0x20000000};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		assert_false(thin_lock_parse(words[i], is_one, &ids, &lock));
	/* Bits of the collector and the finalizer are beside it. */
	assert_true(thin_lock_parse(0x60000005, is_one, &ids, &lock));
	assert_true(lock.is_sure && lock.id == 5 && lock.times == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(both_layouts),
	    cmocka_unit_test(what_can_be_two_threads_is_not_sure),
	    cmocka_unit_test(other_words_are_no_locks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
