#include "dumpers/core/core.h"

#include "dumpers/core/core_internal.h"
#include "dumpers/core/core_select.h"
#include "dumpers/snapshot/live.h"

#include <string.h>

#define HOLE_MIN_DEFAULT (64 * KIB)
enum { FORGET_PIECE = 8 << 20, FORGET_REST = 1 << 20 };

/* --- output --- */

/* Room for at least one and at most len bytes; 0 after an error. */
static size_t reserve(struct core_out *out, uint64_t len, void **ret)
{
	size_t room = 0;

	if (!out->r) out->r = out->sink->reserve(out->sink, ret, &room, out->e);
	if (!out->r && !room) out->r = err_set(out->e, ERR_INTERNAL, "a sink without room");
	return out->r ? 0 : (size_t)MIN((uint64_t)room, len);
}

static void commit(struct core_out *out, size_t len)
{
	if (!out->r) out->r = out->sink->commit(out->sink, len, out->e);
	out->offset += len;
}

/* at NULL: zeros. */
static void put(struct core_out *out, const uint8_t *at, uint64_t len)
{
	if (!out->sink) {
		out->offset += len;
		return;
	}
	while (len && !out->r) {
		void *room;
		size_t n = reserve(out, len, &room);

		if (!n) return;
		if (at) {
			memcpy(room, at, n);
			at += n;
		} else {
			memset(room, 0, n);
		}
		commit(out, n);
		len -= n;
	}
}

void core_put(struct core_out *out, const void *data, size_t len)
{
	put(out, data, len);
}

void core_put_zeros(struct core_out *out, uint64_t len)
{
	put(out, NULL, len);
}

/* --- headers --- */

static uint64_t header_count(const struct core *c)
{
	return (uint64_t)c->load_count + 1;
}

/* elf(5): a count that does not fit e_phnum stands in section header 0. */
static bool many_segments(const struct core *c)
{
	return header_count(c) >= PN_XNUM;
}

static uint64_t notes_offset(const struct core *c)
{
	return sizeof(Elf64_Ehdr) + header_count(c) * sizeof(Elf64_Phdr) +
	       (many_segments(c) ? sizeof(Elf64_Shdr) : 0);
}

static void put_elf_header(const struct core *c, struct core_out *out)
{
	bool many = many_segments(c);
	Elf64_Ehdr h = {
	    .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	    .e_type = ET_CORE,
	    .e_machine = c->s->e_machine,
	    .e_version = EV_CURRENT,
	    .e_phoff = sizeof(h),
	    .e_ehsize = sizeof(h),
	    .e_phentsize = sizeof(Elf64_Phdr),
	    .e_phnum = many ? PN_XNUM : (uint16_t)header_count(c),
	};

	if (many) {
		h.e_shoff = sizeof(h) + header_count(c) * sizeof(Elf64_Phdr);
		h.e_shentsize = sizeof(Elf64_Shdr);
		h.e_shnum = 1;
	}
	core_put(out, &h, sizeof(h));
}

static void put_program_headers(const struct core *c, struct core_out *out)
{
	uint64_t offset = c->data_offset;
	Elf64_Phdr note = {
	    .p_type = PT_NOTE,
	    .p_offset = notes_offset(c),
	    .p_filesz = c->notes_len,
	    .p_align = 4,
	};

	core_put(out, &note, sizeof(note));
	for (size_t i = 0; i < c->load_count; i++) {
		const struct core_load *load = &c->loads[i];
		Elf64_Phdr p = {
		    .p_type = PT_LOAD,
		    .p_flags = load->flags,
		    .p_offset = offset,
		    .p_vaddr = load->start,
		    .p_filesz = load->data_end - load->start,
		    .p_memsz = load->end - load->start,
		    .p_align = CORE_PAGE,
		};

		core_put(out, &p, sizeof(p));
		offset += p.p_filesz;
	}
	if (many_segments(c)) {
		Elf64_Shdr section = {.sh_info = (uint32_t)header_count(c)};

		core_put(out, &section, sizeof(section));
	}
}

/* --- data --- */

