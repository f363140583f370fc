#include "dumpers/runtime/dotnet_files.h"

#include "dumpers/proc/target_file.h"
#include "dumpers/runtime/facts.h"

#include <stdio.h>
#include <string.h>

static const char dac_name[] = "libmscordaccore.so";

static char *copy_text(const char *text, struct err *e)
{
	char *copy = strdup(text);

	if (!copy) err_set(e, ERR_NO_MEMORY, "no memory for the files of a .NET runtime");
	return copy;
}

int dotnet_file_set_reason(struct dotnet_file *file, const char *reason, struct err *e)
{
	char cut[DOTNET_REASON_MAX];

	snprintf(cut, sizeof(cut), "%s", reason);
	free(file->reason);
	free(file->entry);
	file->entry = NULL;
	file->reason = copy_text(cut, e);
	return file->reason ? 0 : -ERR_NO_MEMORY;
}

static void file_done(struct dotnet_file *file)
{
	free(file->path);
	free(file->entry);
	free(file->reason);
}

void dotnet_files_done(struct dotnet_files *files)
{
	file_done(&files->runtime);
	file_done(&files->dac);
	for (size_t i = 0; i < files->assembly_count; i++)
		file_done(&files->assemblies[i]);
	free(files->assemblies);
	*files = (struct dotnet_files){0};
}

const struct dotnet_file *dotnet_files_at(const struct dotnet_files *files, const char *path)
{
	if (files->runtime.path && strcmp(files->runtime.path, path) == 0) return &files->runtime;
	if (files->dac.path && strcmp(files->dac.path, path) == 0) return &files->dac;
	for (size_t i = 0; i < files->assembly_count; i++) {
		const char *its = files->assemblies[i].path;

		if (its && strcmp(its, path) == 0) return &files->assemblies[i];
	}
	return NULL;
}

int dotnet_file_open(const struct process *p, const struct dotnet_file *file, struct blob **ret,
		     struct err *e)
{
	if (!file->path) return err_set(e, ERR_NOT_FOUND, "there is no such file");
	if (file->end && process_open_mapped(p, file->start, file->end, ret, NULL) == 0) return 0;
	if (file->deleted)
		return err_set(e, ERR_NOT_FOUND, "%s was deleted or replaced since it was mapped",
			       file->path);
	return process_open_path(p, file->path, ret, e);
}

/* --- the runtime and its data-access library --- */

bool dotnet_is_shared(const char *runtime_path, char *version, size_t size)
{
	static const char shared[] = "/shared/Microsoft.NETCore.App/";
	const char *at = strstr(runtime_path, shared), *slash;

	if (!at) return false;
	at += sizeof(shared) - 1;
	slash = strchr(at, '/');
	if (!slash || at[0] < '0' || at[0] > '9') return false;
	snprintf(version, size, "%.*s", (int)MIN(slash - at, (ptrdiff_t)size - 1), at);
	return true;
}

/* Opens the file and takes what the list says of it; a file that cannot be opened is no error. */
static int look_at(const struct process *p, struct dotnet_file *file, struct blob **ret,
		   struct err *e)
{
	struct err why = {0};
	struct elf_id id;

	if (dotnet_file_open(p, file, ret, &why) < 0 || !*ret)
		return dotnet_file_set_reason(file, why.text, e);
	file->size = (*ret)->size;
	if (elf_id_of_blob(*ret, &id, NULL) == 0) {
		memcpy(file->build_id, id.build_id, id.build_id_len);
		file->build_id_len = id.build_id_len;
	}
	return 0;
}

/* The map that begins with the file's first byte, and so holds its ELF or PE header. */
static const struct map *map_of(const struct maps *maps, const char *path)
{
	for (size_t i = 0; i < maps->count; i++)
		if (maps->v[i].offset == 0 && strcmp(maps->v[i].name, path) == 0)
			return &maps->v[i];
	return NULL;
}

static int take_path(const struct maps *maps, const char *path, struct dotnet_file *ret,
		     struct err *e)
{
	const struct map *map = map_of(maps, path);

	ret->path = copy_text(path, e);
	if (!ret->path) return -ERR_NO_MEMORY;
	if (map) {
		ret->start = map->start;
		ret->end = map->end;
		ret->deleted = map->deleted;
	}
	return 0;
}

static int take_dac_beside(const struct process *p, struct dotnet_files *files, struct err *e)
{
	_cleanup_blob_ struct blob *file = NULL;
	const char *path = files->runtime.path, *name = path_basename(path);
	size_t folder = (size_t)(name - path), size = folder + sizeof(dac_name);

	files->dac.path = malloc(size);
	if (!files->dac.path)
		return err_set(e, ERR_NO_MEMORY, "no memory for the files of a .NET runtime");
	snprintf(files->dac.path, size, "%.*s%s", (int)folder, path, dac_name);
	return look_at(p, &files->dac, &file, e);
}

