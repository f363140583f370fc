/*
 * Objects, collections and the walk over memory that is made here. The library is one of answers
 * from a table: this file has the functions of dac_client.h.
 */
#include "dumpers/dotnet/dac_client.h"
#include "dumpers/dotnet/dotnet_internal.h"
#include "dumpers/dotnet/object.h"
#include "dumpers/dotnet/search.h"
#include "dumpers/snapshot/memory.h"

#include "tests/unit/base/unit.h"
#include "tests/unit/dumpers/dotnet/no_client.h"

enum {
	MEMORY_LEN = 64 << 10,
	TYPES = 32,
};
#define BASE UINT64_C(0x7f0000000000)
/* Method tables: nothing is read of them, their addresses are all. */
#define TABLE(n) (BASE + MEMORY_LEN / 2 + 8 * (uint64_t)(n))

enum type_number {
	OBJECT = 1,
	VALUE_TYPE,
	STRING,
	FREE,
	LIST,
	INTS,
	DICTIONARY,
	ENTRY,
	ENTRIES,
	LOOP
};

struct fake_field {
	enum type_number of;
	uint32_t token;
	uint8_t kind;
	uint32_t offset;
};
struct fake_type {
	const char *name;
	uint32_t base_size, component_size;
	enum type_number parent;
	struct dac_wire_array element;
};
static const struct fake_type types[TYPES] = {
    [OBJECT] = {"System.Object", 24, 0, 0, {0}},
    [VALUE_TYPE] = {"System.ValueType", 24, 0, OBJECT, {0}},
    [STRING] = {"System.String", 20, 2, OBJECT, {0}},
    [FREE] = {"Free", 24, 1, 0, {0}},
    [LIST] = {"System.Collections.Generic.List`1[[System.Int32, Lib]]", 32, 0, OBJECT, {0}},
    [INTS] =
	{"System.Int32[]", 24, 4, OBJECT, {.element_size = 4, .rank = 1, .element_kind = KIND_I4}},
    [DICTIONARY] = {"System.Collections.Generic.Dictionary`2[[System.Int32, Lib],[System.Boolean, "
		    "Lib]]",
		    32,
		    0,
		    OBJECT,
		    {0}},
    [ENTRY] = {"Entry", 32, 0, VALUE_TYPE, {0}},
    [ENTRIES] =
	{"Entry[]", 24, 16, OBJECT, {.element_size = 16, .rank = 1, .element_kind = KIND_STRUCT}},
    [LOOP] = {"Loop", 24, 0, LOOP, {0}},
};
/* Rows of the metadata's fields: see names. */
static const struct fake_field fields[] = {
    {LIST, 1, KIND_CLASS, 0},    {LIST, 2, KIND_I4, 8},  {DICTIONARY, 3, KIND_CLASS, 0},
    {DICTIONARY, 4, KIND_I4, 8}, {ENTRY, 5, KIND_I4, 0}, {ENTRY, 6, KIND_I4, 4},
    {ENTRY, 7, KIND_BOOL, 8},
};
static const char *const names[] = {"_items", "_size", "_entries", "_count",
				    "next",   "key",   "value"};

/* --- the library -------------------------------------------------------------------------------
 */

static int answer_code; /* what every question fails with; 0: none does */
static struct dac_wire_heap heap_head = {.valid = 1, .heap_count = 1, .range_count = 1};
static struct dac_wire_range heap_range;

static enum type_number number_of(uint64_t table)
{
	uint64_t n = (table - TABLE(0)) / 8;
	return table >= TABLE(0) && n < TYPES && types[n].name ? (enum type_number)n : 0;
}

