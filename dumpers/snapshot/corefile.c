#include "dumpers/snapshot/corefile.h"

#include "base/search.h"
#include "dumpers/snapshot/corefile_internal.h"
#include "dumpers/snapshot/podsnap_note.h"

#include <stdlib.h>
#include <string.h>

/* --- memory --- */

static const struct core_segment *find_segment(const struct corefile *c, uint64_t addr,
					       uint64_t *ret_next)
{
	size_t i = FIRST_ABOVE(c->segments, c->segment_count, end, addr);

	*ret_next = i < c->segment_count ? c->segments[i].start : UINT64_MAX;
	return i < c->segment_count && c->segments[i].start <= addr ? &c->segments[i] : NULL;
}

/* Is addr in the list? Narrows *end to where that changes. */
static bool in_ranges(const struct range_list *list, uint64_t addr, uint64_t *end)
{
	const struct range *r = range_list_next(list, addr);

	if (!r) return false;
	if (r->start <= addr) {
		*end = MIN(*end, r->end);
		return true;
	}
	*end = MIN(*end, r->start);
	return false;
}

/* A page that the file lacks, by the notes of podsnap or, in others' cores, by what is mapped. */
static enum mem_state missing_state(const struct corefile *c, uint64_t addr, uint64_t *end)
{
	const struct map *map = maps_find(&c->base.maps, addr);

	if (in_ranges(&c->zero, addr, end)) return MEM_ZERO;
	if (in_ranges(&c->file_pages, addr, end)) return MEM_FILE;
	if (in_ranges(&c->not_captured, addr, end)) return MEM_NOT_CAPTURED;
	if (map) {
		*end = MIN(*end, map->end);
		return !c->ours && map->name[0] == '/' ? MEM_FILE : MEM_NOT_CAPTURED;
	}
	*end = MIN(*end, snapshot_map_above(&c->base, addr));
	return MEM_UNMAPPED;
}

/* The state at addr and where it ends; for bytes also where they are in the file. */
static enum mem_state state_at(const struct corefile *c, uint64_t addr, uint64_t *ret_end,
			       uint64_t *ret_offset)
{
	uint64_t next, end = UINT64_MAX, offset_end;
	const struct core_segment *s = find_segment(c, addr, &next);
	enum mem_state state;

	if (s && addr < s->data_end) {
		uint64_t offset = s->offset + (addr - s->start);

		offset_end = s->offset + (s->data_end - s->start);
		state = in_ranges(&c->lost, offset, &offset_end) ? MEM_NOT_CAPTURED : MEM_BYTES;
		*ret_offset = offset;
		*ret_end = addr + (offset_end - offset);
		return state;
	}
	end = s ? s->end : next;
	state = missing_state(c, addr, &end);
	*ret_end = end;
	return state;
}

static size_t core_read(struct snapshot *s, uint64_t addr, void *data, size_t len,
			enum mem_state *state)
{
	struct corefile *c = (struct corefile *)s;
	uint64_t end, offset = 0;
	size_t n;

	*state = state_at(c, addr, &end, &offset);
	n = (size_t)MIN((uint64_t)len, end - addr);
	if (*state == MEM_BYTES && blob_read_at(c->blob, offset, data, n, NULL) < 0) {
		/* Halved down to a page, so that one bad place costs no more than that. */
		while (n > 4096 && blob_read_at(c->blob, offset, data, n, NULL) < 0)
			n /= 2;
		if (n <= 4096 && blob_read_at(c->blob, offset, data, n, NULL) < 0)
			*state = MEM_ERROR;
	}
	return n;
}

static uint64_t core_extent(struct snapshot *s, uint64_t addr, uint64_t end, enum mem_state *state)
{
	uint64_t state_end, offset;

	*state = state_at((struct corefile *)s, addr, &state_end, &offset);
	return MIN(end, state_end);
}

/* Where the bytes of [start, end) are in the file: appended to ret, as far as there is room. */
static size_t find_bytes(const struct corefile *c, uint64_t start, uint64_t end, struct range *ret,
			 size_t room)
{
	size_t count = 0;
	uint64_t next, offset = 0;

	for (; start < end && count < room; start = next) {
		enum mem_state state = state_at(c, start, &next, &offset);

		next = MIN(next, end);
		if (state == MEM_BYTES)
			ret[count++] = (struct range){offset, offset + next - start};
	}
	return count;
}

