/*
 * The wire between podsnap and podsnap-probe over an exec stream, both ways: frames of a 24-byte
 * little-endian header and a payload. A state machine without I/O: bytes in, bytes out, next
 * deadline, clock passed in; both ends use it.
 *
 *   0 u32 magic "PSW1"    4 u8 major version    5 u8 type    6 u16 flags (0)
 *   8 u32 payload length  12 u32 crc32c (header with this field 0, then payload)
 *  16 u64 stream offset: of DATA, ENTRY and END, payload bytes of DATA and ENTRY before it; else 0
 *
 * DATA, ENTRY and END are the stream: numbered by their offset, acknowledged, and sent again where
 * a connection was lost. ACK, RESUME and END speak of the same offsets. The stream goes one way.
 *
 * Delivery: the receiver of the stream acknowledges (ACK) what it has durably handed on; the sender
 * keeps at most window_bytes unacknowledged and wire_may_send says when to go on. Loss is silence:
 * each side sends PING after ping_ns without sending and gives the connection up after silence_ns
 * without a byte. Completion is END {bytes, SHA-256 over the stream} from the sender, BYE from the
 * receiver; nothing else is.
 *
 * Resumption: after a loss the receiver comes back over another connection and, greeted by a probe
 * of its own, says RESUME with the token of the HELLO it had first and the offset that it has
 * reached. The sender says RESUMED and goes on from there; the receiver sends nothing between.
 *
 * A held snapshot: END is then not the last word but says that it is taken, and instead of BYE the
 * receiver sends READ, as often as it likes, one at a time, and gets READ_REPLY. These are not of
 * the stream: what a connection that was lost did not answer is asked again.
 *
 * Any error of wire_feed and wire_next but -ERR_LIMIT is final: every later call of these returns
 * it again. There is no resynchronisation.
 */
#ifndef BUNDLE_WIRE_H
#define BUNDLE_WIRE_H

#include "base/buf.h"
#include "bundle/entry.h"

enum wire_type {
	WIRE_HELLO = 1,  /* probe: struct wire_hello */
	WIRE_REQUEST,    /* client: NUL-separated options (base/options.h) */
	WIRE_ENTRY,      /* probe: encoded struct bundle_entry */
	WIRE_DATA,       /* probe: u32 plain length, then one zstd frame */
	WIRE_PROGRESS,   /* probe: struct wire_progress */
	WIRE_LOG,        /* probe: u8 level, text */
	WIRE_READ,       /* client, of a held snapshot: struct wire_read */
	WIRE_READ_REPLY, /* probe: struct wire_read_reply */
	WIRE_ACK,        /* receiver: u64 stream offset */
	WIRE_PING,       /* either, empty */
	WIRE_CANCEL,     /* client: clean up now */
	WIRE_END,        /* probe: struct wire_end */
	WIRE_BYE,     /* client, after END was checked and the bundle is safe; the probe exits 0 */
	WIRE_RESUME,  /* client, instead of REQUEST: struct wire_resume */
	WIRE_RESUMED, /* probe: it goes on (code 0), or why it does not: struct err */
	WIRE_TYPE_MAX = WIRE_RESUMED,
};

enum {
	WIRE_HEADER_BYTES = 24,
	WIRE_VERSION = 1,
	WIRE_TOKEN_BYTES = 16,
	WIRE_PAYLOAD_MAX = 4 + BUNDLE_FRAME_MAX, /* of any frame: a DATA frame's */
	WIRE_FEED_MAX = 1 << 20, /* what wire_feed always takes after wire_next returned 0 */
	WIRE_RESULT_MAX = 60 << 10,
	WIRE_READ_MAX = 512 << 10, /* bytes that are asked for at once */
	WIRE_READ_RANGES = 64,
	WIRE_QUEUE_MAX = 1 << 20, /* bytes of queued output beside the stream */
};

