/*
 * What a bundle is made of, as it travels: zstd frames of tar bytes, and a record per entry.
 * A producer (bundle/packer.h, in the probe or in podsnap) emits both into a bundle_output; what
 * receives them is the assembler beside the sink, or the wire to it.
 *
 * Offsets are in plain bytes, i.e. of the tar stream before compression, counted from the start
 * of the producer's stream; the assembler rebases them.
 */
#ifndef BUNDLE_ENTRY_H
#define BUNDLE_ENTRY_H

#include "base/hash.h"

enum {
	BUNDLE_FRAME_PLAIN_MAX = 1 << 20, /* plain bytes in one zstd frame */
	BUNDLE_NAME_MAX = 1024,           /* entry name with NUL */
	BUNDLE_REASON_MAX = 256,
	BUNDLE_RANGES_MAX = 4096, /* lost or torn ranges of one entry; beyond: merged */
	BUNDLE_ENTRIES_MAX = 1 << 20,
};

enum entry_status { ENTRY_OK, ENTRY_PARTIAL, ENTRY_SKIPPED, ENTRY_FAILED };
const char *entry_status_name(enum entry_status status); /* "ok", "partial", ... */

/*
 * One entry, complete. SKIPPED and FAILED entries may have no bytes in the tar (in_tar false):
 * then only name, status and reason mean anything.
 */
struct bundle_entry {
	char name[BUNDLE_NAME_MAX]; /* relative, no "..", no empty component, ends in no "/" */
	enum entry_status status;
	char reason[BUNDLE_REASON_MAX]; /* why not ok; "" if ok */
	bool in_tar;
	uint64_t header_offset;       /* of its first tar header block */
	uint64_t data_offset;         /* of its first data byte */
	uint64_t size;                /* bytes of data */
	uint8_t sha256[SHA256_BYTES]; /* of the data */
	/* Ranges of data offsets, ascending: padding instead of data; read while the target ran. */
	struct range *lost, *torn; /* owned when on the heap: bundle_entry_done */
	size_t lost_count, torn_count;
};
void bundle_entry_done(struct bundle_entry *entry);
/* -ERR_CORRUPT unless the name obeys the rules above. */
int bundle_entry_name_check(const char *name, struct err *e);

/* One zstd frame (RFC 8878), independent, with content size and checksum. */
struct bundle_frame {
	const void *data; /* borrowed for the call */
	size_t len;       /* compressed bytes, <= ZSTD_compressBound(BUNDLE_FRAME_PLAIN_MAX) */
	uint32_t plain_len;
	uint64_t plain_offset;
};

/* A receiver. Calls come from one thread at a time, frames in order; an entry's record comes after
 * all the frames that hold its bytes were handed over or with bytes still to come in later frames.
 */
struct bundle_output {
	int (*frame)(struct bundle_output *out, const struct bundle_frame *frame, struct err *e);
	int (*entry)(struct bundle_output *out, const struct bundle_entry *entry, struct err *e);
};

#endif
