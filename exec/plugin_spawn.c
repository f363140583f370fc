#include "base/log.h"
#include "exec/plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define INFO_VARIABLE "KUBERNETES_EXEC_INFO"
#define TIMEOUT_NS (60ull * NS_PER_S)
#define TIMEOUT_ASKING_NS (300ull * NS_PER_S) /* somebody signs in in a browser */

enum { CANCEL_POLL_MS = 200, TERM_MS = 1000, READ_BYTES = 16 << 10 };

/* --- its environment --- */

/* A list for exec; the strings are borrowed. */
struct strings {
	char **list;
	size_t count;
};

static void strings_done(struct strings *s)
{
	free(s->list);
}

static void add_all(struct strings *s, const struct buf *from)
{
	for (size_t at = 0; at < from->len; at += strlen(from->data + at) + 1)
		s->list[s->count++] = from->data + at;
}

/* In place of a variable of the same name, if there is one. */
static void set_variable(struct strings *s, char *entry)
{
	size_t len = strcspn(entry, "=") + 1, i = 0;

	while (i < s->count && strncmp(s->list[i], entry, len) != 0)
		i++;
	s->list[i] = entry;
	s->count += i == s->count;
}

/* Ours, then its own, then what the cluster is. */
static int make_env(const struct plugin *p, char *info, struct strings *ret, struct err *e)
{
	size_t own = 0;

	while (environ[own])
		own++;
	ret->list = calloc(own + p->env_count + 2, sizeof(*ret->list));
	if (!ret->list) return err_set(e, ERR_NO_MEMORY, "no memory for a credential plugin");
	for (size_t i = 0; i < own; i++)
		ret->list[ret->count++] = environ[i];
	for (size_t at = 0; at < p->env.len; at += strlen(p->env.data + at) + 1)
		set_variable(ret, p->env.data + at);
	set_variable(ret, info);
	return 0;
}

/* --- its life --- */

struct child {
	pid_t pid;
	int pidfd, out;
};

static int spawn_failed(const struct plugin *p, int error, struct err *e)
{
	if (error == ENOENT) {
		err_set(e, ERR_AUTH, "%s",
			strchr(p->command, '/') ? "there is no such program"
						: "there is no such program in PATH");
		return plugin_failed(p, "install it, or give a token with --token", e);
	}
	errno = error;
	err_errno(e, "cannot run it");
	return plugin_failed(p, "check that it is a program that you may run", e);
}

/* In our process group: Ctrl-C reaches it too, and it may read from the terminal. */
static int start(const struct plugin *p, struct strings *words, struct strings *env,
		 bool interactive, struct child *ret, struct err *e)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	_cleanup_close_ int in = -1, out = -1;
	sigset_t none, reset;
	int pipe_fds[2], r;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0) return err_errno(e, "cannot make a pipe");
	in = pipe_fds[0];
	out = pipe_fds[1];
	sigemptyset(&none);
	sigemptyset(&reset);
	sigaddset(&reset, SIGPIPE);
	sigaddset(&reset, SIGXFSZ);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &reset);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_init(&files);
	r = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	if (r == 0 && !interactive)
		r = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY,
						     0);
	if (r == 0) r = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	if (r == 0)
		r = posix_spawnp(&ret->pid, p->command, &files, &attributes, words->list,
				 env->list);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	if (r != 0) return spawn_failed(p, r, e);
	ret->out = steal_fd(&in);
	ret->pidfd = pidfd_open(ret->pid, 0);
	return 0;
}

static void end(const struct child *c)
{
	struct pollfd fd = {.fd = c->pidfd, .events = POLLIN};

	kill(c->pid, SIGTERM);
	if (c->pidfd < 0 || poll(&fd, 1, TERM_MS) <= 0) kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
}

