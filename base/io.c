#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

enum {
	READ_CHUNK_MIN = 4096,
	READ_CHUNK_MAX = 1 << 20,
	/* For a file that turns out to be a pipe whose writer is silent. */
	READ_FILE_WAIT_MS = 10000,
};

/* Awaits readiness of a non-blocking descriptor; 0 also when poll reports an error on it, which
 * the next transfer then names. */
static int wait_ready(int fd, short events, int timeout_ms, const char *what, struct err *e)
{
	struct pollfd p = {.fd = fd, .events = events};
	int r;

	do {
		r = poll(&p, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	if (r < 0) return err_errno(e, "%s: poll", what);
	if (r == 0) return err_set(e, ERR_TIMEOUT, "%s: nothing came for %d ms", what, timeout_ms);
	return 0;
}

int io_write_all(int fd, const void *data, size_t len, const char *what, struct err *e)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (n == 0) {
			return err_set(e, ERR_IO, "%s: write took no bytes", what);
		} else if (errno == EAGAIN) {
			int r = wait_ready(fd, POLLOUT, -1, what, e);
			if (r < 0) return r;
		} else if (errno != EINTR) {
			return err_errno(e, "%s: write", what);
		}
	}
	return 0;
}

int io_pread_all(int fd, void *data, size_t len, uint64_t offset, const char *what, struct err *e)
{
	uint64_t at = offset;
	char *p = data;

	if (offset > INT64_MAX || len > INT64_MAX - offset)
		return err_set(e, ERR_TRUNCATED, "%s: no file reaches offset %llu", what,
			       (unsigned long long)offset);
	while (len > 0) {
		ssize_t n = pread(fd, p, len, (off_t)at);

		if (n > 0) {
			p += n;
			at += (uint64_t)n;
			len -= (size_t)n;
		} else if (n == 0) {
			return err_set(e, ERR_TRUNCATED,
				       "%s: ends at offset %llu, %zu bytes too early", what,
				       (unsigned long long)at, len);
		} else if (errno != EINTR) {
			return err_errno(e, "%s: read at offset %llu", what,
					 (unsigned long long)at);
		}
	}
	return 0;
}

/* read() with EINTR handled and at most timeout_ms of waiting on a non-blocking descriptor. */
static int read_some(int fd, void *data, size_t len, int timeout_ms, size_t *ret_len,
		     const char *what, struct err *e)
{
	for (;;) {
		ssize_t n = read(fd, data, len);

		if (n >= 0) {
			*ret_len = (size_t)n;
			return 0;
		}
		if (errno == EAGAIN) {
			int r = wait_ready(fd, POLLIN, timeout_ms, what, e);
			if (r < 0) return r;
		} else if (errno != EINTR) {
			return err_errno(e, "%s: read", what);
		}
	}
}

int io_read_up_to(int fd, void *data, size_t len, size_t *ret_len, const char *what, struct err *e)
{
	size_t done = 0;

	while (done < len) {
		size_t n = 0;
		int r = read_some(fd, (char *)data + done, len - done, -1, &n, what, e);

		if (r < 0) return r;
		if (n == 0) break;
		done += n;
	}
	*ret_len = done;
	return 0;
}

/* Fails if there is a byte left, for a buffer that is full. */
static int expect_eof(int fd, size_t max, const char *path, struct err *e)
{
	char byte;
	size_t n = 0;
	int r = read_some(fd, &byte, 1, READ_FILE_WAIT_MS, &n, path, e);

	if (r < 0 || n == 0) return r;
	return err_set(e, ERR_LIMIT, "%s: larger than the %zu bytes allowed", path, max);
}

static int append_until_eof(int fd, const char *path, size_t first_chunk, struct buf *ret,
			    struct err *e)
{
	size_t chunk = first_chunk;

	for (;;) {
		size_t room = ret->max - MIN(ret->len, ret->max), n = 0;
		char *at;
		int r;

		if (room == 0) return expect_eof(fd, ret->max, path, e);
		chunk = MIN(chunk, room);
		r = buf_reserve(ret, chunk, &at, e);
		if (r < 0) return r;
		r = read_some(fd, at, chunk, READ_FILE_WAIT_MS, &n, path, e);
		if (r < 0) return r;
		if (n == 0) return 0;
		ret->len += n;
		chunk = MIN(MAX(ret->len, (size_t)READ_CHUNK_MIN), (size_t)READ_CHUNK_MAX);
	}
}

int io_read_file(int dirfd, const char *path, struct buf *ret, struct err *e)
{
	_cleanup_close_ int fd = -1;
	size_t before = ret->len, chunk = READ_CHUNK_MIN;
	struct stat st;
	int r;

	/* O_NONBLOCK: a FIFO in a target's file system must not hang the open. */
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) return err_errno(e, "%s", path);
	/* One byte beyond the size, so that the end is seen without growing again. */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		chunk = (size_t)MIN(st.st_size, READ_CHUNK_MAX) + 1;
	r = append_until_eof(fd, path, chunk, ret, e);
	if (r < 0) {
		ret->len = before;
		if (ret->data) ret->data[before] = '\0';
	}
	return r;
}

int io_set_nonblock(int fd, bool on, struct err *e)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0) return err_errno(e, "fd %d: flags", fd);
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	if (fcntl(fd, F_SETFL, flags) < 0) return err_errno(e, "fd %d: O_NONBLOCK", fd);
	return 0;
}
