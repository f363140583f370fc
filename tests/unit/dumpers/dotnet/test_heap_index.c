/* Objects by their numbers and addresses, against a plain list of them. */
#include "dumpers/dotnet/heap_index.h"

#include "tests/unit/base/unit.h"

enum { RANGES = 7, OBJECTS_MAX = 20000 };
#define BASE UINT64_C(0x7f0000000000)

struct plain {
	struct dac_wire_range ranges[RANGES];
	struct dotnet_heap heap;
	uint64_t objects[OBJECTS_MAX];
	uint32_t count;
	struct heap_index *index;
};

static struct plain *fill(uint64_t *random)
{
	struct plain *p = calloc(1, sizeof(*p));
	uint64_t at = BASE;
	assert_non_null(p);
	for (int i = 0; i < RANGES; i++) {
		at += 8 * (unit_random(random) % 3 ? unit_random(random) % 100000 : 0);
		uint64_t len = 8 * (unit_random(random) % 20000 + 3);
		p->ranges[i] = (struct dac_wire_range){.start = at, .end = at + len};
		at += len;
	}
	p->heap.ranges = p->ranges;
	p->heap.head.range_count = RANGES;
	assert_int_equal(heap_index_new(&p->heap, &p->index, NULL), 0);
	for (int i = 0; i < RANGES; i++) {
		at = p->ranges[i].start + (i % 2 ? 8 * (unit_random(random) % 700) : 0);
		while (at < p->ranges[i].end && p->count < OBJECTS_MAX) {
			uint32_t word;
			assert_true(heap_index_word(p->index, at, &word));
			heap_index_add(p->index, word);
			p->objects[p->count++] = at;
			at += 24 + 8 * (unit_random(random) % (unit_random(random) % 5 ? 9 : 900));
		}
	}
	assert_int_equal(heap_index_seal(p->index, NULL), 0);
	return p;
}
static void done(struct plain *p)
{
	heap_index_free(p->index);
	free(p);
}

static void objects_have_their_numbers_and_addresses(void **state)
{
	uint64_t random = unit_seed();
	struct plain *p = fill(&random);
	assert_int_equal(heap_index_count(p->index), p->count);
	for (uint32_t i = 0; i < p->count; i++) {
		uint32_t word, number;
		assert_true(heap_index_word(p->index, p->objects[i], &word));
		assert_true(heap_index_object(p->index, word, &number));
		assert_int_equal(number, i);
		assert_int_equal(heap_index_address(p->index, i), p->objects[i]);
	}
	done(p);
}

static int range_of(const struct plain *p, uint64_t address)
{
	for (int i = 0; i < RANGES; i++) {
		if (address >= p->ranges[i].start && address < p->ranges[i].end) return i;
	}
	return -1;
}

static void any_address_is_of_the_object_before_it(void **state)
{
	uint64_t random = unit_seed();
	struct plain *p = fill(&random);
	for (int i = 0; i < 5000; i++) {
		uint64_t address = BASE + 8 * (unit_random(&random) % 800000);
		uint32_t word, number, expected = 0;
		int range = range_of(p, address);
		assert_int_equal(heap_index_word(p->index, address, &word), range >= 0);
		assert_false(heap_index_word(p->index, address + 1, &word));
		if (range < 0) continue;
		assert_true(heap_index_word(p->index, address, &word));
		while (expected < p->count && p->objects[expected] <= address)
			expected++;
		bool there = expected && range_of(p, p->objects[expected - 1]) == range;
		assert_int_equal(heap_index_before(p->index, word, &number), there);
		if (there) assert_int_equal(number, expected - 1);
		bool begins = there && p->objects[expected - 1] == address;
		assert_int_equal(heap_index_object(p->index, word, &number), begins);
	}
	done(p);
}

static void an_empty_heap_has_no_words(void **state)
{
	struct dotnet_heap heap = {0};
	struct heap_index *x;
	uint32_t word;
	assert_int_equal(heap_index_new(&heap, &x, NULL), 0);
	assert_false(heap_index_word(x, 0, &word));
	assert_false(heap_index_word(x, BASE, &word));
	assert_int_equal(heap_index_seal(x, NULL), 0);
	assert_int_equal(heap_index_count(x), 0);
	heap_index_free(x);
}

static void a_heap_beyond_its_numbers_is_refused(void **state)
{
	struct dac_wire_range range = {.start = 8, .end = 8 + HEAP_INDEX_BYTES_MAX};
	struct dotnet_heap heap = {.ranges = &range, .head.range_count = 1};
	struct heap_index *x;
	struct err e = {0};
	assert_int_equal(heap_index_new(&heap, &x, &e), -ERR_LIMIT);
	assert_non_null(strstr(e.text, "32 GiB"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(objects_have_their_numbers_and_addresses),
	    cmocka_unit_test(any_address_is_of_the_object_before_it),
	    cmocka_unit_test(an_empty_heap_has_no_words),
	    cmocka_unit_test(a_heap_beyond_its_numbers_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
