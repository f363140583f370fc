/* Threads beside the main one. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "base/err.h"

#include <pthread.h>

/* Starts a thread with every signal blocked: signals, and their handlers, are the main thread's.
 * Fails with what errno says, EAGAIN where a pids limit forbids it. */
int thread_start(pthread_t *ret, void *(*run)(void *), void *arg, struct err *e);

#endif