static void core_will_need(struct snapshot *s, const struct range *ranges, size_t count)
{
	struct corefile *c = (struct corefile *)s;
	struct range bytes[128];
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += find_bytes(c, ranges[i].start, ranges[i].end, bytes + found,
				    ARRAY_SIZE(bytes) - found);
	blob_will_need(c->blob, bytes, found);
}

static void core_free_snapshot(struct snapshot *s)
{
	struct corefile *c = (struct corefile *)s;

	blob_unref(c->blob);
	free(c->segments);
	free(c->note_ranges);
	free(c->files);
	free(c->file_note);
	free(c->maps_note);
	free(c->threads_note);
	free(c->info_note);
	range_list_done(&c->lost);
	range_list_done(&c->zero);
	range_list_done(&c->not_captured);
	range_list_done(&c->file_pages);
	snapshot_base_done(s);
	free(c);
}

static const struct snapshot_ops core_ops = {
    .read = core_read,
    .extent = core_extent,
    .will_need = core_will_need,
    .free = core_free_snapshot,
};

/* --- headers --- */

static bool is_elf(const uint8_t *ident)
{
	return memcmp(ident, ELFMAG, SELFMAG) == 0;
}

bool corefile_probe(struct blob *blob)
{
	Elf64_Ehdr h; /* e_type lies at the same place in a 32-bit header */

	return blob->size >= sizeof(Elf32_Ehdr) && blob_read_at(blob, 0, &h, 18, NULL) == 0 &&
	       is_elf(h.e_ident) && h.e_ident[EI_DATA] == ELFDATA2LSB && h.e_type == ET_CORE;
}

static int read_header(struct corefile *c, Elf64_Ehdr *ret, struct err *e)
{
	if (c->blob->size < sizeof(*ret) || blob_read_at(c->blob, 0, ret, sizeof(*ret), e) < 0)
		return err_set(e, ERR_CORRUPT, "not a core file: shorter than an ELF header");
	if (!is_elf(ret->e_ident)) return err_set(e, ERR_CORRUPT, "not a core file: not ELF");
	if (ret->e_ident[EI_DATA] != ELFDATA2LSB || ret->e_ident[EI_CLASS] != ELFCLASS64)
		return err_set(e, ERR_UNSUPPORTED,
			       "a core of a 32-bit or big-endian program cannot be read");
	if (ret->e_type != ET_CORE)
		return err_set(e, ERR_CORRUPT, "not a core file: an ELF file of type %u",
			       ret->e_type);
	if (!regs_layout(ret->e_machine))
		return err_set(e, ERR_UNSUPPORTED,
			       "a core of another CPU (ELF machine %u): only x86-64 can be read",
			       ret->e_machine);
	if (ret->e_phentsize != sizeof(Elf64_Phdr))
		return err_set(e, ERR_CORRUPT, "not a core file: program headers of %u bytes",
			       ret->e_phentsize);
	return 0;
}

/* With 65,535 segments or more the number is in section header 0 (elf(5), PN_XNUM). */
static int count_segments(struct corefile *c, const Elf64_Ehdr *h, uint64_t *ret, struct err *e)
{
	Elf64_Shdr section;
	uint64_t count = h->e_phnum;
	int r;

	if (count == PN_XNUM) {
		r = blob_read_at(c->blob, h->e_shoff, &section, sizeof(section), e);
		if (r) return err_wrap(e, "core file: section header 0");
		count = section.sh_info;
	}
	if (count == 0 || count > CORE_SEGMENTS_MAX || h->e_phoff > c->blob->size ||
	    count * sizeof(Elf64_Phdr) > c->blob->size - h->e_phoff)
		return err_set(e, ERR_CORRUPT, "core file: %llu program headers do not fit",
			       (unsigned long long)count);
	*ret = count;
	return 0;
}

static int add_segment(struct corefile *c, const Elf64_Phdr *p, struct err *e)
{
	uint64_t end, room = p->p_offset < c->blob->size ? c->blob->size - p->p_offset : 0;
	uint64_t data = MIN(MIN(p->p_filesz, p->p_memsz), room);

	if (add_overflows(p->p_vaddr, p->p_memsz, &end))
		return err_set(e, ERR_CORRUPT, "core file: the segment at 0x%llx wraps",
			       (unsigned long long)p->p_vaddr);
	if (p->p_memsz == 0) return 0;
	c->segments[c->segment_count++] = (struct core_segment){
	    .start = p->p_vaddr,
	    .end = end,
	    .data_end = p->p_vaddr + data,
	    .offset = p->p_offset,
	    .flags = p->p_flags,
	};
	return 0;
}

