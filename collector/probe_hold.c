#include "collector/probe_hold.h"

#include "base/log.h"
#include "bundle/frame.h"
#include "bundle/le.h"
#include "collector/local_core.h"
#include "collector/local_dotnet.h"
#include "collector/local_entries.h"
#include "dumpers/core/core_blob.h"

#include <stdio.h>
#include <string.h>

enum { LIST_MAX = 64 << 20, LEVEL = 1 };

struct hold {
	struct capture_target target;
	struct modules *modules;
	struct core *core;
	struct blob **entries; /* 0: the list of the others */
	size_t count;
	struct buf list;
	ZSTD_CCtx *compressor;
};

/* Takes the blob over. */
static int add_entry(struct hold *h, const char *name, struct blob *blob, struct err *e)
{
	_cleanup_buf_ struct buf record = BUF_INIT(64 * KIB);
	uint8_t len[4];
	h->entries[h->count++] = blob;
	int r = wire_encode_listed(name, blob->size, &record, e);
	if (r) return r;
	le32_put(len, (uint32_t)record.len);
	r = buf_append(&h->list, len, sizeof len, e);
	return r ? r : buf_append(&h->list, record.data, record.len, e);
}

static int add_core(struct hold *h, struct err *e)
{
	char name[BUNDLE_NAME_MAX];
	struct blob *blob;
	snprintf(name, sizeof name, "%s/core", h->target.dir);
	int r = core_choice_plan(&h->target.core, h->target.snapshot, &h->core, e);
	if (!r) r = core_open_blob(h->core, &blob, e);
	return r ? r : add_entry(h, name, blob, e);
}

/* One without a build-id has its text in the core. What cannot be opened is looked for where the
 * client is. */
static int add_module(struct hold *h, const struct module *module, struct err *e)
{
	char name[BUNDLE_NAME_MAX];
	struct err why = {0};
	if (module->path[0] != '/' || !module->build_id_len) return 0;
	struct blob *file = modules_file(h->modules, module, &why);
	if (!file || module_entry_name(module, file, name, sizeof name, &why)) {
		log_debug("%s: %s", module->path, why.text);
		return 0;
	}
	return add_entry(h, name, blob_ref(file), e);
}

/* A library that is mapped is a module, too, and there already: then nothing. */
static int add_dotnet_file(struct hold *h, struct dotnet_file *file, bool is_module, struct err *e)
{
	struct blob *blob = NULL;
	int r = dotnet_file_prepare(&h->target.process, file, &blob, e);
	if (r || !blob) return r;
	if (!is_module) return add_entry(h, file->entry, blob, e);
	blob_unref(blob);
	return 0;
}

/* What a bundle of it would hold beside the modules. */
static int add_dotnet_files(struct hold *h, struct dotnet_files *files, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(LIST_MAX);
	char name[BUNDLE_NAME_MAX];
	struct blob *blob;
	int r = add_dotnet_file(h, &files->runtime, true, e);
	if (!r) r = add_dotnet_file(h, &files->dac, false, e);
	for (size_t i = 0; !r && i < files->assembly_count; i++) {
		r = add_dotnet_file(h, &files->assemblies[i], false, e);
	}
	snprintf(name, sizeof name, "%s/runtime/dotnet.json", h->target.dir);
	if (!r) r = dotnet_files_json(files, &text, e);
	if (!r) r = blob_from_memory(text.data, text.len, &blob, e);
	return r ? r : add_entry(h, name, blob, e);
}

static int add_entries(struct hold *h, struct dotnet_files *files, struct err *e)
{
	size_t modules = modules_count(h->modules);
	/* Beside them: the list, the core, the data-access library, and the list of .NET's. */
	h->entries = calloc(modules + files->assembly_count + 4, sizeof(struct blob *));
	if (!h->entries) return err_set(e, ERR_NO_MEMORY, "no memory for %zu modules", modules);
	h->count = 1;
	int r = add_core(h, e);
	for (size_t i = 0; !r && i < modules; i++) {
		r = add_module(h, modules_at(h->modules, i), e);
	}
	if (!r && files->runtime.path) r = add_dotnet_files(h, files, e);
	return r ? r : blob_from_memory(h->list.data, h->list.len, &h->entries[0], e);
}

static int cannot_hold(int r, struct err *e)
{
	err_wrap(e, "no snapshot can be held");
	if (r == -ERR_UNSUPPORTED)
		err_hint(e, "take a bundle, or ask without --hold: then the process stands for "
			    "the answer");
	return r;
}

