#include "collector/probe_serve.h"

#include "base/io.h"
#include "base/log.h"
#include "bundle/wire.h"
#include "collector/probe_work.h"
#include "dumpers/proc/process.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>

#define PING_NS (1ull * NS_PER_S)
#define SILENCE_NS (30ull * NS_PER_S)
enum { WINDOW_MAX = 16 << 20, WINDOW_MIN = 2 << 20, WINDOW_SHARE = 16, READ_BYTES = 64 << 10 };

/* What the container's file says of us, and then the file goes: nobody needs it any more. */
static int hello(struct probe_link *link, struct err *e)
{
	struct wire_hello h = {.pid = (uint32_t)getpid(), .e_machine = EM_X86_64};
	snprintf(h.version, sizeof h.version, "%s", PODSNAP_VERSION);
	if (getrandom(h.token, sizeof h.token, 0) != sizeof h.token) {
		return err_errno(e, "cannot get random bytes");
	}
	_cleanup_buf_ struct buf exe = BUF_INIT(16 * MIB), payload = BUF_INIT(KIB);
	int r = io_read_file(AT_FDCWD, "/proc/self/exe", &exe, e);
	if (r) return r;
	sha256_of(exe.data, exe.len, h.exe_sha256);
	r = wire_encode_hello(&h, &payload, e);
	return r ? r : probe_link_send(link, WIRE_HELLO, payload.data, payload.len, e);
}

static void unlink_self(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	if (n <= 0) return;
	path[n] = 0;
	const char *name = strrchr(path, '/');
	/* Only the file that was pushed for us, never an installed probe. */
	if (name && strstr(name, ".podsnap")) unlink(path);
}

static int take_frame(struct probe_link *link, struct probe_work **work, const struct wire_frame *f,
		      struct err *e)
{
	switch (f->type) {
	case WIRE_REQUEST:
		if (*work) return err_set(e, ERR_PROTOCOL, "a second request");
		return probe_work_start(link, f->payload, f->len, work, e);
	case WIRE_CANCEL:
		return err_set(e, ERR_CANCELLED, "cancelled by the client");
	case WIRE_BYE:
		link->said_bye = true;
		return 0;
	default:
		return err_set(e, ERR_PROTOCOL, "unexpected frame of type %d", f->type);
	}
}

static int take_input(struct probe_link *link, struct probe_work **work, struct err *e)
{
	static uint8_t data[READ_BYTES];
	ssize_t n = read(STDIN_FILENO, data, sizeof data);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
	if (n < 0) return err_errno(e, "cannot read from the client");
	if (n == 0) return err_set(e, ERR_NETWORK, "the client is gone");
	struct wire_frame f;
	pthread_mutex_lock(&link->lock);
	int r = wire_feed(link->wire, data, (size_t)n, now_ns(), e);
	while (!r && (r = wire_next(link->wire, &f, e)) > 0) {
		pthread_mutex_unlock(&link->lock);
		r = take_frame(link, work, &f, e);
		pthread_mutex_lock(&link->lock);
	}
	pthread_cond_broadcast(&link->room); /* an ACK may have opened the window */
	pthread_mutex_unlock(&link->lock);
	return r;
}

static int give_output(struct probe_link *link, struct err *e)
{
	pthread_mutex_lock(&link->lock);
	const void *data;
	size_t len = wire_output(link->wire, &data);
	ssize_t n = len ? write(STDOUT_FILENO, data, MIN(len, 1 << 20)) : 0;
	int saved = errno;
	if (n > 0) wire_written(link->wire, (size_t)n, now_ns());
	pthread_cond_broadcast(&link->room);
	pthread_mutex_unlock(&link->lock);
	errno = saved;
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return err_errno(e, "cannot write to the client");
	return 0;
}

static int wait_ms(struct probe_link *link)
{
	uint64_t deadline = wire_deadline(link->wire), now = now_ns();
	if (deadline <= now) return 0;
	return (int)MIN((deadline - now) / NS_PER_MS + 1, 1000);
}

static int serve_loop(struct probe_link *link, struct probe_work **work, struct err *e)
{
	while (!link->said_bye) {
		const void *data;
		pthread_mutex_lock(&link->lock);
		bool pending = wire_output(link->wire, &data) > 0;
		int timeout_ms = wait_ms(link);
		pthread_mutex_unlock(&link->lock);
		struct pollfd fds[] = {
		    {.fd = STDIN_FILENO, .events = POLLIN},
		    {.fd = link->wakeup_fd, .events = POLLIN},
		    {.fd = STDOUT_FILENO, .events = pending ? POLLOUT : 0},
		};
		if (poll(fds, ARRAY_SIZE(fds), timeout_ms) < 0 && errno != EINTR) {
			return err_errno(e, "poll");
		}
		probe_link_drain_wakeup(link);
		int r = 0;
		if (fds[0].revents) r = take_input(link, work, e);
		if (!r) r = give_output(link, e);
		pthread_mutex_lock(&link->lock);
		if (!r) r = wire_tick(link->wire, now_ns(), e);
		pthread_mutex_unlock(&link->lock);
		if (r) return r;
	}
	return 0;
}

/* What is under way to the client is memory of the container, which the target needs more. */
static size_t window_bytes(void)
{
	uint64_t share = probe_memory_room() / WINDOW_SHARE;
	return (size_t)MIN(MAX(share, (uint64_t)WINDOW_MIN), (uint64_t)WINDOW_MAX);
}

int probe_serve(void)
{
	struct err e = {0};
	struct probe_link link;
	struct probe_work *work = NULL;
	struct wire_config config = {
	    .ping_ns = PING_NS, .silence_ns = SILENCE_NS, .window_bytes = window_bytes()};
	unlink_self();
	/* When memory runs out it shall not be a process of the container's own. */
	(void)process_offer_to_oom_killer(AT_FDCWD, "/proc/self/oom_score_adj");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	int r = probe_link_init(&link, &config, &e);
	if (r) {
		log_err(&e);
		return 1;
	}
	r = io_set_nonblock(STDIN_FILENO, true, &e);
	if (!r) r = io_set_nonblock(STDOUT_FILENO, true, &e);
	if (!r) r = hello(&link, &e);
	if (!r) r = serve_loop(&link, &work, &e);
	/* The worker sees it at its next frame, read or check; the target is let go first of all.
	 */
	probe_link_close(&link);
	probe_work_end(work);
	if (r && r != -ERR_CANCELLED && r != -ERR_NETWORK) log_err(&e);
	return r ? 1 : 0;
}
