#include "dumpers/dotnet/dac_client.h"

#include "base/io.h"
#include "dumpers/dotnet/dac_host_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* A process is started anew in some milliseconds; what did not answer has cost all of its time. */
enum { COPY_CHUNK = 1 << 20, RESTARTS_MAX = 64, RESTARTS_OF_A_TIMEOUT = 16 };

struct dac_client {
	struct dac_view view;
	uint64_t timeout_ns;
	pid_t pid; /* 0: ended and waited for */
	int fd;
	int library;           /* in memory, for the next process */
	uint64_t runtime_base; /* what START was asked with; 0: not started yet */
	uint32_t restarts;     /* in units of RESTARTS_MAX */
	struct dac_unanswered unanswered;
	struct err gone; /* why it can be asked no more; code 0: it can */
};

static int copy_library(struct blob *library, int fd, struct err *e)
{
	_cleanup_free_ char *chunk = malloc(COPY_CHUNK);
	if (!chunk) return err_set(e, ERR_NO_MEMORY, "no memory");
	for (uint64_t at = 0; at < library->size; at += COPY_CHUNK) {
		size_t len = (size_t)MIN((uint64_t)COPY_CHUNK, library->size - at);
		int r = blob_read_at(library, at, chunk, len, e);
		if (!r) r = io_write_all(fd, chunk, len, "memory for the library", e);
		if (r) return r;
	}
	return 0;
}

static int library_fd(struct blob *library, int *ret, struct err *e)
{
	if (library->size > DAC_LIBRARY_MAX)
		return err_set(e, ERR_LIMIT, "the data-access library is larger than %d MiB",
			       DAC_LIBRARY_MAX >> 20);
	_cleanup_close_ int fd =
	    memfd_create("data-access-library", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) return err_errno(e, "cannot keep a file in memory");
	int r = copy_library(library, fd, e);
	if (r) return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) < 0)
		return err_errno(e, "cannot seal a file in memory");
	*ret = steal_fd(&fd);
	return 0;
}

/* dup2 to the number that it has already would leave it to be closed by the exec. */
static int move_above(int *fd, struct err *e)
{
	int moved = fcntl(*fd, F_DUPFD_CLOEXEC, DAC_LIBRARY_FD + 1);
	if (moved < 0) return err_errno(e, "cannot duplicate a descriptor");
	close(*fd);
	*fd = moved;
	return 0;
}

/* It gets two descriptors and no environment, which may hold what is nobody's business. */
static int spawn(int socket, int library, pid_t *ret, struct err *e)
{
	char name[] = "podsnap", verb[] = "dac-host";
	char *const arguments[] = {name, verb, NULL};
	char *const environment[] = {NULL};
	posix_spawn_file_actions_t actions;
	if (posix_spawn_file_actions_init(&actions)) return err_set(e, ERR_NO_MEMORY, "no memory");
	int failed =
	    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	for (int fd = STDOUT_FILENO; !failed && fd <= STDERR_FILENO; fd++)
		failed = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
	if (!failed) failed = posix_spawn_file_actions_adddup2(&actions, socket, DAC_SOCKET_FD);
	if (!failed) failed = posix_spawn_file_actions_adddup2(&actions, library, DAC_LIBRARY_FD);
	if (!failed)
		failed = posix_spawn_file_actions_addclosefrom_np(&actions, DAC_LIBRARY_FD + 1);
	if (!failed)
		failed = posix_spawn(ret, "/proc/self/exe", &actions, NULL, arguments, environment);
	posix_spawn_file_actions_destroy(&actions);
	errno = failed;
	return failed ? err_errno(e, "cannot start the process of the data-access library") : 0;
}

static int start(struct dac_client *c, struct err *e)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, "cannot make a socket pair");
	ours = pair[0];
	theirs = pair[1];
	int r = move_above(&theirs, e);
	if (!r) r = spawn(theirs, c->library, &c->pid, e);
	if (!r) c->fd = steal_fd(&ours);
	return r;
}

int dac_client_new(struct blob *library, const struct dac_view *view, uint64_t timeout_ns,
		   struct dac_client **ret, struct err *e)
{
	struct dac_client *c = calloc(1, sizeof(*c));
	if (!c) return err_set(e, ERR_NO_MEMORY, "no memory");
	c->fd = c->library = -1;
	c->view = *view;
	c->timeout_ns = timeout_ns;
	int r = library_fd(library, &c->library, e);
	if (!r) r = move_above(&c->library, e);
	if (!r) r = start(c, e);
	if (r)
		dac_client_free(c);
	else
		*ret = c;
	return r;
}

/* Its wait status; kills it first unless it is ending by itself. */
static int end(struct dac_client *c, bool kill_it)
{
	int status = 0;
	if (!c->pid) return 0;
	if (kill_it) kill(c->pid, SIGKILL);
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) {
	}
	c->pid = 0;
	return status;
}

