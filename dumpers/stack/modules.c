#include "dumpers/stack/modules.h"

#include "dumpers/proc/elf_id.h"

#include <string.h>

struct loaded {
	struct module m;
	struct blob *file;
	bool tried;     /* file was looked for */
	struct err why; /* why there is none */
};

struct modules {
	struct snapshot *snapshot;
	find_module_fn find;
	void *ctx;
	struct loaded *v;
	size_t count, cap;
};

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

static bool same_file(const struct map *a, const struct map *b)
{
	return a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor && !strcmp(a->name, b->name);
}

/* The header as the snapshot has it; where the core left the page out, as the file has it. */
struct header_source {
	struct modules *modules;
	struct loaded *module;
};

static int read_header(void *ctx, uint64_t off, void *data, size_t len)
{
	struct header_source *h = ctx;
	uint64_t addr;
	if (add_overflows(h->module->m.start, off, &addr)) return -ERR_CORRUPT;
	if (!snapshot_read_all(h->modules->snapshot, addr, data, len, NULL)) return 0;
	struct blob *file = modules_file(h->modules, &h->module->m, NULL);
	return file ? blob_read_at(file, off, data, len, NULL) : -ERR_NOT_FOUND;
}

/* Distance between where the file's first segment was linked and where it is mapped. */
static int find_bias(struct header_source *h, uint64_t *ret)
{
	Elf64_Ehdr ehdr;
	if (read_header(h, 0, &ehdr, sizeof ehdr) || ehdr.e_ident[EI_CLASS] != ELFCLASS64 ||
	    ehdr.e_phentsize != sizeof(Elf64_Phdr)) {
		return -ERR_CORRUPT;
	}
	for (size_t i = 0; i < ehdr.e_phnum; i++) {
		Elf64_Phdr ph;
		uint64_t at;
		if (add_overflows(ehdr.e_phoff, i * sizeof ph, &at)) return -ERR_CORRUPT;
		if (read_header(h, at, &ph, sizeof ph)) return -ERR_CORRUPT;
		if (ph.p_type != PT_LOAD || align_down(ph.p_offset, 4096) != 0) continue;
		*ret = h->module->m.start - align_down(ph.p_vaddr, 4096);
		return 0;
	}
	return -ERR_CORRUPT;
}

static int grow(struct modules *m, struct err *e)
{
	if (m->count < m->cap) return 0;
	if (m->count >= MODULE_COUNT_MAX) {
		return err_set(e, ERR_LIMIT, "more than %d mapped programs and libraries",
			       MODULE_COUNT_MAX);
	}
	size_t cap = m->cap ? m->cap * 2 : 32;
	struct loaded *v = realloc(m->v, cap * sizeof *v);
	if (!v) return err_set(e, ERR_NO_MEMORY, "no memory for the list of modules");
	m->v = v;
	m->cap = cap;
	return 0;
}

static bool may_start_module(const struct map *map)
{
	if (!strcmp(map->name, "[vdso]")) return true;
	return map->name[0] == '/' && map->inode && map->offset == 0;
}

/* The maps of one loaded file follow each other; anonymous ones (bss) may stand between. */
static uint64_t end_of_module(const struct maps *maps, size_t first)
{
	uint64_t end = maps->v[first].end;
	for (size_t i = first + 1; i < maps->count; i++) {
		const struct map *map = &maps->v[i];
		if (!map->name[0] && map->start == end) continue;
		if (!same_file(map, &maps->v[first]) || map->offset == 0) break;
		end = map->end;
	}
	return end;
}

static int add_module(struct modules *m, size_t map_index, struct err *e)
{
	const struct map *map = &m->snapshot->maps.v[map_index];
	int r = grow(m, e);
	if (r) return r;
	struct loaded *l = &m->v[m->count];
	*l = (struct loaded){0};
	l->m.path = map->name;
	l->m.name = last_component(map->name);
	l->m.start = map->start;
	l->m.end = end_of_module(&m->snapshot->maps, map_index);
	l->m.index = m->count;
	struct header_source h = {.modules = m, .module = l};
	struct elf_id id;
	if (elf_id_read(read_header, &h, ELF_LAYOUT_MEMORY, &id, NULL) ||
	    find_bias(&h, &l->m.bias)) {
		blob_unref(l->file); /* data, not a program */
		return 0;
	}
	memcpy(l->m.build_id, id.build_id, id.build_id_len);
	l->m.build_id_len = id.build_id_len;
	m->count++;
	return 0;
}

