/*
 * A sink behind a ring of bytes and a thread. The writer appends at the ring's end under the lock;
 * the thread passes the bytes at its start on without the lock, which is safe because nothing but
 * the thread itself frees them.
 */
#include "base/thread.h"
#include "upload/sink.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>

/* One inner write: small enough that room comes back evenly. */
enum { CHUNK_MAX = 256 << 10 };

enum thread_goal { GOAL_WRITE, GOAL_COMMIT, GOAL_ABORT };

struct thread_sink {
	struct sink sink;
	struct sink *inner; /* owned; the thread's alone until it is joined */
	char *ring;
	size_t size; /* bytes of ring */
	int wakeup_fd;
	pthread_t thread;
	bool joined;
	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t changed;
	size_t head, len; /* bytes queued: [head, head + len) modulo size */
	enum thread_goal goal;
	int result; /* of the inner sink: 0, or its first failure */
	struct err err;
};

static const struct sink_ops thread_ops;

static struct thread_sink *thread_sink_of(struct sink *s)
{
	return s->ops == &thread_ops ? (struct thread_sink *)s : NULL;
}

/* Called with the lock held. */
static void announce(struct thread_sink *t)
{
	uint64_t one = 1;

	pthread_cond_broadcast(&t->changed);
	/* Fails only when the counter is full, and then it polls readable anyway. */
	if (write(t->wakeup_fd, &one, sizeof(one)) < 0) return;
}

static void set_failed(struct thread_sink *t, int result, const struct err *e)
{
	t->result = result;
	t->err = *e;
	announce(t);
}

/* Passes one piece on; called and returns with the lock held. */
static void pass_on(struct thread_sink *t)
{
	size_t n = MIN(MIN(t->len, t->size - t->head), (size_t)CHUNK_MAX);
	const char *from = t->ring + t->head;
	struct err e = {0};
	int r;

	pthread_mutex_unlock(&t->lock);
	r = sink_write(t->inner, from, n, &e);
	pthread_mutex_lock(&t->lock);
	if (r < 0) {
		set_failed(t, r, &e);
		return;
	}
	t->head = (t->head + n) % t->size;
	t->len -= n;
	announce(t);
}

static void commit_inner(struct thread_sink *t)
{
	struct err e = {0};
	int r;

	pthread_mutex_unlock(&t->lock);
	r = sink_commit(t->inner, &e);
	pthread_mutex_lock(&t->lock);
	if (r < 0) set_failed(t, r, &e);
}

static void *run(void *arg)
{
	struct thread_sink *t = arg;

	pthread_mutex_lock(&t->lock);
	while (t->result == 0 && t->goal != GOAL_ABORT) {
		if (t->len > 0) {
			pass_on(t);
		} else if (t->goal == GOAL_COMMIT) {
			commit_inner(t);
			break;
		} else {
			pthread_cond_wait(&t->changed, &t->lock);
		}
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

static int failure(const struct thread_sink *t, struct err *e)
{
	if (e) *e = t->err;
	return t->result;
}

/* Copies what fits, in up to two pieces where the ring wraps; returns the bytes taken. */
static size_t append(struct thread_sink *t, const char *data, size_t len)
{
	size_t n = MIN(len, t->size - t->len);
	size_t at = (t->head + t->len) % t->size;
	size_t first = MIN(n, t->size - at);

	memcpy(t->ring + at, data, first);
	memcpy(t->ring, data + first, n - first);
	t->len += n;
	return n;
}

static int thread_write(struct sink *s, const void *data, size_t len, struct err *e)
{
	struct thread_sink *t = (struct thread_sink *)s;
	const char *p = data;
	int r = 0;

	pthread_mutex_lock(&t->lock);
	while (len > 0) {
		size_t n;

		while (t->len == t->size && t->result == 0)
			pthread_cond_wait(&t->changed, &t->lock);
		if (t->result < 0) {
			r = failure(t, e);
			break;
		}
		n = append(t, p, len);
		p += n;
		len -= n;
		pthread_cond_broadcast(&t->changed);
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

/* Tells the thread what to do last and waits for it. */
static void finish(struct thread_sink *t, enum thread_goal goal)
{
	if (t->joined) return;
	pthread_mutex_lock(&t->lock);
	t->goal = goal;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	if (goal == GOAL_ABORT) sink_cancel(t->inner);
	pthread_join(t->thread, NULL);
	t->joined = true;
}

static int thread_commit(struct sink *s, struct err *e)
{
	struct thread_sink *t = (struct thread_sink *)s;

	finish(t, GOAL_COMMIT);
	return t->result < 0 ? failure(t, e) : 0;
}

static void thread_abort(struct sink *s, bool keep_partial, char **ret_kept)
{
	struct thread_sink *t = (struct thread_sink *)s;

	finish(t, GOAL_ABORT);
	sink_abort(t->inner, keep_partial, ret_kept);
}

static void thread_cancel(struct sink *s)
{
	sink_cancel(((struct thread_sink *)s)->inner);
}

static void thread_free(struct sink *s)
{
	struct thread_sink *t = (struct thread_sink *)s;

	finish(t, GOAL_ABORT);
	sink_free(t->inner);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	close(t->wakeup_fd);
	free(t->ring);
	free(s->location);
	free(t);
}

static const struct sink_ops thread_ops = {
    .write = thread_write,
    .commit = thread_commit,
    .abort = thread_abort,
    .free = thread_free,
    .cancel = thread_cancel,
};

int sink_threaded(struct sink *inner, size_t queue_bytes, struct sink **ret, struct err *e)
{
	struct thread_sink *t;
	int r;

	if (queue_bytes == 0) return err_set(e, ERR_USAGE, "a queue of 0 bytes holds nothing");
	t = calloc(1, sizeof(*t));
	if (!t) return err_set(e, ERR_NO_MEMORY, "%s: out of memory", inner->location);
	t->sink.ops = &thread_ops;
	t->size = queue_bytes;
	t->wakeup_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->ring = malloc(queue_bytes);
	t->sink.location = strdup(inner->location);
	if (t->wakeup_fd < 0)
		r = err_errno(e, "%s: eventfd", inner->location);
	else if (!t->ring || !t->sink.location)
		r = err_set(e, ERR_NO_MEMORY, "%s: no memory for a queue of %zu bytes",
			    inner->location, queue_bytes);
	else {
		t->inner = inner;
		pthread_mutex_init(&t->lock, NULL);
		pthread_cond_init(&t->changed, NULL);
		r = thread_start(&t->thread, run, t, e);
	}
	if (r < 0) {
		close_fd(&t->wakeup_fd);
		free(t->ring);
		free(t->sink.location);
		free(t);
		return r;
	}
	*ret = &t->sink;
	return 0;
}

size_t sink_room(struct sink *s)
{
	struct thread_sink *t = thread_sink_of(s);
	uint64_t count;
	size_t room;

	if (!t) return SIZE_MAX;
	/* Before the look at the ring, so that what grows after it polls readable again. */
	if (read(t->wakeup_fd, &count, sizeof(count)) < 0) count = 0;
	pthread_mutex_lock(&t->lock);
	room = t->result < 0 ? SIZE_MAX : t->size - t->len;
	pthread_mutex_unlock(&t->lock);
	return room;
}

int sink_wakeup_fd(struct sink *s)
{
	struct thread_sink *t = thread_sink_of(s);

	return t ? t->wakeup_fd : -1;
}
