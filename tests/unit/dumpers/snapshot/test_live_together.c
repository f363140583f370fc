/* Several processes at one instant that depend on each other. */
#include "tests/unit/dumpers/snapshot/live_child.h"

#define GAP_NS (8 * (uint64_t)NS_PER_MS)

/* Returns when this process stood still for a while: shorter than podsnap waits for one that does
 * not come to its stop. */
static void run_until_stopped(struct child_shared *s)
{
	uint64_t last = now_ns(), now = last;

	atomic_store(&s->ready, 1);
	while (now - last < GAP_NS) {
		last = now;
		now = now_ns();
	}
}

/* In vfork(2), until its child was stopped once; then it goes on. */
static void run_vfork(struct child_shared *s)
{
	pid_t child = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */

	if (child == 0) {
		s->threads[0].tid = getpid();
		run_until_stopped(s);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	child_beat_forever(s);
}

static void a_parent_that_waits_for_a_stopped_child_is_taken(void **state)
{
	const struct live_config config = {.mode = SNAPSHOT_AUTO,
					   .max_pause_ns = 30 * (uint64_t)NS_PER_S};
	struct process targets[2] = {PROCESS_INIT, PROCESS_INIT};
	struct snapshot *s[2];
	struct err errs[2];
	struct child c;

	child_start(&c, run_vfork, 1);
	assert_int_equal(child_state(&c, c.pid), 'D');
	assert_int_equal(process_open(c.pid, &targets[0], NULL), 0);
	assert_int_equal(process_open(c.shared->threads[0].tid, &targets[1], NULL), 0);
	snapshot_open_live_together(targets, 2, &config, s, errs);
	assert_int_equal(errs[0].code, 0);
	assert_non_null(s[0]);
	assert_int_not_equal(snapshot_live_plan(s[0])->mode, SNAPSHOT_NOSTOP);
	for (int i = 0; i < 2; i++) {
		if (s[i]) snapshot_free(s[i]);
		process_done(&targets[i]);
	}
	child_beats(&c);
	child_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_parent_that_waits_for_a_stopped_child_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
