#include "base/thread.h"

#include <errno.h>
#include <signal.h>

int thread_start(pthread_t *ret, void *(*run)(void *), void *arg, struct err *e)
{
	sigset_t all, before;
	int error, r;

	/* The new thread inherits the mask. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(ret, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!error) return 0;
	errno = error;
	r = err_errno(e, "starting a thread");
	if (e && error == EAGAIN)
		err_hint(e, "the pids limit of the container, or of the user (ulimit -u), allows "
			    "no more");
	return r;
}
