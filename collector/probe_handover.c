#include "collector/probe_handover.h"

#include "base/io.h"
#include "dumpers/runtime/held.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* For the other side to say its word: both are on one machine. */
enum { ANSWER_S = 2 };

/* One message of the probe that has the stream. */
struct answer {
	int32_t code; /* 0, or enum err_code */
	char text[ERR_TEXT_MAX];
};

static socklen_t address_of(const uint8_t token[WIRE_TOKEN_BYTES], bool is_public,
			    struct sockaddr_un *ret)
{
	char name[sizeof ret->sun_path - 1] = HELD_SOCKET_PREFIX;
	uint8_t hash[SHA256_BYTES];
	if (is_public) {
		hex_encode(token, WIRE_TOKEN_BYTES, name + strlen(name));
	} else {
		sha256_of(token, WIRE_TOKEN_BYTES, hash);
		snprintf(name, sizeof name, "podsnap-");
		hex_encode(hash, 8, name + strlen(name));
	}
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret->sun_path + 1, name, strlen(name));
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

int handover_listen(const uint8_t token[WIRE_TOKEN_BYTES], bool is_public, int *ret_fd,
		    struct err *e)
{
	struct sockaddr_un address;
	socklen_t len = address_of(token, is_public, &address);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0) return err_errno(e, "cannot create a Unix socket");
	if (bind(fd, (struct sockaddr *)&address, len) || listen(fd, 1)) {
		return err_errno(e, "cannot listen at a Unix socket");
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* Root may, and whoever could trace us. */
static bool is_same_user(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof peer;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

static void limit_wait(int fd)
{
	const struct timeval limit = {.tv_sec = ANSWER_S};
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

/* A control message with room for the two descriptors. */
union passed {
	char bytes[CMSG_SPACE(2 * sizeof(int))];
	struct cmsghdr align;
};

/* The descriptors of a message: both, or none. */
static bool take_descriptors(struct msghdr *message, int ret[2])
{
	struct cmsghdr *c = CMSG_FIRSTHDR(message);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) return false;
	size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(ret, CMSG_DATA(c), MIN(count, (size_t)2) * sizeof(int));
	if (count == 2 && !(message->msg_flags & MSG_CTRUNC)) return true;
	for (size_t i = 0; i < MIN(count, (size_t)2); i++)
		close(ret[i]);
	return false;
}

static int receive(int fd, const uint8_t token[WIRE_TOKEN_BYTES], struct handover *ret,
		   struct err *e)
{
	struct wire_resume resume = {0};
	union passed control;
	struct iovec part = {&resume, sizeof resume};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof control};
	int passed[2];
	ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	if (n < 0) return err_errno(e, "no word from the probe that came");
	if (!take_descriptors(&message, passed)) {
		return err_set(e, ERR_PROTOCOL, "what came handed nothing over");
	}
	ret->in_fd = passed[0];
	ret->out_fd = passed[1];
	ret->received = resume.received;
	if (n == sizeof resume && memcmp(resume.token, token, WIRE_TOKEN_BYTES) == 0 &&
	    io_set_nonblock(passed[0], true, e) == 0 && io_set_nonblock(passed[1], true, e) == 0) {
		return 0;
	}
	close(passed[0]);
	close(passed[1]);
	return err_set(e, ERR_AUTH, "what came does not know the token");
}

int handover_accept(int listen_fd, const uint8_t token[WIRE_TOKEN_BYTES], struct handover *ret,
		    struct err *e)
{
	_cleanup_close_ int fd = accept(listen_fd, NULL, NULL);
	if (fd < 0) return err_errno(e, "cannot accept");
	if (!is_same_user(fd)) return err_set(e, ERR_AUTH, "what came is another user's");
	limit_wait(fd);
	int r = receive(fd, token, ret, e);
	if (!r) ret->fd = steal_fd(&fd);
	return r;
}

void handover_answer(int fd, const struct err *why)
{
	struct answer answer = {.code = why ? (int32_t)why->code : 0};
	if (why) snprintf(answer.text, sizeof answer.text, "%s", why->text);
	(void)!send(fd, &answer, sizeof answer, MSG_NOSIGNAL);
}

static int gone(struct err *e)
{
	err_set(e, ERR_GONE, "the probe that had the snapshot does not run any more");
	return err_hint(e, "it was killed, or the container was restarted, or more time passed "
			   "than --resume-window or --hold: take another");
}

static int send_descriptors(int fd, const struct wire_resume *resume, struct err *e)
{
	const int passed[2] = {STDIN_FILENO, STDOUT_FILENO};
	union passed control = {0};
	struct iovec part = {(void *)resume, sizeof *resume};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof control};
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	*c = (struct cmsghdr){
	    .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof passed)};
	memcpy(CMSG_DATA(c), passed, sizeof passed);
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? gone(e) : 0;
}

/* Waits for the next one, however long. */
static int read_answer(int fd, struct err *e)
{
	struct answer answer;
	ssize_t n;
	do {
		n = recv(fd, &answer, sizeof answer, 0);
	} while (n < 0 && errno == EINTR);
	if (n != sizeof answer) return gone(e);
	if (answer.code == 0) return 0;
	return err_set(e, (enum err_code)answer.code, "%.*s",
		       (int)strnlen(answer.text, sizeof answer.text), answer.text);
}

static bool connect_to(int fd, const uint8_t token[WIRE_TOKEN_BYTES], bool is_public)
{
	struct sockaddr_un address;
	socklen_t len = address_of(token, is_public, &address);
	return connect(fd, (struct sockaddr *)&address, len) == 0;
}

int handover_give(const struct wire_resume *resume, bool *ret_taken, struct err *e)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	*ret_taken = false;
	if (fd < 0) return err_errno(e, "cannot create a Unix socket");
	if (!connect_to(fd, resume->token, false) && !connect_to(fd, resume->token, true))
		return gone(e);
	int r = send_descriptors(fd, resume, e);
	if (!r) r = read_answer(fd, e);
	if (r) return r;
	*ret_taken = true;
	return read_answer(fd, e);
}