static int answer_type(enum type_number n, struct buf *ret)
{
	const struct dac_wire_type record = {.module = 1,
					     .parent = types[n].parent ? TABLE(types[n].parent) : 0,
					     .base_size = types[n].base_size,
					     .component_size = types[n].component_size,
					     .is_free = n == FREE};
	assert_int_equal(buf_append(ret, &record, sizeof(record), NULL), 0);
	return buf_puts(ret, types[n].name, NULL);
}
static int answer_fields(enum type_number n, struct buf *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct dac_wire_field record = {
		    .token = fields[i].token, .offset = fields[i].offset, .kind = fields[i].kind};
		if (fields[i].of == n)
			assert_int_equal(buf_append(ret, &record, sizeof(record), NULL), 0);
	}
	return 0;
}
static enum type_number asked_array;
static int answer_array(uint64_t object, struct buf *ret)
{
	struct dac_wire_array record = types[asked_array].element;
	record.data = object + 16;
	if (asked_array == ENTRIES) record.element_type = TABLE(ENTRY);
	return buf_append(ret, &record, sizeof(record), NULL);
}

int dac_client_ask(struct dac_client *c, enum dac_message question, uint64_t argument,
		   struct buf *ret, struct err *e)
{
	enum type_number n = number_of(argument);
	buf_clear(ret);
	if (answer_code) return err_set(e, (enum err_code)answer_code, "as the test wants it");
	switch (question) {
	case DAC_ASK_TYPE:
		return n ? answer_type(n, ret) : err_set(e, ERR_CORRUPT, "no such type");
	case DAC_ASK_FIELDS:
		return answer_fields(n, ret);
	case DAC_ASK_ARRAY:
		return answer_array(argument, ret);
	case DAC_ASK_HEAP:
		assert_int_equal(buf_append(ret, &heap_head, sizeof(heap_head), NULL), 0);
		return buf_append(ret, &heap_range, sizeof(heap_range), NULL);
	default:
		return err_set(e, ERR_CORRUPT, "not here");
	}
}

/* --- memory --------------------------------------------------------------------------------------
 */

struct world {
	uint8_t bytes[MEMORY_LEN];
	size_t used; /* bytes of objects */
	struct snapshot *snapshot;
	struct modules *modules;
	struct dotnet d;
};

static uint64_t put_object(struct world *w, enum type_number type, const void *body, size_t len)
{
	uint64_t table = TABLE(type);
	size_t at = w->used;
	memcpy(w->bytes + at, &table, sizeof(table));
	if (len) memcpy(w->bytes + at + 8, body, len);
	w->used += (size_t)MAX(align_up(8 + len, 8), (uint64_t)24);
	assert_true(w->used <= MEMORY_LEN);
	return BASE + at;
}
static uint64_t put_ints(struct world *w, uint32_t count)
{
	uint32_t body[64] = {count, 0};
	for (uint32_t i = 0; i < count; i++)
		body[2 + i] = 100 + i;
	return put_object(w, INTS, body, 16 + 4 * (size_t)count);
}
static uint64_t put_list(struct world *w, uint64_t items, uint32_t size)
{
	const struct {
		uint64_t items;
		uint32_t size, version;
		uint64_t next_header;
	} body = {items, size, 0, 0};
	return put_object(w, LIST, &body, 24);
}

static void open_world(struct world *w)
{
	char maps[128];
	const struct memory_range range = {BASE, BASE + MEMORY_LEN, MEM_BYTES, w->bytes};
	static const struct snapshot_thread thread = {.tid = 1};
	struct err e = {0};
	snprintf(maps, sizeof(maps), "%llx-%llx rw-p 00000000 00:00 0 \n", (unsigned long long)BASE,
		 (unsigned long long)BASE + MEMORY_LEN);
	assert_int_equal(snapshot_open_memory(maps, &range, 1, &thread, 1, &w->snapshot, &e), 0);
	assert_int_equal(modules_new(w->snapshot, NULL, NULL, &w->modules, &e), 0);
	w->d = (struct dotnet){.modules = w->modules,
			       .start = {.string_type = TABLE(STRING), .free_type = TABLE(FREE)},
			       .answer = BUF_INIT(DAC_PAYLOAD_MAX)};
	heap_range = (struct dac_wire_range){.start = BASE, .end = BASE + w->used, .generation = 2};
}
/* Field names come from the metadata otherwise. */
static struct dotnet_type *name_fields(struct world *w, enum type_number n)
{
	struct dotnet_type *t;
	assert_int_equal(dotnet_type_at(&w->d, TABLE(n), &t, NULL), 0);
	assert_int_equal(dotnet_load_fields(&w->d, t, NULL), 0);
	for (size_t i = 0; i < t->field_count; i++)
		t->fields[i].name = names[t->fields[i].is.token - 1];
	return t;
}
static void close_world(struct world *w)
{
	dotnet_types_done(&w->d);
	free(w->d.known_modules);
	free(w->d.files);
	buf_done(&w->d.answer);
	modules_free(w->modules);
	snapshot_free(w->snapshot);
	free(w);
}
static struct world *new_world(void)
{
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	answer_code = 0;
	return w;
}

