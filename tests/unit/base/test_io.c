#include "base/io.h"
#include "tests/unit/base/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_file(const void *data, size_t len)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void path_of(int fd, char ret[32])
{
	snprintf(ret, 32, "/proc/self/fd/%d", fd);
}

static void pread_reads_exactly_or_is_truncated(void **state)
{
	_cleanup_close_ int fd = make_file("0123456789", 10);
	char data[11] = {0};
	struct err e;

	assert_int_equal(io_pread_all(fd, data, 4, 6, "f", &e), 0);
	assert_string_equal(data, "6789");
	assert_int_equal(io_pread_all(fd, data, 0, 10, "f", &e), 0);
	assert_int_equal(io_pread_all(fd, data, 5, 6, "core.1", &e), -ERR_TRUNCATED);
	assert_contains(e.text, "core.1");
	assert_int_equal(io_pread_all(fd, data, 1, UINT64_MAX, "f", &e), -ERR_TRUNCATED);
	assert_int_equal(io_pread_all(fd, data, 2, INT64_MAX - 1, "f", &e), -ERR_TRUNCATED);
	assert_int_equal(io_pread_all(-1, data, 1, 0, "f", &e), -ERR_IO);
	assert_int_equal(e.sys_errno, EBADF);
}

static void read_up_to_stops_at_eof_or_len(void **state)
{
	_cleanup_close_ int fd = make_file("0123456789", 10);
	char data[20];
	size_t n = 99;
	struct err e;

	assert_int_equal(io_read_up_to(fd, data, 6, &n, "f", &e), 0);
	assert_int_equal(n, 6);
	assert_int_equal(io_read_up_to(fd, data, sizeof(data), &n, "f", &e), 0);
	assert_int_equal(n, 4);
	assert_memory_equal(data, "6789", 4);
	assert_int_equal(io_read_up_to(fd, data, sizeof(data), &n, "f", &e), 0);
	assert_int_equal(n, 0);
	n = 99;
	assert_int_equal(io_read_up_to(-1, data, 1, &n, "f", &e), -ERR_IO);
	assert_int_equal(n, 99);
}

static void a_full_disk_is_no_space(void **state)
{
	_cleanup_close_ int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct err e;

	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, "x", 1, "out.zst", &e), -ERR_NO_SPACE);
	assert_contains(e.text, "out.zst");
}

static void a_closed_pipe_is_an_error(void **state)
{
	int fds[2];
	struct err e;

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	assert_int_equal(io_write_all(fds[1], "x", 1, "pipe", &e), -ERR_IO);
	assert_int_equal(e.sys_errno, EPIPE);
	close(fds[1]);
}

/* --- signals without SA_RESTART, full and empty pipes --- */

enum { PIPE_BYTES = 1 << 20, SIGNALS = 3 };

static atomic_int signals_seen;

static void on_signal(int number)
{
	atomic_fetch_add(&signals_seen, 1);
}

static char thread_state(pid_t tid)
{
	_cleanup_buf_ struct buf stat = BUF_INIT(4096);
	char path[64], *end;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	if (io_read_file(AT_FDCWD, path, &stat, NULL) < 0) return '?';
	end = strrchr(stat.data, ')');
	return end ? end[2] : '?';
}

/* The other end of the main thread's pipe: interrupts it while it sleeps in its transfer, then
 * transfers itself. */
struct peer {
	pthread_t victim;
	pid_t victim_tid;
	int fd;
	bool reads;
	char *data; /* PIPE_BYTES */
	size_t len; /* read */
	int result;
};

static void *run_peer(void *arg)
{
	struct peer *p = arg;

	for (int i = 0; i < SIGNALS; i++) {
		int before = atomic_load(&signals_seen);

		while (thread_state(p->victim_tid) != 'S')
			sched_yield();
		pthread_kill(p->victim, SIGUSR1);
		while (atomic_load(&signals_seen) == before)
			sched_yield();
	}
	if (p->reads)
		p->result = io_read_up_to(p->fd, p->data, PIPE_BYTES, &p->len, "peer", NULL);
	else
		p->result = io_write_all(p->fd, p->data, PIPE_BYTES, "peer", NULL);
	return NULL;
}

static void transfer_with_signals(bool main_writes, bool nonblock)
{
	_cleanup_free_ char *sent = malloc(PIPE_BYTES), *got = calloc(1, PIPE_BYTES);
	struct peer peer = {.victim = pthread_self(), .victim_tid = gettid(), .reads = main_writes};
	struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART */
	uint64_t seed = unit_seed();
	size_t len = 0;
	pthread_t thread;
	int fds[2];

	for (size_t i = 0; i < PIPE_BYTES; i++)
		sent[i] = (char)unit_random(&seed);
	sigaction(SIGUSR1, &action, NULL);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(io_set_nonblock(fds[0], nonblock, NULL), 0);
	assert_int_equal(io_set_nonblock(fds[1], nonblock, NULL), 0);
	peer.fd = fds[main_writes ? 0 : 1];
	peer.data = main_writes ? got : sent;
	assert_int_equal(pthread_create(&thread, NULL, run_peer, &peer), 0);
	if (main_writes)
		assert_int_equal(io_write_all(fds[1], sent, PIPE_BYTES, "pipe", NULL), 0);
	else
		assert_int_equal(io_read_up_to(fds[0], got, PIPE_BYTES, &len, "pipe", NULL), 0);
	pthread_join(thread, NULL);
	assert_int_equal(peer.result, 0);
	assert_int_equal(main_writes ? peer.len : len, PIPE_BYTES);
	assert_memory_equal(sent, got, PIPE_BYTES);
	close(fds[0]);
	close(fds[1]);
	signal(SIGUSR1, SIG_DFL);
}