static int take(struct hold *h, const struct options *options, struct err *e)
{
	struct capture_target *t = &h->target;
	const struct live_config config = {
	    .mode = SNAPSHOT_COW,
	    .max_pause_ns = (uint64_t)option_int(options, OPT_MAX_PAUSE),
	    .max_memory = (uint64_t)option_int(options, OPT_MAX_MEMORY),
	};
	pid_t pid;
	int r = capture_pick_pid(options, &pid, e);
	if (!r) r = capture_target_open(t, pid, e);
	if (r) return r;
	core_choice_init(&t->core, options, &t->process);
	r = snapshot_open_live(&t->process, &config, &t->snapshot, e);
	if (r) return cannot_hold(r, e);
	return modules_new(t->snapshot, find_module_in_process, &t->process, &h->modules, e);
}

/* Of any other process than one of .NET: an empty list. */
static int find_dotnet_files(const struct hold *h, struct dotnet_files *ret, struct err *e)
{
	const struct capture_target *t = &h->target;
	int r = dotnet_files_find(&t->process, &t->snapshot->maps, ret, e);
	return r == -ERR_NOT_FOUND ? 0 : r;
}

/* Members without the braces. */
static int describe(const struct hold *h, struct buf *ret, struct err *e)
{
	struct live_pause pause;
	snapshot_live_pause(h->target.snapshot, &pause);
	return buf_printf(ret, e, "\"pid\":%d,\"pause_ns\":%llu,\"list_bytes\":%zu",
			  h->target.snapshot->id.pid, (unsigned long long)pause.pause_ns,
			  h->list.len);
}

int hold_new(const struct options *options, struct hold **ret, struct buf *result_json,
	     struct err *e)
{
	_cleanup_dotnet_files_ struct dotnet_files files = {0};
	struct hold *h = calloc(1, sizeof *h);
	if (!h) return err_set(e, ERR_NO_MEMORY, "no memory for a snapshot");
	h->target.process = (struct process)PROCESS_INIT;
	buf_init(&h->list, LIST_MAX);
	h->compressor = frame_compressor(LEVEL);
	int r = h->compressor ? 0 : err_set(e, ERR_NO_MEMORY, "no memory for a compressor");
	if (!r) r = take(h, options, e);
	if (!r) r = find_dotnet_files(h, &files, e);
	if (!r) r = add_entries(h, &files, e);
	if (!r) r = describe(h, result_json, e);
	if (r) {
		hold_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void hold_free(struct hold *h)
{
	if (!h) return;
	for (size_t i = 0; i < h->count; i++)
		blob_unref(h->entries[i]);
	free(h->entries);
	core_free(h->core);
	modules_free(h->modules);
	capture_target_done(&h->target);
	ZSTD_freeCCtx(h->compressor);
	buf_done(&h->list);
	free(h);
}

static int read_ranges(struct hold *h, const struct wire_read *read, uint8_t *plain, struct err *e)
{
	int r = 0;
	if (read->entry >= h->count)
		return err_set(e, ERR_PROTOCOL, "a read of nothing: entry %u", read->entry);
	for (uint32_t i = 0; !r && i < read->count; i++) {
		size_t len = (size_t)(read->ranges[i].end - read->ranges[i].start);
		r = blob_read_at(h->entries[read->entry], read->ranges[i].start, plain, len, e);
		plain += len;
	}
	return r;
}

/* The bytes, compressed into frame. */
static int read_frame(struct hold *h, const struct wire_read *read, struct buf *frame,
		      struct err *e)
{
	uint32_t len = wire_read_bytes(read);
	_cleanup_free_ uint8_t *plain = malloc(len);
	size_t bound = ZSTD_compressBound(len);
	char *room;
	if (!plain) return err_set(e, ERR_NO_MEMORY, "no memory for %u bytes", len);
	int r = read_ranges(h, read, plain, e);
	if (!r) r = buf_reserve(frame, bound, &room, e);
	if (r) return r;
	return frame_compress(h->compressor, plain, len, room, bound, &frame->len, e);
}

int hold_answer(struct hold *h, const struct wire_read *read, struct buf *ret, struct err *e)
{
	_cleanup_buf_ struct buf frame = BUF_INIT(2 * (size_t)WIRE_READ_MAX);
	struct wire_read_reply reply = {.id = read->id, .plain_len = wire_read_bytes(read)};
	if (read_frame(h, read, &frame, &reply.why)) reply.plain_len = 0;
	reply.frame = frame.data;
	reply.frame_len = frame.len;
	return wire_encode_read_reply(&reply, ret, e);
}
