#include "bundle/frame.h"
#include "bundle/reader_internal.h"
#include "bundle/tar.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * The plain stream goes through once. It is entries one after the other: header blocks, data,
 * padding; then the manifest as one more entry, then zeros. A damaged frame is a gap in it: the
 * entries that it touches are told so, and not checked any further.
 */
struct verifier {
	struct bundle *b;
	bundle_problem_fn problem;
	void *ctx;
	struct bundle_verify_totals totals;

	const struct bundle_entry **parts; /* entries in the tar, in order; last the manifest */
	size_t part_count, part;           /* part: the one pos is in, part_count behind all */
	struct bundle_entry manifest;
	uint64_t pos; /* in plain bytes */

	struct sha256 digest; /* frame_digest_add of the frames so far */
	struct sha256 hash;   /* of the part's data so far */
	uint8_t header[BUNDLE_TAR_HEADER_MAX];
	size_t header_len;
	bool gap;     /* the part has one */
	bool padding; /* the part's padding, or the end, was said to be not zero */
};

static void report(struct verifier *v, const struct bundle_entry *entry, const char *fmt, ...)
    _printf_(3, 4);
static void report(struct verifier *v, const struct bundle_entry *entry, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	v->totals.problems++;
	/* The manifest is not in the list of entries: to the caller it is the bundle's. */
	if (v->problem) v->problem(v->ctx, entry == &v->manifest ? NULL : entry, text);
}

static void start_part(struct verifier *v)
{
	sha256_init(&v->hash);
	v->header_len = 0;
	v->gap = v->padding = false;
}

static void check_header(struct verifier *v, const struct bundle_entry *part)
{
	struct tar_header header;
	struct err e = {0};

	if (v->gap) return;
	if (part->data_offset - part->header_offset > sizeof(v->header)) {
		report(v, part, "its tar header is larger than any");
		return;
	}
	if (tar_header_read(v->header, v->header_len, &header, &e) < 0) {
		report(v, part, "its tar header is damaged: %s", e.text);
	} else if (header.end) {
		report(v, part, "it has no tar header");
	} else if (strcmp(header.name, part->name) != 0) {
		report(v, part, "the tar calls it %s, the manifest %s", header.name, part->name);
	} else if (header.size != part->size ||
		   header.header_len != part->data_offset - part->header_offset) {
		report(v, part, "the tar gives it %" PRIu64 " bytes, the manifest %" PRIu64,
		       header.size, part->size);
	}
}

static void end_part(struct verifier *v, const struct bundle_entry *part)
{
	uint8_t hash[SHA256_BYTES];

	if (!v->gap && v->b->hashes_known) {
		sha256_final(&v->hash, hash);
		if (memcmp(hash, part->sha256, sizeof(hash)) != 0)
			report(v, part, "its SHA-256 is not the manifest's");
	}
	v->part++;
	start_part(v);
}