static void writes_survive_signals_and_full_pipes(void **state)
{
	transfer_with_signals(true, false);
	transfer_with_signals(true, true);
}

static void reads_survive_signals_and_empty_pipes(void **state)
{
	transfer_with_signals(false, false);
	transfer_with_signals(false, true);
}

static void nonblock_goes_on_and_off(void **state)
{
	struct err e;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(io_set_nonblock(fds[0], true, &e), 0);
	assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	assert_int_equal(io_set_nonblock(fds[0], false, &e), 0);
	assert_false(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	assert_true(io_set_nonblock(-1, true, &e) < 0);
	close(fds[0]);
	close(fds[1]);
}

/* --- whole files --- */

static void read_file_appends(void **state)
{
	_cleanup_close_ int fd = make_file("0123456789", 10);
	_cleanup_buf_ struct buf b = BUF_INIT(100);
	struct err e;
	char path[32];

	path_of(fd, path);
	assert_int_equal(buf_puts(&b, "before ", &e), 0);
	assert_int_equal(io_read_file(AT_FDCWD, path, &b, &e), 0);
	assert_string_equal(b.data, "before 0123456789");
}

static void read_file_takes_exactly_the_cap(void **state)
{
	for (size_t max = 8; max <= 11; max++) {
		_cleanup_close_ int fd = make_file("0123456789", 10);
		_cleanup_buf_ struct buf b = BUF_INIT(max + 1);
		struct err e;
		char path[32];
		int expected = max < 10 ? -ERR_LIMIT : 0;

		path_of(fd, path);
		assert_int_equal(buf_puts(&b, "x", &e), 0);
		assert_int_equal(io_read_file(AT_FDCWD, path, &b, &e), expected);
		assert_string_equal(b.data, expected ? "x" : "x0123456789");
		assert_int_equal(b.len, strlen(b.data));
	}
}

static void read_file_reads_sizes_beyond_a_chunk(void **state)
{
	size_t len = (3u << 20) + 17;
	_cleanup_free_ char *data = malloc(len);
	_cleanup_buf_ struct buf b = BUF_INIT(8u << 20);
	_cleanup_close_ int fd = -1;
	uint64_t seed = unit_seed();
	struct err e;
	char path[32];

	for (size_t i = 0; i < len; i++)
		data[i] = (char)unit_random(&seed);
	fd = make_file(data, len);
	path_of(fd, path);
	assert_int_equal(io_read_file(AT_FDCWD, path, &b, &e), 0);
	assert_int_equal(b.len, len);
	assert_memory_equal(b.data, data, len);
}

static void read_file_reads_proc(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
	_cleanup_close_ int dir = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char pid[32];
	struct err e;

	assert_int_equal(io_read_file(dir, "stat", &b, &e), 0);
	snprintf(pid, sizeof(pid), "%d ", (int)getpid());
	assert_memory_equal(b.data, pid, strlen(pid));
	buf_clear(&b);
	assert_int_equal(io_read_file(dir, "maps", &b, &e), 0);
	assert_contains(b.data, "[stack]");
}

static void read_file_names_what_it_cannot_read(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(100);
	struct err e;

	assert_int_equal(io_read_file(AT_FDCWD, "/no/such/file", &b, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "/no/such/file");
	assert_int_equal(io_read_file(AT_FDCWD, "/", &b, &e), -ERR_IO);
	assert_int_equal(e.sys_errno, EISDIR);
}

static void a_fifo_without_writer_does_not_hang(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(100);
	char dir[] = "/tmp/podsnap-test-XXXXXX", path[64];
	struct err e;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(io_read_file(AT_FDCWD, path, &b, &e), 0);
	assert_int_equal(b.len, 0);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pread_reads_exactly_or_is_truncated),
	    cmocka_unit_test(read_up_to_stops_at_eof_or_len),
	    cmocka_unit_test(a_full_disk_is_no_space),
	    cmocka_unit_test(a_closed_pipe_is_an_error),
	    cmocka_unit_test(writes_survive_signals_and_full_pipes),
	    cmocka_unit_test(reads_survive_signals_and_empty_pipes),
	    cmocka_unit_test(nonblock_goes_on_and_off),
	    cmocka_unit_test(read_file_appends),
	    cmocka_unit_test(read_file_takes_exactly_the_cap),
	    cmocka_unit_test(read_file_reads_sizes_beyond_a_chunk),
	    cmocka_unit_test(read_file_reads_proc),
	    cmocka_unit_test(read_file_names_what_it_cannot_read),
	    cmocka_unit_test(a_fifo_without_writer_does_not_hang),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
