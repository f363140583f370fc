#include "dumpers/core/core_internal.h"
#include "dumpers/core/core_select.h"
#include "dumpers/proc/elf_id.h"

#include <string.h>

/* What is known of the file that the maps at hand belong to. */
struct mapped_file {
	uint32_t dev_major, dev_minor;
	uint64_t inode;
	bool is_elf, has_build_id;
};

struct image {
	struct snapshot *s;
	uint64_t base;
};

static int read_image(void *ctx, uint64_t off, void *buf, size_t len)
{
	const struct image *image = ctx;
	uint64_t addr;

	if (add_overflows(image->base, off, &addr)) return -ERR_NOT_FOUND;
	return snapshot_read_all(image->s, addr, buf, len, NULL);
}

/* Looks at the file when its first page is mapped; later maps of the same file follow that one. */
static void follow_file(struct snapshot *s, const struct map *map, struct mapped_file *f)
{
	struct image image = {.s = s, .base = map->start};
	struct elf_id id;

	if (f->inode == map->inode && f->dev_major == map->dev_major &&
	    f->dev_minor == map->dev_minor && (map->offset != 0 || f->is_elf))
		return;
	*f = (struct mapped_file){
	    .dev_major = map->dev_major, .dev_minor = map->dev_minor, .inode = map->inode};
	if (map->offset != 0 || map->name[0] != '/') return;
	f->is_elf = elf_id_read(read_image, &image, ELF_LAYOUT_MEMORY, &id, NULL) == 0;
	f->has_build_id = f->is_elf && id.build_id_len > 0;
}

static int close_load(struct core *c, struct err *e)
{
	const struct core_load *load;

	if (!c->load_count) return 0;
	load = &c->loads[c->load_count - 1];
	if (load->data_end == load->end) return 0;
	return range_list_add(load->hole == MEM_ZERO ? &c->zero : &c->file, load->data_end,
			      load->end, e);
}

static int open_load(struct core *c, const struct map *map, uint64_t start, struct err *e)
{
	int r = close_load(c, e);

	if (r) return r;
	if (c->load_count == CORE_SEGMENTS_LIMIT)
		return err_set(e, ERR_LIMIT, "the core would have more than %d segments",
			       CORE_SEGMENTS_LIMIT);
	if (c->load_count == c->load_cap) {
		size_t cap = c->load_cap ? c->load_cap * 2 : 256;
		struct core_load *grown = realloc(c->loads, cap * sizeof(*grown));

		if (!grown) return err_set(e, ERR_NO_MEMORY, "%zu segments", cap);
		c->loads = grown;
		c->load_cap = cap;
	}
	c->loads[c->load_count++] = (struct core_load){
	    .start = start,
	    .data_end = start,
	    .end = start,
	    .flags = (map->prot & PROT_READ ? PF_R : 0u) | (map->prot & PROT_WRITE ? PF_W : 0u) |
		     (map->prot & PROT_EXEC ? PF_X : 0u),
	};
	return 0;
}

/* The load that [start, ...) continues, or NULL. */
static struct core_load *continued(struct core *c, const struct map *map, uint64_t start)
{
	struct core_load *load = c->load_count ? &c->loads[c->load_count - 1] : NULL;

	return load && load->end == start && load->start >= map->start ? load : NULL;
}

static int add_data(struct core *c, const struct map *map, uint64_t start, uint64_t end,
		    struct err *e)
{
	struct core_load *load = continued(c, map, start);
	uint64_t hole = load ? load->end - load->data_end : 0;
	bool fill = hole && load->hole == MEM_ZERO && hole < c->hole_min;
	int r = 0;

	if (fill) r = range_list_add(&c->filler, load->data_end, load->end, e);
	if (!load || (hole && !fill)) r = open_load(c, map, start, e);
	if (r) return r;
	load = &c->loads[c->load_count - 1];
	load->data_end = load->end = end;
	return 0;
}

static int add_hole(struct core *c, const struct map *map, uint64_t start, uint64_t end,
		    enum mem_state kind, struct err *e)
{
	struct core_load *load = continued(c, map, start);
	int r = 0;

	if (!load || (load->data_end != load->end && load->hole != kind))
		r = open_load(c, map, start, e);
	if (r) return r;
	load = &c->loads[c->load_count - 1];
	load->end = end;
	load->hole = kind;
	return 0;
}

static bool readable(struct snapshot *s, uint64_t addr)
{
	enum mem_state state;
	uint8_t byte;

	return snapshot_read(s, addr, &byte, 1, &state) == 1 && state == MEM_BYTES;
}

static int take(struct core *c, const struct core_pages *p, uint64_t end, struct err *e)
{
	if (p->state == MEM_ZERO) return add_hole(c, p->map, p->start, end, MEM_ZERO, e);
	return add_data(c, p->map, p->start, end, e);
}

/* Debuggers look such pages up in the file by NT_FILE. What has no build-id might have changed: no
 * segment, so that they do not guess. */
static int leave_to_file(struct core *c, const struct core_pages *p, uint64_t end, struct err *e)
{
	if (p->is_elf) return add_hole(c, p->map, p->start, end, MEM_FILE, e);
	return range_list_add(&c->file, p->start, end, e);
}

/* Pages that the snapshot has, or knows of. */
static int plan_pages(struct core *c, const struct core_select *select, struct core_pages *p,
		      struct err *e)
{
	int r = 0;

	while (!r && p->start < p->end) {
		uint64_t end;
		enum core_verdict verdict = core_select(select, p, &end);

		if (verdict == CORE_LEAVE_OUT)
			r = range_list_add(&c->not_captured, p->start, end, e);
		else if (verdict == CORE_TO_FILE ||
			 (p->state == MEM_FILE && !readable(c->s, p->start)))
			r = leave_to_file(c, p, end, e);
		else
			r = take(c, p, end, e);
		p->start = end;
	}
	return r;
}

static int plan_map(struct core *c, const struct core_select *select, const struct map *map,
		    const struct mapped_file *f, struct err *e)
{
	int r = 0;

	for (uint64_t at = map->start; !r && at < map->end;) {
		struct core_pages p = {.map = map, .start = at};

		if (map->inode) {
			p.is_elf = f->is_elf;
			p.has_build_id = f->has_build_id;
		}
		at = p.end = snapshot_extent(c->s, at, map->end, &p.state);
		if (p.state == MEM_BYTES || p.state == MEM_ZERO || p.state == MEM_FILE)
			r = plan_pages(c, select, &p, e);
		else if (p.state != MEM_UNMAPPED)
			r = range_list_add(&c->not_captured, p.start, p.end, e);
	}
	return r;
}

int core_plan_pages(struct core *c, const struct core_select *select, struct err *e)
{
	struct mapped_file file = {0};

	for (size_t i = 0; i < c->s->maps.count; i++) {
		const struct map *map = &c->s->maps.v[i];
		int r;

		if (map->inode) follow_file(c->s, map, &file);
		r = plan_map(c, select, map, &file, e);
		if (r) return r;
	}
	return close_load(c, e);
}