static bool all_zero(const uint8_t *data, size_t len)
{
	return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

static void check_zeros(struct verifier *v, const struct bundle_entry *part, const uint8_t *data,
			size_t len)
{
	if (v->padding || all_zero(data, len)) return;
	v->padding = true;
	report(v, part, part ? "its padding is not zero" : "the tar's end is not zero");
}

/* Where the section of the part that pos is in ends. */
static uint64_t section_end(const struct verifier *v, const struct bundle_entry *part)
{
	if (v->pos < part->data_offset) return part->data_offset;
	if (v->pos < part->data_offset + part->size) return part->data_offset + part->size;
	return bundle_entry_end(part);
}

static void take_section(struct verifier *v, const struct bundle_entry *part, const uint8_t *data,
			 size_t len)
{
	if (v->pos < part->data_offset) {
		size_t n = MIN(len, sizeof(v->header) - v->header_len);

		memcpy(v->header + v->header_len, data, n);
		v->header_len += n;
	} else if (v->pos < part->data_offset + part->size) {
		sha256_update(&v->hash, data, len);
	} else {
		check_zeros(v, part, data, len);
	}
}

/* Goes on by len plain bytes; data NULL: a gap, because of why. */
static void take(struct verifier *v, const uint8_t *data, size_t len, const char *why)
{
	const struct bundle_entry *told = NULL;

	while (len > 0 && v->part < v->part_count) {
		const struct bundle_entry *part = v->parts[v->part];
		size_t n = (size_t)MIN(section_end(v, part) - v->pos, (uint64_t)len);
		bool in_header = v->pos < part->data_offset;

		if (data) {
			take_section(v, part, data, n);
			data += n;
		} else {
			v->gap = true;
			if (told != part) report(v, part, "%s", why);
			told = part;
		}
		v->pos += n;
		len -= n;
		if (in_header && v->pos == part->data_offset) check_header(v, part);
		if (v->pos == bundle_entry_end(part)) end_part(v, part);
	}
	if (len > 0 && !data) report(v, NULL, "%s", why);
	if (len > 0 && data && !v->b->truncated[0]) check_zeros(v, NULL, data, len);
	v->pos += len;
}

static int list_parts(struct verifier *v, struct err *e)
{
	const struct manifest *contents = &v->b->contents;
	uint64_t end = 0;

	v->parts = calloc(contents->count + 1, sizeof(*v->parts));
	if (!v->parts) return err_set(e, ERR_NO_MEMORY, "no memory to verify a bundle with");
	for (size_t i = 0; i < contents->count; i++) {
		if (!contents->entries[i].in_tar) continue;
		v->parts[v->part_count++] = &contents->entries[i];
		end = bundle_entry_end(&contents->entries[i]);
	}
	v->totals.entries = contents->count;
	if (v->b->truncated[0]) return 0;
	memcpy(v->manifest.name, BUNDLE_MANIFEST_NAME, sizeof(BUNDLE_MANIFEST_NAME));
	v->manifest.header_offset = end;
	v->manifest.data_offset = v->b->trailer.data_offset;
	v->manifest.size = v->b->trailer.size;
	memcpy(v->manifest.sha256, v->b->trailer.sha256, SHA256_BYTES);
	v->parts[v->part_count++] = &v->manifest;
	return 0;
}

static int verify_frames(struct verifier *v, ZSTD_DCtx *ctx, uint8_t *packed, uint8_t *plain,
			 struct err *e)
{
	const struct frame_index *index = &v->b->index;

	for (size_t i = 0; i < index->count; i++) {
		const struct frame_place *at = &index->at[i];
		size_t len = (size_t)(at[1].packed - at[0].packed);
		uint32_t plain_len = (uint32_t)(at[1].plain - at[0].plain);
		struct err why = {0};
		int r = blob_read_at(v->b->blob, at[0].packed, packed, len, e);

		if (r < 0) return r;
		frame_digest_add(&v->digest, packed, len);
		r = frame_decompress(ctx, packed, len, plain, plain_len, &why);
		if (r < 0)
			err_wrap(&why, "frame %zu at byte %" PRIu64 " is damaged", i, at[0].packed);
		take(v, r < 0 ? NULL : plain, plain_len, why.text);
		v->totals.frames++;
		v->totals.plain_bytes += plain_len;
	}
	return 0;
}

/* A changed bit that unpacks to the same bytes is none that the checksums within can find. */
static void check_packed(struct verifier *v)
{
	uint8_t hash[SHA256_BYTES];

	if (v->b->truncated[0] || v->totals.problems) return;
	sha256_final(&v->digest, hash);
	if (memcmp(hash, v->b->trailer.frames_sha256, sizeof(hash)) != 0)
		report(v, NULL,
		       "the content is whole, but its compressed bytes are not those that "
		       "were written: their digest is not the trailer's");
}

static int verify(struct verifier *v, struct err *e)
{
	_cleanup_free_ uint8_t *packed = malloc(BUNDLE_FRAME_MAX);
	_cleanup_free_ uint8_t *plain = malloc(BUNDLE_FRAME_PLAIN_MAX);
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	int r;

	if (!packed || !plain || !ctx)
		r = err_set(e, ERR_NO_MEMORY, "no memory to verify a bundle with");
	else
		r = list_parts(v, e);
	if (r == 0) {
		if (v->b->truncated[0]) report(v, NULL, "%s", v->b->truncated);
		start_part(v);
		sha256_init(&v->digest);
		r = verify_frames(v, ctx, packed, plain, e);
		if (r == 0) check_packed(v);
	}
	ZSTD_freeDCtx(ctx);
	free(v->parts);
	return r;
}

int bundle_verify(struct bundle *b, bundle_problem_fn problem, void *ctx,
		  struct bundle_verify_totals *ret, struct err *e)
{
	/* On the heap: it is larger than a stack frame should be. */
	_cleanup_free_ struct verifier *v = calloc(1, sizeof(*v));
	int r;

	if (!v) return err_set(e, ERR_NO_MEMORY, "no memory to verify a bundle with");
	v->b = b;
	v->problem = problem;
	v->ctx = ctx;
	r = verify(v, e);
	if (r == 0) *ret = v->totals;
	return r;
}
