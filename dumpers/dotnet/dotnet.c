#include "dumpers/dotnet/dotnet_internal.h"
#include "dumpers/runtime/dotnet_dac.h"

#include <stdio.h>

enum { PATH_MAX_BYTES = 4096, FILES_MAX = 4096 };

static const char runtime_name[] = "libcoreclr.so", library_name[] = "libmscordaccore.so";

static const struct module *find_runtime(struct modules *modules)
{
	for (size_t i = 0; i < modules_count(modules); i++) {
		const struct module *module = modules_at(modules, i);
		if (!strcmp(module->name, runtime_name)) return module;
	}
	return NULL;
}

static int no_library(const char *path, struct err *e)
{
	struct err why = *e;
	err_set(e, ERR_NOT_FOUND, "%s, by which the runtime is read, is not at hand: %s",
		library_name, why.text);
	return err_hint(e,
			"Give it by --dac FILE: %s of the very same build of .NET is at %s in the "
			"container's image.",
			library_name, path);
}

static int open_library(struct dotnet *d, const struct module *runtime, struct blob **ret,
			struct err *e)
{
	char path[PATH_MAX_BYTES];
	struct err why = {0};
	if (d->config.dac) {
		*ret = blob_ref(d->config.dac);
		return 0;
	}
	int folder = (int)(strlen(runtime->path) - strlen(runtime->name));
	int n = snprintf(path, sizeof(path), "%.*s%s", folder, runtime->path, library_name);
	if (n < 0 || (size_t)n >= sizeof(path)) return err_set(e, ERR_LIMIT, "a path too long");
	int r = d->config.find_file(d->config.find_ctx, path, ret, &why);
	if (!r) return 0;
	if (e) *e = why;
	return e ? no_library(path, e) : r;
}

/* The library itself does not look whether it is of the runtime's build, and then crashes or lies.
 * Without the runtime's file there is nothing to compare it with. */
static int check_library(struct dotnet *d, const struct module *runtime, struct blob *library,
			 struct err *e)
{
	struct blob *file = modules_file(d->modules, runtime, NULL);
	int r = file ? dotnet_dac_check(file, library, e) : 0;
	if (!r) return 0;
	return err_hint(e, "Give the %s of the runtime's own build by --dac FILE.", library_name);
}

static int read_target(void *ctx, uint64_t address, void *data, size_t len, struct err *e)
{
	return dotnet_read(ctx, address, data, len, e);
}

static bool read_registers(void *ctx, uint32_t tid, struct dac_wire_registers *ret)
{
	const struct dotnet *d = ctx;
	const struct snapshot *s = modules_snapshot(d->modules);
	const struct snapshot_thread *thread = snapshot_find_thread(s, (pid_t)tid);
	if (!thread || thread->gregs_len != sizeof(*ret)) return false;
	memcpy(ret, thread->gregs, sizeof(*ret));
	return true;
}

static int open_dotnet(struct dotnet *d, struct err *e)
{
	_cleanup_blob_ struct blob *library = NULL;
	const struct dac_view view = {read_target, read_registers, d};
	const struct module *runtime = find_runtime(d->modules);
	if (!runtime) {
		err_set(e, ERR_NOT_FOUND,
			"no %s is mapped: no .NET process, or one of a single file", runtime_name);
		return err_hint(e, "Programs published as one file carry no %s and cannot be read.",
				library_name);
	}
	if (modules_snapshot(d->modules)->e_machine != EM_X86_64)
		return err_set(e, ERR_UNSUPPORTED, ".NET is read on x86-64 only");
	int r = open_library(d, runtime, &library, e);
	if (!r) r = check_library(d, runtime, library, e);
	if (!r) r = dac_client_new(library, &view, d->config.timeout_ns, &d->client, e);
	if (!r) r = dotnet_ask(d, DAC_ASK_START, runtime->header, sizeof(d->start), e);
	if (r == -ERR_CORRUPT && !modules_file(d->modules, runtime, NULL))
		err_hint(e, "The file of %s is not at hand either, and most of it is in no core.",
			 runtime->path);
	if (!r) memcpy(&d->start, d->answer.data, sizeof(d->start));
	return r;
}