struct wire_hello {
	uint32_t pid; /* the probe's own, in its pid namespace */
	uint16_t e_machine;
	uint8_t exe_sha256[SHA256_BYTES]; /* of /proc/self/exe */
	uint8_t token[WIRE_TOKEN_BYTES];
	char version[32];
};
struct wire_resume {
	uint8_t token[WIRE_TOKEN_BYTES]; /* of the HELLO that began the stream */
	uint64_t received;               /* the stream offset to go on from */
};
struct wire_progress {
	uint64_t plain_done, plain_total; /* total 0: not known yet */
};
struct wire_end {
	int32_t error_code; /* 0, or enum err_code: then text and hint follow */
	uint64_t data_bytes;
	uint8_t sha256[SHA256_BYTES];
	char text[ERR_TEXT_MAX], hint[ERR_HINT_MAX];
	char result_json[WIRE_RESULT_MAX]; /* members for the manifest's head, or "" */
};

/* Bytes of an entry of a held snapshot's archive (bundle/archive.h); 0 is the list of the others,
 * in the order of their numbers: of each, u32 length, text name, u64 size. */
struct wire_read {
	uint32_t id; /* the answer has it, too */
	uint32_t entry;
	uint32_t count;                        /* 1 or more */
	struct range ranges[WIRE_READ_RANGES]; /* start < end; in all WIRE_READ_MAX bytes at most */
};
/* The bytes of all its ranges. */
uint32_t wire_read_bytes(const struct wire_read *read);
struct wire_read_reply {
	uint32_t id;
	struct err why;     /* code 0: all was read, and this is it, range after range */
	uint32_t plain_len; /* of the bytes, before compression */
	const void *frame;  /* one zstd frame; borrowed from what was decoded */
	size_t frame_len;
};

/* One received frame; payload is borrowed until the next call. */
struct wire_frame {
	enum wire_type type;
	uint64_t offset;
	uint64_t plain_offset; /* plain bytes of all DATA before it */
	const uint8_t *payload;
	size_t len;
};

struct wire_config {
	uint64_t ping_ns, silence_ns; /* 0: never ping; never give up */
	size_t window_bytes;          /* of the stream that are kept until they are acknowledged,
				       * headers included, <= 1 GiB; one frame may always be
				       * under way, however small the window */
};
struct wire;
int wire_new(struct wire **ret, const struct wire_config *config, uint64_t now, struct err *e);
void wire_free(struct wire *w); /* NULL-safe */

/* Input: bytes that arrived, at most WIRE_FEED_MAX, then wire_next until it returns 0. -ERR_LIMIT
 * (nothing taken) when fed on without that. */
int wire_feed(struct wire *w, const void *data, size_t len, uint64_t now, struct err *e);
/* 1: *ret is a frame (ACK and PING are consumed inside); 0: need more bytes. -ERR_PROTOCOL: a
 * broken frame, another version, a DATA offset that does not follow, an ACK of what was not sent,
 * DATA after END. */
int wire_next(struct wire *w, struct wire_frame *ret, struct err *e);

/* DATA, ENTRY and END. */
bool wire_is_stream(enum wire_type type);
/* Output: frames are queued, wire_output says what to write (valid until the next wire_send or
 * wire_written), wire_written how much of it was written. Sending is -ERR_LIMIT, and nothing is
 * queued, while the window (of the stream) or WIRE_QUEUE_MAX bytes (of what else there is) wait:
 * write, or wait for an ACK, then again. What is not of the stream overtakes it. */
int wire_send(struct wire *w, enum wire_type type, const void *payload, size_t len, struct err *e);
int wire_send_data(struct wire *w, const struct bundle_frame *frame, struct err *e);
/* offset <= wire_received; -ERR_USAGE past that. */
int wire_send_ack(struct wire *w, uint64_t offset, struct err *e);
size_t wire_output(const struct wire *w, const void **ret);
void wire_written(struct wire *w, size_t len, uint64_t now);
/* Room in the window for another frame of the stream. */
bool wire_may_send(const struct wire *w);
/* Another connection to the same peer: what arrived in part, and what was queued beside the stream,
 * but for LOG, is dropped; the stream is sent again from peer_received on (0 where nothing was
 * sent). -ERR_PROTOCOL, and nothing has changed, if no frame that is kept begins there. */
