#include "dumpers/runtime/facts.h"

#include "dumpers/proc/elf_search.h"
#include "dumpers/proc/status.h"

#include <stdio.h>
#include <string.h>

enum {
	/* A cap far above any real map, far below what would hurt beside a small target. */
	MAPS_FACTS_MAX = 32 << 20,
};

const char *path_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void cut_deleted(char *path)
{
	static const char suffix[] = " (deleted)";
	size_t len = strlen(path), n = sizeof(suffix) - 1;

	if (len > n && strcmp(path + len - n, suffix) == 0) path[len - n] = '\0';
}

void facts_read(const struct process *p, struct runtime_facts *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT(MAPS_FACTS_MAX);
	struct proc_status status;

	*ret = (struct runtime_facts){.process = p};
	if (process_read(p, "maps", &text, NULL) == 0 &&
	    maps_parse(text.data, text.len, &ret->maps, NULL) == 0)
		ret->maps_readable = ret->maps.count > 0;
	if (process_readlink(p, "exe", ret->exe, sizeof(ret->exe), NULL) == 0)
		cut_deleted(ret->exe);
	process_cmdline(p, true, &ret->argv, NULL);
	if (process_status(p, &status, NULL) == 0)
		snprintf(ret->comm, sizeof(ret->comm), "%s", status.name);
}

void facts_of_maps(const struct process *p, const struct maps *maps, struct runtime_facts *ret)
{
	*ret = (struct runtime_facts){
	    .process = p, .maps = *maps, .maps_borrowed = true, .maps_readable = maps->count > 0};
	if (process_readlink(p, "exe", ret->exe, sizeof(ret->exe), NULL) == 0)
		cut_deleted(ret->exe);
}

void facts_done(struct runtime_facts *f)
{
	if (!f) return;
	if (!f->maps_borrowed) maps_done(&f->maps);
	string_list_done(&f->argv);
	blob_unref(f->exe_file);
	*f = (struct runtime_facts){0};
}

const char *facts_find_map(const struct runtime_facts *f, const char *prefix)
{
	size_t len = strlen(prefix);

	for (size_t i = 0; i < f->maps.count; i++) {
		const char *name = f->maps.v[i].name;

		if (name[0] == '/' && strncmp(path_basename(name), prefix, len) == 0) return name;
	}
	return NULL;
}

const char *facts_program(struct runtime_facts *f)
{
	if (f->exe[0]) return path_basename(f->exe);
	if (f->argv.count == 0 || !f->argv.v[0][0]) return f->comm;
	snprintf(f->argv0, sizeof(f->argv0), "%.*s", (int)MIN(strcspn(f->argv.v[0], " "), 255u),
		 f->argv.v[0]);
	return path_basename(f->argv0);
}

struct blob *facts_exe_file(struct runtime_facts *f)
{
	if (!f->exe_tried && f->process) process_open_exe(f->process, &f->exe_file, NULL);
	f->exe_tried = true;
	return f->exe_file;
}

bool facts_exe_section(struct runtime_facts *f, const char *name, uint64_t *ret_offset,
		       uint64_t *ret_size)
{
	struct blob *exe = facts_exe_file(f);
	uint64_t offset, size;

	if (!exe || elf_find_section(elf_read_blob, exe, name, &offset, &size, NULL) < 0)
		return false;
	if (ret_offset) *ret_offset = offset;
	if (ret_size) *ret_size = size;
	return true;
}

bool facts_exe_has_symbol(struct runtime_facts *f, const char *symbol)
{
	struct blob *exe = facts_exe_file(f);

	return exe && elf_has_dynamic_name(exe, symbol);
}
