#include "collector/managed_files.h"

#include "base/log.h"
#include "collector/archive_source.h"
#include "collector/dotnet_source.h"
#include "dumpers/runtime/facts.h"

#include <stdio.h>
#include <string.h>

bool runs_dotnet(const struct snapshot *s)
{
	for (size_t i = 0; i < s->maps.count; i++) {
		if (!strcmp(path_basename(s->maps.v[i].name), "libcoreclr.so")) return true;
	}
	return false;
}

/* Both finders of modules take a path alone, too. */
int find_file_in_process(void *ctx, const char *path, struct blob **ret, struct err *e)
{
	const struct module module = {.path = path, .name = path_basename(path)};
	return find_module_in_process(ctx, &module, ret, e);
}
int find_file_in_sysroot(void *ctx, const char *path, struct blob **ret, struct err *e)
{
	const struct module module = {.path = path, .name = path_basename(path)};
	return find_module_in_sysroot(ctx, &module, ret, e);
}

void archive_of_process_init(struct archive_of_process *a, const struct archive *archive,
			     size_t index)
{
	const struct bundle_entry *entry = archive_core(archive, index);
	const char *core = entry ? entry->name : "/";
	char dir[BUNDLE_NAME_MAX];
	struct err why = {0};
	*a = (struct archive_of_process){.archive = archive};
	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(core, '/') - core), core);
	if (archive_dotnet_files(archive, dir, &a->files, &why)) log_warn("%s", why.text);
}

void archive_of_process_done(struct archive_of_process *a)
{
	dotnet_files_done(&a->files);
}

/* The modules' build-ids are enough to find an ELF file by; an assembly has a path alone. */
int find_module_of_process(void *ctx, const struct module *module, struct blob **ret, struct err *e)
{
	const struct archive_of_process *a = ctx;
	return find_module_in_archive((void *)a->archive, module, ret, e);
}
int find_file_of_process(void *ctx, const char *path, struct blob **ret, struct err *e)
{
	const struct archive_of_process *a = ctx;
	const struct dotnet_file *file = dotnet_files_at(&a->files, path);
	if (!file) return err_set(e, ERR_NOT_FOUND, "the bundle does not carry %s", path);
	return archive_dotnet_file(a->archive, file, ret, e);
}

int managed_open(const struct options *o, struct modules *modules, dotnet_find_file_fn find_file,
		 void *find_ctx, struct dotnet **ret, struct err *e)
{
	_cleanup_blob_ struct blob *dac = NULL;
	const char *path = option_string(o, OPT_DAC);
	int r = path ? blob_open_file(path, &dac, e) : 0;
	const struct dotnet_config config = {.find_file = find_file,
					     .find_ctx = find_ctx,
					     .dac = dac,
					     .timeout_ns =
						 (uint64_t)option_int(o, OPT_DAC_TIMEOUT)};
	return r ? r : dotnet_open(modules, &config, ret, e);
}
