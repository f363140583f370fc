#include "collector/local_entries.h"

#include "base/log.h"
#include "dumpers/proc/stat.h"
#include "dumpers/runtime/describe.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 64 << 20, COPY_BYTES = 1 << 20 };

static void make_safe(char *name)
{
	for (char *c = name; *c; c++) {
		bool fine = (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') ||
			    (*c >= 'A' && *c <= 'Z') || *c == '-' || *c == '.' || *c == '+';
		if (!fine) *c = '_';
	}
}

int process_entry_dir(const struct process *process, char *ret, size_t ret_size, struct err *e)
{
	struct process_summary summary;
	int r = process_summary_read(process, &summary, e);
	if (r) return r;
	make_safe(summary.comm);
	snprintf(ret, ret_size, "%d-%s", summary.ns_pid, summary.comm);
	return 0;
}

static int add_proc_file(struct packer *packer, const struct process *process, const char *dir,
			 const struct proc_file *file, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(file->max_bytes);
	char path[BUNDLE_NAME_MAX];
	struct err why = {0};
	snprintf(path, sizeof path, "%s/proc/%s", dir, file->name);
	if (process_read(process, file->name, &text, &why)) {
		return packer_absent(packer, path, ENTRY_SKIPPED, why.text, e);
	}
	return packer_add(packer, path, text.data ? text.data : "", text.len, e);
}

static int add_fds(struct packer *packer, const struct process *process, const char *dir,
		   struct err *e)
{
	_cleanup_buf_ struct buf json = BUF_INIT(TEXT_MAX);
	struct err why = {0};
	char path[BUNDLE_NAME_MAX];
	snprintf(path, sizeof path, "%s/fds.json", dir);
	if (process_fds_json(process, &json, &why)) {
		return packer_absent(packer, path, ENTRY_SKIPPED, why.text, e);
	}
	return packer_add(packer, path, json.data, json.len, e);
}

int add_process_entries(struct packer *packer, const struct process *process, const char *dir,
			bool show_secrets, struct err *e)
{
	_cleanup_buf_ struct buf json = BUF_INIT(TEXT_MAX);
	char path[BUNDLE_NAME_MAX];
	int r = process_describe_json(process, show_secrets, &json, e);
	if (r) return r;
	snprintf(path, sizeof path, "%s/process.json", dir);
	r = packer_add(packer, path, json.data, json.len, e);
	if (!r) r = add_fds(packer, process, dir, e);
	for (size_t i = 0; !r && i < proc_file_count; i++) {
		r = add_proc_file(packer, process, dir, &proc_files[i], e);
	}
	return r;
}

static int hash_blob(struct blob *blob, uint8_t ret[SHA256_BYTES], struct err *e)
{
	_cleanup_free_ uint8_t *buffer = malloc(COPY_BYTES);
	struct sha256 hash;
	if (!buffer) return err_set(e, ERR_NO_MEMORY, "no memory");
	sha256_init(&hash);
	for (uint64_t at = 0; at < blob->size;) {
		size_t n = MIN(blob->size - at, COPY_BYTES);
		int r = blob_read_at(blob, at, buffer, n, e);
		if (r) return r;
		sha256_update(&hash, buffer, n);
		at += n;
	}
	sha256_final(&hash, ret);
	return 0;
}

int file_entry_name(const char *path, const uint8_t *build_id, size_t build_id_len,
		    struct blob *file, char *ret, size_t ret_size, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char hex[2 * BUILD_ID_MAX + 1], name[256];
	snprintf(name, sizeof name, "%s", slash && slash[1] ? slash + 1 : path);
	make_safe(name);
	if (build_id_len) {
		hex_encode(build_id, build_id_len, hex);
		snprintf(ret, ret_size, "modules/%s/%s", hex, name);
		return 0;
	}
	uint8_t sum[SHA256_BYTES];
	int r = hash_blob(file, sum, e);
	if (r) return r;
	hex_encode(sum, sizeof sum, hex);
	snprintf(ret, ret_size, "modules/sha256-%s/%s", hex, name);
	return 0;
}

int module_entry_name(const struct module *module, struct blob *file, char *ret, size_t ret_size,
		      struct err *e)
{
	return file_entry_name(module->path, module->build_id, module->build_id_len, file, ret,
			       ret_size, e);
}

static int copy_blob(struct capture *c, struct blob *blob, struct err *e)
{
	struct packer *packer = c->packer;
	for (uint64_t at = 0; at < blob->size;) {
		void *room;
		size_t len;
		struct err why = {0};
		int r = capture_check(c, e);
		if (!r) r = packer_reserve(packer, &room, &len, e);
		if (r) return r;
		len = MIN(len, blob->size - at);
		if (blob_read_at(blob, at, room, len, &why)) {
			return packer_end(packer, ENTRY_PARTIAL, why.text, e);
		}
		r = packer_commit(packer, len, e);
		if (r) return r;
		at += len;
	}
	return packer_end(packer, ENTRY_OK, NULL, e);
}

int add_file(struct capture *c, const char *entry, struct blob *file, struct err *e)
{
	int r = packer_begin(c->packer, entry, file->size, e);
	if (r == -ERR_EXISTS) return 0;
	return r ? r : copy_blob(c, file, e);
}

static int add_module(struct capture *c, struct modules *modules, const struct module *module,
		      const char *dir, struct err *e)
{
	struct err why = {0};
	char path[BUNDLE_NAME_MAX];
	struct blob *file = modules_file(modules, module, &why);
	if (!file || file->size > MODULE_BYTES_MAX ||
	    module_entry_name(module, file, path, sizeof path, &why)) {
		if (file && !why.text[0]) err_set(&why, ERR_LIMIT, "larger than 1 GiB");
		char name[256];
		snprintf(name, sizeof name, "%s", module->name);
		make_safe(name);
		snprintf(path, sizeof path, "modules/missing-%s-%zu/%s", dir, module->index, name);
		return packer_absent(c->packer, path, ENTRY_SKIPPED, why.text, e);
	}
	return add_file(c, path, file, e);
}

int add_modules(struct capture *c, struct modules *modules, const char *dir, struct err *e)
{
	int r = 0;
	for (size_t i = 0; !r && i < modules_count(modules); i++) {
		const struct module *module = modules_at(modules, i);
		if (module->path[0] != '/') continue; /* the vdso is in the core */
		r = add_module(c, modules, module, dir, e);
	}
	return r;
}