/* Reads up to len bytes into the sink's room; what cannot be read becomes zeros. */
static void copy_some(struct core *c, struct core_out *out, uint64_t addr, uint64_t len)
{
	uint64_t start = out->offset;
	enum mem_state state;
	void *room;
	size_t n = reserve(out, len, &room);
	bool torn;

	if (!n) return;
	n = snapshot_read(c->s, addr, room, n, &state);
	torn = snapshot_live_torn(c->s, addr);
	if (state != MEM_BYTES) memset(room, 0, n);
	commit(out, n);
	if (out->r) return;
	if (state != MEM_BYTES && state != MEM_ZERO)
		out->r = out->sink->lost(out->sink, start, out->offset, out->e);
	else if (torn)
		out->r = out->sink->torn(out->sink, start, out->offset, out->e);
}

/* The core is the last to read memory: what is written may go, in pieces worth the effort. */
static void forget(struct core *c, uint64_t *from, uint64_t to, uint64_t piece)
{
	if (to - *from < piece) return;
	snapshot_forget(c->s, *from, align_down(to, CORE_PAGE));
	*from = align_down(to, CORE_PAGE);
}

static void put_load(struct core *c, const struct core_load *load, struct core_out *out)
{
	uint64_t at = load->start, kept_from = at;

	while (at < load->data_end && !out->r) {
		const struct range *filler = range_list_next(&c->filler, at);
		uint64_t before = out->offset, end = load->data_end;

		if (filler && filler->start <= at) {
			core_put_zeros(out, MIN(filler->end, end) - at);
		} else {
			if (filler) end = MIN(filler->start, end);
			copy_some(c, out, at, end - at);
		}
		at += out->offset - before;
		forget(c, &kept_from, at, FORGET_PIECE);
	}
	forget(c, &kept_from, at, FORGET_REST);
}

void core_put_head(struct core *c, struct core_out *out)
{
	put_elf_header(c, out);
	put_program_headers(c, out);
	core_put_notes(c, out);
	core_put_zeros(out, c->data_offset - MIN(out->offset, c->data_offset));
}

int core_write(struct core *c, struct core_sink *sink, struct err *e)
{
	struct core_out out = {.sink = sink, .e = e};

	core_put_head(c, &out);
	for (size_t i = 0; i < c->load_count && !out.r; i++)
		put_load(c, &c->loads[i], &out);
	if (!out.r && out.offset != c->size)
		out.r = err_set(e, ERR_INTERNAL, "the core is %llu bytes, %llu were announced",
				(unsigned long long)out.offset, (unsigned long long)c->size);
	return out.r;
}

/* --- plan --- */

static int lay_out(struct core *c, struct err *e)
{
	struct core_out counted = {0};

	core_put_notes(c, &counted);
	c->notes_len = counted.offset;
	c->data_offset = align_up(notes_offset(c) + c->notes_len, CORE_PAGE);
	c->size = c->data_offset;
	for (size_t i = 0; i < c->load_count; i++) {
		uint64_t len = c->loads[i].data_end - c->loads[i].start;

		if (add_overflows(c->size, len, &c->size) || c->size > INT64_MAX)
			return err_set(e, ERR_LIMIT, "the core would pass 2^63 bytes");
	}
	return 0;
}

int core_plan(struct snapshot *s, const struct core_config *config, struct core **ret,
	      struct err *e)
{
	struct core *c = calloc(1, sizeof(*c));
	struct core_select select;
	int r;

	if (!c) return err_set(e, ERR_NO_MEMORY, "the plan of a core");
	c->s = s;
	c->hole_min = config->hole_min ? config->hole_min : HOLE_MIN_DEFAULT;
	range_list_init(&c->filler, CORE_RANGES_LIMIT);
	range_list_init(&c->zero, CORE_RANGES_LIMIT);
	range_list_init(&c->not_captured, CORE_RANGES_LIMIT);
	range_list_init(&c->file, CORE_RANGES_LIMIT);
	r = core_select_init(&select, s, config, e);
	if (!r) r = core_plan_pages(c, &select, e);
	core_select_done(&select);
	if (!r) r = core_prepare_notes(c, config->version, e);
	if (!r) r = lay_out(c, e);
	if (r) {
		core_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void core_free(struct core *c)
{
	if (!c) return;
	free(c->loads);
	range_list_done(&c->filler);
	range_list_done(&c->zero);
	range_list_done(&c->not_captured);
	range_list_done(&c->file);
	buf_done(&c->maps);
	buf_done(&c->threads);
	buf_done(&c->info);
	free(c);
}

uint64_t core_size(const struct core *c)
{
	return c->size;
}

size_t core_segment_count(const struct core *c)
{
	return c->load_count;
}
