/*
 * churn THREADS: threads that allocate, free and fork all the time, and check themselves. Blocks of
 * memory go round in the ring of them: each thread waits in its own way for the next one, checks
 * what is in it, frees it, and sends another on; some it keeps for a while. Every few turns it
 * forks a child that checks its copy of those kept, and waits for it. A wake-up that is lost stops
 * the ring.
 *
 * Prints "ready PID", and "FAIL ..." for each violation. On SIGUSR1, once all blocks are freed and
 * all threads wait: "quiet LOWEST TURNS CHILDREN", LOWEST the turns of the thread that had the
 * fewest; on SIGUSR2 it goes on and prints "busy"; on SIGTERM "ok TURNS" or "failed N", exit status
 * 0 or 1.
 */
#include "fail.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	THREADS_MAX = 4096,
	THREADS_PER_TOKEN = 4,
	KEPT = 8,
	TURNS_PER_FORK = 16,
	/* More than malloc keeps a list of for each thread: what is freed must show in VmRSS. */
	SMALL_WORDS_MIN = 136,
	SMALL_WORDS = 1024,
	/* Mapped by itself, one in as many: */
	LARGE_WORDS = 32768,
	LARGE_SHARE = 64,
	STACK_BYTES = 128 << 10,
	CHILD_FINE = 3,
};

struct block {
	uint64_t number;
	size_t count;
	uint64_t words[];
};

/* Goes from thread to thread: a token with a block, or what main tells all threads. */
struct message {
	enum { TOKEN, EMPTY, END } kind;
	struct message *next;
	struct block *block;
};

struct mailbox {
	pthread_mutex_t lock;
	struct message *first, **last;
	/* How many there are, for each way to wait. */
	pthread_cond_t changed;
	unsigned pending;
	sem_t semaphore;
	int event_fd, epoll_fd;
};

struct thread {
	pthread_t id;
	const struct way *way;
	struct mailbox box;
	struct message order;
	struct thread *neighbour;
	struct block *kept[KEPT];
	uint64_t random;
	atomic_ulong turns;
};

static atomic_ulong children;
static atomic_bool quiet;
static struct thread *threads;
static struct message *tokens;
static size_t thread_count, token_count;

/* A call that must return want. */
static void expect(const char *what, long got, long want)
{
	if (got != want) fail("%s returned %ld: %s", what, got, got < 0 ? strerror(errno) : "");
}

/* --- ways to wait -------------------------------------------------------------------------------
 */

static void post_condition(struct mailbox *box)
{
	pthread_mutex_lock(&box->lock);
	box->pending++;
	pthread_cond_signal(&box->changed);
	pthread_mutex_unlock(&box->lock);
}

static void await_condition(struct mailbox *box)
{
	pthread_mutex_lock(&box->lock);
	while (!box->pending)
		pthread_cond_wait(&box->changed, &box->lock);
	box->pending--;
	pthread_mutex_unlock(&box->lock);
}

static void post_semaphore(struct mailbox *box)
{
	expect("sem_post", sem_post(&box->semaphore), 0);
}

static void await_semaphore(struct mailbox *box)
{
	int r;

	while ((r = sem_wait(&box->semaphore)) != 0)
		expect("sem_wait", r, 0);
}

static void post_event(struct mailbox *box)
{
	const uint64_t one = 1;

	expect("write", write(box->event_fd, &one, sizeof(one)), sizeof(one));
}

static void await_event(struct mailbox *box)
{
	uint64_t value;
	ssize_t n;

	while ((n = read(box->event_fd, &value, sizeof(value))) != sizeof(value))
		expect("read", n, sizeof(value));
}

static void await_poll(struct mailbox *box)
{
	struct pollfd p = {.fd = box->event_fd, .events = POLLIN};

	expect("poll", poll(&p, 1, -1), 1);
	await_event(box);
}

static void await_epoll(struct mailbox *box)
{
	struct epoll_event event;

	expect("epoll_wait", epoll_wait(box->epoll_fd, &event, 1, -1), 1);
	await_event(box);
}

static const struct way {
	const char *name;
	void (*post)(struct mailbox *);
	void (*await)(struct mailbox *);
} ways[] = {
    {"condition", post_condition, await_condition},
    {"semaphore", post_semaphore, await_semaphore},
    {"read", post_event, await_event},
    {"poll", post_event, await_poll},
    {"epoll", post_event, await_epoll},
};
enum { WAY_COUNT = sizeof(ways) / sizeof(ways[0]) };

