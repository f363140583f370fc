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
#include "base/range_set.h"

enum {
	BUNDLE_FRAME_PLAIN_MAX = 1 << 20, /* plain bytes in one zstd frame */
	/* Compressed bytes of one frame: ZSTD_compressBound(BUNDLE_FRAME_PLAIN_MAX). */
	BUNDLE_FRAME_MAX = BUNDLE_FRAME_PLAIN_MAX + (BUNDLE_FRAME_PLAIN_MAX >> 8),
	BUNDLE_NAME_MAX = 1024, /* entry name with NUL */
	BUNDLE_REASON_MAX = 256,
	BUNDLE_RANGES_MAX = 4096, /* lost or torn ranges of one entry; beyond: merged */
	BUNDLE_ENTRIES_MAX = 1 << 16,
	BUNDLE_TAR_BLOCK = 512,
};
/* Sizes and offsets stay below it, so that every JSON reader holds them exactly. */
#define BUNDLE_SIZE_MAX ((uint64_t)1 << 53)

enum entry_status { ENTRY_OK, ENTRY_PARTIAL, ENTRY_SKIPPED, ENTRY_FAILED };
const char *entry_status_name(enum entry_status status); /* "ok", "partial", ... */
/* The reverse; -ERR_CORRUPT for any other text. */
int entry_status_parse(const char *name, enum entry_status *ret, struct err *e);

/*
 * One entry, complete. SKIPPED and FAILED entries may have no bytes in the tar (in_tar false):
 * then only name, status and reason mean anything.
 */
struct bundle_entry {
	char name[BUNDLE_NAME_MAX]; /* see bundle_entry_name_check */
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
/* Where the next entry's header starts: the end of the data, rounded up to a tar block. */
static inline uint64_t bundle_entry_end(const struct bundle_entry *entry)
{
	return align_up(entry->data_offset + entry->size, BUNDLE_TAR_BLOCK);
}

/*
 * -ERR_CORRUPT unless the name is relative, of printable ASCII (the same in every locale, harmless
 * on a terminal), shorter than BUNDLE_NAME_MAX, without a component that is empty, "." or "..",
 * and not ending in "/".
 */
int bundle_entry_name_check(const char *name, struct err *e);
/* Makes a path component out of any text: what is not printable ASCII, and '/', becomes '_'; so
 * do "", "." and "..", as a whole. Cuts at size - 1 (size > 1). */
void bundle_name_component(const char *text, char *ret, size_t size);
/* Sets the reason: cut to BUNDLE_REASON_MAX, control bytes become '?'. NULL: none. */
void bundle_entry_set_reason(struct bundle_entry *entry, const char *text);
/* -ERR_CORRUPT where a record contradicts itself: a bad name or status, sizes beyond
 * BUNDLE_SIZE_MAX, ranges out of order or past the size, an OK entry with lost ranges. */
int bundle_entry_check(const struct bundle_entry *entry, struct err *e);

/* Merges ranges over the smallest gaps until at most max (> 0) are left; returns their count. */
size_t bundle_ranges_reduce(struct range *ranges, size_t count, size_t max);

/* One zstd frame (RFC 8878), independent, with content size and checksum. */
struct bundle_frame {
	const void *data; /* borrowed for the call */
	size_t len;       /* compressed bytes, <= BUNDLE_FRAME_MAX */
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
