/*
 * Ways to objects over a heap that is made here: what a root is, the shortest way, what could not
 * be searched. The library is one of answers from a table.
 */
#include "dumpers/dotnet/dac_client.h"
#include "dumpers/dotnet/dotnet_internal.h"
#include "dumpers/dotnet/reach.h"
#include "dumpers/snapshot/memory.h"

#include "tests/unit/base/unit.h"
#include "tests/unit/dumpers/dotnet/no_client.h"

enum {
	MEMORY_LEN = 64 << 10,
	TABLES_AT = 48 << 10, /* method tables, and below each where its references are */
	TABLE_ROOM = 64,
	SLOTS_AT = 56 << 10, /* references from outside */
	ROOTS_AT_MOST = 16,
};
#define BASE UINT64_C(0x7f0000000000)
#define TABLE(n) (BASE + TABLES_AT + TABLE_ROOM * (uint64_t)(n))

enum type_number { STRING = 1, FREE, NODE, ARRAY, TYPES };
static const char *const names[TYPES] = {
    [STRING] = "System.String", [FREE] = "Free", [NODE] = "Node", [ARRAY] = "Node[]"};

/* --- the library
 * ------------------------------------------------------------------------------------- */

static struct dac_wire_root statics[ROOTS_AT_MOST], handles[ROOTS_AT_MOST], stack[ROOTS_AT_MOST];
static size_t static_count, handle_count, stack_count;
static bool stack_refused;
static struct dac_wire_heap heap_head;
static struct dac_wire_range heap_range;

static int answer_type(uint64_t table, struct buf *ret, struct err *e)
{
	uint64_t n = (table - TABLE(0)) / TABLE_ROOM;
	if (table < TABLE(0) || table % TABLE_ROOM || !n || n >= TYPES)
		return err_set(e, ERR_CORRUPT, "no such type");
	const struct dac_wire_type record = {.base_size = n == NODE ? 32 : 24,
					     .component_size = n == ARRAY ? 8 : n != NODE,
					     .is_free = n == FREE,
					     .has_references = n == NODE || n == ARRAY};
	assert_int_equal(buf_append(ret, &record, sizeof(record), NULL), 0);
	return buf_puts(ret, names[n], NULL);
}
static int answer_heap(struct buf *ret)
{
	assert_int_equal(buf_append(ret, &heap_head, sizeof(heap_head), NULL), 0);
	return buf_append(ret, &heap_range, sizeof(heap_range), NULL);
}
static int answer_array(uint64_t object, struct buf *ret)
{
	const struct dac_wire_array record = {
	    .data = object + 16, .element_size = 8, .rank = 1, .element_kind = KIND_CLASS};
	return buf_append(ret, &record, sizeof(record), NULL);
}

int dac_client_ask(struct dac_client *c, enum dac_message question, uint64_t argument,
		   struct buf *ret, struct err *e)
{
	static const struct dac_wire_thread thread = {1, 77};
	buf_clear(ret);
	switch (question) {
	case DAC_ASK_TYPE:
		return answer_type(argument, ret, e);
	case DAC_ASK_FIELDS:
		return 0;
	case DAC_ASK_ARRAY:
		return answer_array(argument, ret);
	case DAC_ASK_HEAP:
		return answer_heap(ret);
	case DAC_ASK_STATICS:
		return buf_append(ret, statics, static_count * sizeof(*statics), e);
	case DAC_ASK_HANDLES:
		return buf_append(ret, handles, handle_count * sizeof(*handles), e);
	case DAC_ASK_THREADS:
		return buf_append(ret, &thread, sizeof(thread), e);
	case DAC_ASK_STACK:
		assert_int_equal(argument, thread.os_id);
		if (stack_refused) return err_set(e, ERR_CORRUPT, "as the test wants it");
		return buf_append(ret, stack, stack_count * sizeof(*stack), e);
	default:
		return err_set(e, ERR_CORRUPT, "not here");
	}
}

/* --- memory
 * -------------------------------------------------------------------------------------------- */

struct world {
	uint8_t bytes[MEMORY_LEN];
	size_t used, slots;
	struct snapshot *snapshot;
	struct modules *modules;
	struct dotnet d;
	struct reach reach;
};

