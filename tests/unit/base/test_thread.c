#include "base/thread.h"
#include "tests/unit/base/unit.h"

#include <signal.h>

static void *read_mask(void *mask)
{
	pthread_sigmask(SIG_SETMASK, NULL, mask);
	return mask;
}

static void a_thread_takes_no_signals(void **state)
{
	sigset_t theirs, before, after;
	pthread_t thread;
	struct err e;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(thread_start(&thread, read_mask, &theirs, &e), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int i = 1; i <= SIGSYS; i++) {
		assert_int_equal(sigismember(&after, i), sigismember(&before, i));
		if (i != SIGKILL && i != SIGSTOP) assert_true(sigismember(&theirs, i) == 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_thread_takes_no_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
