/* Circles of threads that wait for each other, and how such a graph is said. */
#include "base/buf.h"
#include "base/json.h"
#include "dumpers/locks/lock_graph.h"

#include "tests/unit/base/unit.h"

/* Thread `thread` has tid 100 + its index unless another is given. */
static size_t add_thread(struct lock_graph *g, uint32_t tid, const char *name)
{
	const struct lock_thread t = {.tid = tid, .name = name, .waits_for = LOCK_NONE};
	size_t index;
	assert_int_equal(lock_graph_add_thread(g, &t, &index, NULL), 0);
	return index;
}

static size_t add_lock(struct lock_graph *g, const char *type, size_t owner)
{
	const struct lock l = {.kind = "monitor",
			       .type = type,
			       .address = 0x1000 * (g->lock_count + 1),
			       .held = true,
			       .owner = owner,
			       .times = 1};
	size_t index;
	assert_int_equal(lock_graph_add_lock(g, &l, &index, NULL), 0);
	return index;
}

static void wait_for(struct lock_graph *g, size_t thread, size_t lock)
{
	g->threads[thread].waits = true;
	g->threads[thread].waits_for = lock;
	if (lock != LOCK_NONE) g->locks[lock].waiting++;
}

/* `count` threads, each of which holds a lock that the next wants; closed: the last wants the
 * first's. */
static void add_chain(struct lock_graph *g, size_t count, uint32_t tid, bool closed)
{
	size_t first_thread = g->thread_count, first_lock = g->lock_count;
	for (size_t i = 0; i < count; i++)
		add_lock(g, "Shop.Box", add_thread(g, tid + (uint32_t)((i + 1) % count), NULL));
	for (size_t i = 0; i < count; i++) {
		if (i || closed)
			wait_for(g, first_thread + i, first_lock + (i + count - 1) % count);
	}
}

static void assert_circle(const struct lock_graph *g, const struct lock_cycle *c, size_t count,
			  uint32_t tid)
{
	assert_int_equal(c->count, count);
	assert_int_equal(g->threads[c->threads[0]].tid, tid);
	for (size_t i = 0; i < count; i++) {
		const struct lock_thread *t = &g->threads[c->threads[i]];
		assert_int_equal(g->locks[t->waits_for].owner, c->threads[(i + 1) % count]);
	}
}

static void every_circle_is_found_once(void **state)
{
	_cleanup_lock_graph_ struct lock_graph g = {0};
	_cleanup_lock_cycles_ struct lock_cycles c = {0};
	add_chain(&g, 2, 100, true);
	add_chain(&g, 5, 200, false);
	add_chain(&g, 7, 300, true);
	/* Tails: they wait for who is in a circle, and are in none. */
	for (uint32_t i = 0; i < 3; i++)
		wait_for(&g, add_thread(&g, 400 + i, NULL), i ? 0 : 7);
	wait_for(&g, add_thread(&g, 1, NULL), 8);
	assert_int_equal(lock_graph_cycles(&g, &c, NULL), 0);
	assert_int_equal(c.count, 2);
	assert_circle(&g, &c.v[0], 2, 100);
	assert_circle(&g, &c.v[1], 7, 300);
}

static void what_waits_for_itself_is_a_circle(void **state)
{
	_cleanup_lock_graph_ struct lock_graph g = {0};
	_cleanup_lock_cycles_ struct lock_cycles c = {0};
	add_chain(&g, 1, 7, true);
	assert_int_equal(lock_graph_cycles(&g, &c, NULL), 0);
	assert_int_equal(c.count, 1);
	assert_circle(&g, &c.v[0], 1, 7);
}

/* Two threads that would close a circle, but for one thing that is not known. */
static void nothing_is_guessed(void **state)
{
	for (int missing = 0; missing < 4; missing++) {
		_cleanup_lock_graph_ struct lock_graph g = {0};
		_cleanup_lock_cycles_ struct lock_cycles c = {0};
		add_chain(&g, 2, 100, true);
		if (missing == 0) g.threads[1].waits_for = LOCK_NONE;
		if (missing == 1) g.locks[0].owner = LOCK_NONE;
		if (missing == 2) g.locks[0].held = false;
		if (missing == 3) g.threads[0].waits = false;
		assert_int_equal(lock_graph_cycles(&g, &c, NULL), 0);
		assert_int_equal(c.count, 0);
	}
}

