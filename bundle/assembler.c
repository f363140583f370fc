#include "bundle/assembler_internal.h"

#include "bundle/format.h"
#include "bundle/frame.h"
#include "bundle/le.h"
#include "bundle/manifest.h"
#include "bundle/tar.h"

#include <inttypes.h>
#include <string.h>

/* Room beside the entries for the manifest's head. */
enum { MANIFEST_HEAD_MAX = 1 << 20, SEEK_FRAMES_START = 256 };

/* --- frames --- */

static int write_out(struct assembler *a, const void *data, size_t len, struct err *e)
{
	int r = a->write(a->write_ctx, data, len, e);

	if (r < 0) return r;
	a->written += len;
	return 0;
}

int assembler_write_frame(struct assembler *a, const void *data, size_t len, uint32_t plain_len,
			  struct err *e)
{
	uint8_t *entry;
	int r;

	if (a->frame_count >= BUNDLE_FRAMES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d frames in a bundle", BUNDLE_FRAMES_MAX);
	if (a->frame_count == a->frame_cap) {
		size_t cap = MAX(a->frame_cap * 2, (size_t)SEEK_FRAMES_START);
		uint8_t *seek = reallocarray(a->seek, cap, SEEK_ENTRY_BYTES);

		if (!seek) return err_set(e, ERR_NO_MEMORY, "no memory for %zu frames", cap);
		a->seek = seek;
		a->frame_cap = cap;
	}
	r = write_out(a, data, len, e);
	if (r < 0) return r;
	frame_digest_add(&a->digest, data, len);
	entry = a->seek + a->frame_count * SEEK_ENTRY_BYTES;
	le32_put(entry, (uint32_t)len);
	le32_put(entry + 4, plain_len);
	a->frame_count++;
	a->plain += plain_len;
	return 0;
}

static int verify_frame(struct stream *s, const struct bundle_frame *frame, struct err *e)
{
	if (!s->decompressor) s->decompressor = ZSTD_createDCtx();
	if (!s->scratch) s->scratch = malloc(BUNDLE_FRAME_PLAIN_MAX);
	if (!s->decompressor || !s->scratch)
		return err_set(e, ERR_NO_MEMORY, "no memory to check frames with");
	return frame_decompress(s->decompressor, frame->data, frame->len, s->scratch,
				frame->plain_len, e);
}

static int settle(struct assembler *a, struct err *e);

static int take_frame(struct stream *s, const struct bundle_frame *frame, struct err *e)
{
	struct assembler *a = s->a;
	uint64_t offset = a->plain - s->base;
	int r;

	if (frame->plain_offset != offset)
		return err_set(e, ERR_CORRUPT,
			       "a frame of plain offset %" PRIu64 " where %" PRIu64 " is next",
			       frame->plain_offset, offset);
	if (frame->plain_len == 0 || frame->plain_len > BUNDLE_FRAME_PLAIN_MAX || frame->len == 0 ||
	    frame->len > BUNDLE_FRAME_MAX)
		return err_set(e, ERR_CORRUPT, "a frame of %zu bytes for %u plain ones", frame->len,
			       frame->plain_len);
	if (s->verify) {
		r = verify_frame(s, frame, e);
		if (r < 0) return r;
	}
	r = assembler_write_frame(a, frame->data, frame->len, frame->plain_len, e);
	if (r < 0) return r;
	if (s->verify) tar_follow_feed(&a->follow, s->scratch, frame->plain_len);
	return settle(a, e);
}

int assembler_check_alive(const struct assembler *a, struct err *e)
{
	if (a->failed) return err_set(e, ERR_CORRUPT, "the bundle failed before and is truncated");
	if (a->finished) return err_set(e, ERR_USAGE, "the bundle is finished");
	return 0;
}

int assembler_keep(struct assembler *a, int r)
{
	if (r < 0) a->failed = true;
	return r;
}

static int stream_frame(struct bundle_output *out, const struct bundle_frame *frame, struct err *e)
{
	struct stream *s = (struct stream *)out;
	int r = assembler_check_alive(s->a, e);

	return r < 0 ? r : assembler_keep(s->a, take_frame(s, frame, e));
}

/* --- entries --- */

int assembler_take_name(struct assembler *a, const char *name, struct err *e)
{
	int r;

	if (strcmp(name, BUNDLE_MANIFEST_NAME) == 0)
		return err_set(e, ERR_CORRUPT, "a producer's entry called %s", name);
	r = name_set_add(&a->names, name, e);
	return r == -ERR_EXISTS ? err_set(e, ERR_CORRUPT, "a second entry %s in one bundle", name)
				: r;
}

static int write_ranges(struct assembler *a, const char *key, const struct range *ranges,
			size_t count, struct err *e)
{
	struct json *j = &a->entries_json;
	_cleanup_free_ struct range *copy = NULL;
	/* What is left must do for all entries to come, too: at least one range each. */
	size_t max = MAX(a->ranges_left / 2, (size_t)1);

	if (count == 0) return 0;
	copy = reallocarray(NULL, count, sizeof(*copy));
	if (!copy) return err_set(e, ERR_NO_MEMORY, "no memory for %zu ranges", count);
	memcpy(copy, ranges, count * sizeof(*copy));
	count = bundle_ranges_reduce(copy, count, max);
	a->ranges_left -= MIN(a->ranges_left, count);

	json_key(j, key);
	json_array(j);
	for (size_t i = 0; i < count; i++) {
		json_array(j);
		json_uint(j, copy[i].start);
		json_uint(j, copy[i].end);
		json_array_end(j);
	}
	json_array_end(j);
	return 0;
}

int assembler_write_entry(struct assembler *a, const struct bundle_entry *entry, struct err *e)
{
	struct json *j = &a->entries_json;
	char hex[SHA256_HEX];
	int r = 0;

	a->not_ok += entry->status != ENTRY_OK;
	a->incomplete += entry->status == ENTRY_PARTIAL || entry->status == ENTRY_FAILED;
	json_object(j);
	json_kv_string(j, "name", entry->name);
	json_kv_string(j, "status", entry_status_name(entry->status));
	if (entry->status != ENTRY_OK) json_kv_string(j, "reason", entry->reason);
	if (entry->in_tar) {
		hex_encode(entry->sha256, sizeof(entry->sha256), hex);
		json_kv_uint(j, "header_offset", entry->header_offset);
		json_kv_uint(j, "offset", entry->data_offset);
		json_kv_uint(j, "size", entry->size);
		json_kv_string(j, "sha256", hex);
		r = write_ranges(a, "lost", entry->lost, entry->lost_count, e);
		if (r == 0) r = write_ranges(a, "torn", entry->torn, entry->torn_count, e);
	}
	json_object_end(j);
	if (r < 0) return r;
	return j->error ? err_set(e, (enum err_code) - j->error, "the manifest: %s", j->error_text)
			: 0;
}

static bool has_come(const struct assembler *a, const struct bundle_entry *entry)
{
	return !entry->in_tar || bundle_entry_end(entry) <= a->plain;
}

void assembler_drop_waiting(struct assembler *a, size_t count)
{
	if (count == 0) return;
	for (size_t i = 0; i < count; i++) {
		a->waiting_ranges -= a->waiting[i].lost_count + a->waiting[i].torn_count;
		bundle_entry_done(&a->waiting[i]);
	}
	a->waiting_count -= count;
	memmove(a->waiting, a->waiting + count, a->waiting_count * sizeof(*a->waiting));
}

/* Writes the records whose bytes are all there now. */
static int settle(struct assembler *a, struct err *e)
{
	size_t count = 0;
	int r = 0;

	while (r == 0 && count < a->waiting_count && has_come(a, &a->waiting[count]))
		r = assembler_write_entry(a, &a->waiting[count++], e);
	assembler_drop_waiting(a, count);
	return r;
}

static int copy_ranges(struct range **ranges, size_t count, struct err *e)
{
	struct range *copy = count > 0 ? reallocarray(NULL, count, sizeof(*copy)) : NULL;

	if (count > 0 && !copy) return err_set(e, ERR_NO_MEMORY, "no memory for %zu ranges", count);
	if (count > 0) memcpy(copy, *ranges, count * sizeof(*copy));
	*ranges = copy;
	return 0;
}

static int let_wait(struct assembler *a, const struct bundle_entry *entry, struct err *e)
{
	size_t ranges = entry->lost_count + entry->torn_count;
	struct bundle_entry *copy;
	int r;

	if (a->waiting_count >= WAITING_MAX || a->waiting_ranges + ranges > WAITING_RANGES_MAX)
		return err_set(e, ERR_LIMIT, "more than %zu entries of which no byte came",
			       a->waiting_count);
	if (a->waiting_count == a->waiting_cap) {
		size_t cap = MAX(a->waiting_cap * 2, (size_t)16);

		copy = reallocarray(a->waiting, cap, sizeof(*copy));
		if (!copy) return err_set(e, ERR_NO_MEMORY, "no memory for %zu entries", cap);
		a->waiting = copy;
		a->waiting_cap = cap;
	}
	copy = &a->waiting[a->waiting_count];
	*copy = *entry;
	r = copy_ranges(&copy->lost, copy->lost_count, e);
	if (r < 0) return r;
	r = copy_ranges(&copy->torn, copy->torn_count, e);
	if (r < 0) {
		free(copy->lost);
		return r;
	}
	a->waiting_count++;
	a->waiting_ranges += ranges;
	return 0;
}

static int take_entry(struct stream *s, const struct bundle_entry *entry, struct err *e)
{
	struct assembler *a = s->a;
	struct bundle_entry own;
	int r = bundle_entry_check(entry, e);

	if (r < 0) return r;
	if (entry->in_tar && s->base + entry->header_offset != a->next_header)
		return err_set(e, ERR_CORRUPT,
			       "entry %s starts at %" PRIu64 " where %" PRIu64 " is next",
			       entry->name, s->base + entry->header_offset, a->next_header);
	r = assembler_take_name(a, entry->name, e);
	if (r < 0) return r;
	own = *entry; /* its ranges are borrowed */
	own.header_offset += s->base;
	own.data_offset += s->base;
	if (own.in_tar) a->next_header = bundle_entry_end(&own);
	return a->waiting_count == 0 && has_come(a, &own) ? assembler_write_entry(a, &own, e)
							  : let_wait(a, &own, e);
}

static int stream_entry(struct bundle_output *out, const struct bundle_entry *entry, struct err *e)
{
	struct stream *s = (struct stream *)out;
	int r = assembler_check_alive(s->a, e);

	return r < 0 ? r : assembler_keep(s->a, take_entry(s, entry, e));
}

/* --- the end --- */

/* The manifest goes through a packer like everything else; this keeps its record. */
struct manifest_output {
	struct bundle_output out;
	struct stream *stream;
	struct bundle_entry entry;
};

static int manifest_frame(struct bundle_output *out, const struct bundle_frame *frame,
			  struct err *e)
{
	return take_frame(((struct manifest_output *)out)->stream, frame, e);
}

static int manifest_entry(struct bundle_output *out, const struct bundle_entry *entry,
			  struct err *e)
{
	((struct manifest_output *)out)->entry = *entry;
	return 0;
}

static int manifest_head(const struct bundle_summary *summary, struct buf *ret, struct err *e)
{
	struct json j;
	int r;

	json_init(&j, ret, false);
	json_object(&j);
	json_kv_string(&j, "schema", BUNDLE_MANIFEST_SCHEMA);
	json_kv_string(&j, "tool", summary->tool);
	json_kv_string(&j, "created", summary->created);
	json_object_end(&j);
	r = json_finish(&j, e);
	if (r < 0) {
		err_wrap(e, "the manifest");
		return r;
	}
	/* The object goes on: what json_finish closed is opened again. */
	ret->len = (size_t)(strrchr(ret->data, '}') - ret->data);
	if (summary->extra_json && summary->extra_json[0]) {
		r = manifest_check_extra(summary->extra_json, e);
		if (r == 0) r = buf_printf(ret, e, ",%s", summary->extra_json);
	}
	return r < 0 ? r : buf_puts(ret, ",\"entries\":", e);
}

static int pack_manifest(struct packer *p, const struct buf parts[], size_t count, struct err *e)
{
	uint64_t size = 0;
	int r;

	for (size_t i = 0; i < count; i++)
		size += parts[i].len;
	if (size > BUNDLE_MANIFEST_MAX)
		return err_set(e, ERR_LIMIT, "a manifest of %" PRIu64 " bytes, more than %d", size,
			       BUNDLE_MANIFEST_MAX);
	r = packer_begin(p, BUNDLE_MANIFEST_NAME, size, e);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = packer_write(p, parts[i].data, parts[i].len, e);
	if (r == 0) r = packer_end(p, ENTRY_OK, NULL, e);
	return r < 0 ? r : packer_flush(p, e);
}

static int write_manifest(struct assembler *a, const struct bundle_summary *summary,
			  struct bundle_entry *ret, struct err *e)
{
	const struct packer_config config = {.level = 3, .threads = 1, .mtime_s = time(NULL)};
	struct manifest_output out = {.out = {manifest_frame, manifest_entry},
				      .stream = &a->stream};
	struct buf parts[] = {BUF_INIT(MANIFEST_HEAD_MAX), BUF_INIT(0),
			      BUF_INIT(MANIFEST_HEAD_MAX)};
	struct packer *p = NULL;
	int r;

