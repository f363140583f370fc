/*
 * A file. The bytes go to a temporary name in the destination's own directory and get their name
 * in one rename at commit, so that a reader sees the whole bundle or none.
 */
#include "base/human.h"
#include "base/io.h"
#include "upload/sink_types.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { TEMP_TRIES = 100, TEMP_SUFFIX = 6, PARTIAL_TRIES = 1000 };
enum { WRITE_BACK_BYTES = 16 << 20 };

struct file_sink {
	struct sink sink;
	int dir_fd, fd;
	char *dir;               /* of the destination, owned */
	char *name;              /* in dir, owned */
	char temp[NAME_MAX + 1]; /* in dir; empty while there is no such file */
	bool force;
	uint64_t written;      /* bytes */
	uint64_t written_back; /* of those, asked to go to the disk now */
};

static bool file_matches(const char *destination)
{
	/* "gs://..." must not become a directory named "gs:". */
	return !strstr(destination, "://");
}

/* A name that we put into a directory must stay in it. */
static int check_name(const char *name, const char *dir, struct err *e)
{
	if (!name || !*name)
		return err_set(e, ERR_USAGE,
			       "%s: is a directory, and there is no name to put there", dir);
	if (strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(e, ERR_USAGE, "%s: not a file name: \"%s\"", dir, name);
	return 0;
}

static int no_memory(const char *destination, struct err *e)
{
	return err_set(e, ERR_NO_MEMORY, "%s: out of memory", destination);
}

/* Fills dir, name and location. */
static int split_destination(struct file_sink *f, const char *destination, const char *config_name,
			     struct err *e)
{
	const char *slash = strrchr(destination, '/');
	bool ends_in_slash = slash && slash[1] == '\0';
	struct stat st;

	if (ends_in_slash || (stat(destination, &st) == 0 && S_ISDIR(st.st_mode))) {
		int r = check_name(config_name, destination, e);

		if (r < 0) return r;
		f->dir = strdup(destination);
		f->name = strdup(config_name);
		if (asprintf(&f->sink.location, "%s%s%s", destination, ends_in_slash ? "" : "/",
			     config_name) < 0)
			f->sink.location = NULL;
	} else {
		f->dir = !slash ? strdup(".")
			 : slash == destination
			     ? strdup("/")
			     : strndup(destination, (size_t)(slash - destination));
		f->name = strdup(slash ? slash + 1 : destination);
		f->sink.location = strdup(destination);
	}
	return f->dir && f->name && f->sink.location ? 0 : no_memory(destination, e);
}

static int exists_error(const struct file_sink *f, struct err *e)
{
	return err_set(e, ERR_EXISTS, "%s: exists already", f->sink.location);
}

/* Is there something at the destination that must not be replaced? */
static int check_destination(const struct file_sink *f, struct err *e)
{
	struct stat st;

	if (fstatat(f->dir_fd, f->name, &st, 0) == 0 && !S_ISREG(st.st_mode)) {
		err_set(e, ERR_UNSUPPORTED, "%s: exists and is not a regular file",
			f->sink.location);
		return err_hint(e, "to write into a device or a pipe: -o - > %s", f->sink.location);
	}
	if (fstatat(f->dir_fd, f->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT) return 0;
		return err_errno(e, "%s", f->sink.location);
	}
	return f->force ? 0 : exists_error(f, e);
}

/* ".NAME.xxxxxx", NAME cut where the whole would be too long. */
static void random_temp_name(const struct file_sink *f, char ret[NAME_MAX + 1])
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	const int max = NAME_MAX - 2 - TEMP_SUFFIX;
	unsigned char random[TEMP_SUFFIX];
	char suffix[TEMP_SUFFIX + 1] = {0};

	/* 256 bytes or less never fail or fall short once the pool is ready: getrandom(2). */
	while (getrandom(random, sizeof(random), 0) < 0 && errno == EINTR)
		;
	for (int i = 0; i < TEMP_SUFFIX; i++)
		suffix[i] = digits[random[i] & 31];
	snprintf(ret, NAME_MAX + 1, ".%.*s.%s", max, f->name, suffix);
}

