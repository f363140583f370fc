/*
 * A memory map for cores without the MAPS note: the segments, cut where NT_FILE names files, plus
 * what NT_FILE has outside of segments. Written as text, so that one parser makes struct maps.
 */
#include "dumpers/snapshot/corefile_internal.h"

#include <stdlib.h>
#include <string.h>

struct piece {
	uint64_t start, end, offset;
	uint32_t flags;
	const char *name; /* "" without a file */
	size_t file;      /* number of the file, 0 none */
};

struct pieces {
	struct piece *v;
	size_t count, cap;
};

static int add_piece(struct pieces *p, struct piece piece, struct err *e)
{
	if (piece.start >= piece.end) return 0;
	if (p->count == MAPS_COUNT_MAX) return err_set(e, ERR_LIMIT, "core file: too many maps");
	if (p->count == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 256;
		struct piece *grown = realloc(p->v, cap * sizeof(*grown));

		if (!grown) return err_set(e, ERR_NO_MEMORY, "core file: %zu maps", cap);
		p->v = grown;
		p->cap = cap;
	}
	p->v[p->count++] = piece;
	return 0;
}

/* The first file entry that ends above addr. */
static size_t file_above(const struct corefile *c, uint64_t addr)
{
	size_t i = 0, high = c->file_count;

	while (i < high) {
		size_t mid = i + (high - i) / 2;

		if (c->files[mid].end <= addr)
			i = mid + 1;
		else
			high = mid;
	}
	return i;
}

/* What the kernel calls memory without a file. */
static const char *special_name(const struct corefile *c, uint64_t start, uint64_t end)
{
	uint64_t vdso = snapshot_auxv(&c->base, AT_SYSINFO_EHDR);
	uint64_t sp = c->base.thread_count ? c->base.threads[0].sp : 0;

	if (vdso && vdso == start) return "[vdso]";
	return sp >= start && sp < end ? "[stack]" : "";
}

static int cut_segment(const struct corefile *c, const struct core_segment *s, struct pieces *p,
		       struct err *e)
{
	size_t i = file_above(c, s->start);
	uint64_t at = s->start;
	int r = 0;

	while (!r && at < s->end) {
		const struct core_file_entry *f = i < c->file_count ? &c->files[i] : NULL;
		struct piece piece = {.start = at, .end = s->end, .flags = s->flags, .name = ""};

		if (f && f->start <= at) {
			piece.end = MIN(s->end, f->end);
			piece.name = f->name;
			piece.offset = f->offset + (at - f->start);
			piece.file = i + 1;
			i++;
		} else {
			if (f) piece.end = MIN(s->end, f->start);
			piece.name = special_name(c, piece.start, piece.end);
		}
		at = piece.end;
		r = add_piece(p, piece, e);
		/* Entries that overlap one another: the first one wins. */
		while (i < c->file_count && c->files[i].end <= at)
			i++;
	}
	return r;
}

/* The parts of a file entry that no segment covers. */
static int add_uncovered(const struct corefile *c, const struct core_file_entry *f, size_t *segment,
			 uint64_t *done, struct pieces *p, struct err *e)
{
	uint64_t at = MAX(f->start, *done);
	int r = 0;

	while (*segment < c->segment_count && c->segments[*segment].end <= at)
		(*segment)++;
	for (size_t i = *segment; !r && at < f->end; i++) {
		bool more = i < c->segment_count && c->segments[i].start < f->end;
		uint64_t end = more ? MAX(c->segments[i].start, at) : f->end;

		r = add_piece(p,
			      (struct piece){.start = at,
					     .end = end,
					     .offset = f->offset + (at - f->start),
					     .flags = PF_R,
					     .name = f->name,
					     .file = (size_t)(f - c->files) + 1},
			      e);
		if (!more) break;
		at = MAX(at, c->segments[i].end);
	}
	*done = MAX(*done, f->end);
	return r;
}

static int compare_pieces(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* Entries of one file follow one another and share its first one's number, as an inode. */
static size_t inode_of(const struct corefile *c, size_t file)
{
	while (file > 1 && strcmp(c->files[file - 2].name, c->files[file - 1].name) == 0)
		file--;
	return file;
}

static int print_pieces(const struct corefile *c, const struct pieces *p, struct buf *text,
			struct err *e)
{
	size_t inode = 0, inode_file = 0;
	int r = 0;

	for (size_t i = 0; i < p->count && !r; i++) {
		const struct piece *x = &p->v[i];

		if (x->file != inode_file) {
			inode = x->file ? inode_of(c, x->file) : 0;
			inode_file = x->file;
		}
		r = buf_printf(text, e, "%llx-%llx %c%c%cp %08llx 00:00 %zu %s",
			       (unsigned long long)x->start, (unsigned long long)x->end,
			       x->flags & PF_R ? 'r' : '-', x->flags & PF_W ? 'w' : '-',
			       x->flags & PF_X ? 'x' : '-', (unsigned long long)x->offset, inode,
			       x->name);
		/* A line feed in a name, which the kernel escapes, would start a line of its own.
		 */
		for (size_t k = text->len - MIN(text->len, strlen(x->name)); !r && k < text->len;
		     k++)
			if (text->data[k] == '\n') text->data[k] = '?';
		if (!r) r = buf_puts(text, "\n", e);
	}
	return r;
}

static int synthesise(struct corefile *c, struct pieces *p, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(MAPS_TEXT_MAX);
	uint64_t done = 0;
	size_t segment = 0;
	int r = 0;

	for (size_t i = 0; i < c->segment_count && !r; i++)
		r = cut_segment(c, &c->segments[i], p, e);
	for (size_t i = 0; i < c->file_count && !r; i++)
		r = add_uncovered(c, &c->files[i], &segment, &done, p, e);
	if (r) return r;
	if (p->count) qsort(p->v, p->count, sizeof(*p->v), compare_pieces);
	r = print_pieces(c, p, &text, e);
	if (r) return r;
	return maps_parse(text.data ? text.data : "", text.len, &c->base.maps, e);
}

int corefile_read_maps(struct corefile *c, struct err *e)
{
	struct pieces p = {0};
	int r;

	if (c->maps_note) {
		r = maps_parse(c->maps_note, c->maps_note_len, &c->base.maps, e);
		return r ? err_wrap(e, "the core's note of maps") : 0;
	}
	r = synthesise(c, &p, e);
	free(p.v);
	return r;
}