static bool init_mailbox(struct mailbox *box)
{
	struct epoll_event event = {.events = EPOLLIN};

	pthread_mutex_init(&box->lock, NULL);
	pthread_cond_init(&box->changed, NULL);
	sem_init(&box->semaphore, 0, 0);
	box->last = &box->first;
	box->event_fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	box->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return epoll_ctl(box->epoll_fd, EPOLL_CTL_ADD, box->event_fd, &event) == 0;
}

static void send(struct thread *to, struct message *m)
{
	m->next = NULL;
	pthread_mutex_lock(&to->box.lock);
	*to->box.last = m;
	to->box.last = &m->next;
	pthread_mutex_unlock(&to->box.lock);
	to->way->post(&to->box);
}

static struct message *receive(struct thread *t)
{
	struct message *m;

	t->way->await(&t->box);
	pthread_mutex_lock(&t->box.lock);
	m = t->box.first;
	t->box.first = m->next;
	if (!t->box.first) t->box.last = &t->box.first;
	pthread_mutex_unlock(&t->box.lock);
	return m;
}

/* What came back to main. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t count;
} arrivals = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void arrive(void)
{
	pthread_mutex_lock(&arrivals.lock);
	arrivals.count++;
	pthread_cond_signal(&arrivals.changed);
	pthread_mutex_unlock(&arrivals.lock);
}

static void await_arrivals(size_t count)
{
	pthread_mutex_lock(&arrivals.lock);
	while (arrivals.count < count)
		pthread_cond_wait(&arrivals.changed, &arrivals.lock);
	arrivals.count = 0;
	pthread_mutex_unlock(&arrivals.lock);
}

/* --- blocks -------------------------------------------------------------------------------------
 */

/* splitmix64, Vigna 2015. */
static uint64_t mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static struct block *make_block(uint64_t *random)
{
	uint64_t number = *random = mix(*random);
	size_t small = SMALL_WORDS_MIN + number / LARGE_SHARE % SMALL_WORDS;
	size_t count = number % LARGE_SHARE ? small : LARGE_WORDS;
	struct block *block = malloc(sizeof(*block) + count * sizeof(uint64_t));

	if (!block) {
		fail("malloc: %s", strerror(errno));
		abort();
	}
	block->number = number;
	block->count = count;
	for (size_t i = 0; i < count; i++)
		block->words[i] = mix(number + i);
	return block;
}

static bool is_right(const struct block *block)
{
	for (size_t i = 0; i < block->count; i++)
		if (block->words[i] != mix(block->number + i)) return false;
	return true;
}

static void free_block(struct block *block)
{
	if (!block) return;
	if (!is_right(block)) fail("block %#lx is damaged", block->number);
	free(block);
}

/* --- threads ------------------------------------------------------------------------------------
 */

static bool kept_are_right(const struct thread *t)
{
	for (size_t i = 0; i < KEPT; i++)
		if (t->kept[i] && !is_right(t->kept[i])) return false;
	return true;
}

static void check_child(const struct thread *t)
{
	pid_t pid = fork(), got;
	int status = 0;

	if (pid == 0) _exit(kept_are_right(t) ? CHILD_FINE : 1);
	if (pid < 0) {
		fail("fork: %s", strerror(errno));
		return;
	}
	got = waitpid(pid, &status, 0);
	if (got != pid || !WIFEXITED(status) || WEXITSTATUS(status) != CHILD_FINE)
		fail("waitpid(%d) returned %d, status %x: %s", pid, got, status,
		     got < 0 ? strerror(errno) : "");
	/* No child but those that it forks itself. */
	got = waitpid(-1, &status, WNOHANG | __WNOTHREAD);
	if (got != -1 || errno != ECHILD) fail("waitpid(-1) returned %d: a child", got);
	atomic_fetch_add(&children, 1);
}

static void take_turn(struct thread *t, struct message *token)
{
	unsigned long turn = atomic_load(&t->turns);
	struct block **place = &t->kept[turn % KEPT];

	free_block(token->block);
	token->block = NULL;
	if (atomic_load(&quiet)) {
		arrive();
		return;
	}
	token->block = *place;
	*place = make_block(&t->random);
	if (turn % TURNS_PER_FORK == 0) check_child(t);
	if (!token->block) token->block = make_block(&t->random);
	atomic_store(&t->turns, turn + 1);
	send(t->neighbour, token);
}

