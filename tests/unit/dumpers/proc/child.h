/* A child process to look at: it waits until it is killed, and dies with the test program. */
#ifndef TESTS_UNIT_DUMPERS_PROC_CHILD_H
#define TESTS_UNIT_DUMPERS_PROC_CHILD_H

#include "tests/unit/base/unit.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Returns when prepare (may be NULL) has run in the child. */
static inline pid_t start_child(void (*prepare)(void))
{
	int fds[2];
	char byte;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	if (child == 0) {
		if (prepare) prepare();
		/* After prepare: a change of the user clears it. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		close(fds[1]);
		for (;;)
			pause();
	}
	assert_true(child > 0);
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 0);
	close(fds[0]);
	return child;
}

static inline void end_child(pid_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

#endif
