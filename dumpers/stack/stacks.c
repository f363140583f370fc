#include "dumpers/stack/stacks.h"

#include "dumpers/stack/symbols.h"
#include "dumpers/stack/unwind.h"

#include <string.h>

enum {
	INTERNED_MAX = 1 << 17,
	VDSO_MAX = 1 << 20,
	REPORT_FRAMES_MAX = 4 << 20, /* of all threads */
	THREADS_AHEAD = 64,
};

struct collector {
	struct modules *modules;
	struct unwinder *unwinder;
	struct symbols **symbols; /* by module index */
	bool *tried;
	struct stacks *stacks;
	struct unwind_frame *frames;
	size_t frames_left; /* of the whole report */
};

static struct blob *vdso_image(struct modules *modules, const struct module *module)
{
	uint64_t size = module->end - module->start;
	struct blob *blob = NULL;
	if (size > VDSO_MAX) return NULL;
	_cleanup_free_ void *data = malloc(size);
	if (!data || modules_read(modules, module->start, data, size, NULL)) return NULL;
	return blob_from_memory(data, size, &blob, NULL) ? NULL : blob;
}

static const struct symbols *symbols_of(struct collector *c, const struct module *module)
{
	if (c->tried[module->index]) return c->symbols[module->index];
	c->tried[module->index] = true;
	_cleanup_blob_ struct blob *image = NULL;
	if (module->path[0] == '/') {
		struct blob *file = modules_file(c->modules, module, NULL);
		if (file) image = blob_ref(file);
	} else {
		image = vdso_image(c->modules, module);
	}
	if (image) (void)symbols_new(image, &c->symbols[module->index], NULL);
	return c->symbols[module->index];
}

static size_t hash_name(const char *name, size_t len)
{
	size_t h = 14695981039346656037ull;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 1099511628211ull;
	return h;
}

/* The report outlives the symbol tables: names are kept once each, in an open hash table. */
const char *stacks_keep(struct stacks *s, const char *name, size_t len)
{
	if (!s->symbols) {
		s->symbols = calloc(INTERNED_MAX, sizeof *s->symbols);
		if (!s->symbols) return NULL;
		s->symbol_count = INTERNED_MAX;
	}
	size_t at = hash_name(name, len) % INTERNED_MAX;
	for (size_t probe = 0; probe < 64; probe++, at = (at + 1) % INTERNED_MAX) {
		char *kept = s->symbols[at];

		if (!kept) return s->symbols[at] = strndup(name, len);
		if (!strncmp(kept, name, len) && kept[len] == '\0') return kept;
	}
	return NULL;
}

/* Without the version that .symtab appends ("memcpy@@GLIBC_2.14"); a hostile name may be long. */
static size_t name_length(const char *name)
{
	size_t len = strnlen(name, STACK_SYMBOL_MAX - 1);
	const char *at = memchr(name, '@', len);

	return at && at > name ? (size_t)(at - name) : len;
}

/* A return address may be the first byte after a call that never returns: look one byte back. */
static void name_frame(struct collector *c, struct stack_frame *f, bool exact)
{
	f->module = modules_find(c->modules, f->pc);
	const struct symbols *symbols = f->module ? symbols_of(c, f->module) : NULL;
	if (!symbols) return;
	uint64_t back = exact ? 0 : 1, offset;
	const char *name = symbols_find(symbols, f->pc - back - f->module->bias, &offset);
	if (!name) return;
	f->symbol = stacks_keep(c->stacks, name, name_length(name));
	f->symbol_offset = offset + back;
}

static int collect_thread(struct collector *c, const struct snapshot_thread *thread,
			  struct stack *ret, struct err *e)
{
	ret->thread = thread;
	const char *end;
	size_t n;

	if (c->frames_left == 0) {
		ret->end = "the report has too many frames already";
		return 0;
	}
	n = unwind_thread(c->unwinder, thread, c->frames, MIN(c->frames_left, STACK_FRAMES_MAX),
			  &end);
	c->frames_left -= n;
	if (end) ret->end = stacks_keep(c->stacks, end, strlen(end));
	ret->frames = calloc(n + 1, sizeof *ret->frames);
	if (!ret->frames) return err_set(e, ERR_NO_MEMORY, "no memory for stacks");
	ret->frame_count = n;
	for (size_t i = 0; i < n; i++) {
		struct stack_frame *f = &ret->frames[i];
		const struct unwind_frame *u = &c->frames[i];
		*f = (struct stack_frame){.pc = u->pc,
					  .sp = u->sp,
					  .il_offset = -1,
					  .signal_frame = u->signal_frame,
					  .guessed = u->guessed};
		name_frame(c, f, i == 0 || u->signal_frame || c->frames[i - 1].signal_frame);
	}
	return 0;
}

static int collect_all(struct collector *c, struct err *e)
{
	const struct snapshot *s = modules_snapshot(c->modules);
	size_t count = modules_count(c->modules) + 1;
	c->symbols = calloc(count, sizeof(struct symbols *));
	c->tried = calloc(count, sizeof *c->tried);
	c->frames = calloc(STACK_FRAMES_MAX, sizeof *c->frames);
	c->stacks->v = calloc(s->thread_count + 1, sizeof *c->stacks->v);
	if (!c->symbols || !c->tried || !c->frames || !c->stacks->v) {
		return err_set(e, ERR_NO_MEMORY, "no memory for stacks");
	}
	int r = unwinder_new(c->modules, &c->unwinder, e);
	for (size_t i = 0; !r && i < s->thread_count; i++) {
		if (i % THREADS_AHEAD == 0)
			unwind_will_need(c->unwinder, &s->threads[i],
					 MIN(s->thread_count - i, (size_t)THREADS_AHEAD));
		r = collect_thread(c, &s->threads[i], &c->stacks->v[i], e);
		c->stacks->count = i + 1;
	}
	return r;
}

int stacks_collect(struct modules *modules, struct stacks **ret, struct err *e)
{
	struct collector c = {.modules = modules,
			      .stacks = calloc(1, sizeof *c.stacks),
			      .frames_left = REPORT_FRAMES_MAX};
	if (!c.stacks) return err_set(e, ERR_NO_MEMORY, "no memory for stacks");
	c.stacks->snapshot = modules_snapshot(modules);
	int r = collect_all(&c, e);
	for (size_t i = 0; c.symbols && i < modules_count(modules); i++)
		symbols_free(c.symbols[i]);
	unwinder_free(c.unwinder);
	free(c.symbols);
	free(c.tried);
	free(c.frames);
	if (r)
		stacks_free(c.stacks);
	else
		*ret = c.stacks;
	return r;
}

void stacks_free(struct stacks *s)
{
	if (!s) return;
	for (size_t i = 0; i < s->count; i++)
		free(s->v[i].frames);
	for (size_t i = 0; i < s->symbol_count; i++)
		free(s->symbols[i]);
	free(s->symbols);
	free(s->v);
	free(s);
}