static void put(struct world *w, uint64_t address, uint64_t value)
{
	memcpy(w->bytes + (address - BASE), &value, sizeof(value));
}
/* Of 32 bytes, its two references at 8 and 16. */
static uint64_t put_node(struct world *w, uint64_t a, uint64_t b)
{
	uint64_t at = BASE + w->used;
	w->used += 32;
	assert_true(w->used <= TABLES_AT);
	put(w, at, TABLE(NODE));
	put(w, at + 8, a);
	put(w, at + 16, b);
	return at;
}
static uint64_t put_array(struct world *w, uint32_t count)
{
	uint64_t at = BASE + w->used;
	w->used += 24 + 8 * (size_t)count;
	put(w, at, TABLE(ARRAY));
	put(w, at + 8, count);
	return at;
}
static struct dac_wire_root rooted(struct world *w, enum dac_root_kind kind, uint64_t object)
{
	uint64_t slot = BASE + SLOTS_AT + 8 * w->slots++;
	put(w, slot, object);
	return (struct dac_wire_root){.slot = slot, .kind = (uint8_t)kind};
}
static void hold(struct world *w, uint64_t object)
{
	handles[handle_count] = rooted(w, DAC_ROOT_HANDLE, object);
	handles[handle_count++].handle = DAC_HANDLE_STRONG;
}

static struct world *new_world(void)
{
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	static_count = handle_count = stack_count = 0;
	stack_refused = false;
	put(w, TABLE(NODE) - 8, 1);
	put(w, TABLE(NODE) - 16, 8);
	put(w, TABLE(NODE) - 24, (uint64_t)(16 - 32));
	put(w, TABLE(ARRAY) - 8, 1);
	put(w, TABLE(ARRAY) - 16, 16);
	put(w, TABLE(ARRAY) - 24, (uint64_t)-24);
	return w;
}
static void search(struct world *w)
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
	heap_head = (struct dac_wire_heap){.valid = 1, .heap_count = 1, .range_count = 1};
	heap_range = (struct dac_wire_range){.start = BASE, .end = BASE + w->used, .generation = 2};
	assert_int_equal(reach_read(&w->d, &w->reach, &e), 0);
}
static void close_world(struct world *w)
{
	reach_done(&w->reach);
	dotnet_types_done(&w->d);
	free(w->d.known_modules);
	free(w->d.files);
	buf_done(&w->d.answer);
	modules_free(w->modules);
	snapshot_free(w->snapshot);
	free(w);
}
static void assert_way(struct world *w, uint64_t object, const char *expected)
{
	_cleanup_buf_ struct buf text = BUF_INIT(1 << 20);
	struct reach_way way;
	struct err e = {0};
	assert_int_equal(reach_way(&w->reach, object, &way, &e), 0);
	assert_int_equal(reach_way_text(&w->reach, &way, &text, &e), 0);
	assert_contains(text.data, expected);
	reach_way_done(&way);
}
static size_t steps_to(struct world *w, uint64_t object)
{
	struct reach_way way;
	assert_int_equal(reach_way(&w->reach, object, &way, NULL), 0);
	size_t count = way.count;
	assert_int_equal(way.root != NULL, count != 0);
	reach_way_done(&way);
	return count;
}

/* --- tests
 * -----------------------------------------------------------------------------------------------
 */

static void the_shortest_way_is_found_through_cycles(void **state)
{
	struct world *w = new_world();
	uint64_t last = put_node(w, 0, 0), middle = put_node(w, last, 0);
	uint64_t far = put_node(w, middle, 0), array = put_array(w, 5);
	put(w, last + 8, far); /* a cycle */
	put(w, array + 16 + 3 * 8, far);
	put(w, array + 16 + 4 * 8, middle);
	hold(w, array);
	search(w);
	assert_int_equal(steps_to(w, last), 3);
	assert_way(w, last, "[4] = ");
	assert_way(w, last, "  .+0x0 = ");
	assert_way(w, far, "[3] = ");
	assert_false(reach_has_gaps(&w->reach));
	close_world(w);
}

static void a_random_graph_as_a_plain_search_has_it(void **state)
{
	enum { NODES = 600 };
	uint64_t random = unit_seed(), node[NODES];
	size_t steps[NODES] = {0};
	uint32_t to[NODES][2];
	struct world *w = new_world();
	for (int i = 0; i < NODES; i++)
		node[i] = put_node(w, 0, 0);
	for (int i = 0; i < NODES; i++) {
		for (int k = 0; k < 2; k++) {
			to[i][k] = (uint32_t)(unit_random(&random) % (2 * NODES));
			if (to[i][k] < NODES) put(w, node[i] + 8 + 8 * (uint64_t)k, node[to[i][k]]);
		}
	}
	for (int i = 0; i < 3; i++) {
		size_t n = (size_t)(unit_random(&random) % NODES);
		hold(w, node[n]);
		steps[n] = 1;
	}
	for (bool changed = true; changed;) {
		changed = false;
		for (int i = 0; i < NODES * 2; i++) {
			uint32_t child = to[i / 2][i % 2];
			if (!steps[i / 2] || child >= NODES) continue;
			if (steps[child] && steps[child] <= steps[i / 2] + 1) continue;
			steps[child] = steps[i / 2] + 1;
			changed = true;
		}
	}
	search(w);
	for (int i = 0; i < NODES; i++)
		assert_int_equal(steps_to(w, node[i]), steps[i]);
	close_world(w);
}

