#include "collector/dotnet_source.h"

#include "base/hash.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

enum { DOCUMENT_MAX = 16 << 20, PATH_TEXT_MAX = 4096 };

static int corrupt(struct err *e, const char *what)
{
	return err_set(e, ERR_CORRUPT, "runtime/dotnet.json: %s", what);
}

/* --- values --- */

/* "" where it is null or missing; -ERR_CORRUPT where it is no text, or longer than size - 1. */
static int take_text(const cJSON *object, const char *key, char *ret, size_t size, struct err *e)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
	ret[0] = '\0';
	if (!item || cJSON_IsNull(item)) return 0;
	const char *text = cJSON_GetStringValue(item);
	if (!text || strlen(text) >= size) return corrupt(e, key);
	memcpy(ret, text, strlen(text) + 1);
	return 0;
}

/* The same on the heap; NULL where it is null or missing. */
static int take_copy(const cJSON *object, const char *key, size_t max, char **ret, struct err *e)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
	if (!item || cJSON_IsNull(item)) return 0;
	const char *text = cJSON_GetStringValue(item);
	if (!text || strlen(text) >= max) return corrupt(e, key);
	*ret = strdup(text);
	return *ret ? 0 : err_set(e, ERR_NO_MEMORY, "no memory for the files of a .NET runtime");
}

static int take_build_id(const cJSON *object, struct dotnet_file *ret, struct err *e)
{
	char hex[2 * ELF_ID_BUILD_ID_MAX + 1];
	int r = take_text(object, "build_id", hex, sizeof hex, e);
	size_t len = strlen(hex) / 2;
	if (r) return r;
	if (strlen(hex) % 2 || hex_decode(hex, ret->build_id, len, NULL))
		return corrupt(e, "build_id");
	ret->build_id_len = len;
	return 0;
}

static int take_size(const cJSON *object, uint64_t *ret, struct err *e)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, "size");
	double value = cJSON_IsNumber(item) ? item->valuedouble : -1;
	if (!(value >= 0 && value <= (double)BUNDLE_SIZE_MAX)) return corrupt(e, "size");
	*ret = (uint64_t)value;
	return 0;
}

static int take_file(const cJSON *object, struct dotnet_file *ret, struct err *e)
{
	if (!cJSON_IsObject(object)) return corrupt(e, "a file is no object");
	int r = take_copy(object, "path", PATH_TEXT_MAX, &ret->path, e);
	if (!r) r = take_build_id(object, ret, e);
	if (!r) r = take_size(object, &ret->size, e);
	if (!r) r = take_copy(object, "entry", BUNDLE_NAME_MAX, &ret->entry, e);
	if (!r) r = take_copy(object, "reason", DOTNET_REASON_MAX, &ret->reason, e);
	if (!r && ret->entry && bundle_entry_name_check(ret->entry, NULL)) r = corrupt(e, "entry");
	return r;
}

/* --- the document --- */

static int take_assemblies(const cJSON *list, struct dotnet_files *ret, struct err *e)
{
	const cJSON *item;
	if (!cJSON_IsArray(list)) return corrupt(e, "assemblies");
	int count = cJSON_GetArraySize(list);
	if (count > DOTNET_FILES_MAX)
		return err_set(e, ERR_LIMIT, "runtime/dotnet.json lists %d assemblies", count);
	ret->assemblies = calloc((size_t)count + 1, sizeof *ret->assemblies);
	if (!ret->assemblies)
		return err_set(e, ERR_NO_MEMORY, "no memory for %d assemblies", count);
	cJSON_ArrayForEach(item, list)
	{
		int r = take_file(item, &ret->assemblies[ret->assembly_count++], e);
		if (r) return r;
	}
	return 0;
}

static int take_document(const cJSON *doc, struct dotnet_files *ret, struct err *e)
{
	char schema[32], kind[32];
	int r = take_text(doc, "schema", schema, sizeof schema, e);
	if (!r && strcmp(schema, "podsnap.dotnet/1") != 0) r = corrupt(e, "schema");
	if (!r) r = take_text(doc, "kind", kind, sizeof kind, e);
	if (!r && !dotnet_kind_parse(kind, &ret->kind)) r = corrupt(e, "kind");
	if (!r) r = take_text(doc, "version", ret->version, sizeof ret->version, e);
	if (!r)
		r = take_text(doc, "file_version", ret->files_say.file, sizeof ret->files_say.file,
			      e);
	if (!r)
		r = take_text(doc, "commit", ret->files_say.commit, sizeof ret->files_say.commit,
			      e);
	if (!r) r = take_file(cJSON_GetObjectItemCaseSensitive(doc, "coreclr"), &ret->runtime, e);
	if (!r) r = take_file(cJSON_GetObjectItemCaseSensitive(doc, "dac"), &ret->dac, e);
	if (r) return r;
	return take_assemblies(cJSON_GetObjectItemCaseSensitive(doc, "assemblies"), ret, e);
}

int dotnet_files_parse(const char *text, size_t len, struct dotnet_files *ret, struct err *e)
{
	struct dotnet_files files = {0};
	cJSON *doc = len <= DOCUMENT_MAX ? cJSON_ParseWithLength(text, len) : NULL;
	int r = doc ? take_document(doc, &files, e) : corrupt(e, "it is no JSON document");
	cJSON_Delete(doc);
	if (r)
		dotnet_files_done(&files);
	else
		*ret = files;
	return r;
}

/* --- the archive --- */

static const struct bundle_entry *find_entry(const struct archive *a, const char *name)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct bundle_entry *entry = archive_at(a, i);
		if (!strcmp(entry->name, name)) return entry;
	}
	return NULL;
}

static int read_document(struct blob *blob, struct dotnet_files *ret, struct err *e)
{
	if (blob->size > DOCUMENT_MAX) return corrupt(e, "it is larger than 16 MiB");
	_cleanup_free_ char *text = malloc(blob->size + 1);
	if (!text) return err_set(e, ERR_NO_MEMORY, "no memory for runtime/dotnet.json");
	int r = blob_read_at(blob, 0, text, blob->size, e);
	return r ? r : dotnet_files_parse(text, blob->size, ret, e);
}

int archive_dotnet_files(const struct archive *a, const char *dir, struct dotnet_files *ret,
			 struct err *e)
{
	_cleanup_blob_ struct blob *blob = NULL;
	char name[BUNDLE_NAME_MAX];
	int n = snprintf(name, sizeof name, "%s/runtime/dotnet.json", dir);
	const struct bundle_entry *entry =
	    n >= 0 && (size_t)n < sizeof name ? find_entry(a, name) : NULL;
	if (!entry) return err_set(e, ERR_NOT_FOUND, "%s is of no .NET process", dir);
	if (!entry->in_tar)
		return err_set(e, ERR_NOT_FOUND, "there is no %s: %s", name, entry->reason);
	int r = archive_open(a, entry, &blob, e);
	return r ? r : read_document(blob, ret, e);
}

int archive_dotnet_file(const struct archive *a, const struct dotnet_file *file, struct blob **ret,
			struct err *e)
{
	const char *path = file->path ? file->path : "the file";
	const struct bundle_entry *entry = file->entry ? find_entry(a, file->entry) : NULL;
	if (file->reason) return err_set(e, ERR_NOT_FOUND, "%s: %s", path, file->reason);
	if (!entry || !entry->in_tar)
		return err_set(e, ERR_NOT_FOUND, "%s is not carried along", path);
	if (entry->lost_count)
		return err_set(e, ERR_NOT_FOUND, "%s is incomplete: %s", path, entry->reason);
	return archive_open(a, entry, ret, e);
}