/* There is none; which one it takes. */
static int want_dac(struct blob *program, struct dotnet_files *files, struct err *e)
{
	struct dotnet_build_id wanted;
	char reason[DOTNET_REASON_MAX];
	bool named = program && dotnet_wanted_dac(program, &wanted, NULL) == 0;

	if (named) {
		memcpy(files->dac.build_id, wanted.bytes, wanted.len);
		files->dac.build_id_len = wanted.len;
	}
	snprintf(reason, sizeof(reason),
		 "a single-file program brings no %s along; it takes that of %s%s%s", dac_name,
		 files->version[0] ? ".NET " : "its own build", files->version,
		 named ? " with this build-id" : "");
	return dotnet_file_set_reason(&files->dac, reason, e);
}

static int take_runtime(const struct process *p, const struct maps *maps, const char *path,
			struct dotnet_files *files, struct err *e)
{
	_cleanup_blob_ struct blob *file = NULL;
	int r = take_path(maps, path, &files->runtime, e);

	if (!r) r = look_at(p, &files->runtime, &file, e);
	if (r) return r;
	if (file) dotnet_version_read(file, &files->files_say, NULL);
	if (files->kind != DOTNET_SINGLE_FILE &&
	    dotnet_is_shared(path, files->version, sizeof(files->version)))
		files->kind = DOTNET_FRAMEWORK_DEPENDENT;
	else
		dotnet_product_version(files->files_say.file, files->version,
				       sizeof(files->version));
	if (files->kind == DOTNET_SINGLE_FILE) return want_dac(file, files, e);
	return take_dac_beside(p, files, e);
}

static int find_runtime(const struct process *p, const struct maps *maps,
			struct dotnet_files *files, struct err *e)
{
	_cleanup_facts_ struct runtime_facts facts;
	const char *path;

	facts_of_maps(p, maps, &facts);
	path = facts_find_map(&facts, "libcoreclr.so");
	files->kind = DOTNET_SELF_CONTAINED;
	if (path) return take_runtime(p, maps, path, files, e);
	if (!facts_exe_has_symbol(&facts, "DotNetRuntimeInfo"))
		return err_set(e, ERR_NOT_FOUND, "process %d has no .NET runtime", p->pid);
	files->kind = DOTNET_SINGLE_FILE;
	return take_runtime(p, maps, facts.exe, files, e);
}

/* --- assemblies --- */

static bool may_be_assembly(const struct map *map)
{
	return map->offset == 0 && map->inode != 0 && map->name[0] == '/' && !map_is_memory(map);
}

static bool is_named_assembly(const char *path)
{
	const char *dot = strrchr(path_basename(path), '.');

	return dot && (strcasecmp(dot, ".dll") == 0 || strcasecmp(dot, ".exe") == 0);
}

/* Was the file at this path looked at, whatever came of it? */
struct seen {
	const char **v; /* paths, borrowed from the maps */
	size_t count;
};

static bool seen_before(struct seen *seen, const char *path)
{
	for (size_t i = seen->count; i > 0; i--)
		if (strcmp(seen->v[i - 1], path) == 0) return true;
	if (seen->count < DOTNET_FILES_MAX) seen->v[seen->count++] = path;
	return false;
}

/* Takes the file over when it belongs into the list. */
static int add_if_assembly(const struct process *p, struct dotnet_file *file,
			   struct dotnet_files *files, struct err *e)
{
	_cleanup_blob_ struct blob *blob = NULL;
	int r = look_at(p, file, &blob, e);

	if (r) return r;
	if (blob ? !dotnet_is_assembly(elf_read_blob, blob) : !is_named_assembly(file->path))
		return 0;
	files->assemblies[files->assembly_count++] = *file;
	*file = (struct dotnet_file){0};
	return 0;
}

static int find_assemblies(const struct process *p, const struct maps *maps,
			   struct dotnet_files *files, struct err *e)
{
	_cleanup_free_ const char **paths = calloc(DOTNET_FILES_MAX, sizeof(const char *));
	struct seen seen = {.v = paths};
	int r = 0;

	files->assemblies = calloc(DOTNET_FILES_MAX, sizeof(*files->assemblies));
	if (!paths || !files->assemblies)
		return err_set(e, ERR_NO_MEMORY, "no memory for the files of a .NET runtime");
	for (size_t i = 0; i < maps->count && !r && seen.count < DOTNET_FILES_MAX; i++) {
		const struct map *map = &maps->v[i];
		struct dotnet_file file = {0};

		if (!may_be_assembly(map) || seen_before(&seen, map->name)) continue;
		r = take_path(maps, map->name, &file, e);
		if (!r) r = add_if_assembly(p, &file, files, e);
		file_done(&file);
	}
	return r;
}

int dotnet_files_find(const struct process *p, const struct maps *maps, struct dotnet_files *ret,
		      struct err *e)
{
	struct dotnet_files files = {0};
	int r = find_runtime(p, maps, &files, e);

	if (!r) r = find_assemblies(p, maps, &files, e);
	if (r)
		dotnet_files_done(&files);
	else
		*ret = files;
	return r;
}