static int read_some(struct child *c, struct buf *ret, struct err *e)
{
	char chunk[READ_BYTES];
	ssize_t n = read(c->out, chunk, sizeof(chunk));
	int r = 0;

	if (n < 0 && errno == EINTR) return 0;
	if (n < 0) return err_errno(e, "reading from it");
	if (n == 0) {
		close(c->out);
		c->out = -1;
	} else if (buf_append(ret, chunk, (size_t)n, NULL) < 0) {
		r = err_set(e, ERR_AUTH, "it prints more than a credential");
	}
	OPENSSL_cleanse(chunk, sizeof(chunk));
	return r;
}

/* Reads until it has ended; what a process of its own still holds open does not count. */
static int collect(struct child *c, uint64_t timeout_ns, const atomic_bool *cancel, struct buf *ret,
		   struct err *e)
{
	uint64_t deadline = now_ns() + timeout_ns;
	int r = 0;

	while (r == 0) {
		struct pollfd fds[] = {{.fd = c->out, .events = POLLIN},
				       {.fd = c->pidfd, .events = POLLIN}};
		uint64_t now = now_ns();

		if (cancel && atomic_load(cancel)) return err_set(e, ERR_CANCELLED, "cancelled");
		if (now >= deadline)
			return err_set(e, ERR_TIMEOUT, "it did not answer within %u s",
				       (unsigned)(timeout_ns / NS_PER_S));
		if (poll(fds, 2,
			 (int)MIN((deadline - now) / NS_PER_MS + 1, (uint64_t)CANCEL_POLL_MS)) <= 0)
			continue;
		if (fds[0].revents)
			r = read_some(c, ret, e);
		else if (fds[1].revents)
			return 0;
	}
	return r;
}

static int check_status(int status, struct err *e)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
	if (WIFEXITED(status))
		return err_set(e, ERR_AUTH, "it failed with exit status %d", WEXITSTATUS(status));
	return err_set(e, ERR_AUTH, "it was ended by signal %d",
		       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static int run(const struct plugin *p, struct strings *words, struct strings *env, bool interactive,
	       const struct plugin_limits *limits, struct buf *ret, struct err *e)
{
	struct child c = {.pidfd = -1, .out = -1};
	int status = 0, r = start(p, words, env, interactive, &c, e);
	uint64_t timeout_ns = limits->timeout_ns ? limits->timeout_ns
			      : interactive      ? TIMEOUT_ASKING_NS
						 : TIMEOUT_NS;

	if (r < 0) return r;
	if (c.pidfd < 0)
		r = err_errno(e, "cannot watch it");
	else
		r = collect(&c, timeout_ns, limits->cancel, ret, e);
	if (r < 0)
		end(&c);
	else if (waitpid(c.pid, &status, 0) == c.pid)
		r = check_status(status, e);
	if (c.out >= 0) close(c.out);
	if (c.pidfd >= 0) close(c.pidfd);
	if (r == 0 || r == -ERR_CANCELLED) return r;
	/* Ctrl-C ends it as well as us. */
	if (limits->cancel && atomic_load(limits->cancel))
		return err_set(e, ERR_CANCELLED, "cancelled");
	if (r == -ERR_TIMEOUT)
		return plugin_failed(p,
				     "sign in with its own tool first, or allow it more time "
				     "with --request-timeout",
				     e);
	return plugin_failed(p,
			     "its own message is above; sign in again with its own tool, or "
			     "give a token with --token",
			     e);
}

int plugin_spawn(const struct plugin *p, const char *info, bool interactive,
		 const struct plugin_limits *limits, struct buf *ret, struct err *e)
{
	_cleanup_(strings_done) struct strings words = {0}, env = {0};
	_cleanup_free_ char *variable = NULL;
	int r;

	words.list = calloc(p->word_count + 1, sizeof(*words.list));
	if (!words.list || asprintf(&variable, INFO_VARIABLE "=%s", info) < 0) {
		variable = NULL;
		return err_set(e, ERR_NO_MEMORY, "no memory for a credential plugin");
	}
	add_all(&words, &p->words);
	r = make_env(p, variable, &env, e);
	if (r < 0) return r;
	log_debug("running the credential plugin \"%s\" of %s", p->command, p->origin);
	return run(p, &words, &env, interactive, limits, ret, e);
}
