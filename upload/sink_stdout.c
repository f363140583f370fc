/* Standard output, for a pipe or a redirection. What was written cannot be taken back. */
#include "base/io.h"
#include "upload/sink_types.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

struct stdout_sink {
	struct sink sink;
};

static bool stdout_matches(const char *destination)
{
	return strcmp(destination, "-") == 0;
}

/* write(2) to a closed pipe also raises SIGPIPE, in this thread. It is blocked for the write and
 * taken off again, so that the process's own disposition does not matter and stays as it is. */
static int write_without_sigpipe(const void *data, size_t len, struct err *e)
{
	const struct timespec now = {0};
	sigset_t pipe_set, old, pending;
	bool was_pending;
	int r;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE) == 1;
	pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
	r = io_write_all(STDOUT_FILENO, data, len, "standard output", e);
	if (r < 0 && !was_pending)
		while (sigtimedwait(&pipe_set, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

static int stdout_write(struct sink *s, const void *data, size_t len, struct err *e)
{
	struct err local;
	struct err *why = e ? e : &local;
	int r = write_without_sigpipe(data, len, why);

	if (r < 0 && why->sys_errno == EPIPE)
		return err_set(e, ERR_CANCELLED, "standard output: its reader went away");
	return r;
}

static int stdout_commit(struct sink *s, struct err *e)
{
	struct stat st;

	/* A full disk or a broken network file system may speak up only now. */
	if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && fsync(STDOUT_FILENO) < 0)
		return err_errno(e, "standard output: fsync");
	return 0;
}

static void stdout_abort(struct sink *s, bool keep_partial, char **ret_kept)
{
}

static void stdout_free(struct sink *s)
{
	free(s->location);
	free(s);
}

static const struct sink_ops stdout_ops = {
    .write = stdout_write,
    .commit = stdout_commit,
    .abort = stdout_abort,
    .free = stdout_free,
};

static int stdout_open(const char *destination, const struct sink_config *config, struct sink **ret,
		       struct err *e)
{
	struct stdout_sink *s;
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) < 0) return err_errno(e, "standard output");
	if (isatty(STDOUT_FILENO)) {
		err_set(e, ERR_USAGE, "a bundle is binary: not written to a terminal");
		return err_hint(e, "redirect it (-o - > FILE), or name a file with -o FILE");
	}
	s = calloc(1, sizeof(*s));
	if (!s || !(s->sink.location = strdup("standard output"))) {
		free(s);
		return err_set(e, ERR_NO_MEMORY, "standard output: out of memory");
	}
	s->sink.ops = &stdout_ops;
	*ret = &s->sink;
	return 0;
}

const struct sink_type sink_stdout = {
    .name = "stdout",
    .matches = stdout_matches,
    .open = stdout_open,
};
