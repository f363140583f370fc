#include "collector/probe_serve.h"

#include "base/io.h"
#include "base/log.h"
#include "bundle/wire.h"
#include "collector/probe_handover.h"
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
#include <unistd.h>

#define PING_NS (1ull * NS_PER_S)
#define SILENCE_NS (15ull * NS_PER_S)
enum {
	WINDOW_MAX = 16 << 20,
	WINDOW_MIN = 2 << 20,
	WINDOW_SHARE = 16,
	READ_BYTES = 64 << 10,
	PIPE_BYTES = 1 << 20,
	WRITES_MAX = 16
};

struct server {
	struct probe_link link;
	struct probe_work *work;
	uint8_t token[WIRE_TOKEN_BYTES];
	uint64_t resume_ns; /* for how long a lost client is waited for */
	int listen_fd;      /* where it comes back to; -1: nowhere */
	int handover_fd;    /* to the probe whose stdin and stdout we use; -1: they are our own */
	bool adrift;        /* the client is lost, and stdin and stdout with it */
	uint64_t deadline;  /* while adrift */
	bool has_resume;    /* the stream that the client wants is another probe's */
	struct wire_resume resume;
	bool said_bye;
};

/* What the container's file says of us, and then the file goes: nobody needs it any more. */
static int hello(struct server *s, struct err *e)
{
	struct wire_hello h = {.pid = (uint32_t)getpid(), .e_machine = EM_X86_64};
	snprintf(h.version, sizeof h.version, "%s", PODSNAP_VERSION);
	if (getrandom(s->token, sizeof s->token, 0) != sizeof s->token) {
		return err_errno(e, "cannot get random bytes");
	}
	memcpy(h.token, s->token, sizeof h.token);
	_cleanup_buf_ struct buf exe = BUF_INIT(16 * MIB), payload = BUF_INIT(KIB);
	int r = io_read_file(AT_FDCWD, "/proc/self/exe", &exe, e);
	if (r) return r;
	sha256_of(exe.data, exe.len, h.exe_sha256);
	r = wire_encode_hello(&h, &payload, e);
	return r ? r : probe_link_send(&s->link, WIRE_HELLO, payload.data, payload.len, e);
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

static int start_work(struct server *s, const struct wire_frame *f, struct err *e)
{
	struct err why;
	if (s->work) return err_set(e, ERR_PROTOCOL, "a second request");
	/* END has told the client, whose CANCEL ends us. */
	if (probe_work_start(&s->link, f->payload, f->len, &s->work, &why)) return 0;
	s->resume_ns = probe_work_resume_ns(s->work);
	bool held = probe_work_is_held(s->work);
	if (s->resume_ns && handover_listen(s->token, held, &s->listen_fd, &why)) {
		log_line(held ? LOG_WARN : LOG_DEBUG, "a lost connection will be the end: %s",
			 why.text);
	}
	return 0;
}

static int take_frame(struct server *s, const struct wire_frame *f, struct err *e)
{
	switch (f->type) {
	case WIRE_REQUEST:
		return start_work(s, f, e);
	case WIRE_RESUME:
		if (s->work) return err_set(e, ERR_PROTOCOL, "a resumption after a request");
		s->has_resume = true;
		return wire_decode_resume(f->payload, f->len, &s->resume, e);
	case WIRE_READ:
		return probe_link_take_read(&s->link, f, e);
	case WIRE_CANCEL:
		return err_set(e, ERR_CANCELLED, "cancelled by the client");
	case WIRE_BYE:
		s->said_bye = true;
		return 0;
	default:
		return err_set(e, ERR_PROTOCOL, "unexpected frame of type %d", f->type);
	}
}

/* What follows RESUME is for the other probe. */
static int take_input(struct server *s, struct err *e)
{
	static uint8_t data[READ_BYTES];
	struct probe_link *link = &s->link;
	ssize_t n = read(STDIN_FILENO, data, sizeof data);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
	if (n <= 0) return err_set(e, ERR_NETWORK, "the client is gone");
	struct wire_frame f;
	pthread_mutex_lock(&link->lock);
	int r = wire_feed(link->wire, data, (size_t)n, now_ns(), e);
	while (!r && !s->has_resume && (r = wire_next(link->wire, &f, e)) > 0) {
		pthread_mutex_unlock(&link->lock);
		r = take_frame(s, &f, e);
		pthread_mutex_lock(&link->lock);
	}
	pthread_cond_broadcast(&link->room); /* an ACK may have opened the window */
	pthread_mutex_unlock(&link->lock);
	return r;
}

static int give_output(struct probe_link *link, struct err *e)
{
	const void *data;
	size_t len;
	ssize_t n = 0;
	pthread_mutex_lock(&link->lock);
	for (int i = 0; i < WRITES_MAX && (len = wire_output(link->wire, &data)) > 0; i++) {
		n = write(STDOUT_FILENO, data, len);
		if (n <= 0) break;
		wire_written(link->wire, (size_t)n, now_ns());
	}
	int saved = errno;
	pthread_cond_broadcast(&link->room);
	pthread_mutex_unlock(&link->lock);
	if (n < 0 && saved != EAGAIN && saved != EINTR)
		return err_set(e, ERR_NETWORK, "the client is gone");
	return 0;
}

static int tick(struct probe_link *link, struct err *e)
{
	pthread_mutex_lock(&link->lock);
	int r = wire_tick(link->wire, now_ns(), e);
	pthread_mutex_unlock(&link->lock);
	return r;
}

static int timeout_ms(const struct server *s)
{
	uint64_t deadline = s->adrift ? s->deadline : wire_deadline(s->link.wire);
	uint64_t now = now_ns();
	if (deadline <= now) return 0;
	return (int)MIN((deadline - now) / NS_PER_MS + 1, 1000);
}

/* --- when the client was lost --- */

/* Until it is back, or --resume-window is over, the work goes on as far as the window allows. */
static void drift(struct server *s)
{
	s->adrift = true;
	s->deadline = now_ns() + s->resume_ns;
	if (s->handover_fd < 0) return;
	handover_answer(s->handover_fd, NULL);
	close(s->handover_fd);
	s->handover_fd = -1;
}

static bool is_loss(const struct server *s, int r)
{
	return (r == -ERR_NETWORK || r == -ERR_TIMEOUT) && s->listen_fd >= 0;
}

static int send_resumed(struct probe_link *link, const struct err *why, struct err *e)
{
	_cleanup_buf_ struct buf payload = BUF_INIT(4 * KIB);
	int r = wire_encode_resumed(why, &payload, e);
	return r ? r : probe_link_send(link, WIRE_RESUMED, payload.data, payload.len, e);
}

/* The stream goes on over the client's new connection; one that it still had is not used any more.
 */
static int go_on(struct server *s, const struct handover *h, struct err *e)
{
	const struct err yes = {0};
	pthread_mutex_lock(&s->link.lock);
	int r = wire_reconnect(s->link.wire, h->received, now_ns(), e);
	pthread_cond_broadcast(&s->link.room);
	pthread_mutex_unlock(&s->link.lock);
	if (!r) r = send_resumed(&s->link, &yes, e);
	if (r) return r;
	drift(s);
	if (dup2(h->in_fd, STDIN_FILENO) < 0 || dup2(h->out_fd, STDOUT_FILENO) < 0) {
		return err_errno(e, "cannot take the client's connection over");
	}
	s->adrift = false;
	return 0;
}

static void take_client_back(struct server *s)
{
	struct handover h;
	struct err why = {0};
	if (handover_accept(s->listen_fd, s->token, &h, &why)) {
		log_debug("not a client that comes back: %s", why.text);
		return;
	}
	int r = go_on(s, &h, &why);
	handover_answer(h.fd, r ? &why : NULL);
	close(h.in_fd);
	close(h.out_fd);
	if (r) {
		close(h.fd);
	} else {
		s->handover_fd = h.fd;
	}
}

/* --- the loop --- */

static int serve_client(struct server *s, const struct pollfd fds[], struct err *e)
{
	int r = 0;
	if (s->adrift) {
		if (now_ns() < s->deadline) return 0;
		return err_set(e, ERR_CANCELLED, "the client did not come back");
	}
	if (fds[0].revents) r = take_input(s, e);
	if (!r) r = give_output(&s->link, e);
	if (!r) r = tick(&s->link, e);
	if (!is_loss(s, r)) return r;
	drift(s);
	return 0;
}

static bool has_output(struct server *s)
{
	const void *data;
	pthread_mutex_lock(&s->link.lock);
	bool pending = wire_output(s->link.wire, &data) > 0;
	pthread_mutex_unlock(&s->link.lock);
	return pending;
}

static int serve_loop(struct server *s, struct err *e)
{
	while (!s->said_bye) {
		bool pending = has_output(s);
		if (s->has_resume && !pending) return 0;
		struct pollfd fds[] = {
		    {.fd = s->adrift || s->has_resume ? -1 : STDIN_FILENO, .events = POLLIN},
		    {.fd = s->adrift ? -1 : STDOUT_FILENO, .events = pending ? POLLOUT : 0},
		    {.fd = s->link.wakeup_fd, .events = POLLIN},
		    {.fd = s->listen_fd, .events = POLLIN},
		};
		if (poll(fds, ARRAY_SIZE(fds), timeout_ms(s)) < 0 && errno != EINTR) {
			return err_errno(e, "poll");
		}
		probe_link_drain_wakeup(&s->link);
		if (fds[3].revents) take_client_back(s);
		int r = serve_client(s, fds, e);
		if (r) return r;
	}
	return 0;
}

/* Hands the client over to the probe that it wants; where there is none it is told. */
static int hand_over(struct server *s, struct err *e)
{
	struct err why = {0};
	bool taken;
	int r = handover_give(&s->resume, &taken, &why);
	if (!r || taken) {
		if (e) *e = why;
		return r;
	}
	s->has_resume = false;
	r = send_resumed(&s->link, &why, e);
	return r ? r : serve_loop(s, e);
}

/* What is under way to the client is memory of the container, which the target needs more. */
static size_t window_bytes(void)
{
	uint64_t share = probe_memory_room(NULL) / WINDOW_SHARE;
	return (size_t)MIN(MAX(share, (uint64_t)WINDOW_MIN), (uint64_t)WINDOW_MAX);
}

static int serve(struct server *s, struct err *e)
{
	/* The container's shim reads 32 KiB at a time, and wakes us as often as it has to wait. */
	(void)fcntl(STDOUT_FILENO, F_SETPIPE_SZ, PIPE_BYTES);
	int r = io_set_nonblock(STDIN_FILENO, true, e);
	if (!r) r = io_set_nonblock(STDOUT_FILENO, true, e);
	if (!r) r = hello(s, e);
	if (!r) r = serve_loop(s, e);
	if (!r && s->has_resume) r = hand_over(s, e);
	return r;
}

int probe_serve(void)
{
	struct err e = {0};
	struct server s = {.listen_fd = -1, .handover_fd = -1};
	struct wire_config config = {
	    .ping_ns = PING_NS, .silence_ns = SILENCE_NS, .window_bytes = window_bytes()};
	unlink_self();
	/* When memory runs out it shall not be a process of the container's own. */
	(void)process_offer_to_oom_killer(AT_FDCWD, "/proc/self/oom_score_adj");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	int r = probe_link_init(&s.link, &config, &e);
	if (r) {
		log_err(&e);
		return 1;
	}
	r = serve(&s, &e);
	/* The worker sees it at its next frame, read or check; the target is let go first of all.
	 */
	probe_link_close(&s.link);
	probe_work_end(s.work);
	if (s.handover_fd >= 0) handover_answer(s.handover_fd, NULL);
	if (r && r != -ERR_CANCELLED && r != -ERR_NETWORK) log_err(&e);
	return r ? 1 : 0;
}
