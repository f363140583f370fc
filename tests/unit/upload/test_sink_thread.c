#include "tests/unit/base/unit.h"
#include "upload/sink.h"

#include <poll.h>
#include <pthread.h>

/* A sink in memory whose writes wait at a gate and can be told to fail. */
struct fake {
	struct sink sink;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool open_gate, cancelled, committed, aborted, kept;
	int entered; /* writes that reached the gate */
	char *data;
	size_t len, cap;
	size_t fail_at; /* the write that would pass this many bytes fails; SIZE_MAX: none */
	bool fail_commit;
	bool *freed;
};

static int fake_write(struct sink *s, const void *data, size_t len, struct err *e)
{
	struct fake *f = (struct fake *)s;
	int r = 0;

	pthread_mutex_lock(&f->lock);
	f->entered++;
	pthread_cond_broadcast(&f->changed);
	while (!f->open_gate && !f->cancelled)
		pthread_cond_wait(&f->changed, &f->lock);
	if (f->cancelled) {
		r = err_set(e, ERR_CANCELLED, "cancelled");
	} else if (f->len + len > f->fail_at) {
		r = err_set(e, ERR_NO_SPACE, "the fake is full");
		err_hint(e, "buy another");
	} else {
		f->data = realloc(f->data, f->len + len);
		memcpy(f->data + f->len, data, len);
		f->len += len;
	}
	pthread_mutex_unlock(&f->lock);
	return r;
}

static int fake_commit(struct sink *s, struct err *e)
{
	struct fake *f = (struct fake *)s;

	if (f->fail_commit) return err_set(e, ERR_SERVER, "the fake does not commit");
	f->committed = true;
	return 0;
}

static void fake_abort(struct sink *s, bool keep_partial, char **ret_kept)
{
	struct fake *f = (struct fake *)s;

	f->aborted = true;
	f->kept = keep_partial;
	if (keep_partial) *ret_kept = strdup("kept");
}

static void fake_cancel(struct sink *s)
{
	struct fake *f = (struct fake *)s;

	pthread_mutex_lock(&f->lock);
	f->cancelled = true;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

static void fake_free(struct sink *s)
{
	struct fake *f = (struct fake *)s;

	*f->freed = true;
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f->data);
	free(s->location);
	free(f);
}

static const struct sink_ops fake_ops = {
    .write = fake_write,
    .commit = fake_commit,
    .abort = fake_abort,
    .free = fake_free,
    .cancel = fake_cancel,
};

static bool freed;

static struct sink *threaded(size_t queue_bytes, bool open_gate, struct fake **ret)
{
	struct fake *f = calloc(1, sizeof(*f));
	struct sink *s = NULL;
	struct err e = {0};

	assert_non_null(f);
	f->sink.ops = &fake_ops;
	f->sink.location = strdup("fake");
	f->fail_at = SIZE_MAX;
	f->open_gate = open_gate;
	f->freed = &freed;
	freed = false;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	assert_int_equal(sink_threaded(&f->sink, queue_bytes, &s, &e), 0);
	assert_string_equal(s->location, "fake");
	*ret = f;
	return s;
}

static void open_gate(struct fake *f)
{
	pthread_mutex_lock(&f->lock);
	f->open_gate = true;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

static void await_entered(struct fake *f, int count)
{
	pthread_mutex_lock(&f->lock);
	while (f->entered < count)
		pthread_cond_wait(&f->changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

static void await_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&p, 1, 30000), 1);
}

static bool is_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void bytes_arrive_in_order(void **state)
{
	enum { TOTAL = 3 << 20 };
	uint64_t random = unit_seed();
	char *sent = malloc(TOTAL);
	struct fake *f;
	struct sink *s = threaded(70001, true, &f);
	struct err e = {0};
	size_t at = 0;

	for (size_t i = 0; i < TOTAL; i++)
		sent[i] = (char)unit_random(&random);
	while (at < TOTAL) {
		size_t n = unit_random(&random) % 200000;

		n = MIN(n, TOTAL - at);
		assert_int_equal(sink_write(s, sent + at, n, &e), 0);
		at += n;
	}
	assert_int_equal(sink_commit(s, &e), 0);
	assert_true(f->committed);
	assert_int_equal(f->len, TOTAL);
	assert_memory_equal(f->data, sent, TOTAL);
	sink_free(s);
	assert_true(freed);
	free(sent);
}