int dotnet_open(struct modules *modules, const struct dotnet_config *config, struct dotnet **ret,
		struct err *e)
{
	struct dotnet *d = calloc(1, sizeof(*d));
	if (!d) return err_set(e, ERR_NO_MEMORY, "no memory");
	d->modules = modules;
	d->config = *config;
	d->answer = BUF_INIT(DAC_PAYLOAD_MAX);
	d->cache = calloc(CACHE_BLOCKS, sizeof(*d->cache)); /* without it all is slower */
	int r = open_dotnet(d, e);
	if (r)
		dotnet_free(d);
	else
		*ret = d;
	return r;
}

void dotnet_free(struct dotnet *d)
{
	if (!d) return;
	dac_client_free(d->client);
	dotnet_types_done(d);
	for (size_t i = 0; i < d->known_module_count; i++)
		metadata_free(d->known_modules[i].metadata);
	for (size_t i = 0; i < d->file_count; i++)
		blob_unref(d->files[i].blob);
	free(d->known_modules);
	free(d->files);
	free(d->cache);
	buf_done(&d->answer);
	free(d);
}

int dotnet_ask(struct dotnet *d, enum dac_message question, uint64_t argument, size_t len_min,
	       struct err *e)
{
	int r = dac_client_ask(d->client, question, argument, &d->answer, e);
	if (!r && d->answer.len < len_min)
		return err_set(e, ERR_CORRUPT,
			       "the runtime's data-access library gave an answer too short");
	return r;
}

/* Assemblies are no ELF files, so modules does not know them. */
static struct blob *file_of_map(struct dotnet *d, const struct map *map)
{
	for (size_t i = 0; i < d->file_count; i++) {
		if (!strcmp(d->files[i].path, map->name)) return d->files[i].blob;
	}
	if (d->file_count == FILES_MAX) return NULL;
	struct mapped_file *grown = reallocarray(d->files, d->file_count + 1, sizeof(*grown));
	if (!grown) return NULL;
	d->files = grown;
	struct mapped_file *file = &grown[d->file_count++];
	*file = (struct mapped_file){.path = map->name};
	if (d->config.find_file(d->config.find_ctx, map->name, &file->blob, NULL))
		file->blob = NULL;
	return file->blob;
}

/* len bytes of a map at most, as its file has them; *ret_len: how many. */
static int read_from_file(struct dotnet *d, uint64_t address, void *data, size_t len,
			  size_t *ret_len)
{
	const struct map *map = maps_find(&modules_snapshot(d->modules)->maps, address);
	uint64_t offset;
	if (!map || map->name[0] != '/') return -ERR_NOT_FOUND;
	struct blob *file = file_of_map(d, map);
	if (!file || add_overflows(map->offset, address - map->start, &offset))
		return -ERR_NOT_FOUND;
	/* What the last page has behind the end of the file is zero. */
	if (offset >= file->size) return -ERR_NOT_FOUND;
	len = (size_t)MIN((uint64_t)len, map->end - address);
	size_t there = (size_t)MIN((uint64_t)len, file->size - offset);
	memset((char *)data + there, 0, len - there);
	*ret_len = len;
	return blob_read_at(file, offset, data, there, NULL);
}

/* A page that the process has written is not as the file has it. */
static bool is_as_in_file(struct dotnet *d, uint64_t address, enum mem_state state)
{
	const struct map *map = maps_find(&modules_snapshot(d->modules)->maps, address);
	return state == MEM_FILE || (state == MEM_NOT_CAPTURED && map && !(map->prot & PROT_WRITE));
}