int modules_new(struct snapshot *s, find_module_fn find, void *ctx, struct modules **ret,
		struct err *e)
{
	struct modules *m = calloc(1, sizeof *m);
	if (!m) return err_set(e, ERR_NO_MEMORY, "no memory for the list of modules");
	m->snapshot = s;
	m->find = find;
	m->ctx = ctx;
	for (size_t i = 0; i < s->maps.count; i++) {
		if (!may_start_module(&s->maps.v[i])) continue;
		int r = add_module(m, i, e);
		if (r) {
			modules_free(m);
			return r;
		}
	}
	*ret = m;
	return 0;
}

void modules_free(struct modules *m)
{
	if (!m) return;
	for (size_t i = 0; i < m->count; i++)
		blob_unref(m->v[i].file);
	free(m->v);
	free(m);
}

struct snapshot *modules_snapshot(const struct modules *m)
{
	return m->snapshot;
}

size_t modules_count(const struct modules *m)
{
	return m->count;
}

const struct module *modules_at(const struct modules *m, size_t index)
{
	return &m->v[index].m;
}

const struct module *modules_find(const struct modules *m, uint64_t address)
{
	size_t low = 0, high = m->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (m->v[mid].m.end <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low < m->count && m->v[low].m.start <= address ? &m->v[low].m : NULL;
}

static int open_checked(struct modules *m, struct loaded *l, struct err *e)
{
	_cleanup_blob_ struct blob *file = NULL;
	struct elf_id id;
	if (!m->find || l->m.path[0] != '/') {
		return err_set(e, ERR_NOT_FOUND, "%s has no file", l->m.path);
	}
	int r = m->find(m->ctx, &l->m, &file, e);
	if (!r) r = elf_id_of_blob(file, &id, e);
	if (r) return err_wrap(e, "%s", l->m.path);
	if (l->m.build_id_len && (id.build_id_len != l->m.build_id_len ||
				  memcmp(id.build_id, l->m.build_id, id.build_id_len) != 0)) {
		return err_set(e, ERR_NOT_FOUND, "%s: the file found has another build-id",
			       l->m.path);
	}
	l->file = STEAL_PTR(file);
	return 0;
}

struct blob *modules_file(struct modules *m, const struct module *module, struct err *e)
{
	struct loaded *l = &m->v[module->index];
	if (!l->tried) {
		l->tried = true;
		(void)open_checked(m, l, &l->why);
	}
	if (!l->file && e) *e = l->why;
	return l->file;
}

/* A page that the snapshot does not hold, from the file that is mapped there. */
static int read_from_file(struct modules *m, uint64_t addr, void *data, size_t len, struct err *e)
{
	const struct map *map = maps_find(&m->snapshot->maps, addr);
	const struct module *module = modules_find(m, addr);
	if (!map || map->name[0] != '/' || !module || strcmp(module->path, map->name) != 0) {
		return err_set(e, ERR_NOT_FOUND, "memory at 0x%llx is not captured",
			       (unsigned long long)addr);
	}
	struct blob *file = modules_file(m, module, e);
	return file ? blob_read_at(file, map->offset + (addr - map->start), data, len, e)
		    : -ERR_NOT_FOUND;
}

int modules_read(struct modules *m, uint64_t addr, void *data, size_t len, struct err *e)
{
	uint8_t *to = data;
	while (len) {
		enum mem_state state;
		size_t n = snapshot_read(m->snapshot, addr, to, len, &state);
		if (!n)
			return err_set(e, ERR_IO, "memory at 0x%llx gave nothing",
				       (unsigned long long)addr);
		if (state == MEM_UNMAPPED) {
			return err_set(e, ERR_NOT_FOUND, "nothing is mapped at 0x%llx",
				       (unsigned long long)addr);
		}
		if (state == MEM_ZERO) {
			memset(to, 0, n);
		} else if (state != MEM_BYTES) {
			const struct map *map = maps_find(&m->snapshot->maps, addr);
			if (map) n = MIN(n, map->end - addr);
			int r = read_from_file(m, addr, to, n, e);
			if (r) return r;
		}
		to += n;
		addr += n;
		len -= n;
	}
	return 0;
}
