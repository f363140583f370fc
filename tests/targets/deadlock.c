/*
 * A small service that stands still: two workers took two locks in opposite order. Prints "ready"
 * when the deadlock stands. Usage: deadlock [POOL_THREADS]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t stock_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t ledger_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_filled = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t both_hold_one;

__attribute__((noinline)) static void lock_ledger(void)
{
	pthread_mutex_lock(&ledger_lock);
	puts("not reached");
}

__attribute__((noinline)) static void lock_stock(void)
{
	pthread_mutex_lock(&stock_lock);
	puts("not reached");
}

__attribute__((noinline)) static void transfer_stock(void)
{
	pthread_mutex_lock(&stock_lock);
	pthread_barrier_wait(&both_hold_one);
	lock_ledger();
	puts("not reached");
}

__attribute__((noinline)) static void charge_card(void)
{
	pthread_mutex_lock(&ledger_lock);
	pthread_barrier_wait(&both_hold_one);
	lock_stock();
	puts("not reached");
}

static void *inventory(void *arg)
{
	pthread_setname_np(pthread_self(), "inventory");
	transfer_stock();
	return arg;
}

static void *payments(void *arg)
{
	pthread_setname_np(pthread_self(), "payments");
	charge_card();
	return arg;
}

__attribute__((noinline)) static void wait_for_work(void)
{
	pthread_mutex_lock(&queue_lock);
	for (;;)
		pthread_cond_wait(&queue_filled, &queue_lock);
}

static void *pool(void *arg)
{
	pthread_setname_np(pthread_self(), "pool");
	wait_for_work();
	return arg;
}

static void start(void *(*run)(void *))
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, run, NULL)) {
		perror("pthread_create");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : 2;
	pthread_barrier_init(&both_hold_one, NULL, 3);
	for (int i = 0; i < threads; i++)
		start(pool);
	start(inventory);
	start(payments);
	pthread_barrier_wait(&both_hold_one);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
