/* Which mode is chosen for which facts, and what is said of it. */
#include "dumpers/snapshot/live_plan.h"
#include "tests/unit/base/unit.h"

static struct plan_facts harmless(void)
{
	return (struct plan_facts){
	    .threads = 8, .anon_bytes = GIB, .room_bytes = 4 * GIB, .has_task_room = true};
}

static struct live_config wanted(enum snapshot_mode mode)
{
	return (struct live_config){.mode = mode, .max_pause_ns = 60 * (uint64_t)NS_PER_S};
}

/* --- each thing that forbids a child, alone ----------------------------------------------------
 */

static void no_task_room(struct plan_facts *f)
{
	f->has_task_room = false;
}
static void little_room(struct plan_facts *f)
{
	f->room_bytes = 64 * MIB;
}
static void dies_together(struct plan_facts *f)
{
	f->oom_group = true;
	f->room_bytes = GIB;
}
static void has_userfaultfd(struct plan_facts *f)
{
	f->userfaultfd = true;
}
static void has_shadow_stack(struct plan_facts *f)
{
	f->shadow_stack = true;
}
static void has_huge_pages(struct plan_facts *f)
{
	f->hugetlb_bytes = 4 * MIB;
}
static void has_filter(struct plan_facts *f)
{
	f->seccomp = 2;
}
static void is_strict(struct plan_facts *f)
{
	f->seccomp = 1;
	f->may_suspend_seccomp = true;
}
static void has_pinned(struct plan_facts *f)
{
	f->pinned_bytes = 8 * GIB;
}
static void is_small_below_a_large_limit(struct plan_facts *f)
{
	f->ballast_bytes = 64 * GIB;
}
static void has_no_code(struct plan_facts *f)
{
	snprintf(f->no_site, sizeof(f->no_site), "its code has no `syscall; ret` to fork with");
}

static const struct blocker {
	void (*set)(struct plan_facts *f);
	const char *reason;
} blockers[] = {
    {no_task_room, "its pids limit is reached"},
    {little_room, "its memory limit leaves 64.0 MiB"},
    {dies_together, "its memory limit leaves 1.0 GiB"},
    {has_userfaultfd, "userfaultfd"},
    {has_shadow_stack, "shadow stack"},
    {has_huge_pages, "4.0 MiB in huge pages of a pool"},
    {has_filter, "seccomp filter of its own"},
    {is_strict, "seccomp filter of its own"},
    {has_pinned, "pinned 8.0 GiB, which a fork would copy"},
    {has_no_code, "no `syscall; ret`"},
    {is_small_below_a_large_limit, "guarded from a memory limit of 64.0 GiB"},
};

static void test_a_blocker_means_a_stopped_copy(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(blockers); i++) {
		const struct live_config config = wanted(SNAPSHOT_AUTO);
		struct plan_facts f = harmless();
		struct live_plan plan;

		blockers[i].set(&f);
		assert_int_equal(plan_choose(&f, &config, &plan, NULL), 0);
		assert_int_equal(plan.mode, SNAPSHOT_STOP);
		assert_non_null(strstr(plan.reason, blockers[i].reason));
		assert_true(plan.predicted_ns > 0);
	}
	(void)state;
}

static void test_a_blocker_refuses_a_child_that_is_asked_for(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(blockers); i++) {
		const struct live_config config = wanted(SNAPSHOT_COW);
		struct plan_facts f = harmless();
		struct live_plan plan;
		struct err e = {0};

		blockers[i].set(&f);
		assert_int_equal(plan_choose(&f, &config, &plan, &e), -ERR_UNSUPPORTED);
		assert_non_null(strstr(e.text, blockers[i].reason));
		assert_non_null(strstr(e.hint, "--snapshot=stop"));
	}
	(void)state;
}

/* --- what does not forbid it -------------------------------------------------------------------
 */

static void suspends_filter(struct plan_facts *f)
{
	f->seccomp = 2;
	f->may_suspend_seccomp = true;
}
static void shares_filters(struct plan_facts *f)
{
	f->seccomp = 2;
	f->same_filters = true;
}
static void pinned_little(struct plan_facts *f)
{
	f->pinned_bytes = MIB;
}
static void dies_together_with_room(struct plan_facts *f)
{
	f->oom_group = true;
	f->room_bytes = 2 * GIB;
}

static void may_run_out(struct plan_facts *f)
{
	f->ballast_bytes = f->anon_bytes + f->room_bytes;
}

static void nothing(struct plan_facts *f)
{
	(void)f;
}

static void test_a_child_where_it_is_safe(void **state)
{
	static void (*const harmless_things[])(struct plan_facts * f) = {
	    nothing,       suspends_filter,         shares_filters,
	    pinned_little, dies_together_with_room, may_run_out,
	};

	for (size_t i = 0; i < ARRAY_SIZE(harmless_things); i++) {
		for (int asked = 0; asked < 2; asked++) {
			const struct live_config config =
			    wanted(asked ? SNAPSHOT_COW : SNAPSHOT_AUTO);
			struct plan_facts f = harmless();
			struct live_plan plan;

			harmless_things[i](&f);
			assert_int_equal(plan_choose(&f, &config, &plan, NULL), 0);
			assert_int_equal(plan.mode, SNAPSHOT_COW);
			assert_string_equal(plan.reason,
					    asked ? "it was asked for" : "it pauses the least");
			assert_true(plan.predicted_ns > 0);
		}
	}
	(void)state;
}

