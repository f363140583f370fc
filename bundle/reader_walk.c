#include "bundle/frame.h"
#include "bundle/le.h"
#include "bundle/reader_internal.h"
#include "bundle/tar.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- frames --- */

enum stop {
	STOP_CUT,      /* the blob ends where something should go on */
	STOP_DAMAGED,  /* at->why says how */
	STOP_COMPLETE, /* a seek table is the last thing in the blob */
	STOP_FOREIGN,  /* something follows the seek table */
};

/* Bytes of the blob at pos, as many as any frame needs. */
struct window {
	struct blob *blob;
	uint8_t *data; /* size of them */
	size_t size;   /* room for several frames, or the whole blob */
	uint64_t start;
	size_t len;
};
enum { WINDOW_MAX = 4 * BUNDLE_FRAME_MAX };

struct walk {
	struct window window;
	uint64_t pos;
	bool trailer_seen;
	enum stop stop;
	char why[ERR_TEXT_MAX]; /* STOP_DAMAGED */
};

static int look(struct walk *w, const uint8_t **ret, size_t *ret_len, struct err *e)
{
	struct window *win = &w->window;
	uint64_t left = win->blob->size - w->pos;
	size_t have = win->len - (size_t)(w->pos - win->start);
	size_t more;
	int r;

	if (have < BUNDLE_FRAME_MAX && have < left) {
		memmove(win->data, win->data + win->len - have, have);
		win->start = w->pos;
		win->len = have;
		more = (size_t)MIN((uint64_t)win->size - have, left - have);
		r = blob_read_at(win->blob, w->pos + have, win->data + have, more, e);
		if (r < 0) return r;
		win->len += more;
	}
	*ret = win->data + (w->pos - win->start);
	*ret_len = win->len - (size_t)(w->pos - win->start);
	return 0;
}

static int stop_at(struct walk *w, enum stop stop, const char *why)
{
	w->stop = stop;
	snprintf(w->why, sizeof(w->why), "%s", why);
	return 1;
}

static int walk_seek_table(struct walk *w, const uint8_t *p, size_t len)
{
	uint64_t left = w->window.blob->size - w->pos, table;

	if (len < SKIPPABLE_HEADER_BYTES) return stop_at(w, STOP_CUT, "");
	table = SKIPPABLE_HEADER_BYTES + (uint64_t)le32_get(p + 4);
	if (!w->trailer_seen) return stop_at(w, STOP_DAMAGED, "a seek table without a trailer");
	if (table > left) return stop_at(w, STOP_CUT, "");
	w->pos += table;
	return stop_at(w, table == left ? STOP_COMPLETE : STOP_FOREIGN, "");
}

static int walk_trailer(struct walk *w, const uint8_t *p, size_t len)
{
	if (len < SKIPPABLE_HEADER_BYTES + TRAILER_BYTES) return stop_at(w, STOP_CUT, "");
	if (w->trailer_seen || le32_get(p + 4) != TRAILER_BYTES)
		return stop_at(w, STOP_DAMAGED, "a damaged trailer");
	w->trailer_seen = true;
	w->pos += SKIPPABLE_HEADER_BYTES + TRAILER_BYTES;
	return 0;
}

/* One step: 0 to go on, 1 at the end (w->stop says which), negative when it cannot be read. */
static int walk_frame(struct walk *w, struct frame_index *index, struct err *e)
{
	const uint8_t *p;
	struct err local = {0};
	uint32_t plain_len = 0;
	size_t len, frame_len = 0;
	int r = look(w, &p, &len, e);

	if (r < 0) return r;
	if (len < 4) return stop_at(w, STOP_CUT, "");
	if (le32_get(p) == SEEK_TABLE_MAGIC) return walk_seek_table(w, p, len);
	if (le32_get(p) == TRAILER_MAGIC) return walk_trailer(w, p, len);
	if (w->trailer_seen) return stop_at(w, STOP_DAMAGED, "something else than a seek table");
	r = frame_measure(p, len, &frame_len, &plain_len, &local);
	if (r == -ERR_TRUNCATED) return stop_at(w, STOP_CUT, "");
	if (r < 0) return stop_at(w, STOP_DAMAGED, local.text);
	w->pos += frame_len;
	return frame_index_add(index, frame_len, plain_len, e);
}

