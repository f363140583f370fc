/* Threads beside the main one. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "base/err.h"

#include <pthread.h>

/* Starts a thread with every signal blocked: signals, and their handlers, are the main thread's.
 * Fails with what errno says, EAGAIN where a pids limit forbids it. */
int thread_start(pthread_t *ret, void *(*run)(void *), void *arg, struct err *e);

/* A condition variable whose deadlines are of now_ns's clock. */
void cond_init(pthread_cond_t *cond);
/* pthread_cond_timedwait: 0, or ETIMEDOUT. */
int cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns);

#endif