static void room_shrinks_and_wakes_when_it_grows(void **state)
{
	struct fake *f;
	struct sink *s = threaded(100, false, &f);
	struct err e = {0};
	char block[100] = {0};
	int fd = sink_wakeup_fd(s);

	assert_true(fd >= 0);
	assert_int_equal(sink_room(s), 100);
	assert_int_equal(sink_write(s, block, 60, &e), 0);
	await_entered(f, 1);
	/* What is being written still fills the queue. */
	assert_int_equal(sink_room(s), 40);
	assert_int_equal(sink_write(s, block, 40, &e), 0);
	assert_int_equal(sink_room(s), 0);
	assert_false(is_readable(fd));
	open_gate(f);
	await_readable(fd);
	assert_true(sink_room(s) >= 60);
	assert_int_equal(sink_commit(s, &e), 0);
	assert_int_equal(f->len, 100);
	sink_free(s);
	assert_int_equal(sink_room(&(struct sink){0}), SIZE_MAX);
	assert_int_equal(sink_wakeup_fd(&(struct sink){0}), -1);
}

static void failure_shows_at_the_next_write(void **state)
{
	struct fake *f;
	struct sink *s = threaded(16, true, &f);
	struct err e = {0};
	char block[64] = {0}, *kept = NULL;

	f->fail_at = 0;
	/* Longer than the queue: the write itself must not wait for ever. */
	assert_int_equal(sink_write(s, block, sizeof(block), &e), -ERR_NO_SPACE);
	assert_string_equal(e.text, "the fake is full");
	assert_string_equal(e.hint, "buy another");
	assert_true(is_readable(sink_wakeup_fd(s)));
	assert_int_equal(sink_room(s), SIZE_MAX);
	assert_int_equal(sink_write(s, block, 1, &e), -ERR_NO_SPACE);
	assert_int_equal(sink_commit(s, &e), -ERR_NO_SPACE);
	assert_false(f->committed);
	sink_abort(s, true, &kept);
	assert_true(f->aborted && f->kept);
	assert_string_equal(kept, "kept");
	free(kept);
	sink_free(s);
	assert_true(freed);
}

static void failure_of_the_last_bytes_shows_at_commit(void **state)
{
	struct fake *f;
	struct sink *s = threaded(1000, false, &f);
	struct err e = {0};

	f->fail_at = 2;
	assert_int_equal(sink_write(s, "abc", 3, &e), 0);
	await_entered(f, 1);
	open_gate(f);
	assert_int_equal(sink_commit(s, &e), -ERR_NO_SPACE);
	assert_false(f->committed);
	sink_free(s);
}

static void failure_of_commit_shows(void **state)
{
	struct fake *f;
	struct sink *s = threaded(1000, true, &f);
	struct err e = {0};

	f->fail_commit = true;
	assert_int_equal(sink_write(s, "abc", 3, &e), 0);
	assert_int_equal(sink_commit(s, &e), -ERR_SERVER);
	assert_string_equal(e.text, "the fake does not commit");
	sink_free(s);
}

static void abort_cancels_a_write_that_hangs(void **state)
{
	struct fake *f;
	struct sink *s = threaded(1000, false, &f);
	struct err e = {0};

	assert_int_equal(sink_write(s, "abc", 3, &e), 0);
	await_entered(f, 1);
	sink_abort(s, false, NULL);
	assert_true(f->cancelled && f->aborted && !f->kept);
	assert_int_equal(f->len, 0);
	sink_free(s);
	assert_true(freed);
}

static void free_alone_ends_the_thread(void **state)
{
	struct fake *f;
	struct sink *s = threaded(1000, false, &f);
	struct err e = {0};

	assert_int_equal(sink_write(s, "abc", 3, &e), 0);
	sink_free(s);
	assert_true(freed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_arrive_in_order),
	    cmocka_unit_test(room_shrinks_and_wakes_when_it_grows),
	    cmocka_unit_test(failure_shows_at_the_next_write),
	    cmocka_unit_test(failure_of_the_last_bytes_shows_at_commit),
	    cmocka_unit_test(failure_of_commit_shows),
	    cmocka_unit_test(abort_cancels_a_write_that_hangs),
	    cmocka_unit_test(free_alone_ends_the_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