static const struct object_config plain = {.limit = 100};

static void assert_shows(struct world *w, uint64_t object, const struct object_config *config,
			 const char *expected)
{
	_cleanup_buf_ struct buf text = BUF_INIT(1 << 20);
	_cleanup_node_ struct node *n = NULL;
	struct err e = {0};
	assert_int_equal(object_read(&w->d, object, config, &n, &e), 0);
	assert_int_equal(node_print_text(n, &text, &e), 0);
	if (!strstr(text.data, expected)) print_error("%s lacks %s\n", text.data, expected);
	assert_non_null(strstr(text.data, expected));
}

/* --- collections
 * ----------------------------------------------------------------------------------- */

static void a_list_shows_its_items(void **state)
{
	const struct object_config two = {.limit = 2};
	struct world *w = new_world();
	uint64_t list = put_list(w, put_ints(w, 8), 3);
	open_world(w);
	name_fields(w, LIST);
	asked_array = INTS;
	assert_shows(w, list, &plain,
		     "List`1[System.Int32] (3)\n  [0] = 100\n  [1] = 101\n  [2] = 102\n");
	assert_shows(w, list, &two, "  [1] = 101\n  ... (--limit)\n");
	close_world(w);
}

static void a_list_longer_than_its_array_is_unknown(void **state)
{
	struct world *w = new_world();
	uint64_t list = put_list(w, put_ints(w, 8), 9),
		 below = put_list(w, put_ints(w, 1), 1u << 31);
	open_world(w);
	name_fields(w, LIST);
	asked_array = INTS;
	_cleanup_node_ struct node *n = NULL;
	struct err e = {0};
	assert_int_equal(object_read(&w->d, list, &plain, &n, &e), -ERR_CORRUPT);
	assert_non_null(strstr(e.text, "longer than its array"));
	assert_int_equal(object_read(&w->d, below, &plain, &n, &e), -ERR_CORRUPT);
	close_world(w);
}

static uint64_t put_dictionary(struct world *w, uint32_t count)
{
	struct entry {
		int32_t next, key;
		uint8_t value, padding[7];
	};
	const struct {
		uint32_t count, padding;
		struct entry v[4];
	} array = {4, 0, {{-1, 7, 1, {0}}, {-3, 8, 1, {0}}, {0, 9, 0, {0}}, {0}}};
	uint64_t entries = put_object(w, ENTRIES, &array, sizeof(array));
	const struct {
		uint64_t entries;
		uint32_t count, free;
		uint64_t next_header;
	} body = {entries, count, 0, 0};
	return put_object(w, DICTIONARY, &body, 24);
}

static void a_dictionary_shows_entries_that_are_not_free(void **state)
{
	struct world *w = new_world();
	uint64_t dictionary = put_dictionary(w, 3);
	open_world(w);
	name_fields(w, DICTIONARY);
	name_fields(w, ENTRY);
	asked_array = ENTRIES;
	assert_shows(
	    w, dictionary, &plain,
	    "Dictionary`2[System.Int32,System.Boolean] (2)\n  [7] = true\n  [9] = false\n");
	close_world(w);
}

