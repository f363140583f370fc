/*
 * A probe that captures nothing: it speaks the wire on stdin and stdout as its request asks, so
 * that the client's side is tested against both good and bad behaviour. Run as "FILE serve".
 *
 * Request: "frames=N" sends N frames of 64 KiB and END. "then=X": instead of END, crash, silence,
 * wrong-digest, wrong-count, error, exit0, garbage, stuck (deaf to CANCEL). Asked to resume, it
 * makes the whole stream anew by the request that is in the file $FAKE_REQUEST, and goes on from
 * there; "then=refuse" refuses.
 */
#ifndef TESTS_UNIT_EXEC_FAKE_PROBE_H
#define TESTS_UNIT_EXEC_FAKE_PROBE_H

#include "base/io.h"
#include "bundle/wire.h"

#include <elf.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FAKE_TOKEN "a fake's token."

enum { FAKE_FRAME_BYTES = 64 << 10 };

struct fake_probe {
	struct wire *wire;
	char request[256];
	unsigned frames, sent;
	bool requested, ended, bye, cancelled;
};

static inline bool fake_then(const struct fake_probe *p, const char *what)
{
	char text[64];

	snprintf(text, sizeof(text), "then=%s", what);
	return strstr(p->request, text) != NULL;
}

static inline int fake_hello(struct fake_probe *p)
{
	struct wire_hello h = {.pid = (uint32_t)getpid(),
			       .e_machine = EM_X86_64,
			       .version = "fake",
			       .token = FAKE_TOKEN};
	struct buf exe = BUF_INIT(64 << 20), payload = BUF_INIT(1024);
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	int r;

	if (n <= 0) return -1;
	path[n] = '\0';
	r = io_read_file(AT_FDCWD, path, &exe, NULL);
	if (r == 0) unlink(path);
	sha256_of(exe.data, exe.len, h.exe_sha256);
	if (r == 0) r = wire_encode_hello(&h, &payload, NULL);
	if (r == 0) r = wire_send(p->wire, WIRE_HELLO, payload.data, payload.len, NULL);
	buf_done(&exe);
	buf_done(&payload);
	return r;
}

static inline int fake_end(struct fake_probe *p)
{
	static struct wire_end end;
	struct buf payload = BUF_INIT(16 << 10);
	int r;

	p->ended = true;
	wire_digest(p->wire, end.sha256, &end.data_bytes);
	if (fake_then(p, "wrong-digest")) end.sha256[3] ^= 1;
	if (fake_then(p, "wrong-count")) end.data_bytes++;
	if (fake_then(p, "error")) {
		end.error_code = ERR_PERMISSION;
		snprintf(end.text, sizeof(end.text), "cannot trace process 1");
		snprintf(end.hint, sizeof(end.hint), "ask for SYS_PTRACE");
	}
	r = wire_encode_end(&end, &payload, NULL);
	if (r == 0) r = wire_send(p->wire, WIRE_END, payload.data, payload.len, NULL);
	buf_done(&payload);
	return r;
}

/* Bytes that a compressor could have made; the client does not look into frames. */
static inline int fake_frame(struct fake_probe *p)
{
	static uint8_t data[FAKE_FRAME_BYTES];
	struct bundle_frame frame = {.data = data, .len = sizeof(data), .plain_len = 1 << 20};

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31 + p->sent * 7);
	p->sent++;
	return wire_send_data(p->wire, &frame, NULL);
}

static inline int fake_entry(struct fake_probe *p)
{
	struct bundle_entry entry = {.name = "thing", .status = ENTRY_SKIPPED, .reason = "fake"};
	struct buf payload = BUF_INIT(16 << 10);
	int r = wire_encode_entry(&entry, &payload, NULL);

	if (r == 0) r = wire_send(p->wire, WIRE_ENTRY, payload.data, payload.len, NULL);
	buf_done(&payload);
	return r;
}

static inline int fake_after(struct fake_probe *p)
{
	if (fake_then(p, "crash")) abort();
	if (fake_then(p, "exit0")) _exit(0);
	if (fake_then(p, "silence")) {
		while (read(0, p->request, 1) > 0)
			;
		_exit(0);
	}
	if (fake_then(p, "garbage")) {
		if (write(1, "Segmentation fault, more or less\n", 33) < 0) _exit(9);
		p->ended = true;
		return 0;
	}
	if (fake_then(p, "stuck")) {
		p->ended = true;
		return 0;
	}
	return fake_end(p);
}

