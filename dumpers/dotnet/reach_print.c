#include "base/json.h"
#include "dumpers/dotnet/dotnet_internal.h"
#include "dumpers/dotnet/reach.h"
#include "dumpers/dotnet/type_name.h"

static const char *handle_name(uint8_t handle)
{
	switch (handle) {
	case DAC_HANDLE_STRONG:
		return "strong handle";
	case DAC_HANDLE_PINNED:
		return "pinned handle";
	case DAC_HANDLE_VARIABLE:
		return "variable handle";
	case DAC_HANDLE_COUNTED:
		return "ref-counted handle";
	case DAC_HANDLE_ASYNC_PINNED:
		return "async pinned handle";
	case DAC_HANDLE_SIZED:
		return "sized handle";
	default:
		return "handle";
	}
}

/* "Shop.Ledger.Growing"; a field without a name is called by its token. */
static int put_field(const struct reach *x, const struct dac_wire_root *is, struct buf *ret,
		     struct err *e)
{
	const struct metadata *m = dotnet_metadata(x->d, is->module);
	const char *field = m ? metadata_field(m, is->token & 0xffffff) : NULL;
	struct dotnet_type *type;
	int r = dotnet_type_at(x->d, is->source, &type, e);
	if (r && r != -ERR_CORRUPT) return r;
	r = buf_printf(ret, e, "%s.", r ? "?" : type->name);
	if (r) return r;
	return field ? buf_puts(ret, field, e) : buf_printf(ret, e, "0x%08x", is->token);
}

/* The library's name of a method, or where the code is that has none. */
static int put_method(const struct reach *x, uint64_t code, struct buf *ret, struct err *e)
{
	int r = dotnet_ask(x->d, DAC_ASK_METHOD, code, 1, e);
	if (r == -ERR_CORRUPT)
		return buf_printf(ret, e, ", code at 0x%llx", (unsigned long long)code);
	if (r) return r;
	r = buf_puts(ret, ", ", e);
	return r ? r : type_name_append(x->d->answer.data, x->d->answer.len, ret, e);
}

static int put_stack(const struct reach *x, const struct dac_wire_root *is, struct buf *ret,
		     struct err *e)
{
	int r = buf_printf(ret, e, "stack of thread %u", is->thread);
	if (r) return r;
	return is->in_frame ? buf_puts(ret, ", a frame of the runtime's own", e)
			    : put_method(x, is->source, ret, e);
}

int reach_root_name(const struct reach *x, const struct root *root, struct buf *ret, struct err *e)
{
	const struct dac_wire_root *is = &root->is;
	int r;
	switch (is->kind) {
	case DAC_ROOT_STATIC:
		r = buf_puts(ret, "static ", e);
		return r ? r : put_field(x, is, ret, e);
	case DAC_ROOT_THREAD_STATIC:
		r = buf_puts(ret, "thread static ", e);
		if (!r) r = put_field(x, is, ret, e);
		return r ? r : buf_printf(ret, e, " of thread %u", is->thread);
	case DAC_ROOT_STACK:
		return put_stack(x, is, ret, e);
	case DAC_ROOT_FINALIZER:
		return buf_puts(ret, "queue of the finalizer", e);
	default:
		return buf_printf(ret, e, "%s 0x%llx", handle_name(is->handle),
				  (unsigned long long)is->slot);
	}
}

static const char *kind_name(const struct root *root)
{
	static const char *const names[] = {"static",    "thread static", "stack",
					    "finalizer", "handle",        "dependent"};
	return names[root->is.kind];
}

int reach_gaps_text(const struct reach *x, struct buf *ret, struct err *e)
{
	const struct heap_graph *g = &x->graph;
	const struct roots *roots = &x->roots;
	int r = 0;
	if (!g->heap.head.valid)
		r = buf_puts(ret, "the collector was at work: the heap may not be whole\n", e);
	if (!r && g->loss.ranges)
		r = buf_printf(ret, e, "%llu bytes in %llu segments could not be read\n",
			       (unsigned long long)g->loss.bytes,
			       (unsigned long long)g->loss.ranges);
	if (!r && g->unread)
		r = buf_printf(ret, e, "references of %llu objects could not be read\n",
			       (unsigned long long)g->unread);
	if (!r && roots->statics_unread) r = buf_puts(ret, "statics could not be read\n", e);
	if (!r && roots->handles_unread) r = buf_puts(ret, "handles could not be read\n", e);
	for (size_t i = 0; !r && i < roots->unread_count; i++)
		r = buf_printf(ret, e, "the stack of thread %u could not be searched\n",
			       roots->unread_threads[i]);
	return r;
}

static const char *why_none(const struct reach *x, const struct reach_way *w)
{
	if (w->frozen) return ", and none needed: it lies in a segment that is never collected";
	return reach_has_gaps(x) ? ", but not all could be searched"
				 : ": garbage not yet collected";
}

int reach_way_text(const struct reach *x, const struct reach_way *w, struct buf *ret, struct err *e)
{
	int r = buf_printf(ret, e, "%llu bytes at 0x%llx %s\n", (unsigned long long)w->size,
			   (unsigned long long)w->address, w->type->name);
	if (!r && !w->root) r = buf_printf(ret, e, "  no root found%s\n", why_none(x, w));
	for (size_t i = 0; !r && i < w->count; i++)
		r = buf_printf(ret, e, "  %s = 0x%llx %s\n", w->steps[i].via,
			       (unsigned long long)w->steps[i].address, w->steps[i].type->name);
	return r;
}

static void root_json(const struct reach_way *w, struct json *j)
{
	const struct dac_wire_root *is = &w->root->is;
	json_object(j);
	json_kv_string(j, "kind", kind_name(w->root));
	json_kv_string(j, "name", w->steps[0].via);
	if (is->slot) json_kv_hex(j, "slot", is->slot);
	if (is->thread) json_kv_uint(j, "thread", is->thread);
	json_object_end(j);
}

void reach_way_json(const struct reach *x, const struct reach_way *w, struct json *j)
{
	json_object(j);
	json_kv_string(j, "type", w->type->name);
	json_kv_hex(j, "address", w->address);
	json_kv_uint(j, "size", w->size);
	json_kv_bool(j, "frozen", w->frozen);
	json_key(j, "root");
	if (w->root)
		root_json(w, j);
	else
		json_null(j);
	json_key(j, "path");
	json_array(j);
	for (size_t i = 0; i < w->count; i++) {
		json_object(j);
		json_kv_string(j, "via", w->steps[i].via);
		json_kv_string(j, "type", w->steps[i].type->name);
		json_kv_hex(j, "address", w->steps[i].address);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

void reach_gaps_json(const struct reach *x, struct json *j)
{
	json_key(j, "unsearched");
	json_object(j);
	json_kv_bool(j, "collecting", !x->graph.heap.head.valid);
	json_kv_uint(j, "lost_bytes", x->graph.loss.bytes);
	json_kv_uint(j, "unread_objects", x->graph.unread);
	json_kv_bool(j, "statics", x->roots.statics_unread);
	json_kv_bool(j, "handles", x->roots.handles_unread);
	json_key(j, "threads");
	json_array(j);
	for (size_t i = 0; i < x->roots.unread_count; i++)
		json_uint(j, x->roots.unread_threads[i]);
	json_array_end(j);
	json_object_end(j);
}
