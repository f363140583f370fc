#include "dumpers/dotnet/threads.h"

#include "dumpers/dotnet/dotnet_internal.h"
#include "dumpers/dotnet/object_internal.h"
#include "dumpers/dotnet/type_name.h"

void dotnet_threads_done(struct dotnet_threads *t)
{
	for (size_t i = 0; i < t->count; i++) {
		free(t->v[i].name);
		free(t->v[i].exception);
		free(t->v[i].message);
	}
	free(t->v);
	*t = (struct dotnet_threads){0};
}

void dotnet_frames_done(struct dotnet_frames *f)
{
	free(f->v);
	*f = (struct dotnet_frames){0};
}

/* Of an instance field; 0 where it cannot be read. */
static uint64_t read_field(struct dotnet *d, uint64_t object, const char *name, size_t size)
{
	struct dotnet_type *type;
	const struct dotnet_field *field;
	uint64_t value = 0, at;
	if (dotnet_type_of(d, object, &type, NULL) ||
	    dotnet_find_field(d, type, name, &field, NULL) ||
	    add_overflows(object, OBJECT_HEADER + (uint64_t)field->is.offset, &at) ||
	    dotnet_read(d, at, &value, size, NULL))
		return 0;
	return value;
}

/* A string object's text; NULL where there is none. */
static char *read_text(struct dotnet *d, uint64_t object)
{
	struct node *n = object ? node_new() : NULL;
	char *text = NULL;
	if (n && !show_string(d, object, n, NULL) && n->kind == NODE_STRING)
		text = strndup(n->text ? n->text : "", MIN(n->text_len, (size_t)THREAD_TEXT_MAX));
	node_free(n);
	return text;
}

static void read_exception(struct dotnet *d, uint64_t handle, struct dotnet_thread *t)
{
	struct dotnet_type *type;
	uint64_t object;
	if (!handle || dotnet_read(d, handle, &object, sizeof(object), NULL) || !object ||
	    dotnet_type_of(d, object, &type, NULL))
		return;
	t->exception_object = object;
	t->exception = strdup(type->name);
	t->message = read_text(d, read_field(d, object, "_message", sizeof(uint64_t)));
}

/* Fields of System.Threading.Thread have had other names before .NET 5. */
static uint64_t read_either(struct dotnet *d, uint64_t object, const char *name, const char *old,
			    size_t size)
{
	uint64_t value = read_field(d, object, name, size);
	return value ? value : read_field(d, object, old, size);
}

static int compare_threads(const void *a, const void *b)
{
	const struct dotnet_thread *x = a, *y = b;
	return x->id < y->id ? -1 : x->id > y->id;
}

static void take_name(struct dotnet *d, uint64_t object, struct dotnet_threads *threads)
{
	const struct dotnet_thread key = {.id = (uint32_t)read_either(d, object, "_managedThreadId",
								      "m_ManagedThreadId",
								      sizeof(uint32_t))};
	struct dotnet_thread *t =
	    key.id ? bsearch(&key, threads->v, threads->count, sizeof(key), compare_threads) : NULL;
	if (!t || t->name) return;
	t->name = read_text(d, read_either(d, object, "_name", "m_Name", sizeof(uint64_t)));
}

/* The runtime's own thread leads to no object, but a handle of it does. */
static int take_names(struct dotnet *d, struct dotnet_threads *threads, struct err *e)
{
	int r = dotnet_ask(d, DAC_ASK_THREAD_OBJECTS, 0, 0, e);
	if (r) return r == -ERR_CORRUPT ? 0 : r;
	size_t count = MIN(d->answer.len / sizeof(uint64_t), (size_t)2 * DAC_THREADS_MAX);
	uint64_t *objects = calloc(count + 1, sizeof(*objects));
	if (!objects) return err_set(e, ERR_NO_MEMORY, "no memory");
	if (count) memcpy(objects, d->answer.data, count * sizeof(*objects));
	for (size_t i = 0; i < count; i++)
		take_name(d, objects[i], threads);
	free(objects);
	return 0;
}

static int read_threads(struct dotnet *d, struct dotnet_threads *ret, struct err *e)
{
	struct dac_wire_thread *records = NULL;
	int r = dotnet_ask(d, DAC_ASK_THREADS, 0, 0, e);
	if (r) return r;
	size_t count = d->answer.len / sizeof(*records);
	if (d->answer.len % sizeof(*records) || count > DAC_THREADS_MAX)
		return err_set(e, ERR_CORRUPT, "the list of managed threads is cut");
	records = calloc(count + 1, sizeof(*records));
	ret->v = calloc(count + 1, sizeof(*ret->v));
	if (!records || !ret->v) {
		free(records);
		return err_set(e, ERR_NO_MEMORY, "no memory");
	}
	if (count) memcpy(records, d->answer.data, count * sizeof(*records));
	for (ret->count = 0; ret->count < count; ret->count++) {
		const struct dac_wire_thread *record = &records[ret->count];
		struct dotnet_thread *t = &ret->v[ret->count];
		*t = (struct dotnet_thread){
		    .id = record->id, .os_id = record->os_id, .address = record->address};
		read_exception(d, record->exception_handle, t);
	}
	free(records);
	qsort(ret->v, ret->count, sizeof(*ret->v), compare_threads);
	return take_names(d, ret, e);
}

int dotnet_threads_read(struct dotnet *d, struct dotnet_threads *ret, struct err *e)
{
	struct dotnet_threads threads = {0};
	int r = read_threads(d, &threads, e);
	if (r)
		dotnet_threads_done(&threads);
	else
		*ret = threads;
	return r;
}

int dotnet_frames_read(struct dotnet *d, uint32_t os_id, struct dotnet_frames *ret, struct err *e)
{
	int r = dotnet_ask(d, DAC_ASK_FRAMES, os_id, 0, e);
	if (r) return r;
	size_t count = d->answer.len / sizeof(*ret->v);
	if (d->answer.len % sizeof(*ret->v) || count > DAC_FRAMES_MAX)
		return err_set(e, ERR_CORRUPT, "the frames of thread %u are cut", os_id);
	struct dac_wire_frame *frames = calloc(count + 1, sizeof(*frames));
	if (!frames) return err_set(e, ERR_NO_MEMORY, "no memory");
	if (count) memcpy(frames, d->answer.data, count * sizeof(*frames));
	*ret = (struct dotnet_frames){frames, count};
	return 0;
}

int dotnet_method_name(struct dotnet *d, uint64_t method, struct buf *ret, struct err *e)
{
	if (!method) return 0;
	int r = dotnet_ask(d, DAC_ASK_METHOD_NAME, method, 0, e);
	if (r) return r == -ERR_CORRUPT ? 0 : r;
	return method_name_append(d->answer.data, MIN(d->answer.len, (size_t)DAC_NAME_MAX), ret, e);
}