static void a_dictionary_beyond_its_table_is_unknown(void **state)
{
	struct world *w = new_world();
	uint64_t dictionary = put_dictionary(w, 5);
	_cleanup_node_ struct node *n = NULL;
	open_world(w);
	name_fields(w, DICTIONARY);
	name_fields(w, ENTRY);
	asked_array = ENTRIES;
	assert_int_equal(object_read(&w->d, dictionary, &plain, &n, NULL), -ERR_CORRUPT);
	close_world(w);
}

/* --- what is damaged
 * -------------------------------------------------------------------------------- */

static void a_string_of_any_length_is_refused_or_cut(void **state)
{
	struct world *w = new_world();
	const uint32_t below_zero[4] = {1u << 31}, too_long[4] = {MEMORY_LEN};
	uint64_t bad = put_object(w, STRING, below_zero, 16);
	uint64_t beyond = put_object(w, STRING, too_long, 16);
	_cleanup_node_ struct node *n = NULL;
	open_world(w);
	assert_int_equal(object_read(&w->d, bad, &plain, &n, NULL), -ERR_CORRUPT);
	assert_int_equal(object_read(&w->d, beyond, &plain, &n, NULL), -ERR_NOT_FOUND);
	close_world(w);
}

static void base_types_without_end_are_refused(void **state)
{
	struct world *w = new_world();
	uint64_t object = put_object(w, LOOP, NULL, 0);
	_cleanup_node_ struct node *n = NULL;
	struct err e = {0};
	open_world(w);
	assert_int_equal(object_read(&w->d, object, &plain, &n, &e), -ERR_CORRUPT);
	assert_non_null(strstr(e.text, "no end of base types"));
	close_world(w);
}

static void no_object_is_no_object(void **state)
{
	struct world *w = new_world();
	uint64_t garbage = put_object(w, 0, NULL, 0), free_space = put_object(w, FREE, NULL, 0);
	_cleanup_node_ struct node *n = NULL;
	open_world(w);
	assert_int_equal(object_read(&w->d, garbage, &plain, &n, NULL), -ERR_CORRUPT);
	assert_int_equal(object_read(&w->d, free_space, &plain, &n, NULL), -ERR_NOT_FOUND);
	assert_int_equal(object_read(&w->d, BASE + 1, &plain, &n, NULL), -ERR_NOT_FOUND);
	assert_int_equal(object_read(&w->d, UINT64_MAX - 7, &plain, &n, NULL), -ERR_NOT_FOUND);
	close_world(w);
}

static void an_error_of_the_library_ends_all(void **state)
{
	struct world *w = new_world();
	uint64_t list = put_list(w, put_ints(w, 2), 2);
	_cleanup_node_ struct node *n = NULL;
	open_world(w);
	answer_code = ERR_SERVER;
	assert_int_equal(object_read(&w->d, list, &plain, &n, NULL), -ERR_SERVER);
	close_world(w);
}

/* --- the walk
 * ------------------------------------------------------------------------------------------ */

struct seen {
	size_t count, free;
	uint64_t last;
};
static int see(void *ctx, const struct dotnet_object *object, struct err *e)
{
	struct seen *s = ctx;
	assert_true(object->address > s->last);
	s->last = object->address;
	s->count += !object->type->is_free;
	s->free += object->type->is_free;
	return 0;
}
static void walk(struct world *w, struct seen *ret, struct dotnet_walk_loss *loss)
{
	struct dotnet_heap heap;
	*ret = (struct seen){0};
	assert_int_equal(dotnet_heap_read(&w->d, &heap, NULL), 0);
	assert_int_equal(dotnet_walk(&w->d, &heap, see, ret, loss, NULL), 0);
	dotnet_heap_done(&heap);
}

