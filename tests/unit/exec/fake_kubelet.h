/*
 * The exec endpoint of an API server in a thread: it takes one WebSocket connection on loopback and
 * runs the command that it asks for on this machine. What it can do wrong is in struct
 * fake_kubelet.
 */
#ifndef TESTS_UNIT_EXEC_FAKE_KUBELET_H
#define TESTS_UNIT_EXEC_FAKE_KUBELET_H

#include "base/io.h"
#include "base/util.h"
#include "tests/unit/net/loopback.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct fake_kubelet {
	/* Faults; 0 or NULL: none. */
	uint64_t cut_after;     /* bytes of stdout: the connection is closed */
	uint64_t success_after; /* bytes of stdout: status Success, close frame */
	int sound_from;         /* this connection and later ones do not end so; 0: all do */
	uint64_t stall_after; /* bytes of stdin: no more is given to the command, no more is read */
	const char *refusal;  /* the whole HTTP answer */
	const char *protocol; /* the one it knows; NULL: v4 */
	bool silent_protocol; /* where another is asked for, it agrees to none, instead of 400 */
	const char *status;   /* sent instead of running the command */
	const char *shell[4]; /* instead of "sh" */

	int port;
	int listen_fd;
	pthread_t thread;
	/* After fake_kubelet_stop: */
	int connections;
	char request[600]; /* its start */
	int exit_code;     /* of the command; -1: it was not run or was killed */
};

struct fake_exec {
	struct fake_kubelet *k;
	int fd, in, out, err;
	pid_t pid;
	uint64_t taken; /* bytes of stdin */
	uint64_t given; /* bytes of stdout */
	bool cut;
};

static inline bool fake_write(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0) return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static inline bool fake_read_all(int fd, void *data, size_t len)
{
	return recv(fd, data, len, MSG_WAITALL) == (ssize_t)len;
}

/* Header of an unmasked frame with a payload of less than 64 KiB. */
static inline bool fake_frame_header(int fd, uint8_t first, size_t len)
{
	uint8_t head[4] = {first, (uint8_t)MIN(len, (size_t)126), (uint8_t)(len >> 8),
			   (uint8_t)len};

	return fake_write(fd, head, len < 126 ? 2 : 4);
}

/* One message, in two fragments where it is long enough. */
static inline bool fake_message(int fd, int channel, const void *data, size_t len)
{
	uint8_t channel_byte = (uint8_t)channel;
	size_t first = len > 1 ? 1 : len, rest = len - first;

	if (!fake_frame_header(fd, rest > 0 ? 0x02 : 0x82, 1 + first) ||
	    !fake_write(fd, &channel_byte, 1) || !fake_write(fd, data, first))
		return false;
	return rest == 0 || (fake_frame_header(fd, 0x80, rest) &&
			     fake_write(fd, (const char *)data + first, rest));
}

static inline void fake_status(int fd, const char *json)
{
	static const uint8_t close_frame[] = {0x88, 2, 0x03, 0xe8};

	fake_message(fd, 3, json, strlen(json));
	fake_write(fd, close_frame, sizeof(close_frame));
}

/* A masked frame of the client; false at the end. */
static inline bool fake_client_frame(struct fake_exec *x)
{
	static __thread uint8_t payload[64 << 10];
	uint8_t head[2], ext[2], mask[4];
	size_t len;

	if (!fake_read_all(x->fd, head, 2)) return false;
	len = head[1] & 0x7f;
	if (len == 126) {
		if (!fake_read_all(x->fd, ext, 2)) return false;
		len = (size_t)ext[0] << 8 | ext[1];
	}
	if (!(head[1] & 0x80) || len > sizeof(payload) || (head[0] & 0xf) == 8) return false;
	if (!fake_read_all(x->fd, mask, 4) || !fake_read_all(x->fd, payload, len)) return false;
	for (size_t i = 0; i < len; i++)
		payload[i] ^= mask[i % 4];
	if ((head[0] & 0xf) != 2 || len < 2 || payload[0] != 0) return true;
	x->taken += len - 1;
	/* A command that has ended takes no more; that is no matter of the connection. */
	if (io_write_all(x->in, payload + 1, len - 1, "stdin", NULL) < 0) return true;
	return true;
}