static int walk_frames(struct walk *w, struct frame_index *index, struct err *e)
{
	int r = 0;

	w->window.size = (size_t)MIN(w->window.blob->size, (uint64_t)WINDOW_MAX);
	w->window.data = malloc(MAX(w->window.size, (size_t)1));
	if (!w->window.data) return err_set(e, ERR_NO_MEMORY, "no memory to walk a bundle with");
	while (r == 0)
		r = walk_frame(w, index, e);
	free(w->window.data);
	return r < 0 ? r : 0;
}

/* --- entries --- */

/* The tar header at offset: 1 there is one, 0 not (any more), with the reason in w where it is
 * damage; negative when it cannot be read. */
static int next_header(struct bundle *b, struct walk *w, uint64_t offset, struct tar_header *ret,
		       struct err *e)
{
	uint8_t raw[BUNDLE_TAR_HEADER_MAX];
	struct err local = {0};
	uint64_t plain = frame_index_end(&b->index).plain, left;
	int r;

	if (offset >= plain) return 0;
	left = MIN(plain - offset, (uint64_t)sizeof(raw));
	r = frame_cache_read(b->cache, offset, raw, (size_t)left, &local);
	if (r == 0) r = tar_header_read(raw, (size_t)left, ret, &local);
	if (r == 0) return !ret->end;
	if (r != -ERR_CORRUPT) {
		if (e) *e = local;
		return r;
	}
	/* What ends inside a header looks damaged, too. */
	if (left < sizeof(raw) && w->stop == STOP_CUT) return 0;
	stop_at(w, STOP_DAMAGED, local.text);
	return 0;
}