static void the_walk_meets_every_object(void **state)
{
	uint64_t random = unit_seed();
	struct world *w = new_world();
	size_t count = 20 + unit_random(&random) % 100, free_count = 0;
	for (size_t i = 0; i < count; i++) {
		uint32_t room = (uint32_t)(unit_random(&random) % 40);
		if (room % 5 == 0) {
			const uint32_t body[16] = {room & ~7u};
			put_object(w, FREE, body, 16 + (room & ~7u));
			free_count++;
		} else {
			put_ints(w, room);
		}
	}
	struct seen seen;
	struct dotnet_walk_loss loss;
	open_world(w);
	walk(w, &seen, &loss);
	assert_int_equal(seen.count, count - free_count);
	assert_int_equal(seen.free, free_count);
	assert_int_equal(loss.ranges, 0);
	close_world(w);
}

static void garbage_ends_its_segment_and_is_counted(void **state)
{
	struct world *w = new_world();
	struct seen seen;
	struct dotnet_walk_loss loss;
	put_ints(w, 3);
	put_object(w, 0, NULL, 0);
	put_ints(w, 3);
	open_world(w);
	walk(w, &seen, &loss);
	assert_int_equal(seen.count, 1);
	assert_int_equal(loss.ranges, 1);
	assert_int_equal(loss.bytes, w->used - 40);
	close_world(w);
}

static void an_object_larger_than_its_segment_is_lost(void **state)
{
	const uint32_t many[4] = {UINT32_MAX};
	struct world *w = new_world();
	struct seen seen;
	struct dotnet_walk_loss loss;
	put_object(w, INTS, many, 16);
	open_world(w);
	walk(w, &seen, &loss);
	assert_int_equal(seen.count, 0);
	assert_int_equal(loss.bytes, w->used);
	close_world(w);
}

static void segments_that_overlap_are_refused(void **state)
{
	struct world *w = new_world();
	struct dotnet_heap heap;
	put_ints(w, 3);
	open_world(w);
	heap_range.end = heap_range.start;
	assert_int_equal(dotnet_heap_read(&w->d, &heap, NULL), -ERR_CORRUPT);
	heap_range.end = heap_range.start + 8;
	heap_range.generation = DAC_GENERATIONS;
	assert_int_equal(dotnet_heap_read(&w->d, &heap, NULL), -ERR_CORRUPT);
	heap_head.range_count = UINT32_MAX;
	assert_int_equal(dotnet_heap_read(&w->d, &heap, NULL), -ERR_CORRUPT);
	heap_head.range_count = 1;
	close_world(w);
}

static void a_search_takes_values_as_they_are_shown(void **state)
{
	static const char *const sizes[] = {"_size=3"}, *const bad[] = {"_size"};
	struct world *w = new_world();
	struct search *search;
	struct seen seen = {0};
	struct dotnet_walk_loss loss;
	uint64_t items = put_ints(w, 8);
	put_list(w, items, 2);
	uint64_t wanted = put_list(w, items, 3);
	open_world(w);
	name_fields(w, LIST);
	assert_int_equal(search_new("List", bad, 1, &search, NULL), -ERR_USAGE);
	assert_int_equal(search_new("List", sizes, 1, &search, NULL), 0);
	assert_int_equal(search_run(search, &w->d, see, &seen, &loss, NULL), 0);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.last, wanted);
	search_free(search);
	close_world(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_list_shows_its_items),
	    cmocka_unit_test(a_list_longer_than_its_array_is_unknown),
	    cmocka_unit_test(a_dictionary_shows_entries_that_are_not_free),
	    cmocka_unit_test(a_dictionary_beyond_its_table_is_unknown),
	    cmocka_unit_test(a_string_of_any_length_is_refused_or_cut),
	    cmocka_unit_test(base_types_without_end_are_refused),
	    cmocka_unit_test(no_object_is_no_object),
	    cmocka_unit_test(an_error_of_the_library_ends_all),
	    cmocka_unit_test(the_walk_meets_every_object),
	    cmocka_unit_test(garbage_ends_its_segment_and_is_counted),
	    cmocka_unit_test(an_object_larger_than_its_segment_is_lost),
	    cmocka_unit_test(segments_that_overlap_are_refused),
	    cmocka_unit_test(a_search_takes_values_as_they_are_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
