/* The list of a .NET process's files as a document; collector/dotnet_source.c reads it. */
#include "dumpers/runtime/dotnet_files.h"

#include "base/hash.h"
#include "base/json.h"

#include <string.h>

static const char *const kinds[] = {
    [DOTNET_FRAMEWORK_DEPENDENT] = "framework-dependent",
    [DOTNET_SELF_CONTAINED] = "self-contained",
    [DOTNET_SINGLE_FILE] = "single-file",
};

const char *dotnet_kind_name(enum dotnet_kind kind)
{
	return kinds[kind];
}

bool dotnet_kind_parse(const char *name, enum dotnet_kind *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(name, kinds[i]) != 0) continue;
		*ret = (enum dotnet_kind)i;
		return true;
	}
	return false;
}

static void write_text(struct json *j, const char *key, const char *text)
{
	json_kv_string(j, key, text[0] ? text : NULL);
}

static void write_file(struct json *j, const struct dotnet_file *file)
{
	char hex[2 * ELF_ID_BUILD_ID_MAX + 1];

	hex_encode(file->build_id, file->build_id_len, hex);
	json_object(j);
	json_kv_string(j, "path", file->path);
	write_text(j, "build_id", hex);
	json_kv_uint(j, "size", file->size);
	json_kv_string(j, "entry", file->entry);
	json_kv_string(j, "reason", file->reason);
	json_object_end(j);
}

int dotnet_files_json(const struct dotnet_files *files, struct buf *ret, struct err *e)
{
	struct json j;

	json_init(&j, ret, true);
	json_object(&j);
	json_kv_string(&j, "schema", "podsnap.dotnet/1");
	json_kv_string(&j, "kind", dotnet_kind_name(files->kind));
	write_text(&j, "version", files->version);
	write_text(&j, "file_version", files->files_say.file);
	write_text(&j, "commit", files->files_say.commit);
	json_key(&j, "coreclr");
	write_file(&j, &files->runtime);
	json_key(&j, "dac");
	write_file(&j, &files->dac);
	json_key(&j, "assemblies");
	json_array(&j);
	for (size_t i = 0; i < files->assembly_count; i++)
		write_file(&j, &files->assemblies[i]);
	json_array_end(&j);
	json_object_end(&j);
	return json_finish(&j, e);
}
