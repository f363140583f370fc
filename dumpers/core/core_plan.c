#include "dumpers/core/core_internal.h"
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

static int add_file_pages(struct core *c, const struct map *map, const struct mapped_file *f,
			  uint64_t start, uint64_t end, struct err *e)
{
	/* Where no build-id names the file, or code has no ELF file at all, only the core has it.
	 */
	bool keep = f->is_elf ? !f->has_build_id : (map->prot & PROT_EXEC) != 0;
	bool is_header = f->is_elf && map->offset == 0 && start == map->start;
	uint64_t kept_end = keep ? end : MIN(end, start + CORE_PAGE);
	int r = 0;

	if ((keep || is_header) && readable(c->s, start)) {
		r = add_data(c, map, start, kept_end, e);
		start = kept_end;
	}
	if (r || start == end) return r;
	/* Debuggers look such pages up in the file by NT_FILE. What has no build-id might have
	 * changed: no segment, so that they do not guess. */
	if (f->is_elf) return add_hole(c, map, start, end, MEM_FILE, e);
	return range_list_add(&c->file, start, end, e);
}

static int plan_map(struct core *c, const struct map *map, const struct mapped_file *f,
		    struct err *e)
{
	for (uint64_t at = map->start; at < map->end;) {
		enum mem_state state;
		uint64_t end = snapshot_extent(c->s, at, map->end, &state);
		int r = 0;

		switch (state) {
		case MEM_BYTES:
			r = add_data(c, map, at, end, e);
			break;
		case MEM_ZERO:
			r = add_hole(c, map, at, end, MEM_ZERO, e);
			break;
		case MEM_FILE:
			r = add_file_pages(c, map, f, at, end, e);
			break;
		case MEM_NOT_CAPTURED:
		case MEM_ERROR:
			r = range_list_add(&c->not_captured, at, end, e);
			break;
		case MEM_UNMAPPED:
			break;
		}
		if (r) return r;
		at = end;
	}
	return 0;
}

int core_plan_pages(struct core *c, struct err *e)
{
	struct mapped_file file = {0};

	for (size_t i = 0; i < c->s->maps.count; i++) {
		const struct map *map = &c->s->maps.v[i];
		int r;

		if (map->inode) follow_file(c->s, map, &file);
		r = plan_map(c, map, map->inode ? &file : &(struct mapped_file){0}, e);
		if (r) return r;
	}
	return close_load(c, e);
}
