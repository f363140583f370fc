#include "bundle/assembler_internal.h"
#include "bundle/frame.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a producer announced may be a lie; a core of this size takes some minutes to pad. */
#define PADDING_MAX ((uint64_t)1 << 38)

/* Zeros as packed: the same for every full frame. */
struct zeros {
	ZSTD_CCtx *ctx;
	uint8_t *plain, *packed;
	size_t packed_len;
	uint32_t plain_len; /* of what is packed */
};

static void zeros_done(struct zeros *z)
{
	ZSTD_freeCCtx(z->ctx);
	free(z->plain);
	free(z->packed);
}

static int zeros_init(struct zeros *z, struct err *e)
{
	z->ctx = frame_compressor(1);
	z->plain = calloc(1, BUNDLE_FRAME_PLAIN_MAX);
	z->packed = malloc(BUNDLE_FRAME_MAX);
	return z->ctx && z->plain && z->packed ? 0
					       : err_set(e, ERR_NO_MEMORY, "no memory to pad with");
}

static int zeros_pack(struct zeros *z, uint32_t len, struct err *e)
{
	int r = 0;

	if (len != z->plain_len)
		r = frame_compress(z->ctx, z->plain, len, z->packed, BUNDLE_FRAME_MAX,
				   &z->packed_len, e);
	z->plain_len = r < 0 ? 0 : len;
	return r;
}

/* Up to the plain offset end. */
static int write_zeros(struct assembler *a, uint64_t end, struct err *e)
{
	_cleanup_(zeros_done) struct zeros z = {0};
	int r = zeros_init(&z, e);

	while (r == 0 && a->plain < end) {
		uint32_t len = (uint32_t)MIN(end - a->plain, (uint64_t)BUNDLE_FRAME_PLAIN_MAX);

		r = zeros_pack(&z, len, e);
		if (r == 0) r = assembler_write_frame(a, z.packed, z.packed_len, len, e);
		if (r == 0) tar_follow_feed(&a->follow, z.plain, len);
	}
	return r;
}

/* Of the ranges those before got, and [got, size) behind them where that is to be lost. */
static int cut_ranges(struct range **ranges, size_t *count, uint64_t got, uint64_t size,
		      bool rest_too, struct err *e)
{
	struct range *cut = reallocarray(*ranges, *count + 1, sizeof(*cut));
	size_t n = 0;

	if (!cut) return err_set(e, ERR_NO_MEMORY, "no memory for %zu ranges", *count + 1);
	*ranges = cut;
	for (; n < *count && cut[n].start < got; n++)
		cut[n].end = MIN(cut[n].end, got);
	if (rest_too && got < size) cut[n++] = (struct range){got, size};
	*count = bundle_ranges_reduce(cut, n, BUNDLE_RANGES_MAX);
	return 0;
}

static void fill_entry(struct bundle_entry *entry, const struct tar_follow *t)
{
	memcpy(entry->name, t->name, sizeof(entry->name));
	entry->in_tar = true;
	entry->header_offset = t->header_offset;
	entry->data_offset = t->data_offset;
	entry->size = t->size;
}

static void set_reason(struct bundle_entry *entry, const char *why, uint64_t got, bool had_record)
{
	char text[BUNDLE_REASON_MAX];

	/* Without its record nobody knows what could not be read of what came. */
	snprintf(text, sizeof(text), "%" PRIu64 " of %" PRIu64 " bytes came%s: %.150s", got,
		 entry->size, had_record ? "" : ", some of which may be lost or torn", why);
	bundle_entry_set_reason(entry, text);
}

/* entry: the record of the open entry if it came (its ranges are owned), else zeroes. */
static int end_open(struct assembler *a, struct bundle_entry *entry, const char *why, struct err *e)
{
	struct tar_follow *t = &a->follow;
	uint64_t got = t->got, end;
	bool had_record = entry->in_tar;
	int r;

	if (!had_record) fill_entry(entry, t);
	end = bundle_entry_end(entry);
	if (end - a->plain > PADDING_MAX)
		return err_set(e, ERR_LIMIT, "entry %s lacks %" PRIu64 " bytes", entry->name,
			       end - a->plain);
	r = write_zeros(a, end, e);
	if (r == 0) r = cut_ranges(&entry->lost, &entry->lost_count, got, entry->size, true, e);
	if (r == 0) r = cut_ranges(&entry->torn, &entry->torn_count, got, entry->size, false, e);
	if (r < 0) return r;
	sha256_final(&t->digest, entry->sha256);
	if (had_record && got == entry->size) return assembler_write_entry(a, entry, e);
	if (entry->status == ENTRY_OK) entry->status = ENTRY_PARTIAL;
	set_reason(entry, why, got, had_record);
	if (!had_record) r = assembler_take_name(a, entry->name, e);
	if (r < 0) return r;
	return assembler_write_entry(a, entry, e);
}

/* The record that waits for the rest of the open entry, if it does; it is the first then. */
static bool record_came(const struct assembler *a)
{
	return a->waiting_count > 0 && a->waiting[0].in_tar &&
	       a->waiting[0].header_offset == a->follow.header_offset &&
	       a->waiting[0].data_offset == a->follow.data_offset &&
	       a->waiting[0].size == a->follow.size;
}

static int end_waiting(struct assembler *a, const char *why, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->waiting_count; i++) {
		struct bundle_entry entry = {.status = a->waiting[i].status};

		memcpy(entry.name, a->waiting[i].name, sizeof(entry.name));
		bundle_entry_set_reason(&entry, a->waiting[i].reason);
		if (a->waiting[i].in_tar) {
			entry.status = ENTRY_FAILED;
			bundle_entry_set_reason(&entry, why);
		}
		r = assembler_write_entry(a, &entry, e);
	}
	assembler_drop_waiting(a, a->waiting_count);
	return r;
}

static int end_broken(struct assembler *a, const char *why, struct err *e)
{
	struct bundle_entry entry = {0};
	bool came;
	int r = 0;

	if (a->follow.lost || a->follow.header_len > 0)
		return err_set(e, ERR_TRUNCATED, "the stream ended inside a tar header");
	if (a->follow.open) {
		came = record_came(a);
		if (came) {
			entry = a->waiting[0];
			a->waiting[0].lost = a->waiting[0].torn = NULL; /* entry's now */
		}
		r = end_open(a, &entry, why, e);
		bundle_entry_done(&entry);
		if (came) assembler_drop_waiting(a, 1);
	}
	if (r == 0) r = end_waiting(a, why, e);
	a->next_header = a->plain;
	return r;
}

int assembler_end_broken(struct assembler *a, const char *why, struct err *e)
{
	int r = assembler_check_alive(a, e);

	if (r < 0) return r;
	if (!a->stream.verify) return err_set(e, ERR_USAGE, "no stream that was followed");
	return assembler_keep(a, end_broken(a, why, e));
}
