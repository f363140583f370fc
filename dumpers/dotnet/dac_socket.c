#include "base/io.h"
#include "dumpers/dotnet/dac_host_internal.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

static int send_all(int fd, const void *data, size_t len, struct err *e)
{
	const char *at = data;
	while (len) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR) continue;
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return err_set(e, ERR_GONE, "the other side is gone");
		if (n < 0) return err_errno(e, "cannot send");
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int dac_send(int fd, enum dac_message message, uint64_t argument, const void *data, size_t len,
	     struct err *e)
{
	const struct dac_header header = {
	    .message = message, .len = (uint32_t)len, .argument = argument};
	if (len > DAC_PAYLOAD_MAX) return err_set(e, ERR_LIMIT, "an answer of %zu bytes", len);
	int r = send_all(fd, &header, sizeof(header), e);
	return r ? r : send_all(fd, data, len, e);
}

int dac_receive(int fd, void *data, size_t len, struct err *e)
{
	char *at = data;
	while (len) {
		ssize_t n = recv(fd, at, len, 0);
		if (n < 0 && errno == EINTR) continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return err_set(e, ERR_TIMEOUT, "nothing more came in time");
		if (n < 0 && errno != ECONNRESET) return err_errno(e, "cannot receive");
		if (n <= 0) return err_set(e, ERR_GONE, "the other side is gone");
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int dac_receive_header(int fd, struct dac_header *ret, struct err *e)
{
	int r = dac_receive(fd, ret, sizeof(*ret), e);
	if (r) return r;
	if (ret->len > DAC_PAYLOAD_MAX)
		return err_set(e, ERR_PROTOCOL, "a message of %u bytes", ret->len);
	return 0;
}