/* --- what is asked for, and what cannot be -----------------------------------------------------
 */

static void test_stop_is_taken_whatever_the_facts_are(void **state)
{
	const struct live_config config = wanted(SNAPSHOT_STOP);

	for (size_t i = 0; i < ARRAY_SIZE(blockers); i++) {
		struct plan_facts f = harmless();
		struct live_plan plan;

		blockers[i].set(&f);
		assert_int_equal(plan_choose(&f, &config, &plan, NULL), 0);
		assert_int_equal(plan.mode, SNAPSHOT_STOP);
		assert_string_equal(plan.reason, "it was asked for");
	}
	(void)state;
}

static void test_no_pause_means_no_stop(void **state)
{
	static const enum snapshot_mode modes[] = {SNAPSHOT_AUTO, SNAPSHOT_COW, SNAPSHOT_STOP,
						   SNAPSHOT_NOSTOP};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct live_config config = wanted(modes[i]);
		struct plan_facts f = harmless();
		struct live_plan plan;

		if (modes[i] != SNAPSHOT_NOSTOP) config.max_pause_ns = 0;
		assert_int_equal(plan_choose(&f, &config, &plan, NULL), 0);
		assert_int_equal(plan.mode, SNAPSHOT_NOSTOP);
		assert_int_equal(plan.predicted_ns, 0);
	}
	(void)state;
}

static void test_traced_by_another(void **state)
{
	const struct live_config config = wanted(SNAPSHOT_AUTO);
	struct plan_facts f = harmless();
	struct live_plan plan;

	f.tracer = 4711;
	assert_int_equal(plan_choose(&f, &config, &plan, NULL), 0);
	assert_int_equal(plan.mode, SNAPSHOT_NOSTOP);
	assert_int_equal(plan.predicted_ns, 0);
	assert_non_null(strstr(plan.reason, "process 4711 traces it already"));
	(void)state;
}

/* The fork alone would take longer; a stopped copy is no way out of that. */
static void test_a_pause_beyond_the_allowed_is_refused(void **state)
{
	static const enum snapshot_mode modes[] = {SNAPSHOT_AUTO, SNAPSHOT_COW};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct live_config config = wanted(modes[i]);
		struct plan_facts f = harmless();
		struct live_plan plan;
		struct err e = {0};

		assert_int_equal(plan_choose(&f, &config, &plan, NULL), 0);
		config.max_pause_ns = plan.predicted_ns - 1;
		assert_int_equal(plan_choose(&f, &config, &plan, &e), -ERR_TIMEOUT);
		assert_non_null(strstr(e.text, "--max-pause"));
		assert_non_null(strstr(e.hint, "--snapshot=nostop"));
		config.max_pause_ns = plan.predicted_ns;
		assert_int_equal(plan_choose(&f, &config, &plan, NULL), 0);
	}
	(void)state;
}

static void test_more_memory_and_threads_take_longer(void **state)
{
	const struct live_config config = wanted(SNAPSHOT_AUTO);
	struct plan_facts f = harmless();
	struct live_plan first, second;

	plan_choose(&f, &config, &first, NULL);
	f.threads = 1000;
	plan_choose(&f, &config, &second, NULL);
	assert_true(second.predicted_ns > first.predicted_ns);
	f.anon_bytes = 2 * GIB;
	plan_choose(&f, &config, &first, NULL);
	assert_true(first.predicted_ns > second.predicted_ns);
	f.ballast_bytes = GIB;
	plan_choose(&f, &config, &second, NULL);
	assert_true(second.predicted_ns > first.predicted_ns);
	f.shared_bytes = 32 * MIB;
	plan_choose(&f, &config, &first, NULL);
	assert_int_equal(first.mode, SNAPSHOT_COW);
	assert_true(first.predicted_ns > second.predicted_ns);
	(void)state;
}

static void test_fall_back(void **state)
{
	struct live_plan plan = {.mode = SNAPSHOT_COW, .predicted_ns = 7};

	plan_fall_back(&plan, SNAPSHOT_STOP, "its fork failed");
	assert_int_equal(plan.mode, SNAPSHOT_STOP);
	assert_string_equal(plan.reason, "its fork failed");
	plan_fall_back(&plan, SNAPSHOT_NOSTOP, "nothing stands");
	assert_int_equal(plan.mode, SNAPSHOT_NOSTOP);
	assert_int_equal(plan.predicted_ns, 0);
	assert_string_equal(plan.reason, "nothing stands");
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_blocker_means_a_stopped_copy),
	    cmocka_unit_test(test_a_blocker_refuses_a_child_that_is_asked_for),
	    cmocka_unit_test(test_a_child_where_it_is_safe),
	    cmocka_unit_test(test_stop_is_taken_whatever_the_facts_are),
	    cmocka_unit_test(test_no_pause_means_no_stop),
	    cmocka_unit_test(test_traced_by_another),
	    cmocka_unit_test(test_a_pause_beyond_the_allowed_is_refused),
	    cmocka_unit_test(test_more_memory_and_threads_take_longer),
	    cmocka_unit_test(test_fall_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