static void empty(struct thread *t)
{
	for (size_t i = 0; i < KEPT; i++) {
		free_block(t->kept[i]);
		t->kept[i] = NULL;
	}
	arrive();
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;
	char name[16];

	snprintf(name, sizeof(name), "%s", t->way->name);
	pthread_setname_np(pthread_self(), name);
	arrive();
	for (;;) {
		struct message *m = receive(t);

		if (m->kind == END) return NULL;
		if (m->kind == EMPTY)
			empty(t);
		else
			take_turn(t, m);
	}
}

static bool start_thread(size_t i)
{
	struct thread *t = &threads[i];
	pthread_attr_t attr;

	t->way = &ways[i % WAY_COUNT];
	t->neighbour = &threads[(i + 1) % thread_count];
	t->random = mix(i);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	return init_mailbox(&t->box) && pthread_create(&t->id, &attr, thread_main, t) == 0;
}

/* --- what main does when it is told to ----------------------------------------------------------
 */

static void tell_all(int kind)
{
	for (size_t i = 0; i < thread_count; i++) {
		threads[i].order.kind = kind;
		send(&threads[i], &threads[i].order);
	}
}

static void start_tokens(void)
{
	uint64_t random = 0;

	atomic_store(&quiet, false);
	for (size_t i = 0; i < token_count; i++) {
		tokens[i].block = make_block(&random);
		send(&threads[i * THREADS_PER_TOKEN], &tokens[i]);
	}
}

static void calm_down(void)
{
	if (atomic_exchange(&quiet, true)) return;
	await_arrivals(token_count);
	tell_all(EMPTY);
	await_arrivals(thread_count);
	malloc_trim(0);
}

/* Returns the turns of all; the fewest of one, too. */
static unsigned long sum_turns(unsigned long *ret_lowest)
{
	unsigned long sum = 0;

	*ret_lowest = atomic_load(&threads[0].turns);
	for (size_t i = 0; i < thread_count; i++) {
		unsigned long turns = atomic_load(&threads[i].turns);

		sum += turns;
		if (turns < *ret_lowest) *ret_lowest = turns;
	}
	return sum;
}

static int finish(void)
{
	unsigned long lowest;

	calm_down();
	tell_all(END);
	for (size_t i = 0; i < thread_count; i++)
		pthread_join(threads[i].id, NULL);
	/* Of clone(2) without a signal, too. */
	if (waitpid(-1, NULL, WNOHANG | __WALL) != -1 || errno != ECHILD) fail("a child is left");
	if (atomic_load(&failures))
		printf("failed %lu\n", atomic_load(&failures));
	else
		printf("ok %lu\n", sum_turns(&lowest));
	fflush(stdout);
	return atomic_load(&failures) ? 1 : 0;
}

static void obey(const sigset_t *orders)
{
	int sig;

	while (sigwait(orders, &sig) == 0 && sig != SIGTERM) {
		unsigned long lowest, sum;

		if (sig == SIGUSR1) {
			calm_down();
			sum = sum_turns(&lowest);
			printf("quiet %lu %lu %lu\n", lowest, sum, atomic_load(&children));
		} else if (sig == SIGUSR2) {
			if (atomic_load(&quiet)) start_tokens();
			printf("busy\n");
		}
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	sigset_t orders;

	thread_count = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	if (thread_count < THREADS_PER_TOKEN || thread_count > THREADS_MAX) {
		fprintf(stderr, "usage: churn THREADS\n");
		return 2;
	}
	/* So that where memory comes from does not depend on the moment. */
	mallopt(M_ARENA_MAX, 8);
	mallopt(M_MMAP_THRESHOLD, LARGE_WORDS * sizeof(uint64_t) / 2);
	token_count = thread_count / THREADS_PER_TOKEN;
	threads = calloc(thread_count, sizeof(*threads));
	tokens = calloc(token_count, sizeof(*tokens));
	sigemptyset(&orders);
	sigaddset(&orders, SIGUSR1);
	sigaddset(&orders, SIGUSR2);
	sigaddset(&orders, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &orders, NULL);
	for (size_t i = 0; i < thread_count; i++) {
		if (!threads || !tokens || !start_thread(i)) {
			perror("churn");
			return 1;
		}
	}
	await_arrivals(thread_count);
	start_tokens();
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	obey(&orders);
	return finish();
}
