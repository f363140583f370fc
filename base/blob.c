#include "base/blob.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void blob_init(struct blob *b, const struct blob_ops *ops, uint64_t size)
{
	b->ops = ops;
	b->size = size;
	atomic_init(&b->refs, 1);
}

struct blob *blob_ref(struct blob *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

void blob_unref(struct blob *b)
{
	if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1) b->ops->free(b);
}

int blob_read_at(struct blob *b, uint64_t offset, void *data, size_t len, struct err *e)
{
	if (offset > b->size || len > b->size - offset)
		return err_set(e, ERR_TRUNCATED, "%zu bytes at offset %llu pass the end at %llu",
			       len, (unsigned long long)offset, (unsigned long long)b->size);
	if (len == 0) return 0;
	return b->ops->read_at(b, offset, data, len, e);
}

void blob_will_need(struct blob *b, const struct range *ranges, size_t count)
{
	size_t kept = 0;

	if (!b->ops->will_need || count == 0) return;
	_cleanup_free_ struct range *within = calloc(count, sizeof(*within));
	for (size_t i = 0; within && i < count; i++)
		if (ranges[i].start < ranges[i].end && ranges[i].end <= b->size)
			within[kept++] = ranges[i];
	if (kept > 0) b->ops->will_need(b, within, kept);
}

/* --- a regular file --- */

struct file_blob {
	struct blob blob;
	int fd;      /* owned */
	char name[]; /* for errors */
};

static int file_read_at(struct blob *b, uint64_t offset, void *data, size_t len, struct err *e)
{
	struct file_blob *f = (struct file_blob *)b;

	return io_pread_all(f->fd, data, len, offset, f->name, e);
}

static void file_free(struct blob *b)
{
	struct file_blob *f = (struct file_blob *)b;

	close(f->fd);
	free(f);
}

static const struct blob_ops file_ops = {file_read_at, file_free};

static int file_blob_new(int fd, const char *name, struct blob **ret, struct err *e)
{
	size_t name_size = strlen(name) + 1;
	struct file_blob *f;
	struct stat st;

	if (fstat(fd, &st) < 0) return err_errno(e, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_UNSUPPORTED, "%s: not a regular file", name);
	f = malloc(sizeof(*f) + name_size);
	if (!f) return err_set(e, ERR_NO_MEMORY, "%s: no memory", name);
	blob_init(&f->blob, &file_ops, (uint64_t)st.st_size);
	f->fd = fd;
	memcpy(f->name, name, name_size);
	*ret = &f->blob;
	return 0;
}

int blob_open_file(const char *path, struct blob **ret, struct err *e)
{
	_cleanup_close_ int fd = -1;
	int r;

	/* O_NONBLOCK: opening a FIFO must not hang before it is refused. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) return err_errno(e, "%s", path);
	r = file_blob_new(fd, path, ret, e);
	if (r < 0) return r;
	(void)steal_fd(&fd);
	return 0;
}

int blob_from_fd(int fd, struct blob **ret, struct err *e)
{
	char name[32];

	snprintf(name, sizeof(name), "fd %d", fd);
	return file_blob_new(fd, name, ret, e);
}

/* --- bytes in memory --- */

struct memory_blob {
	struct blob blob;
	uint8_t data[];
};

static int memory_read_at(struct blob *b, uint64_t offset, void *data, size_t len, struct err *e)
{
	memcpy(data, ((struct memory_blob *)b)->data + offset, len);
	return 0;
}

static void memory_free(struct blob *b)
{
	free(b);
}

static const struct blob_ops memory_ops = {memory_read_at, memory_free};

int blob_from_memory(const void *data, size_t len, struct blob **ret, struct err *e)
{
	struct memory_blob *m = NULL;

	if (len <= SIZE_MAX - sizeof(*m)) m = malloc(sizeof(*m) + len);
	if (!m) return err_set(e, ERR_NO_MEMORY, "no memory for a copy of %zu bytes", len);
	blob_init(&m->blob, &memory_ops, len);
	if (len > 0) memcpy(m->data, data, len);
	*ret = &m->blob;
	return 0;
}

/* --- a slice --- */

struct slice_blob {
	struct blob blob;
	struct blob *parent; /* referenced; never a slice itself */
	uint64_t offset;
};

static int slice_read_at(struct blob *b, uint64_t offset, void *data, size_t len, struct err *e)
{
	struct slice_blob *s = (struct slice_blob *)b;

	return blob_read_at(s->parent, s->offset + offset, data, len, e);
}

static void slice_free(struct blob *b)
{
	struct slice_blob *s = (struct slice_blob *)b;

	blob_unref(s->parent);
	free(s);
}

static const struct blob_ops slice_ops = {slice_read_at, slice_free};

int blob_slice(struct blob *parent, uint64_t offset, uint64_t size, struct blob **ret,
	       struct err *e)
{
	struct slice_blob *s;

	if (offset > parent->size || size > parent->size - offset)
		return err_set(e, ERR_TRUNCATED,
			       "a slice of %llu bytes at offset %llu passes the end at %llu",
			       (unsigned long long)size, (unsigned long long)offset,
			       (unsigned long long)parent->size);
	/* A slice of a slice hangs on the root, so that chains stay one deep. */
	if (parent->ops == &slice_ops) {
		struct slice_blob *outer = (struct slice_blob *)parent;

		offset += outer->offset;
		parent = outer->parent;
	}
	s = malloc(sizeof(*s));
	if (!s) return err_set(e, ERR_NO_MEMORY, "no memory for a slice");
	blob_init(&s->blob, &slice_ops, size);
	s->parent = blob_ref(parent);
	s->offset = offset;
	*ret = &s->blob;
	return 0;
}