static int create_temp(struct file_sink *f, struct err *e)
{
	for (int i = 0; i < TEMP_TRIES; i++) {
		char name[NAME_MAX + 1];

		random_temp_name(f, name);
		f->fd = openat(f->dir_fd, name,
			       O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (f->fd >= 0) {
			memcpy(f->temp, name, sizeof(name));
			return 0;
		}
		if (errno != EEXIST) break;
	}
	err_errno(e, "%s: create a file in %s", f->sink.location, f->dir);
	if (errno == EACCES || errno == EPERM || errno == EROFS)
		return err_hint(e, "choose a directory that you may write to: -o DIR");
	return e ? -e->code : -ERR_IO;
}

/* rename(2) that never replaces, also where the file system knows no RENAME_NOREPLACE. 0 or -1
 * with errno. */
static int rename_new(int dir_fd, const char *from, const char *to)
{
	struct stat st;

	if (renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) == 0) return 0;
	if (errno != EINVAL && errno != ENOSYS) return -1;
	/* NFS: a hard link refuses an existing name just as atomically. */
	if (linkat(dir_fd, from, dir_fd, to, 0) == 0) return unlinkat(dir_fd, from, 0);
	if (errno == EEXIST) return -1;
	/* Some FUSE file systems know neither; what is left has a gap between look and rename. */
	if (fstatat(dir_fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(dir_fd, from, dir_fd, to);
}

static int no_space(const struct file_sink *f, struct err *e)
{
	char size[HUMAN_MAX];

	err_set(e, ERR_NO_SPACE, "%s: no space left after %s", f->sink.location,
		human_size(f->written, size));
	return err_hint(e,
			"free some space (`df -h %s` shows it), or choose another destination "
			"with -o",
			f->dir);
}

/* While there is more to come, so that the fsync at the end need not wait for all of it. A hint:
 * what goes wrong, fsync tells. */
static void write_back(struct file_sink *f)
{
	uint64_t len = f->written - f->written_back;

	if (len < WRITE_BACK_BYTES) return;
	(void)sync_file_range(f->fd, (off_t)f->written_back, (off_t)len, SYNC_FILE_RANGE_WRITE);
	f->written_back = f->written;
}

static int file_write(struct sink *s, const void *data, size_t len, struct err *e)
{
	struct file_sink *f = (struct file_sink *)s;
	int r = io_write_all(f->fd, data, len, s->location, e);

	if (r == -ERR_NO_SPACE) return no_space(f, e);
	if (r < 0) return r;
	f->written += len;
	write_back(f);
	return 0;
}

/* Content on disk, descriptor closed. */
static int flush_temp(struct file_sink *f, struct err *e)
{
	int r = fsync(f->fd);

	/* close can bring up an error of its own: NFS, close(2). */
	if (r < 0) {
		r = err_errno(e, "%s: fsync", f->sink.location);
		close(f->fd);
	} else if (close(f->fd) < 0 && errno != EINTR) {
		r = err_errno(e, "%s: close", f->sink.location);
	}
	f->fd = -1;
	return r == -ERR_NO_SPACE ? no_space(f, e) : r;
}

static int file_commit(struct sink *s, struct err *e)
{
	struct file_sink *f = (struct file_sink *)s;
	int r = flush_temp(f, e);

	if (r < 0) return r;
	/* Again: with force, a device may have come there meanwhile. */
	r = check_destination(f, e);
	if (r < 0) return r;
	r = f->force ? renameat(f->dir_fd, f->temp, f->dir_fd, f->name)
		     : rename_new(f->dir_fd, f->temp, f->name);
	if (r < 0 && errno == EEXIST) return exists_error(f, e);
	if (r < 0) return err_errno(e, "%s: rename", s->location);
	/* EINVAL: a file system whose directories need no sync. */
	if (fsync(f->dir_fd) < 0 && errno != EINVAL) {
		r = err_errno(e, "%s: fsync of the directory", s->location);
		if (rename_new(f->dir_fd, f->name, f->temp) == 0) return r;
	}
	f->temp[0] = '\0';
	return r;
}

/* NAME.partial, or NAME.partial.N if that exists. */
static char *keep_partial_file(struct file_sink *f)
{
	const int max = NAME_MAX - 16;

	for (unsigned int i = 0; i < PARTIAL_TRIES; i++) {
		char name[NAME_MAX + 1], *path = NULL;

		if (i == 0)
			snprintf(name, sizeof(name), "%.*s.partial", max, f->name);
		else
			snprintf(name, sizeof(name), "%.*s.partial.%u", max, f->name,
				 i % PARTIAL_TRIES);
		if (rename_new(f->dir_fd, f->temp, name) == 0) {
			size_t dir_len = strlen(f->sink.location) - strlen(f->name);

			f->temp[0] = '\0';
			if (asprintf(&path, "%.*s%s", (int)dir_len, f->sink.location, name) < 0)
				return NULL;
			return path;
		}
		if (errno != EEXIST) return NULL;
	}
	return NULL;
}

static void file_abort(struct sink *s, bool keep_partial, char **ret_kept)
{
	struct file_sink *f = (struct file_sink *)s;

	if (f->fd >= 0) {
		if (keep_partial && f->written > 0) fsync(f->fd);
		close(f->fd);
		f->fd = -1;
	}
	if (f->temp[0] && keep_partial && f->written > 0) *ret_kept = keep_partial_file(f);
	if (f->temp[0]) unlinkat(f->dir_fd, f->temp, 0);
	f->temp[0] = '\0';
}

static void file_free(struct sink *s)
{
	struct file_sink *f = (struct file_sink *)s;
	char *kept = NULL;

	file_abort(s, false, &kept);
	if (f->dir_fd >= 0) close(f->dir_fd);
	free(f->dir);
	free(f->name);
	free(s->location);
	free(f);
}

static const struct sink_ops file_ops = {
    .write = file_write,
    .commit = file_commit,
    .abort = file_abort,
    .free = file_free,
};

static int open_directory(struct file_sink *f, struct err *e)
{
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->dir_fd >= 0) return 0;
	err_errno(e, "%s: directory %s", f->sink.location, f->dir);
	if (errno == ENOENT) return err_hint(e, "create it: mkdir -p %s", f->dir);
	return e ? -e->code : -ERR_IO;
}

static int file_open(const char *destination, const struct sink_config *config, struct sink **ret,
		     struct err *e)
{
	struct file_sink *f = calloc(1, sizeof(*f));
	int r;

	if (!f) return no_memory(destination, e);
	f->sink.ops = &file_ops;
	f->dir_fd = f->fd = -1;
	f->force = config->force;
	r = split_destination(f, destination, config->name, e);
	if (r == 0) r = open_directory(f, e);
	if (r == 0) r = check_destination(f, e);
	if (r == 0) r = create_temp(f, e);
	if (r < 0) {
		file_free(&f->sink);
		return r;
	}
	*ret = &f->sink;
	return 0;
}

const struct sink_type sink_file = {
    .name = "file",
    .matches = file_matches,
    .open = file_open,
};
