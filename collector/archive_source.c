#include "collector/archive_source.h"

#include "base/hash.h"
#include "dumpers/snapshot/corefile.h"

#include <stdio.h>
#include <string.h>

static bool is_core(const struct bundle_entry *entry)
{
	const char *slash = strchr(entry->name, '/');
	return slash && !strcmp(slash, "/core") && entry->name[0] >= '0' && entry->name[0] <= '9';
}

static int no_core(const struct archive *a, struct err *e)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct bundle_entry *entry = archive_at(a, i);
		if (is_core(entry)) {
			return err_set(e, ERR_NOT_FOUND, "the bundle has no core: %s",
				       entry->reason);
		}
	}
	return err_set(e, ERR_NOT_FOUND, "the bundle has no core");
}

const struct bundle_entry *archive_core(const struct archive *a, size_t index)
{
	size_t seen = 0;
	for (size_t i = 0; i < a->count; i++) {
		const struct bundle_entry *entry = archive_at(a, i);
		if (is_core(entry) && entry->in_tar && seen++ == index) return entry;
	}
	return NULL;
}

int archive_snapshot(const struct archive *a, size_t index, struct snapshot **ret, struct err *e)
{
	const struct bundle_entry *entry = archive_core(a, index);
	_cleanup_blob_ struct blob *blob = NULL;
	if (!entry) return no_core(a, e);
	int r = archive_open(a, entry, &blob, e);
	return r ? r : snapshot_open_core(blob, entry->lost, entry->lost_count, ret, e);
}

int find_module_in_archive(void *ctx, const struct module *module, struct blob **ret, struct err *e)
{
	const struct archive *a = ctx;
	char prefix[sizeof "modules/" + 2 * BUILD_ID_MAX + 1] = "modules/";
	size_t at = strlen(prefix);
	if (!module->build_id_len) {
		/* Its text is in the core: a file cannot be told from another of its name. */
		return err_set(e, ERR_NOT_FOUND, "%s has no build-id to find its file by",
			       module->path);
	}
	hex_encode(module->build_id, module->build_id_len, prefix + at);
	size_t len = strlen(prefix);
	for (size_t i = 0; i < a->count; i++) {
		const struct bundle_entry *entry = archive_at(a, i);
		if (entry->in_tar && !strncmp(entry->name, prefix, len) &&
		    entry->name[len] == '/') {
			return archive_open(a, entry, ret, e);
		}
	}
	return err_set(e, ERR_NOT_FOUND, "the bundle does not carry %s", module->path);
}
