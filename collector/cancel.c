#include "collector/cancel.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>

atomic_bool cancel_requested;
static volatile sig_atomic_t caught;
static int event_fd = -1;
static void (*volatile notify)(void *ctx);
static void *volatile notify_ctx;

static void on_signal(int sig)
{
	int saved = errno;
	if (caught) _exit(128 + sig);
	caught = sig;
	atomic_store(&cancel_requested, true);
	uint64_t one = 1;
	(void)!write(event_fd, &one, sizeof one);
	void (*fn)(void *) = notify;
	if (fn) fn(notify_ctx);
	errno = saved;
}

int cancel_catch_signals(struct err *e)
{
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event_fd < 0) return err_errno(e, "cannot create an eventfd");
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return 0;
}

void cancel_notify(void (*fn)(void *ctx), void *ctx)
{
	notify = NULL;
	notify_ctx = ctx;
	notify = fn;
}

int cancel_fd(void)
{
	return event_fd;
}

int cancel_signal(void)
{
	return caught;
}

int cancel_check(struct err *e)
{
	if (!atomic_load(&cancel_requested)) return 0;
	return err_set(e, ERR_CANCELLED, "stopped by signal %d", caught);
}