	assembler_stream(a, false);
	json_array_end(&a->entries_json);
	r = json_finish(&a->entries_json, e);
	if (r == 0) r = manifest_head(summary, &parts[0], e);
	parts[1] = a->entries_text; /* borrowed */
	if (r == 0) r = buf_printf(&parts[2], e, ",\"not_ok\":%" PRIu64 "}\n", a->not_ok);
	if (r == 0) r = packer_new(&p, &config, &out.out, e);
	if (r == 0) r = pack_manifest(p, parts, ARRAY_SIZE(parts), e);
	packer_free(p);
	buf_done(&parts[0]);
	buf_done(&parts[2]);
	if (r < 0) return r;
	out.entry.data_offset += a->stream.base;
	*ret = out.entry;
	return 0;
}

static int write_tar_end(struct assembler *a, struct err *e)
{
	static const uint8_t zeros[BUNDLE_TAR_END_BYTES];
	uint8_t packed[ZSTD_COMPRESSBOUND(BUNDLE_TAR_END_BYTES)];
	ZSTD_CCtx *ctx = frame_compressor(1);
	size_t len;
	int r;

	if (!ctx) return err_set(e, ERR_NO_MEMORY, "no memory to compress with");
	r = frame_compress(ctx, zeros, sizeof(zeros), packed, sizeof(packed), &len, e);
	ZSTD_freeCCtx(ctx);
	return r < 0 ? r : assembler_write_frame(a, packed, len, sizeof(zeros), e);
}

static int write_trailer(struct assembler *a, const struct bundle_entry *manifest, struct err *e)
{
	uint8_t trailer[SKIPPABLE_HEADER_BYTES + TRAILER_BYTES];
	struct sha256 before = a->digest;

	le32_put(trailer, TRAILER_MAGIC);
	le32_put(trailer + 4, TRAILER_BYTES);
	memcpy(trailer + 8, TRAILER_TAG, 8);
	le64_put(trailer + 16, manifest->data_offset);
	le64_put(trailer + 24, manifest->size);
	memcpy(trailer + 32, manifest->sha256, SHA256_BYTES);
	sha256_final(&before, trailer + 32 + SHA256_BYTES);
	return assembler_write_frame(a, trailer, sizeof(trailer), 0, e);
}

static int write_seek_table(struct assembler *a, struct err *e)
{
	size_t table = a->frame_count * SEEK_ENTRY_BYTES;
	uint8_t head[SKIPPABLE_HEADER_BYTES], footer[SEEK_FOOTER_BYTES];
	int r;

	le32_put(head, SEEK_TABLE_MAGIC);
	le32_put(head + 4, (uint32_t)(table + sizeof(footer)));
	le32_put(footer, (uint32_t)a->frame_count);
	footer[4] = 0;
	le32_put(footer + 5, SEEK_FOOTER_MAGIC);
	r = write_out(a, head, sizeof(head), e);
	if (r == 0) r = write_out(a, a->seek, table, e);
	return r < 0 ? r : write_out(a, footer, sizeof(footer), e);
}

static int finish(struct assembler *a, const struct bundle_summary *summary, struct err *e)
{
	struct bundle_entry manifest;
	int r;

	if (a->next_header != a->plain)
		return err_set(e, ERR_CORRUPT,
			       "the bundle's tar ends at %" PRIu64 ", its last entry at %" PRIu64,
			       a->plain, a->next_header);
	r = write_manifest(a, summary, &manifest, e);
	if (r == 0) r = write_tar_end(a, e);
	if (r == 0) r = write_trailer(a, &manifest, e);
	return r < 0 ? r : write_seek_table(a, e);
}

int assembler_finish(struct assembler *a, const struct bundle_summary *summary, struct err *e)
{
	int r = assembler_check_alive(a, e);

	if (r < 0) return r;
	r = assembler_keep(a, finish(a, summary, e));
	if (r == 0) a->finished = true;
	return r;
}

/* --- life --- */

int assembler_new(struct assembler **ret, bundle_write_fn write, void *ctx, struct err *e)
{
	struct assembler *a = calloc(1, sizeof(*a));

	if (!a) return err_set(e, ERR_NO_MEMORY, "no memory to assemble a bundle with");
	a->write = write;
	a->write_ctx = ctx;
	a->stream.out = (struct bundle_output){stream_frame, stream_entry};
	a->stream.a = a;
	a->ranges_left = BUNDLE_RANGES_TOTAL_MAX;
	sha256_init(&a->digest);
	buf_init(&a->entries_text, BUNDLE_MANIFEST_MAX - 2 * MANIFEST_HEAD_MAX);
	json_init(&a->entries_json, &a->entries_text, false);
	json_array(&a->entries_json);
	*ret = a;
	return 0;
}

void assembler_free(struct assembler *a)
{
	if (!a) return;
	ZSTD_freeDCtx(a->stream.decompressor);
	free(a->stream.scratch);
	free(a->seek);
	name_set_done(&a->names);
	assembler_drop_waiting(a, a->waiting_count);
	free(a->waiting);
	buf_done(&a->entries_text);
	free(a);
}

struct bundle_output *assembler_stream(struct assembler *a, bool verify)
{
	a->stream.base = a->plain;
	a->stream.verify = verify;
	tar_follow_start(&a->follow, a->plain);
	return &a->stream.out;
}

void assembler_totals(const struct assembler *a, struct bundle_totals *ret)
{
	*ret = (struct bundle_totals){
	    .entries = a->names.count,
	    .not_ok = a->not_ok,
	    .plain_bytes = a->plain,
	    .written_bytes = a->written,
	    .incomplete = a->incomplete,
	};
}
