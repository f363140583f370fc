/* Ctrl-C and SIGTERM as something that loops can ask and poll for. */
#ifndef COLLECTOR_CANCEL_H
#define COLLECTOR_CANCEL_H

#include "base/err.h"

#include <stdatomic.h>

/* Catches SIGINT, SIGTERM and SIGHUP: the first asks to stop, a second ends the program at once.
 * SIGPIPE and SIGXFSZ are ignored: the write that fails says why. */
int cancel_catch_signals(struct err *e);
/* True once a signal came. */
extern atomic_bool cancel_requested;
/* Polls readable once a signal came; -1 before cancel_catch_signals. */
int cancel_fd(void);
/* The signal, or 0. */
int cancel_signal(void);
/* fn(ctx) is called in the signal's handler, so only what is safe there, or at once if the signal
 * came before. From any thread; ctx names the watch. */
int cancel_watch(void (*fn)(void *ctx), void *ctx, struct err *e);
/* Once it returned, fn is not called any more. Nothing if there is no such watch. */
void cancel_unwatch(void *ctx);
/* 0, or -ERR_CANCELLED when a signal came. */
int cancel_check(struct err *e);

#endif