static int add_entry(struct manifest *found, size_t *cap, const struct tar_header *header,
		     uint64_t offset, struct bundle_entry **ret, struct err *e)
{
	struct bundle_entry *entry;

	if (found->count >= BUNDLE_ENTRIES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d entries", BUNDLE_ENTRIES_MAX);
	if (found->count == *cap) {
		size_t more = MAX(*cap * 2, (size_t)16);

		entry = reallocarray(found->entries, more, sizeof(*entry));
		if (!entry) return err_set(e, ERR_NO_MEMORY, "no memory for %zu entries", more);
		found->entries = entry;
		*cap = more;
	}
	entry = &found->entries[found->count++];
	memset(entry, 0, sizeof(*entry));
	memcpy(entry->name, header->name, sizeof(entry->name));
	entry->in_tar = true;
	entry->header_offset = offset;
	entry->data_offset = offset + header->header_len;
	entry->size = header->size;
	*ret = entry;
	return 0;
}

/* Marks what the readable bytes do not hold. */
static int mark_cut(struct bundle_entry *entry, uint64_t plain, struct err *e)
{
	uint64_t got = plain > entry->data_offset ? plain - entry->data_offset : 0;

	if (got >= entry->size) return 0;
	entry->lost = malloc(sizeof(*entry->lost));
	if (!entry->lost) return err_set(e, ERR_NO_MEMORY, "no memory for a range");
	entry->lost[0] = (struct range){got, entry->size};
	entry->lost_count = 1;
	entry->status = ENTRY_PARTIAL;
	snprintf(entry->reason, sizeof(entry->reason),
		 "the bundle ends after %" PRIu64 " of its %" PRIu64 " bytes", got, entry->size);
	return 0;
}

static bool same_entries(const struct manifest *said, const struct manifest *found)
{
	size_t k = 0;

	for (size_t i = 0; i < said->count; i++) {
		const struct bundle_entry *a = &said->entries[i], *f = &found->entries[k];

		if (!a->in_tar) continue;
		if (k++ == found->count || strcmp(a->name, f->name) != 0 ||
		    a->data_offset != f->data_offset || a->size != f->size)
			return false;
	}
	return k == found->count;
}

/* A manifest that is there after all knows more than the tar does. Anything wrong with it only
 * means that it is not used. */
static int adopt_manifest(struct bundle *b, struct manifest *found, const struct tar_header *header,
			  uint64_t offset, struct err *e)
{
	struct err local = {0};
	int r = reader_load_manifest(b, offset + header->header_len, header->size, NULL, &local);

	if (r == 0 && same_entries(&b->contents, found)) return 0;
	if (r == 0) {
		manifest_done(&b->contents);
		free(b->manifest);
		b->manifest = NULL;
		b->hashes_known = false;
	}
	if (r == 0 || r == -ERR_CORRUPT || r == -ERR_TRUNCATED) return 0;
	if (e) *e = local;
	return r;
}

static int walk_entries(struct bundle *b, struct walk *w, struct manifest *found, struct err *e)
{
	uint64_t plain = frame_index_end(&b->index).plain, offset = 0;
	struct bundle_entry *entry = NULL;
	struct tar_header header = {0};
	size_t cap = 0;
	int r;

	while ((r = next_header(b, w, offset, &header, e)) == 1) {
		if (strcmp(header.name, BUNDLE_MANIFEST_NAME) == 0)
			return adopt_manifest(b, found, &header, offset, e);
		r = add_entry(found, &cap, &header, offset, &entry, e);
		if (r == 0) r = mark_cut(entry, plain, e);
		if (r < 0) return r;
		offset = bundle_entry_end(entry);
	}
	return r;
}

/* --- the sentence --- */

static void say_where(const struct bundle *b, struct buf *text)
{
	const struct bundle_entry *last;

	if (b->manifest) {
		buf_puts(text, "; manifest and entries are all there", NULL);
		return;
	}
	last = &b->contents.entries[b->contents.count - 1];
	if (last->lost_count > 0)
		buf_printf(text, NULL,
			   "; of entry %.200s %" PRIu64 " of %" PRIu64
			   " bytes are there, and what followed it is missing",
			   last->name, last->lost[0].start, last->size);
	else
		buf_printf(text, NULL, "; what followed entry %.200s is missing", last->name);
}

static void say(struct bundle *b, const struct walk *w, const struct err *why)
{
	_cleanup_buf_ struct buf text = BUF_INIT(sizeof(b->truncated) - 1);
	uint64_t size = b->blob->size;

	switch (w->stop) {
	case STOP_CUT:
		buf_printf(&text, NULL, "the bundle is truncated after %" PRIu64 " bytes", size);
		break;
	case STOP_DAMAGED:
		buf_printf(&text, NULL, "the bundle is damaged before byte %" PRIu64 " (%.200s)",
			   w->pos, w->why);
		break;
	case STOP_FOREIGN:
		buf_printf(&text, NULL,
			   "%" PRIu64 " foreign bytes follow the bundle's end at %" PRIu64,
			   size - w->pos, w->pos);
		break;
	case STOP_COMPLETE:
		buf_printf(&text, NULL, "the bundle is damaged: %.300s", why->text);
		break;
	}
	say_where(b, &text);
	snprintf(b->truncated, sizeof(b->truncated), "%s", text.data ? text.data : "damaged");
}

static int nothing_there(const struct walk *w, const struct err *why, struct err *e)
{
	if (w->stop == STOP_CUT)
		return err_set(e, ERR_TRUNCATED, "the bundle ends before its first entry does");
	return err_set(e, ERR_CORRUPT, "not a podsnap bundle: %s",
		       w->stop == STOP_DAMAGED ? w->why : why->text);
}

int reader_open_walk(struct bundle *b, const struct err *why, struct err *e)
{
	struct walk w = {.window = {.blob = b->blob}};
	struct manifest found = {0};
	int r = walk_frames(&w, &b->index, e);

	if (r == 0) r = frame_cache_new(&b->cache, b->blob, &b->index, e);
	if (r == 0) r = walk_entries(b, &w, &found, e);
	if (r == 0 && !b->manifest) {
		b->contents = found;
		found = (struct manifest){0};
	}
	manifest_done(&found);
	if (r < 0) return r;
	if (b->contents.count == 0) return nothing_there(&w, why, e);
	say(b, &w, why);
	return 0;
}
