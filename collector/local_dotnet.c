#include "collector/local_dotnet.h"

#include "base/log.h"
#include "collector/local_entries.h"

#include <stdio.h>
#include <string.h>

enum { DOCUMENT_MAX = 16 << 20 };

static int no_memory(struct err *e)
{
	return err_set(e, ERR_NO_MEMORY, "no memory for the files of a .NET runtime");
}

int dotnet_file_prepare(const struct process *p, struct dotnet_file *file, struct blob **ret,
			struct err *e)
{
	_cleanup_blob_ struct blob *blob = NULL;
	char entry[BUNDLE_NAME_MAX];
	struct err why = {0};
	if (!file->path || file->reason) return 0;
	int r = dotnet_file_open(p, file, &blob, &why);
	if (!r && blob->size > MODULE_BYTES_MAX) r = err_set(&why, ERR_LIMIT, "larger than 1 GiB");
	if (!r)
		r = file_entry_name(file->path, file->build_id, file->build_id_len, blob, entry,
				    sizeof entry, &why);
	if (r) return dotnet_file_set_reason(file, why.text, e);
	file->entry = strdup(entry);
	if (!file->entry) return no_memory(e);
	*ret = STEAL_PTR(blob);
	return 0;
}

/* A file that is missing is said in the list, not by an entry of its own. */
static int carry(struct capture *c, const struct process *p, struct dotnet_file *file,
		 struct err *e)
{
	_cleanup_blob_ struct blob *blob = NULL;
	int r = capture_check(c, e);
	if (!r) r = dotnet_file_prepare(p, file, &blob, e);
	return r || !blob ? r : add_file(c, file->entry, blob, e);
}

static int leave_out(struct dotnet_file *file, struct err *e)
{
	return file->reason ? 0 : dotnet_file_set_reason(file, "--modules=false", e);
}

static int carry_or_not(struct capture *c, const struct process *p, struct dotnet_file *file,
			struct err *e)
{
	return option_bool(c->options, OPT_MODULES) ? carry(c, p, file, e) : leave_out(file, e);
}

static int add_document(struct capture *c, const char *name, const struct dotnet_files *files,
			struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(DOCUMENT_MAX);
	int r = dotnet_files_json(files, &text, e);
	return r ? r : packer_add(c->packer, name, text.data, text.len, e);
}

int add_dotnet(struct capture *c, const struct capture_target *t, struct err *e)
{
	_cleanup_dotnet_files_ struct dotnet_files files = {0};
	char name[BUNDLE_NAME_MAX];
	struct err why = {0};
	int r = dotnet_files_find(&t->process, &t->snapshot->maps, &files, &why);
	snprintf(name, sizeof name, "%s/runtime/dotnet.json", t->dir);
	if (r == -ERR_NOT_FOUND) return 0;
	if (r) return packer_absent(c->packer, name, ENTRY_FAILED, why.text, e);
	log_debug("%s: .NET %s, %s, %zu assemblies", t->dir, files.version,
		  dotnet_kind_name(files.kind), files.assembly_count);
	r = carry_or_not(c, &t->process, &files.runtime, e);
	if (!r) r = carry_or_not(c, &t->process, &files.dac, e);
	for (size_t i = 0; !r && i < files.assembly_count; i++) {
		r = carry_or_not(c, &t->process, &files.assemblies[i], e);
	}
	return r ? r : add_document(c, name, &files, e);
}
