/*
 * Which pages of shared memory exist. The page tables of one process do not tell: another may have
 * touched what this one did not. The file behind the memory does (lseek(2), SEEK_DATA), by way of
 * /proc/PID/map_files, where the kernel lets us (CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE). It
 * matters: reading a page that does not exist through /proc/PID/mem makes the target allocate it,
 * against its own memory limit.
 */
#include "dumpers/snapshot/live_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { PAGE = 4096 };

/* Only of tmpfs, which is what memory without a file of its own is made of, a hole is no page. */
static bool is_tmpfs(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

/* The file of the map, opened when the first of its pages is asked for; -1 if not to be had. */
static int file_of(struct live *l, const struct map *map)
{
	struct shared_file *f = &l->shared;
	char path[64];

	if (f->map_start == map->start && f->map_end == map->end) return f->fd;
	close_fd(&f->fd);
	snprintf(path, sizeof(path), "map_files/%llx-%llx", (unsigned long long)map->start,
		 (unsigned long long)map->end);
	f->fd = openat(l->proc_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (f->fd >= 0 && !is_tmpfs(f->fd)) {
		close_fd(&f->fd);
		f->fd = -1;
	}
	f->map_start = map->start;
	f->map_end = map->end;
	return f->fd;
}

/* Data or hole at the offset, and the offset where that ends. A page with any data is data. */
static enum mem_state look(int fd, uint64_t offset, uint64_t *ret_end)
{
	off_t data = lseek(fd, (off_t)offset, SEEK_DATA), end;
	struct stat st;

	*ret_end = UINT64_MAX;
	if (data < 0 && errno == ENXIO) {
		/* No data from here on: a hole up to the file's end; behind it every access
		 * faults, in the target too. */
		if (fstat(fd, &st) < 0) return MEM_BYTES;
		if (offset >= (uint64_t)st.st_size) return MEM_NOT_CAPTURED;
		*ret_end = align_up((uint64_t)st.st_size, PAGE);
		return MEM_ZERO;
	}
	if (data < 0) return MEM_BYTES;
	if ((uint64_t)data >= offset + PAGE) {
		*ret_end = align_down((uint64_t)data, PAGE);
		return MEM_ZERO;
	}
	end = lseek(fd, data, SEEK_HOLE);
	if (end > data) *ret_end = align_up((uint64_t)end, PAGE);
	return MEM_BYTES;
}

enum mem_state live_shared_state(struct live *l, const struct map *map, uint64_t addr,
				 uint64_t *ret_end)
{
	uint64_t at = align_down(addr, PAGE), offset, end, len;
	enum mem_state state = MEM_BYTES;

	*ret_end = map->end;
	/* Opening a real file may wait for its file system, a network's perhaps. */
	if (!map_is_memory(map) || add_overflows(map->offset, at - map->start, &offset) ||
	    offset > INT64_MAX - PAGE)
		return state;
	pthread_mutex_lock(&l->pages.lock);
	if (file_of(l, map) >= 0) {
		state = look(l->shared.fd, offset, &end);
		len = end - offset;
		if (len < map->end - at) *ret_end = at + len;
	}
	pthread_mutex_unlock(&l->pages.lock);
	return state;
}
