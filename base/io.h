/* File-descriptor loops: full transfers, EINTR handled, sizes capped. */
#ifndef BASE_IO_H
#define BASE_IO_H

#include "base/buf.h"

#include <sys/types.h>

/* Writes all of it, waiting where fd is non-blocking; -ERR_IO or -ERR_NO_SPACE. what names the
 * destination in the error. */
int io_write_all(int fd, const void *data, size_t len, const char *what, struct err *e);
/* Reads len bytes at offset; -ERR_TRUNCATED at an early end. */
int io_pread_all(int fd, void *data, size_t len, uint64_t offset, const char *what, struct err *e);
/* Reads until EOF or len; bytes read in *ret_len. */
int io_read_up_to(int fd, void *data, size_t len, size_t *ret_len, const char *what, struct err *e);
/* Appends a whole file (also a /proc file, whose st_size is 0) opened at dirfd (AT_FDCWD allowed);
 * at most the buffer's max: beyond it -ERR_LIMIT; then, as on any failure, the buffer is as before.
 * A FIFO without writer is empty; a pipe that stays silent for 10 s is -ERR_TIMEOUT. */
int io_read_file(int dirfd, const char *path, struct buf *ret, struct err *e);
/* O_NONBLOCK on or off. */
int io_set_nonblock(int fd, bool on, struct err *e);

#endif
