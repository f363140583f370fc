/* Memory of a snapshot, completed from the files of its modules. */
#include "dumpers/stack/modules_internal.h"

#include <stdio.h>
#include <string.h>

enum { PAGE = 4096 };

/* Is this file the one that is mapped? */
static int check_file(const struct module_entry *entry, struct blob *file, struct err *e)
{
	const struct module *module = &entry->module;
	struct elf_image image;
	struct elf_id id;
	int r;

	if (module->build_id_len) {
		r = elf_id_of_blob(file, &id, e);
		if (r < 0) return err_wrap(e, "%s", module->path);
		if (id.build_id_len != module->build_id_len ||
		    memcmp(id.build_id, module->build_id, id.build_id_len) != 0)
			return err_set(
			    e, ERR_NOT_FOUND,
			    "%s: the file has another build-id than the module in memory",
			    module->path);
		return 0;
	}
	/* Its header was not in memory, and is yet to be read from this file. */
	if (entry->image.load_count == 0) return 0;
	r = elf_image_read(elf_read_blob, file, &image, e);
	if (r < 0) return err_wrap(e, "%s", module->path);
	if (!elf_image_equal(&image, &entry->image))
		return err_set(e, ERR_NOT_FOUND,
			       "%s: the file has other program headers than the module in memory",
			       module->path);
	return 0;
}

int module_open_file(struct modules *m, struct module_entry *entry, struct err *e)
{
	_cleanup_blob_ struct blob *file = NULL;
	struct err why = {0};
	int r;

	if (entry->file) return 0;
	if (!entry->file_tried) {
		entry->file_tried = true;
		if (module_is_vdso(&entry->module) || !m->find)
			r = err_set(&why, ERR_NOT_FOUND, "%s: no file to read it from",
				    entry->module.path);
		else
			r = m->find(m->find_ctx, &entry->module, &file, &why);
		if (!r) r = check_file(entry, file, &why);
		if (!r) {
			entry->file = STEAL_PTR(file);
			return 0;
		}
		entry->file_error = -r;
		snprintf(entry->file_why, sizeof(entry->file_why), "%.*s", MODULE_WHY_MAX - 1,
			 why.text);
	}
	return err_set(e, (enum err_code)entry->file_error, "%s", entry->file_why);
}

struct blob *modules_file(struct modules *m, const struct module *module, struct err *e)
{
	struct module_entry *entry = module_entry(module);

	return module_open_file(m, entry, e) < 0 ? NULL : entry->file;
}

/* At most len bytes of the map's file at addr; what the file's last page has behind its end is
 * zero. */
static int read_from_file(struct modules *m, uint64_t addr, void *data, size_t len, size_t *ret_len,
			  struct err *e)
{
	const struct map *map = maps_find(&m->snapshot->maps, addr);
	const struct module *module = modules_find(m, addr);
	struct module_entry *entry = module ? module_entry(module) : NULL;
	uint64_t offset;
	int r;

	if (!map || !entry || !map_same_file(map, entry->map))
		return err_set(e, ERR_NOT_FOUND, "memory at 0x%llx: in no module's file",
			       (unsigned long long)addr);
	if (add_overflows(map->offset, addr - map->start, &offset))
		return err_set(e, ERR_NOT_FOUND, "%s: no offset for 0x%llx", map->name,
			       (unsigned long long)addr);
	r = module_open_file(m, entry, e);
	if (r < 0) return r;
	len = (size_t)MIN((uint64_t)len, map->end - addr);
	if (offset >= entry->file->size) {
		uint64_t pages = align_up(MIN(entry->file->size, UINT64_MAX - PAGE), PAGE);

		if (offset >= pages)
			return err_set(e, ERR_NOT_FOUND, "memory at 0x%llx: behind the end of %s",
				       (unsigned long long)addr, map->name);
		*ret_len = (size_t)MIN((uint64_t)len, pages - offset);
		memset(data, 0, *ret_len);
		return 0;
	}
	*ret_len = (size_t)MIN((uint64_t)len, entry->file->size - offset);
	return blob_read_at(entry->file, offset, data, *ret_len, e);
}

/* The kernel leaves only pages that nobody wrote out of a core, and gives no copies of those of
 * maps that can be written; so the file is what was there only if the map is read-only. */
static bool file_backs(const struct modules *m, uint64_t addr, enum mem_state state)
{
	const struct map *map;

	if (state == MEM_FILE) return true;
	if (state != MEM_NOT_CAPTURED) return false;
	map = maps_find(&m->snapshot->maps, addr);
	return map && !(map->prot & PROT_WRITE) && map->name[0] == '/';
}

int modules_read(struct modules *m, uint64_t addr, void *data, size_t len, struct err *e)
{
	uint8_t *out = data;
	uint64_t end;

	if (add_overflows(addr, len, &end))
		return err_set(e, ERR_NOT_FOUND, "memory at 0x%llx: the address wraps",
			       (unsigned long long)addr);
	for (size_t done = 0; done < len;) {
		uint64_t at = addr + done;
		enum mem_state state;
		size_t n = snapshot_read(m->snapshot, at, out + done, len - done, &state);

		if (state == MEM_ZERO) {
			memset(out + done, 0, n);
		} else if (file_backs(m, at, state)) {
			int r = read_from_file(m, at, out + done, n, &n, e);

			if (r < 0) return r;
		} else if (state != MEM_BYTES) {
			return err_set(e, state == MEM_ERROR ? ERR_IO : ERR_NOT_FOUND,
				       "memory at 0x%llx: %s", (unsigned long long)at,
				       mem_state_name(state));
		}
		done += n;
	}
	return 0;
}