void dac_client_free(struct dac_client *c)
{
	if (!c) return;
	if (c->fd >= 0) close(c->fd);
	if (c->library >= 0) close(c->library);
	end(c, true);
	free(c);
}

static const char advice[] = "It reads what the runtime keeps of itself: where that is damaged, or "
			     "was not captured, it fails.";

static const char *signal_meaning(int number)
{
	return number == SIGXCPU || number == SIGKILL ? "used up its CPU time or memory"
						      : "crashed";
}

/* A closed socket does not mean that it ends: what still runs is killed. */
static int say_gone(struct dac_client *c, struct err *e)
{
	siginfo_t info = {0};
	const struct timespec grace = {1, 0};
	bool ended = false;
	for (int i = 0; i < 20 && !ended; i++) {
		struct timespec step = {grace.tv_sec / 20, NS_PER_S / 20};
		ended = !waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT | WNOHANG) &&
			info.si_pid == c->pid;
		if (!ended) nanosleep(&step, NULL);
	}
	int status = end(c, !ended);
	if (ended && WIFSIGNALED(status))
		err_set(e, ERR_SERVER, "the runtime's data-access library %s (signal %d, %s)",
			signal_meaning(WTERMSIG(status)), WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	else
		err_set(e, ERR_SERVER,
			"the process of the runtime's data-access library ended early");
	return err_hint(e, "%s", advice);
}

static int say_late(struct dac_client *c, struct err *e)
{
	end(c, true);
	return err_set(e, ERR_TIMEOUT, "the runtime's data-access library did not answer in %.3g s",
		       (double)c->timeout_ns / NS_PER_S);
}

/* Waits until something is there; the deadline is of the whole question. */
static int wait_readable(struct dac_client *c, uint64_t deadline, struct err *e)
{
	for (;;) {
		struct pollfd p = {.fd = c->fd, .events = POLLIN};
		uint64_t now = now_ns();
		if (now >= deadline) return say_late(c, e);
		uint64_t left = (deadline - now) / NS_PER_MS + 1;
		int n = poll(&p, 1, (int)MIN(left, (uint64_t)60000));
		if (n > 0) return 0;
		if (n < 0 && errno != EINTR) return err_errno(e, "cannot wait");
	}
}