static int add_header(struct corefile *c, const Elf64_Phdr *p, struct err *e)
{
	uint64_t end;

	if (p->p_type == PT_LOAD) return add_segment(c, p, e);
	if (p->p_type != PT_NOTE || p->p_filesz == 0) return 0;
	if (add_overflows(p->p_offset, p->p_filesz, &end) || p->p_offset > c->blob->size)
		return err_set(e, ERR_TRUNCATED, "core file: its notes lie beyond its end");
	c->note_ranges[c->note_range_count++] =
	    (struct range){p->p_offset, MIN(end, c->blob->size)};
	return 0;
}

static int compare_segments(const void *a, const void *b)
{
	const struct core_segment *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* In order, and where two overlap the upper one gives way. */
static void sort_segments(struct corefile *c)
{
	uint64_t end = 0;
	size_t kept = 0;

	qsort(c->segments, c->segment_count, sizeof(*c->segments), compare_segments);
	for (size_t i = 0; i < c->segment_count; i++) {
		struct core_segment s = c->segments[i];

		if (s.end <= end) continue;
		if (s.start < end) {
			s.offset += MIN(end, s.data_end) - s.start;
			s.data_end = MAX(end, s.data_end);
			s.start = end;
		}
		end = s.end;
		c->segments[kept++] = s;
	}
	c->segment_count = kept;
}

static int read_segments(struct corefile *c, const Elf64_Ehdr *h, struct err *e)
{
	Elf64_Phdr batch[256];
	uint64_t count = 0;
	int r = count_segments(c, h, &count, e);

	if (r) return r;
	c->segments = calloc(count, sizeof(*c->segments));
	c->note_ranges = calloc(count, sizeof(*c->note_ranges));
	if (!c->segments || !c->note_ranges)
		return err_set(e, ERR_NO_MEMORY, "core file: %llu segments",
			       (unsigned long long)count);
	for (uint64_t i = 0; i < count && !r;) {
		size_t n = (size_t)MIN(count - i, (uint64_t)ARRAY_SIZE(batch));

		r = blob_read_at(c->blob, h->e_phoff + i * sizeof(*batch), batch,
				 n * sizeof(*batch), e);
		for (size_t k = 0; k < n && !r; k++)
			r = add_header(c, &batch[k], e);
		i += n;
	}
	if (!r) sort_segments(c);
	return r;
}

static int copy_lost(struct corefile *c, const struct range *lost, size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		int r = range_list_add(&c->lost, lost[i].start, lost[i].end, e);

		if (r) return r;
	}
	return 0;
}

static int apply_podsnap_text(struct corefile *c, struct err *e)
{
	int r = 0;

	if (c->threads_note)
		r = podsnap_parse_threads(&c->base, c->threads_note, c->threads_note_len, e);
	if (!r && c->info_note) r = podsnap_parse_info(&c->base, c->info_note, c->info_note_len, e);
	return r;
}

static int open_core(struct corefile *c, const struct range *lost, size_t lost_count, struct err *e)
{
	Elf64_Ehdr h;
	int r = read_header(c, &h, e);

	if (r) return r;
	c->base.e_machine = h.e_machine;
	c->base.elf_class = h.e_ident[EI_CLASS];
	r = copy_lost(c, lost, lost_count, e);
	if (!r) r = read_segments(c, &h, e);
	if (!r) r = corefile_read_notes(c, e);
	if (r) return r;
	if (!c->base.id.pid && c->base.thread_count) c->base.id.pid = c->base.threads[0].tid;
	snapshot_sort_threads(&c->base);
	r = apply_podsnap_text(c, e);
	return r ? r : corefile_read_maps(c, e);
}

int snapshot_open_core(struct blob *blob, const struct range *lost, size_t lost_count,
		       struct snapshot **ret, struct err *e)
{
	struct corefile *c = calloc(1, sizeof(*c));
	int r;

	if (!c) return err_set(e, ERR_NO_MEMORY, "core file");
	c->base.ops = &core_ops;
	c->base.consistency = CONSISTENCY_CORE;
	c->blob = blob_ref(blob);
	range_list_init(&c->lost, NOTE_RANGES_MAX);
	range_list_init(&c->zero, NOTE_RANGES_MAX);
	range_list_init(&c->not_captured, NOTE_RANGES_MAX);
	range_list_init(&c->file_pages, NOTE_RANGES_MAX);
	r = open_core(c, lost, lost_count, e);
	if (r) {
		core_free_snapshot(&c->base);
		return r;
	}
	*ret = &c->base;
	return 0;
}
