#include "dumpers/proc/fds.h"

#include "dumpers/proc/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { FDINFO_TEXT_MAX = 64 << 10 };

void fd_list_done(struct fd_list *list)
{
	if (!list) return;
	free(list->v);
	*list = (struct fd_list){0};
}

uint64_t fd_target_inode(const char *target)
{
	struct scan s = scan_of(target, strlen(target));
	uint64_t inode;

	if (!scan_literal(&s, "socket:[") && !scan_literal(&s, "pipe:[")) return 0;
	if (!scan_u64(&s, 10, &inode) || !scan_char(&s, ']') || s.at != s.end) return 0;
	return inode;
}

bool fdinfo_parse(const char *text, size_t len, uint64_t *ret_pos, uint64_t *ret_flags)
{
	struct scan s = scan_of(text, len), line;
	bool have_pos = false, have_flags = false;

	while (!(have_pos && have_flags) && scan_line(&s, &line)) {
		if (scan_literal(&line, "pos:")) {
			scan_blanks(&line);
			have_pos = scan_u64(&line, 10, ret_pos);
		} else if (scan_literal(&line, "flags:")) {
			scan_blanks(&line);
			have_flags = scan_u64(&line, 8, ret_flags);
		}
	}
	return have_pos && have_flags;
}

static bool fd_number(const char *name, int *ret)
{
	struct scan s = scan_of(name, strlen(name));
	uint64_t fd;

	if (!scan_u64(&s, 10, &fd) || s.at != s.end || fd > INT_MAX) return false;
	*ret = (int)fd;
	return true;
}

static int compare_fd(const void *a, const void *b)
{
	const struct fd_info *x = a, *y = b;

	return (x->fd > y->fd) - (x->fd < y->fd);
}

static int add(struct fd_list *list, size_t *cap, int fd, struct err *e)
{
	if (list->count == *cap) {
		size_t more = MAX(*cap * 2, (size_t)64);
		struct fd_info *v = realloc(list->v, more * sizeof(*v));

		if (!v) return err_set(e, ERR_NO_MEMORY, "no memory for %zu descriptors", more);
		list->v = v;
		*cap = more;
	}
	list->v[list->count++] = (struct fd_info){.fd = fd};
	return 0;
}

static int list_numbers(const struct process *p, struct fd_list *list, struct err *e)
{
	int dir_fd = openat(p->proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, r = 0;
	struct dirent *entry;
	size_t cap = 0;
	DIR *dir;

	if (dir_fd < 0) return err_errno(e, "process %d: list of open files", p->pid);
	dir = fdopendir(dir_fd);
	if (!dir) {
		close(dir_fd);
		return err_set(e, ERR_NO_MEMORY, "no memory to read a directory");
	}
	while (r == 0 && (entry = readdir(dir))) {
		if (!fd_number(entry->d_name, &fd)) continue;
		if (list->count == FDS_COUNT_MAX) {
			list->cut = true;
			break;
		}
		r = add(list, &cap, fd, e);
	}
	closedir(dir);
	if (list->count > 1) qsort(list->v, list->count, sizeof(*list->v), compare_fd);
	return r;
}

static void read_one(const struct process *p, struct fd_info *info)
{
	_cleanup_buf_ struct buf text = BUF_INIT(FDINFO_TEXT_MAX);
	char name[32], target[PATH_MAX];

	snprintf(name, sizeof(name), "fd/%d", info->fd);
	if (process_readlink(p, name, target, sizeof(target), NULL) == 0) {
		struct scan s = scan_of(target, strlen(target));

		scan_copy(&s, info->target, sizeof(info->target));
	}
	info->inode = fd_target_inode(info->target);
	snprintf(name, sizeof(name), "fdinfo/%d", info->fd);
	if (process_read(p, name, &text, NULL) == 0)
		info->has_fdinfo = fdinfo_parse(text.data, text.len, &info->pos, &info->flags);
}

static void read_sockets(const struct process *p, struct fd_list *list)
{
	for (int i = 0; i < SOCKET_TABLES; i++) {
		_cleanup_buf_ struct buf text = BUF_INIT(SOCKET_TABLE_MAX);
		enum socket_table table = (enum socket_table)i;
		char name[16];

		snprintf(name, sizeof(name), "net/%s", socket_table_name(table));
		if (process_read(p, name, &text, NULL) == 0)
			socket_table_apply(text.data, text.len, table, list);
	}
}

static bool has_socket(const struct fd_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strncmp(list->v[i].target, "socket:", 7) == 0) return true;
	}
	return false;
}

int process_fds(const struct process *p, struct fd_list *ret, struct err *e)
{
	_cleanup_fd_list_ struct fd_list list = {0};
	int r = list_numbers(p, &list, e);

	if (r < 0) return r;
	for (size_t i = 0; i < list.count; i++)
		read_one(p, &list.v[i]);
	/* On a busy node the tables are megabytes: not for a process without sockets. */
	if (has_socket(&list)) read_sockets(p, &list);
	*ret = list;
	list = (struct fd_list){0};
	return 0;
}