static inline void fake_begin(struct fake_probe *p)
{
	p->requested = true;
	sscanf(p->request, "frames=%u", &p->frames);
}

static inline int fake_resume(struct fake_probe *p, const struct wire_frame *f)
{
	struct buf request = BUF_INIT(sizeof(p->request) - 1), payload = BUF_INIT(4096);
	struct wire_resume resume;
	struct err why = {0};
	int r = wire_decode_resume(f->payload, f->len, &resume, NULL);

	if (r == 0) r = io_read_file(AT_FDCWD, getenv("FAKE_REQUEST"), &request, NULL);
	if (r < 0 || memcmp(resume.token, FAKE_TOKEN, sizeof(resume.token)) != 0) return -1;
	snprintf(p->request, sizeof(p->request), "%s", request.data);
	if (fake_then(p, "refuse")) {
		err_set(&why, ERR_GONE, "no such probe");
	} else {
		fake_begin(p);
		r = fake_entry(p);
		while (r == 0 && p->sent < p->frames)
			r = fake_frame(p);
		if (r == 0) r = wire_reconnect(p->wire, resume.received, now_ns(), &why);
	}
	if (r == 0) r = wire_encode_resumed(&why, &payload, NULL);
	if (r == 0) r = wire_send(p->wire, WIRE_RESUMED, payload.data, payload.len, NULL);
	buf_done(&request);
	buf_done(&payload);
	return r;
}

static inline int fake_produce(struct fake_probe *p)
{
	const void *data;
	int r = 0;

	if (!p->requested || p->ended) return 0;
	if (p->sent == 0) r = fake_entry(p);
	while (r == 0 && p->sent < p->frames && wire_may_send(p->wire))
		r = fake_frame(p);
	/* A crash must not take what was sent before with it. */
	if (r == 0 && p->sent == p->frames && wire_output(p->wire, &data) == 0) r = fake_after(p);
	return r;
}

static inline void fake_take(struct fake_probe *p, const struct wire_frame *f)
{
	if (f->type == WIRE_REQUEST) {
		snprintf(p->request, sizeof(p->request), "%.*s", (int)f->len,
			 (const char *)f->payload);
		fake_begin(p);
	}
	if (f->type == WIRE_RESUME && fake_resume(p, f) < 0) abort();
	p->bye |= f->type == WIRE_BYE;
	p->cancelled |= f->type == WIRE_CANCEL && !fake_then(p, "stuck");
}

static inline int fake_read(struct fake_probe *p)
{
	static uint8_t in[64 << 10];
	ssize_t n = read(0, in, sizeof(in));
	struct wire_frame f;
	int r;

	if (n <= 0) return -1;
	r = wire_feed(p->wire, in, (size_t)n, now_ns(), NULL);
	while (r == 0 && (r = wire_next(p->wire, &f, NULL)) == 1) {
		fake_take(p, &f);
		r = 0;
	}
	return r;
}

static inline int fake_probe_serve(void)
{
	const struct wire_config config = {
	    .ping_ns = 200 * NS_PER_MS, .silence_ns = 20ull * NS_PER_S, .window_bytes = 64 << 20};
	struct fake_probe p = {0};
	int r = wire_new(&p.wire, &config, now_ns(), NULL);

	if (r == 0) r = fake_hello(&p);
	while (r == 0 && !p.bye && !p.cancelled) {
		struct pollfd fds[] = {{.fd = 0, .events = POLLIN}, {.fd = 1}};
		const void *out;
		ssize_t n;

		r = fake_produce(&p);
		fds[1].events = wire_output(p.wire, &out) > 0 ? POLLOUT : 0;
		poll(fds, 2, 100);
		if (r == 0 && (fds[0].revents & (POLLIN | POLLHUP))) r = fake_read(&p);
		if (r == 0 && (fds[1].revents & POLLOUT)) {
			n = write(1, out, MIN(wire_output(p.wire, &out), 4096u));
			if (n > 0) wire_written(p.wire, (size_t)n, now_ns());
		}
		if (r == 0) r = wire_tick(p.wire, now_ns(), NULL);
	}
	wire_free(p.wire);
	return p.bye ? 0 : 1;
}

#endif