static void what_nothing_holds_is_garbage(void **state)
{
	struct world *w = new_world();
	uint64_t held = put_node(w, 0, 0), loose = put_node(w, held, 0);
	hold(w, held);
	search(w);
	assert_way(w, loose, "no root found: garbage");
	close_world(w);
}

static void a_stack_that_cannot_be_read_is_a_gap(void **state)
{
	struct world *w = new_world();
	uint64_t loose = put_node(w, 0, 0);
	_cleanup_buf_ struct buf text = BUF_INIT(1 << 10);
	stack_refused = true;
	search(w);
	assert_true(reach_has_gaps(&w->reach));
	assert_way(w, loose, "no root found, but not all could be searched");
	assert_int_equal(reach_gaps_text(&w->reach, &text, NULL), 0);
	assert_string_equal(text.data, "the stack of thread 77 could not be searched\n");
	close_world(w);
}

static void a_dependent_handle_holds_while_its_key_lives(void **state)
{
	struct world *w = new_world();
	uint64_t key = put_node(w, 0, 0), value = put_node(w, 0, 0);
	uint64_t dead_key = put_node(w, 0, 0), dead_value = put_node(w, 0, 0);
	hold(w, key);
	handles[handle_count] = rooted(w, DAC_ROOT_DEPENDENT, key);
	handles[handle_count++].object = value;
	handles[handle_count] = rooted(w, DAC_ROOT_DEPENDENT, dead_key);
	handles[handle_count++].object = dead_value;
	search(w);
	assert_int_equal(steps_to(w, value), 2);
	assert_way(w, value, "kept by dependent handle 0x");
	assert_int_equal(steps_to(w, dead_value), 0);
	close_world(w);
}

static void an_address_within_an_object_holds_it(void **state)
{
	struct world *w = new_world();
	uint64_t first = put_node(w, 0, 0), second = put_node(w, 0, 0);
	stack[0] =
	    (struct dac_wire_root){.object = second + 13, .kind = DAC_ROOT_STACK, .thread = 77};
	stack[0].interior = 1;
	stack[1] =
	    (struct dac_wire_root){.object = first + 8, .kind = DAC_ROOT_STACK, .thread = 77};
	stack_count = 2;
	search(w);
	assert_int_equal(steps_to(w, second), 1);
	assert_int_equal(steps_to(w, first), 0); /* it is not said to be one within an object */
	close_world(w);
}

static void nonsense_from_the_library_holds_nothing(void **state)
{
	struct world *w = new_world();
	uint64_t node = put_node(w, 0, 0);
	statics[0] = (struct dac_wire_root){.slot = 0x10, .kind = DAC_ROOT_STATIC};
	statics[1] = rooted(w, DAC_ROOT_STATIC, node + 16);
	statics[2] = rooted(w, DAC_ROOT_KINDS, node);
	static_count = 3;
	search(w);
	assert_int_equal(steps_to(w, node), 0);
	struct reach_way way;
	assert_int_equal(reach_way(&w->reach, node + 8, &way, NULL), -ERR_NOT_FOUND);
	assert_int_equal(reach_way(&w->reach, BASE - 8, &way, NULL), -ERR_NOT_FOUND);
	close_world(w);
}

static void references_that_cannot_be_found_are_counted(void **state)
{
	struct world *w = new_world();
	uint64_t child = put_node(w, 0, 0), parent = put_node(w, child, 0);
	put(w, TABLE(NODE) - 8, 1 << 20); /* so many series there cannot be */
	hold(w, parent);
	search(w);
	assert_int_equal(w->reach.graph.unread, 2);
	assert_way(w, child, "but not all could be searched");
	close_world(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_shortest_way_is_found_through_cycles),
	    cmocka_unit_test(a_random_graph_as_a_plain_search_has_it),
	    cmocka_unit_test(what_nothing_holds_is_garbage),
	    cmocka_unit_test(a_stack_that_cannot_be_read_is_a_gap),
	    cmocka_unit_test(a_dependent_handle_holds_while_its_key_lives),
	    cmocka_unit_test(an_address_within_an_object_holds_it),
	    cmocka_unit_test(nonsense_from_the_library_holds_nothing),
	    cmocka_unit_test(references_that_cannot_be_found_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