/* Closing with input unread would take what was sent with it: until the client closes. */
static inline void fake_drain(int fd)
{
	char data[4096];

	while (recv(fd, data, sizeof(data), 0) > 0)
		continue;
}

static inline bool fake_forward(struct fake_exec *x, int *from, int channel)
{
	static __thread char data[8 << 10];
	ssize_t n = read(*from, data, sizeof(data));
	struct fake_kubelet *k = x->k;
	bool faulty = !k->sound_from || k->connections < k->sound_from;

	if (n <= 0) {
		close(steal_fd(from));
		return true;
	}
	if (!fake_message(x->fd, channel, data, (size_t)n)) return false;
	if (channel == 1) x->given += (uint64_t)n;
	if (faulty && k->cut_after && x->given >= k->cut_after) x->cut = true;
	if (faulty && k->success_after && x->given >= k->success_after) {
		fake_status(x->fd, "{\"metadata\":{},\"status\":\"Success\"}");
		x->cut = true;
		fake_drain(x->fd);
	}
	return !x->cut;
}

static inline void fake_relay(struct fake_exec *x)
{
	bool alive = true;

	while (alive && (x->out >= 0 || x->err >= 0)) {
		bool stalled = x->k->stall_after && x->taken >= x->k->stall_after;
		struct pollfd fds[] = {
		    {stalled ? -1 : x->fd, POLLIN, 0}, {x->out, POLLIN, 0}, {x->err, POLLIN, 0}};

		if (poll(fds, 3, 20000) <= 0) break;
		if (fds[1].revents) alive = fake_forward(x, &x->out, 1);
		if (alive && fds[2].revents) alive = fake_forward(x, &x->err, 2);
		if (alive && fds[0].revents) alive = fake_client_frame(x);
	}
}

static inline void fake_reap(struct fake_exec *x)
{
	bool sound = x->out < 0 && x->err < 0 && !x->cut;
	int wait_status = 0;
	char json[200];

	/* As a runtime does: the end of the connection is the end of stdin, and no signal. */
	if (!sound && x->cut) shutdown(x->fd, SHUT_RDWR);
	close(x->in);
	if (x->out >= 0) close(x->out);
	if (x->err >= 0) close(x->err);
	waitpid(x->pid, &wait_status, 0);
	x->k->exit_code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
	if (!sound) return;
	snprintf(json, sizeof(json),
		 x->k->exit_code == 0
		     ? "{\"status\":\"Success\"}"
		     : "{\"status\":\"Failure\",\"message\":\"command terminated\",\"details\":"
		       "{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"%d\"}]}}",
		 x->k->exit_code);
	fake_status(x->fd, json);
}

static inline void fake_unescape(char *text)
{
	char *out = text;

	for (; *text; text++) {
		unsigned code;

		if (*text == '%' && sscanf(text + 1, "%2x", &code) == 1) {
			*out++ = (char)code;
			text += 2;
		} else {
			*out++ = *text;
		}
	}
	*out = '\0';
}

/* argv from the query's command= parameters. */
static inline void fake_argv(const struct fake_kubelet *k, char *query, char *argv[16])
{
	int n = 0;

	bool replace = k->shell[0] != NULL;

	for (int i = 0; i < 4 && k->shell[i]; i++)
		argv[n++] = (char *)(uintptr_t)k->shell[i];
	for (char *p = strtok(query, "&"); p && n < 15; p = strtok(NULL, "&")) {
		if (strncmp(p, "command=", 8) != 0) continue;
		fake_unescape(p + 8);
		/* The first word is the shell that is replaced. */
		if (!replace) argv[n++] = p + 8;
		replace = false;
	}
	argv[n] = NULL;
}