/* Piece by piece: of what an assembly is mapped by, some pages may be in the core, others not. */
static int read_with_files(struct dotnet *d, uint64_t address, void *data, size_t len)
{
	uint8_t *to = data;
	uint64_t end;
	if (add_overflows(address, len, &end)) return -ERR_NOT_FOUND;
	while (address < end) {
		enum mem_state state;
		size_t n = snapshot_read(modules_snapshot(d->modules), address, to,
					 (size_t)(end - address), &state);
		int r = 0;
		if (is_as_in_file(d, address, state))
			r = read_from_file(d, address, to, n, &n);
		else if (state == MEM_ZERO)
			memset(to, 0, n);
		else if (state != MEM_BYTES)
			r = -ERR_NOT_FOUND;
		if (r) return r;
		address += n;
		to += n;
	}
	return 0;
}

static int read_uncached(struct dotnet *d, uint64_t address, void *data, size_t len, struct err *e)
{
	struct err why = {0};
	int r = modules_read(d->modules, address, data, len, &why);
	if (!r || !read_with_files(d, address, data, len)) return 0;
	if (e) *e = why;
	return r;
}

/* Only whole blocks are kept: where one has a gap, its bytes are read one by one. */
static bool read_cached(struct dotnet *d, uint64_t address, void *data, size_t len)
{
	uint64_t start = align_down(address, CACHE_BLOCK);
	if (!d->cache || !start || address - start > CACHE_BLOCK - len) return false;
	struct cached_block *block = &d->cache[start / CACHE_BLOCK % CACHE_BLOCKS];
	if (block->address != start) {
		block->address = 0;
		if (read_uncached(d, start, block->bytes, CACHE_BLOCK, NULL)) return false;
		block->address = start;
	}
	memcpy(data, block->bytes + (address - start), len);
	return true;
}

int dotnet_read(struct dotnet *d, uint64_t address, void *data, size_t len, struct err *e)
{
	if (len <= CACHED_READ_MAX && read_cached(d, address, data, len)) return 0;
	return read_uncached(d, address, data, len, e);
}

static int compare_ranges(const void *a, const void *b)
{
	const struct dac_wire_range *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}
static int compare_skips(const void *a, const void *b)
{
	const struct dac_wire_skip *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

static int check_heap(const struct dotnet_heap *h, struct err *e)
{
	uint64_t end = 0;
	for (uint32_t i = 0; i < h->head.range_count; i++) {
		const struct dac_wire_range *r = &h->ranges[i];
		if (r->start >= r->end || r->start < end || r->start % 8 ||
		    r->generation >= DAC_GENERATIONS)
			return err_set(e, ERR_CORRUPT, "the managed heap's segments contradict");
		end = r->end;
	}
	return 0;
}

static int copy_part(const struct buf *from, size_t at, size_t len, void **ret, struct err *e)
{
	*ret = malloc(len ? len : 1);
	if (!*ret) return err_set(e, ERR_NO_MEMORY, "no memory");
	memcpy(*ret, from->data + at, len);
	return 0;
}

int dotnet_heap_read(struct dotnet *d, struct dotnet_heap *ret, struct err *e)
{
	struct dotnet_heap h = {0};
	int r = dotnet_ask(d, DAC_ASK_HEAP, 0, sizeof(h.head), e);
	if (r) return r;
	memcpy(&h.head, d->answer.data, sizeof(h.head));
	size_t ranges = (size_t)h.head.range_count * sizeof(*h.ranges);
	size_t skips = (size_t)h.head.skip_count * sizeof(*h.skips);
	if (d->answer.len != sizeof(h.head) + ranges + skips)
		return err_set(e, ERR_CORRUPT, "the managed heap's description is cut");
	r = copy_part(&d->answer, sizeof(h.head), ranges, (void **)&h.ranges, e);
	if (!r) r = copy_part(&d->answer, sizeof(h.head) + ranges, skips, (void **)&h.skips, e);
	if (!r) {
		qsort(h.ranges, h.head.range_count, sizeof(*h.ranges), compare_ranges);
		qsort(h.skips, h.head.skip_count, sizeof(*h.skips), compare_skips);
		r = check_heap(&h, e);
	}
	if (r)
		dotnet_heap_done(&h);
	else
		*ret = h;
	return r;
}

void dotnet_heap_done(struct dotnet_heap *h)
{
	free(h->ranges);
	free(h->skips);
	*h = (struct dotnet_heap){0};
}
