#include "dumpers/stack/modules_internal.h"

#include <string.h>

enum {
	/* A file's maps are few; what a hostile map list says beyond this is not looked at. */
	RUN_MAPS_MAX = 256,
};

bool map_same_file(const struct map *a, const struct map *b)
{
	return a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor && (a->name == b->name || !strcmp(a->name, b->name));
}

/* Reads the memory in which the file's bytes are mapped: ctx of an elf_read_fn. */
struct mapped_file {
	struct snapshot *snapshot;
	size_t first; /* index of the map of the ELF header */
};

static int read_mapped_file(void *ctx, uint64_t off, void *buf, size_t len)
{
	const struct mapped_file *f = ctx;
	const struct maps *maps = &f->snapshot->maps;
	const struct map *head = &maps->v[f->first];

	for (size_t i = f->first; i < MIN(maps->count, f->first + RUN_MAPS_MAX); i++) {
		const struct map *map = &maps->v[i];
		uint64_t into = off - map->offset, map_len = map->end - map->start;

		if (!map_same_file(map, head) || off < map->offset || into >= map_len ||
		    len > map_len - into)
			continue;
		return snapshot_read_all(f->snapshot, map->start + into, buf, len, NULL);
	}
	return -ERR_NOT_FOUND;
}

static bool may_be_module(const struct map *map)
{
	return map->offset == 0 && (map->name[0] == '/' || !strcmp(map->name, "[vdso]"));
}

/* Does a map of code of the same file follow? */
static bool run_has_code(const struct maps *maps, size_t first)
{
	for (size_t i = first; i < MIN(maps->count, first + RUN_MAPS_MAX); i++) {
		const struct map *map = &maps->v[i];

		if (map->name[0] == '\0') continue;
		if (!map_same_file(map, &maps->v[first])) return false;
		if (map->prot & PROT_EXEC) return true;
	}
	return false;
}

static void take_id(const struct elf_id *id, struct module *module)
{
	memcpy(module->build_id, id->build_id, id->build_id_len);
	module->build_id_len = id->build_id_len;
}

/*
 * Header, segments and build-id: from memory; from the file where a core of another program left
 * the header out, which then nothing vouches for but its name.
 */
static int read_entry(struct modules *m, size_t index, struct module_entry *entry, struct err *e)
{
	struct mapped_file mapped = {m->snapshot, index};
	const struct map *map = &m->snapshot->maps.v[index];
	enum mem_state state;
	struct elf_id id;
	char magic;
	int r;

	snapshot_read(m->snapshot, map->start, &magic, 1, &state);
	if (state == MEM_BYTES) {
		r = elf_image_read(read_mapped_file, &mapped, &entry->image, e);
		if (!r && elf_id_read(read_mapped_file, &mapped, ELF_LAYOUT_FILE, &id, NULL) == 0)
			take_id(&id, &entry->module);
		return r;
	}
	if ((state != MEM_FILE && state != MEM_NOT_CAPTURED) ||
	    !run_has_code(&m->snapshot->maps, index))
		return err_set(e, ERR_NOT_FOUND, "%s: its header is not in memory", map->name);
	r = module_open_file(m, entry, e);
	if (!r) r = elf_image_read(elf_read_blob, entry->file, &entry->image, e);
	if (!r && elf_id_of_blob(entry->file, &id, NULL) == 0) take_id(&id, &entry->module);
	return r;
}

/* start and end over the maps of the file that lie where its segments say, and the bss behind. */
static void take_extent(const struct maps *maps, size_t index, uint64_t floor,
			struct module_entry *entry)
{
	const struct map *head = &maps->v[index];
	struct module *module = &entry->module;
	uint64_t low = entry->image.low + module->bias, high = entry->image.high + module->bias;

	module->start = head->start;
	module->end = head->end;
	for (size_t i = index; i > 0; i--) {
		const struct map *map = &maps->v[i - 1];

		if (map->start < MAX(align_down(low, 4096), floor) || map->end != module->start ||
		    !map_same_file(map, head))
			break;
		module->start = map->start;
	}
	for (size_t i = index + 1; i < maps->count && maps->v[i].start < high; i++) {
		const struct map *map = &maps->v[i];
		bool bss = map->name[0] == '\0' && map->start == module->end;

		if (!bss && !map_same_file(map, head)) {
			if (map->name[0] != '\0') break;
			continue;
		}
		module->end = map->end;
	}
}

static int append(struct modules *m, struct module_entry *entry, struct err *e)
{
	if (m->count >= MODULE_COUNT_MAX)
		return err_set(e, ERR_LIMIT, "more than %d mapped programs and libraries",
			       MODULE_COUNT_MAX);
	if (m->count == m->cap) {
		size_t cap = m->cap ? m->cap * 2 : 64;
		struct module_entry **v = realloc(m->v, cap * sizeof(struct module_entry *));

		if (!v) return err_set(e, ERR_NO_MEMORY, "no memory for the list of modules");
		m->v = v;
		m->cap = cap;
	}
	entry->module.index = m->count;
	m->v[m->count++] = entry;
	return 0;
}

static void free_entry(struct module_entry *entry)
{
	if (!entry) return;
	blob_unref(entry->file);
	free(entry);
}

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static int add_module(struct modules *m, size_t index, uint64_t floor, struct err *e)
{
	const struct map *map = &m->snapshot->maps.v[index];
	struct module_entry *entry = calloc(1, sizeof(*entry));
	int r;

	if (!entry) return err_set(e, ERR_NO_MEMORY, "no memory for the list of modules");
	entry->map = map;
	entry->module.path = map->name;
	entry->module.name = last_component(map->name);
	entry->module.header = map->start;
	entry->module.header_end = map->end;
	if (read_entry(m, index, entry, NULL) < 0 ||
	    entry->image.machine != m->snapshot->e_machine) {
		free_entry(entry); /* mapped data, not a module */
		return 0;
	}
	entry->module.bias = map->start - entry->image.first;
	take_extent(&m->snapshot->maps, index, floor, entry);
	r = append(m, entry, e);
	if (r) free_entry(entry);
	return r;
}

int modules_new(struct snapshot *s, find_module_fn find, void *ctx, struct modules **ret,
		struct err *e)
{
	struct modules *m = calloc(1, sizeof(*m));
	uint64_t floor = 0;
	int r = 0;

	if (!m) return err_set(e, ERR_NO_MEMORY, "no memory for the list of modules");
	m->snapshot = s;
	m->find = find;
	m->find_ctx = ctx;
	for (size_t i = 0; i < s->maps.count && !r; i++) {
		if (s->maps.v[i].start < floor || !may_be_module(&s->maps.v[i])) continue;
		r = add_module(m, i, floor, e);
		if (m->count) floor = m->v[m->count - 1]->module.end;
	}
	if (r) {
		modules_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

void modules_free(struct modules *m)
{
	if (!m) return;
	for (size_t i = 0; i < m->count; i++)
		free_entry(m->v[i]);
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
	return &m->v[index]->module;
}

const struct module *modules_find(const struct modules *m, uint64_t address)
{
	size_t low = 0, high = m->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct module *module = &m->v[mid]->module;

		if (address < module->start)
			high = mid;
		else if (address >= module->end)
			low = mid + 1;
		else
			return module;
	}
	return NULL;
}