static void make_shop(struct lock_graph *g)
{
	size_t clerk = add_thread(g, 20, "cle\x1brk"), buyer = add_thread(g, 10, NULL);
	size_t till = add_lock(g, "Shop.Till", clerk), shelf = add_lock(g, "Shop.Shelf", buyer);
	size_t lost = add_lock(g, NULL, LOCK_NONE), open = add_lock(g, "Shop.Door", LOCK_NONE);
	g->threads[clerk].managed = 4;
	g->locks[till].times = 3;
	g->locks[open].held = false;
	wait_for(g, clerk, shelf);
	wait_for(g, buyer, till);
	wait_for(g, add_thread(g, 30, NULL), till);
	wait_for(g, add_thread(g, 31, NULL), LOCK_NONE);
	g->locks[open].waiting = 2;
	g->locks[lost].owner = add_thread(g, 0, "gone");
	add_lock(g, "Shop.Cellar", LOCK_NONE);
}

static void text(void **state)
{
	static const char expected[] =
	    "deadlock: 10 holds Shop.Shelf @0x2000, waits for Shop.Till @0x1000 held by 20 "
	    "\"cle?rk\" (managed 4)\n"
	    "          20 \"cle?rk\" (managed 4) holds Shop.Till @0x1000, waits for Shop.Shelf "
	    "@0x2000 held by 10\n"
	    "\n"
	    "monitor Shop.Till @0x1000 is held by 20 \"cle?rk\" (managed 4), entered 3 times\n"
	    "  waits: 10\n"
	    "  waits: 30\n"
	    "monitor Shop.Door @0x4000 is free\n"
	    "  waits: 2 more, not known who\n"
	    "monitor Shop.Shelf @0x2000 is held by 10\n"
	    "  waits: 20 \"cle?rk\" (managed 4)\n"
	    "monitor ?? @0x3000 is held by a thread that ended \"gone\"\n"
	    "monitor Shop.Cellar @0x5000 is held, owner not recorded\n"
	    "31 waits, object not known\n";
	_cleanup_lock_graph_ struct lock_graph g = {0};
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 16);
	make_shop(&g);
	assert_int_equal(lock_graph_text(&g, &out, NULL), 0);
	assert_string_equal(out.data, expected);
}

static void json(void **state)
{
	_cleanup_lock_graph_ struct lock_graph g = {0};
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 16);
	struct json j;
	make_shop(&g);
	json_init(&j, &out, false);
	json_object(&j);
	assert_int_equal(lock_graph_json(&g, &j, NULL), 0);
	json_object_end(&j);
	assert_int_equal(json_finish(&j, NULL), 0);
	assert_contains(
	    out.data,
	    "{\"deadlocks\":[[{\"thread\":{\"tid\":10,\"name\":null},\"holds\":"
	    "\"0x2000\",\"waits_for\":\"0x1000\"},{\"thread\":{\"tid\":20,\"managed\":4,");
	assert_contains(out.data, "\"type\":\"Shop.Till\",\"address\":\"0x1000\",\"held\":true,"
				  "\"owner\":{\"tid\":20,\"managed\":4,\"name\":\"cle");
	assert_contains(out.data, "\"times\":3,\"waiting\":2,\"waiters\":[{\"tid\":10,\"name\":"
				  "null},{\"tid\":30,\"name\":null}]}");
	assert_contains(out.data, "\"address\":\"0x5000\",\"held\":true,\"owner\":null,");
	assert_contains(out.data, "\"waits_not_known\":[{\"tid\":31,\"name\":null}]}");
}

static void nothing_is_held(void **state)
{
	_cleanup_lock_graph_ struct lock_graph g = {0};
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 16);
	assert_int_equal(lock_graph_text(&g, &out, NULL), 0);
	assert_string_equal(out.data, "no lock is held\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_circle_is_found_once),
	    cmocka_unit_test(what_waits_for_itself_is_a_circle),
	    cmocka_unit_test(nothing_is_guessed),
	    cmocka_unit_test(text),
	    cmocka_unit_test(json),
	    cmocka_unit_test(nothing_is_held),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
