/* The meeting of several tracer threads: all or nobody, and nobody waits for one that left. */
#include "base/thread.h"
#include "dumpers/snapshot/live_window.h"
#include "tests/unit/base/unit.h"

#include <stdatomic.h>

enum { MEMBERS = 8 };
#define LONG_NS (60 * (uint64_t)NS_PER_S)

/* The rounds that a member has been through; what it saw of the others. */
struct member {
	struct live_window *window;
	atomic_int *arrived;
	int rounds, lead;
	bool met;
	pthread_t thread;
};

static void *meet_often(void *arg)
{
	struct member *m = arg;

	m->met = true;
	for (int i = 0; i < m->rounds; i++) {
		atomic_fetch_add(m->arrived, 1);
		m->met &= live_window_meet(m->window, now_ns() + LONG_NS);
		m->lead += atomic_load(m->arrived) < (i + 1) * MEMBERS;
	}
	live_window_leave(m->window);
	return NULL;
}

static void all_are_there_before_one_goes_on(void **state)
{
	struct live_window w;
	struct member members[MEMBERS];
	atomic_int arrived = 0;

	live_window_init(&w, MEMBERS);
	for (int i = 0; i < MEMBERS; i++) {
		members[i] = (struct member){.window = &w, .arrived = &arrived, .rounds = 200};
		assert_int_equal(thread_start(&members[i].thread, meet_often, &members[i], NULL),
				 0);
	}
	for (int i = 0; i < MEMBERS; i++) {
		pthread_join(members[i].thread, NULL);
		assert_true(members[i].met);
		assert_int_equal(members[i].lead, 0);
	}
	assert_int_equal(atomic_load(&arrived), 200 * MEMBERS);
	live_window_done(&w);
}

static void *leave(void *arg)
{
	live_window_leave(arg);
	return NULL;
}

static void nobody_waits_for_one_that_left(void **state)
{
	struct live_window w;
	pthread_t thread;

	live_window_init(&w, 2);
	assert_int_equal(thread_start(&thread, leave, &w, NULL), 0);
	assert_true(live_window_meet(&w, now_ns() + LONG_NS));
	pthread_join(thread, NULL);
	assert_true(live_window_meet(&w, now_ns()));
	live_window_leave(&w);
	live_window_done(&w);
}

static void a_deadline_ends_the_wait_and_the_others_still_meet(void **state)
{
	struct live_window w;
	atomic_int arrived = MEMBERS;
	struct member other = {.window = &w, .arrived = &arrived, .rounds = 1};

	live_window_init(&w, 2);
	assert_false(live_window_meet(&w, now_ns() + NS_PER_MS));
	assert_int_equal(thread_start(&other.thread, meet_often, &other, NULL), 0);
	live_window_leave(&w);
	pthread_join(other.thread, NULL);
	assert_true(other.met);
	live_window_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_are_there_before_one_goes_on),
	    cmocka_unit_test(nobody_waits_for_one_that_left),
	    cmocka_unit_test(a_deadline_ends_the_wait_and_the_others_still_meet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
