#include "collector/cancel.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>

atomic_bool cancel_requested;
static volatile sig_atomic_t caught;
static int event_fd = -1;
/* More than there are captures at a time. */
enum { WATCHES_MAX = 64 };
static struct watch {
	atomic_bool taken;
	void (*fn)(void *ctx);
	void *_Atomic ctx; /* NULL: fn is not to be called */
} watches[WATCHES_MAX];
static atomic_int calling; /* signal handlers that are at the watches now */

static void call_watches(void)
{
	atomic_fetch_add(&calling, 1);
	for (size_t i = 0; i < WATCHES_MAX; i++) {
		void *ctx = atomic_load(&watches[i].ctx);
		if (ctx) watches[i].fn(ctx);
	}
	atomic_fetch_sub(&calling, 1);
}

static void on_signal(int sig)
{
	int saved = errno;
	if (caught) _exit(128 + sig);
	caught = sig;
	atomic_store(&cancel_requested, true);
	uint64_t one = 1;
	(void)!write(event_fd, &one, sizeof one);
	call_watches();
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

int cancel_watch(void (*fn)(void *ctx), void *ctx, struct err *e)
{
	for (size_t i = 0; i < WATCHES_MAX; i++) {
		if (atomic_exchange(&watches[i].taken, true)) continue;
		watches[i].fn = fn;
		atomic_store(&watches[i].ctx, ctx);
		/* The handler may have been and gone. */
		if (atomic_load(&cancel_requested)) fn(ctx);
		return 0;
	}
	return err_set(e, ERR_INTERNAL, "more than %d wait for a signal", WATCHES_MAX);
}

void cancel_unwatch(void *ctx)
{
	for (size_t i = 0; i < WATCHES_MAX; i++) {
		if (!ctx || atomic_load(&watches[i].ctx) != ctx) continue;
		atomic_store(&watches[i].ctx, NULL);
		/* Never in the thread that handles signals: there the handler has returned. */
		while (atomic_load(&calling))
			sched_yield();
		atomic_store(&watches[i].taken, false);
	}
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
