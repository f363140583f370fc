#include "dumpers/runtime/facts.h"

#include "dumpers/proc/status.h"

#include <stdio.h>
#include <string.h>

enum {
	DYNSTR_MAX = 32 << 20, /* of Node 20: some 6 MiB */
	CHUNK = 64 << 10,
	SYMBOL_MAX = 256,
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

void facts_done(struct runtime_facts *f)
{
	if (!f) return;
	maps_done(&f->maps);
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

/* Is the name, with a NUL on both sides, in [offset, offset + size) of the file? */
static bool find_name(struct blob *file, uint64_t offset, uint64_t size, const char *name)
{
	size_t name_len = strlen(name), want = name_len + 2;
	_cleanup_free_ char *chunk = malloc(CHUNK);
	char with_nuls[SYMBOL_MAX + 2] = {0};
	uint64_t at = 0;

	if (!chunk || name_len > SYMBOL_MAX) return false;
	memcpy(with_nuls + 1, name, name_len);
	while (size - at >= want) {
		size_t n = (size_t)MIN(size - at, (uint64_t)CHUNK);

		if (blob_read_at(file, offset + at, chunk, n, NULL) < 0) return false;
		if (memmem(chunk, n, with_nuls, want)) return true;
		/* The next chunk begins with what a name across the border needs. */
		at += n - (want - 1);
	}
	return false;
}

bool facts_exe_has_symbol(struct runtime_facts *f, const char *symbol)
{
	uint64_t offset, size, end;

	if (!facts_exe_section(f, ".dynstr", &offset, &size)) return false;
	if (size > DYNSTR_MAX || add_overflows(offset, size, &end)) return false;
	return find_name(f->exe_file, offset, size, symbol);
}