static inline bool fake_start(struct fake_exec *x, char *query)
{
	int in[2], out[2], err[2];
	char *argv[16];

	fake_argv(x->k, query, argv);
	if (pipe(in) < 0 || pipe(out) < 0 || pipe(err) < 0) return false;
	x->pid = fork();
	if (x->pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		for (int fd = 3; fd < 256; fd++)
			close(fd);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	x->in = in[1];
	x->out = out[0];
	x->err = err[0];
	return x->pid > 0;
}

static inline void fake_accept_key(const char *request, char *ret, size_t size)
{
	const char *key = strstr(request, "Sec-WebSocket-Key: ");
	unsigned char digest[SHA_DIGEST_LENGTH];
	char text[100];

	snprintf(text, sizeof(text), "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
		 key ? key + 19 : "");
	SHA1((const unsigned char *)text, strlen(text), digest);
	EVP_EncodeBlock((unsigned char *)ret, digest, sizeof(digest));
}

static inline void fake_connection(struct fake_kubelet *k, int fd)
{
	static char request[64 << 10];
	struct fake_exec x = {.k = k, .fd = fd};
	static const char bad_protocol[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
	char answer[512], accept_key[40], offered[80];
	char *query, *end;
	size_t len = 0;

	do {
		ssize_t n = recv(fd, request + len, sizeof(request) - 1 - len, 0);

		if (n <= 0) return;
		len += (size_t)n;
		request[len] = '\0';
	} while (!strstr(request, "\r\n\r\n"));
	snprintf(k->request, sizeof(k->request), "%.599s", request);
	if (k->refusal) {
		fake_write(fd, k->refusal, strlen(k->refusal));
		return;
	}
	snprintf(offered, sizeof(offered), "Sec-WebSocket-Protocol: %s\r\n",
		 k->protocol ? k->protocol : "v4.channel.k8s.io");
	if (!strstr(request, offered)) offered[0] = '\0';
	if (!offered[0] && !k->silent_protocol) {
		fake_write(fd, bad_protocol, strlen(bad_protocol));
		return;
	}
	fake_accept_key(request, accept_key, sizeof(accept_key));
	snprintf(answer, sizeof(answer),
		 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		 "Sec-WebSocket-Accept: %s\r\n%s\r\n",
		 accept_key, offered);
	fake_write(fd, answer, strlen(answer));
	if (!offered[0]) return;
	for (int channel = 0; channel < 4; channel++)
		fake_message(fd, channel, "", 0);
	if (k->status) {
		fake_status(fd, k->status);
		return;
	}
	end = strstr(request, " HTTP/1.1");
	query = strchr(request, '?');
	if (!end || !query) return;
	*end = '\0';
	if (!fake_start(&x, query + 1)) return;
	fake_relay(&x);
	fake_reap(&x);
	fake_drain(fd);
}

static inline void *fake_kubelet_main(void *ctx)
{
	struct fake_kubelet *k = ctx;

	for (;;) {
		int fd = accept(k->listen_fd, NULL, NULL);

		if (fd < 0) return NULL;
		k->connections++;
		fake_connection(k, fd);
		close(fd);
	}
}

static inline bool fake_kubelet_start(struct fake_kubelet *k)
{
	signal(SIGPIPE, SIG_IGN);
	k->exit_code = -1;
	k->listen_fd = loopback_listen(&k->port);
	if (k->listen_fd < 0) return false;
	return pthread_create(&k->thread, NULL, fake_kubelet_main, k) == 0;
}

/* Returns when the command of the last connection has ended. */
static inline void fake_kubelet_stop(struct fake_kubelet *k)
{
	shutdown(k->listen_fd, SHUT_RDWR);
	pthread_join(k->thread, NULL);
	close(k->listen_fd);
}

#endif
