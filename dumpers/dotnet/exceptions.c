#include "dumpers/dotnet/exceptions.h"

#include "base/hash.h"
#include "dumpers/dotnet/fields.h"

#include <search.h>

/*
 * Exception._stackTrace is an array of bytes: the runtime's StackTraceArray (object.h) with its
 * StackTraceElement, the same from .NET Core 3.1 to .NET 9, where it may be the first item of an
 * array of objects.
 */
enum { ARRAY_DATA = 16, STACK_HEADER = 16, KEY_MAX = 1 << 20 };
struct stack_element {
	uint64_t ip, sp, method;
	uint32_t flags, reserved;
};

static const char base_name[] = "System.Exception";

static int derives(struct dotnet *d, struct dotnet_type *type, bool *ret, struct err *e)
{
	*ret = false;
	for (int i = 0; i < DOTNET_DEPTH_MAX; i++) {
		if (strcmp(type->name, base_name) == 0) {
			*ret = true;
			return 0;
		}
		if (!type->parent) return 0;
		int r = dotnet_type_at(d, type->parent, &type, e);
		if (r) return r == -ERR_CORRUPT ? 0 : r;
	}
	return 0;
}

/* The array of bytes; 0: it was never thrown. */
static uint64_t find_stack(struct dotnet *d, uint64_t exception)
{
	uint64_t array = field_number(d, exception, "_stackTrace", sizeof(array));
	struct dotnet_type *type;
	if (!array || dotnet_type_of(d, array, &type, NULL) || !dotnet_is_array(type)) return 0;
	if (type->component_size == 1) return array;
	if (dotnet_read(d, array + ARRAY_DATA, &array, sizeof(array), NULL) || !array ||
	    dotnet_type_of(d, array, &type, NULL) || type->component_size != 1)
		return 0;
	return array;
}

static int read_frames(struct dotnet *d, struct exception *x, struct err *e)
{
	uint64_t array = find_stack(d, x->address);
	uint32_t bytes, count;
	if (!array || dotnet_read(d, array + sizeof(uint64_t), &bytes, sizeof(bytes), NULL) ||
	    bytes < STACK_HEADER || dotnet_read(d, array + ARRAY_DATA, &count, sizeof(count), NULL))
		return 0;
	count = MIN(count, (bytes - STACK_HEADER) / (uint32_t)sizeof(struct stack_element));
	x->cut = count > EXCEPTION_FRAMES_MAX;
	count = MIN(count, (uint32_t)EXCEPTION_FRAMES_MAX);
	x->frames = calloc(count + 1, sizeof(*x->frames));
	if (!x->frames) return err_set(e, ERR_NO_MEMORY, "no memory for an exception's stack");
	for (uint32_t i = 0; i < count; i++) {
		struct stack_element element;
		uint64_t at = array + ARRAY_DATA + STACK_HEADER + i * sizeof(element);
		if (dotnet_read(d, at, &element, sizeof(element), NULL)) break;
		x->frames[x->frame_count++] = (struct exception_frame){element.ip, element.method};
	}
	return 0;
}

int exception_read(struct dotnet *d, uint64_t address, struct exception *ret, struct err *e)
{
	struct exception x = {.address = address};
	struct dotnet_type *type;
	bool is_exception;
	int r = dotnet_type_of(d, address, &type, e);
	if (!r) r = derives(d, type, &is_exception, e);
	if (r) return r;
	if (!is_exception)
		return err_set(e, ERR_CORRUPT, "%s at 0x%llx is no exception", type->name,
			       (unsigned long long)address);
	x.type = type;
	x.message = field_text(d, address, "_message");
	x.remote_stack = field_text(d, address, "_remoteStackTraceString");
	x.hresult = (uint32_t)field_number(d, address, "_HResult", sizeof(x.hresult));
	x.inner = field_number(d, address, "_innerException", sizeof(x.inner));
	r = read_frames(d, &x, e);
	if (r)
		exception_done(&x);
	else
		*ret = x;
	return r;
}

void exception_done(struct exception *x)
{
	free(x->message);
	free(x->remote_stack);
	free(x->frames);
	*x = (struct exception){0};
}

/* --- kinds --- */

/* What makes two of them one kind, with everything inside. */
static int put_key(struct dotnet *d, uint64_t address, int depth, struct buf *ret, bool *ret_thrown,
		   struct err *e)
{
	struct exception x = {0};
	int r = exception_read(d, address, &x, e);
	if (r) return r;
	*ret_thrown = x.frame_count || x.remote_stack;
	r = buf_append(ret, &x.type->address, sizeof(x.type->address), e);
	if (!r) r = buf_append(ret, &x.hresult, sizeof(x.hresult), e);
	if (!r)
		r = buf_printf(ret, e, "%s%c%s%c", x.message ? x.message : "", '\0',
			       x.remote_stack ? x.remote_stack : "", '\0');
	if (!r && x.frame_count)
		r = buf_append(ret, x.frames, x.frame_count * sizeof(*x.frames), e);
	if (!r && x.inner && depth < EXCEPTION_INNER_MAX) {
		bool thrown;
		r = put_key(d, x.inner, depth + 1, ret, &thrown, e);
		if (r == -ERR_CORRUPT) r = 0;
	}
	exception_done(&x);
	return r;
}