static int receive(struct dac_client *c, void *data, size_t len, uint64_t deadline, struct err *e)
{
	char *at = data;
	while (len) {
		int r = wait_readable(c, deadline, e);
		if (r) return r;
		ssize_t n = recv(c->fd, at, len, MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
		if (n <= 0) return say_gone(c, e);
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int serve_read(struct dac_client *c, uint64_t address, struct err *e)
{
	_cleanup_free_ uint8_t *block = calloc(1, DAC_BLOCK);
	uint64_t pages = 0;
	if (!block) return err_set(e, ERR_NO_MEMORY, "no memory");
	if (address % DAC_BLOCK) return err_set(e, ERR_PROTOCOL, "an odd read");
	if (address > UINT64_MAX - DAC_BLOCK) {
		pages = 0;
	} else if (!c->view.read(c->view.ctx, address, block, DAC_BLOCK, NULL)) {
		pages = (1u << DAC_BLOCK / DAC_PAGE) - 1;
	} else {
		for (unsigned int i = 0; i < DAC_BLOCK / DAC_PAGE; i++) {
			uint8_t *page = block + (size_t)i * DAC_PAGE;
			if (!c->view.read(c->view.ctx, address + i * DAC_PAGE, page, DAC_PAGE,
					  NULL))
				pages |= 1u << i;
			else
				memset(page, 0, DAC_PAGE);
		}
	}
	int r = dac_send(c->fd, DAC_BYTES, pages, block, DAC_BLOCK, e);
	return r == -ERR_GONE ? say_gone(c, e) : r;
}

static int serve_registers(struct dac_client *c, uint64_t tid, struct err *e)
{
	struct dac_wire_registers registers;
	bool known = tid <= INT32_MAX && c->view.registers(c->view.ctx, (uint32_t)tid, &registers);
	int r = dac_send(c->fd, DAC_REGISTERS, 0, &registers, known ? sizeof(registers) : 0, e);
	return r == -ERR_GONE ? say_gone(c, e) : r;
}

static int take_payload(struct dac_client *c, const struct dac_header *header, uint64_t deadline,
			struct buf *ret, struct err *e)
{
	char *to;
	buf_clear(ret);
	if (!header->len) return 0;
	int r = buf_reserve(ret, header->len, &to, e);
	if (!r) r = receive(c, to, header->len, deadline, e);
	if (!r) ret->len += header->len;
	return r;
}

static int say_failed(const struct dac_header *header, struct buf *text, struct err *e)
{
	for (size_t i = 0; i < text->len; i++) {
		unsigned char byte = (unsigned char)text->data[i];
		if (byte < ' ' || byte > '~') text->data[i] = '?';
	}
	err_set(e, ERR_CORRUPT, "the runtime's data-access library: %.*s",
		(int)MIN(text->len, (size_t)500), text->len ? text->data : "");
	return err_hint(e, "%s", advice);
}

static int exchange(struct dac_client *c, enum dac_message question, uint64_t argument,
		    struct buf *ret, struct err *e)
{
	uint64_t deadline = now_ns() + c->timeout_ns;
	int r = dac_send(c->fd, question, argument, NULL, 0, e);
	if (r == -ERR_GONE) r = say_gone(c, e);
	while (!r) {
		struct dac_header header;
		r = receive(c, &header, sizeof(header), deadline, e);
		if (r) return r;
		if (header.message == DAC_READ && !header.len) {
			r = serve_read(c, header.argument, e);
			continue;
		}
		if (header.message == DAC_READ_REGISTERS && !header.len) {
			r = serve_registers(c, header.argument, e);
			continue;
		}
		if ((header.message != DAC_ANSWER && header.message != DAC_FAILED) ||
		    header.len > DAC_PAYLOAD_MAX)
			return err_set(e, ERR_PROTOCOL, "the data-access library says nonsense");
		r = take_payload(c, &header, deadline, ret, e);
		if (!r && header.message == DAC_FAILED) return say_failed(&header, ret, e);
		return r;
	}
	return r;
}

static const char *name_of(enum dac_message question)
{
	switch (question) {
	case DAC_ASK_THREADS:
		return "the threads";
	case DAC_ASK_HEAP:
		return "the heap";
	case DAC_ASK_TYPE:
		return "the type";
	case DAC_ASK_FIELDS:
		return "the fields of the type";
	case DAC_ASK_MODULE:
		return "the module";
	case DAC_ASK_ARRAY:
		return "the array";
	case DAC_ASK_HANDLES:
		return "the handles";
	case DAC_ASK_STATICS:
		return "the statics";
	case DAC_ASK_STATICS_OF:
		return "the statics of the type";
	case DAC_ASK_STACK:
	case DAC_ASK_FRAMES:
		return "the stack of thread";
	case DAC_ASK_METHOD:
	case DAC_ASK_METHOD_NAME:
		return "the method";
	case DAC_ASK_THREAD_OBJECTS:
		return "the objects of threads";
	case DAC_ASK_SYNC_BLOCKS:
		return "the locks";
	default:
		return "question";
	}
}

/* What is asked about one thing is named with it. */
static int say_question(enum dac_message question, uint64_t argument, struct err *e)
{
	struct err why = *e;
	char about[32] = "";
	if (question == DAC_ASK_STACK || question == DAC_ASK_FRAMES)
		snprintf(about, sizeof(about), " %llu", (unsigned long long)argument);
	else if (argument > DAC_ROOTS_EACH)
		snprintf(about, sizeof(about), " at 0x%llx", (unsigned long long)argument);
	err_set(e, (enum err_code)why.code, "%s when it was asked for %s%s", why.text,
		name_of(question), about);
	e->sys_errno = why.sys_errno;
	return err_hint(e, "%s", why.hint);
}

/* Another process takes the place of one that is gone: only what that was asked for is lost. */
static int restart(struct dac_client *c, int failure)
{
	_cleanup_buf_ struct buf ignored = BUF_INIT(DAC_PAYLOAD_MAX);
	c->restarts += failure == -ERR_TIMEOUT ? RESTARTS_OF_A_TIMEOUT : 1;
	if (!c->runtime_base || c->restarts > RESTARTS_MAX) return -ERR_SERVER;
	end(c, true);
	close(c->fd);
	c->fd = -1;
	int r = start(c, NULL);
	return r ? r : exchange(c, DAC_ASK_START, c->runtime_base, &ignored, NULL);
}

static int settle_failure(struct dac_client *c, enum dac_message question, uint64_t argument,
			  struct err *e)
{
	int failure = -e->code;
	if (failure != -ERR_SERVER && failure != -ERR_TIMEOUT) return failure;
	if (!c->runtime_base) return failure;
	say_question(question, argument, e);
	if (restart(c, failure)) return failure;
	if (!c->unanswered.count++)
		snprintf(c->unanswered.first, sizeof(c->unanswered.first), "%s", e->text);
	e->code = ERR_CORRUPT;
	return -ERR_CORRUPT;
}

int dac_client_ask(struct dac_client *c, enum dac_message question, uint64_t argument,
		   struct buf *ret, struct err *e)
{
	struct err why = {0};
	if (c->gone.code) {
		if (e) *e = c->gone;
		return -c->gone.code;
	}
	int r = exchange(c, question, argument, ret, &why);
	if (!r && question == DAC_ASK_START) c->runtime_base = argument;
	/* A "no" of the library leaves the conversation whole; nothing else does. */
	if (r && r != -ERR_CORRUPT) r = settle_failure(c, question, argument, &why);
	if (r && r != -ERR_CORRUPT) {
		end(c, true);
		c->gone = why;
	}
	if (r && e) *e = why;
	return r;
}

const struct dac_unanswered *dac_client_unanswered(const struct dac_client *c)
{
	return &c->unanswered;
}
