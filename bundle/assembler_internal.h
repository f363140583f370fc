/* What the files of the assembler share. */
#ifndef BUNDLE_ASSEMBLER_INTERNAL_H
#define BUNDLE_ASSEMBLER_INTERNAL_H

#include "base/json.h"
#include "bundle/assembler.h"
#include "bundle/name_set.h"
#include "bundle/tar_follow.h"

#include <zstd.h>

/* Records on their way before their bytes: those of the frames that a producer holds back. */
enum { WAITING_MAX = 1 << 14, WAITING_RANGES_MAX = 1 << 17 };

struct stream {
	struct bundle_output out; /* first: what producers see */
	struct assembler *a;
	uint64_t base; /* plain bytes before this producer's first */
	bool verify;
	ZSTD_DCtx *decompressor; /* with verify */
	uint8_t *scratch;        /* BUNDLE_FRAME_PLAIN_MAX bytes, with verify */
};

struct assembler {
	bundle_write_fn write;
	void *write_ctx;
	struct stream stream;
	bool failed, finished;

	uint64_t plain, written;  /* bytes so far */
	struct sha256 digest;     /* frame_digest_add */
	uint64_t next_header;     /* where the next entry in the tar must start */
	struct tar_follow follow; /* with verify: the entry that is open */
	uint8_t *seek;            /* SEEK_ENTRY_BYTES a frame */
	size_t frame_count, frame_cap;

	/* Records whose bytes have not all come: a producer may be gone before it sends them. In
	 * offsets of the bundle. */
	struct bundle_entry *waiting;
	size_t waiting_count, waiting_cap, waiting_ranges;

	struct buf entries_text; /* the array "entries" */
	struct json entries_json;
	size_t ranges_left; /* of BUNDLE_RANGES_TOTAL_MAX */
	struct name_set names;
	uint64_t not_ok, incomplete;
};

/* Writes a frame, and its line of the seek table. */
int assembler_write_frame(struct assembler *a, const void *data, size_t len, uint32_t plain_len,
			  struct err *e);
/* -ERR_CORRUPT if the bundle has an entry of that name, or it is the manifest's. */
int assembler_take_name(struct assembler *a, const char *name, struct err *e);
/* Puts a record, in offsets of the bundle, into the manifest. */
int assembler_write_entry(struct assembler *a, const struct bundle_entry *entry, struct err *e);
/* Forgets the first of the records that wait. */
void assembler_drop_waiting(struct assembler *a, size_t count);
int assembler_check_alive(const struct assembler *a, struct err *e);
/* A failure of anything on the way leaves a hole: the bundle must not be finished after it. Returns
 * r. */
int assembler_keep(struct assembler *a, int r);

#endif