static int compare_keys(const void *a, const void *b)
{
	const struct exception_kind *x = a, *y = b;
	return memcmp(x->key, y->key, sizeof(x->key));
}

static int add_kind(struct exceptions *x, const struct exception_kind *key,
		    struct exception_kind **ret, struct err *e)
{
	struct exception_kind *kind = calloc(1, sizeof(*kind));
	if (x->kind_count == x->kind_cap) {
		size_t cap = MAX(2 * x->kind_cap, (size_t)64);
		struct exception_kind **grown =
		    reallocarray(x->kinds, cap, sizeof(struct exception_kind *));
		if (grown) {
			x->kinds = grown;
			x->kind_cap = cap;
		}
	}
	if (!kind || x->kind_count == x->kind_cap) {
		free(kind);
		return err_set(e, ERR_NO_MEMORY, "no memory for exceptions");
	}
	*kind = *key;
	x->kinds[x->kind_count++] = *ret = kind;
	return tsearch(kind, &x->by_key, compare_keys)
		   ? 0
		   : err_set(e, ERR_NO_MEMORY, "no memory for exceptions");
}

static void note_threads(struct exceptions *x, uint64_t address, struct exception_kind *kind)
{
	for (size_t i = 0; i < x->threads.count; i++) {
		if (x->threads.v[i].exception_object != address) continue;
		x->of_thread[i] = kind;
		kind->handled++;
	}
}

struct collecting {
	struct dotnet *d;
	struct exceptions *x;
	/* The last type that was looked at; most objects are of the type of the one before. */
	const struct dotnet_type *last;
	bool last_is;
};

static int collect(void *ctx, const struct dotnet_object *object, struct err *e)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT(KEY_MAX);
	struct collecting *c = ctx;
	struct exception_kind key = {.address = object->address}, *kind, **known;
	int r = 0;
	if (c->last != object->type) r = derives(c->d, object->type, &c->last_is, e);
	c->last = object->type;
	if (r || !c->last_is) return r;
	r = put_key(c->d, object->address, 0, &bytes, &key.thrown, e);
	if (r) return r == -ERR_CORRUPT ? 0 : r;
	sha256_of(bytes.data, bytes.len, key.key);
	c->x->found++;
	known = tfind(&key, &c->x->by_key, compare_keys);
	kind = known ? *known : NULL;
	if (!kind && c->x->kind_count == EXCEPTION_KINDS_MAX) {
		c->x->left_out++;
		return 0;
	}
	if (!kind) r = add_kind(c->x, &key, &kind, e);
	if (r) return r;
	kind->count++;
	note_threads(c->x, object->address, kind);
	return 0;
}

static int compare_kinds(const void *a, const void *b)
{
	const struct exception_kind *x = *(struct exception_kind *const *)a;
	const struct exception_kind *y = *(struct exception_kind *const *)b;
	if (!x->handled != !y->handled) return x->handled ? -1 : 1;
	if (x->thrown != y->thrown) return x->thrown ? -1 : 1;
	if (x->count != y->count) return x->count > y->count ? -1 : 1;
	return x->address < y->address ? -1 : x->address > y->address;
}

int exceptions_read(struct dotnet *d, struct search *search, struct exceptions *ret, struct err *e)
{
	struct collecting c = {.d = d, .x = ret};
	*ret = (struct exceptions){0};
	int r = dotnet_threads_read(d, &ret->threads, e);
	if (r == -ERR_CORRUPT) r = 0;
	ret->of_thread = calloc(ret->threads.count + 1, sizeof(*ret->of_thread));
	if (!r && !ret->of_thread) r = err_set(e, ERR_NO_MEMORY, "no memory for exceptions");
	if (!r) r = search_run(search, d, collect, &c, &ret->loss, e);
	if (r)
		exceptions_done(ret);
	else if (ret->kind_count)
		qsort(ret->kinds, ret->kind_count, sizeof(*ret->kinds), compare_kinds);
	return r;
}

static void keep(void *kind)
{
	(void)kind;
}

void exceptions_done(struct exceptions *x)
{
	tdestroy(x->by_key, keep);
	for (size_t i = 0; i < x->kind_count; i++)
		free(x->kinds[i]);
	free(x->kinds);
	free(x->of_thread);
	dotnet_threads_done(&x->threads);
	*x = (struct exceptions){0};
}