int wire_reconnect(struct wire *w, uint64_t peer_received, uint64_t now, struct err *e);
/* Stream offsets: sent and acknowledged so far. */
uint64_t wire_sent(const struct wire *w);
uint64_t wire_acked(const struct wire *w);
/* The stream offset up to which wire_next gave frames out. */
uint64_t wire_received(const struct wire *w);
/* Of the stream so far, sent or received: the bytes of the payloads, and SHA-256 of the headers,
 * which hold a CRC of each payload, without END. What END carries, and what its receiver holds
 * against it. */
void wire_digest(const struct wire *w, uint8_t ret_sha256[SHA256_BYTES], uint64_t *ret_bytes);

/* When wire_tick must be called at the latest (monotonic ns); UINT64_MAX: never. While output waits
 * to be written no PING is due: what waits says as much. */
uint64_t wire_deadline(const struct wire *w);
/* Queues a PING when due; -ERR_TIMEOUT while the peer is silent for too long. */
int wire_tick(struct wire *w, uint64_t now, struct err *e);

/*
 * Payload codecs: encode appends, decode checks every length and value; -ERR_PROTOCOL for a bad
 * payload. Integers little-endian; a text is u16 length, bytes without NUL, and shorter than its
 * field. In the order of the structs, but for END, where the texts come last, and ENTRY:
 *   text name, u8 status, u8 in_tar, text reason, u64 header offset, u64 data offset, u64 size,
 *   sha256, u32 n, n lost {u64 start, u64 end}, u32 m, m torn
 */
int wire_encode_hello(const struct wire_hello *h, struct buf *ret, struct err *e);
int wire_decode_hello(const void *data, size_t len, struct wire_hello *ret, struct err *e);
int wire_encode_entry(const struct bundle_entry *entry, struct buf *ret, struct err *e);
/* The caller calls bundle_entry_done on *ret. */
int wire_decode_entry(const void *data, size_t len, struct bundle_entry *ret, struct err *e);
int wire_encode_resume(const struct wire_resume *resume, struct buf *ret, struct err *e);
int wire_decode_resume(const void *data, size_t len, struct wire_resume *ret, struct err *e);
/* Code, text and hint; code 0: the stream goes on. */
int wire_encode_resumed(const struct err *why, struct buf *ret, struct err *e);
int wire_decode_resumed(const void *data, size_t len, struct err *ret_why, struct err *e);
int wire_encode_read(const struct wire_read *read, struct buf *ret, struct err *e);
int wire_decode_read(const void *data, size_t len, struct wire_read *ret, struct err *e);
int wire_encode_listed(const char *name, uint64_t size, struct buf *ret, struct err *e);
/* One of the list, without its length: name, size and nothing else of an entry. */
int wire_decode_listed(const void *data, size_t len, struct bundle_entry *ret, struct err *e);
int wire_encode_read_reply(const struct wire_read_reply *reply, struct buf *ret, struct err *e);
int wire_decode_read_reply(const void *data, size_t len, struct wire_read_reply *ret,
			   struct err *e);
int wire_encode_progress(const struct wire_progress *p, struct buf *ret, struct err *e);
int wire_decode_progress(const void *data, size_t len, struct wire_progress *ret, struct err *e);
int wire_encode_end(const struct wire_end *end, struct buf *ret, struct err *e);
int wire_decode_end(const void *data, size_t len, struct wire_end *ret, struct err *e);
/* Splits a DATA payload (no decompression), which stays borrowed. */
int wire_decode_data(const struct wire_frame *f, struct bundle_frame *ret, struct err *e);

#endif
