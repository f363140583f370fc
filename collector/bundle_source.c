#include "collector/bundle_source.h"

#include "base/hash.h"
#include "dumpers/snapshot/corefile.h"

#include <stdio.h>
#include <string.h>

static bool is_core(const struct bundle_entry *entry)
{
	const char *slash = strchr(entry->name, '/');
	return slash && !strcmp(slash, "/core") && entry->name[0] >= '0' && entry->name[0] <= '9';
}

static int no_core(const struct bundle *b, struct err *e)
{
	for (size_t i = 0; i < bundle_entry_count(b); i++) {
		const struct bundle_entry *entry = bundle_entry_at(b, i);
		if (is_core(entry)) {
			return err_set(e, ERR_NOT_FOUND, "the bundle has no core: %s",
				       entry->reason);
		}
	}
	const char *cut = bundle_truncated(b);
	return err_set(e, ERR_NOT_FOUND, "the bundle has no core%s%s",
		       cut ? ": it is truncated: " : "", cut ? cut : "");
}

int bundle_snapshot(struct bundle *b, size_t index, struct snapshot **ret, struct err *e)
{
	size_t seen = 0;
	for (size_t i = 0; i < bundle_entry_count(b); i++) {
		const struct bundle_entry *entry = bundle_entry_at(b, i);
		if (!is_core(entry) || !entry->in_tar || seen++ != index) continue;
		_cleanup_blob_ struct blob *blob = NULL;
		int r = bundle_entry_blob(b, entry, &blob, e);
		return r ? r : snapshot_open_core(blob, entry->lost, entry->lost_count, ret, e);
	}
	return no_core(b, e);
}

int find_module_in_bundle(void *ctx, const struct module *module, struct blob **ret, struct err *e)
{
	struct bundle *b = ctx;
	char prefix[sizeof "modules/" + 2 * BUILD_ID_MAX + 1] = "modules/";
	size_t at = strlen(prefix);
	if (!module->build_id_len) {
		/* Its text is in the core: a file cannot be told from another of its name. */
		return err_set(e, ERR_NOT_FOUND, "%s has no build-id to find its file by",
			       module->path);
	}
	hex_encode(module->build_id, module->build_id_len, prefix + at);
	size_t len = strlen(prefix);
	for (size_t i = 0; i < bundle_entry_count(b); i++) {
		const struct bundle_entry *entry = bundle_entry_at(b, i);
		if (entry->in_tar && !strncmp(entry->name, prefix, len) &&
		    entry->name[len] == '/') {
			return bundle_entry_blob(b, entry, ret, e);
		}
	}
	return err_set(e, ERR_NOT_FOUND, "the bundle does not carry %s", module->path);
}
