#include "base/json.h"
#include "dumpers/dotnet/exceptions.h"

enum { METHOD_NAME_MAX = 4 * DAC_NAME_MAX };

static int put_method(struct dotnet *d, const struct exception_frame *f, struct buf *ret,
		      struct err *e)
{
	_cleanup_buf_ struct buf name = BUF_INIT(METHOD_NAME_MAX);
	int r = dotnet_method_name(d, f->method, &name, e);
	if (r) return r;
	return name.len ? buf_puts_clean(ret, name.data, e)
			: buf_printf(ret, e, "code at 0x%llx", (unsigned long long)f->pc);
}

/* --- text --- */

/* A text of several lines as such, what else could move a terminal's cursor as '?'. */
static int put_lines(char *text, int indent, struct buf *ret, struct err *e)
{
	char *rest = NULL;
	int r = 0;
	for (char *line = strtok_r(text, "\r\n", &rest); !r && line;
	     line = strtok_r(NULL, "\r\n", &rest)) {
		r = buf_printf(ret, e, "%*s", indent, "");
		if (!r) r = buf_puts_clean(ret, line + strspn(line, " "), e);
		if (!r) r = buf_puts(ret, "\n", e);
	}
	return r;
}

/* Takes the texts of x apart. */
static int put_exception(struct dotnet *d, struct exception *x, int indent, struct buf *ret,
			 struct err *e)
{
	char *message = x->message ? x->message : (char[]){""};
	char *more = message + strcspn(message, "\r\n");
	int r = buf_printf(ret, e, "%*s%s", indent, "", x->type->name);
	if (*more) *more++ = '\0';
	if (!r && *message) r = buf_puts(ret, ": ", e);
	if (!r) r = buf_puts_clean(ret, message, e);
	if (!r) r = buf_printf(ret, e, " (0x%08x)\n", x->hresult);
	if (!r) r = put_lines(more, indent + 4, ret, e);
	if (!r && x->remote_stack) r = put_lines(x->remote_stack, indent + 2, ret, e);
	for (size_t i = 0; !r && i < x->frame_count; i++) {
		r = buf_printf(ret, e, "%*sat ", indent + 2, "");
		if (!r) r = put_method(d, &x->frames[i], ret, e);
		if (!r) r = buf_puts(ret, "\n", e);
	}
	if (!r && x->cut) r = buf_printf(ret, e, "%*sand more\n", indent + 2, "");
	return r;
}

/* It, and what is in it, each inside the one before. */
static int put_chain(struct dotnet *d, uint64_t address, int level, struct buf *ret, struct err *e)
{
	struct exception x;
	int indent = 4 * level;
	int r = exception_read(d, address, &x, e);
	if (r == -ERR_CORRUPT)
		return buf_printf(ret, e, "%*s? (0x%llx is not readable)\n", indent, "",
				  (unsigned long long)address);
	if (r) return r;
	r = put_exception(d, &x, indent, ret, e);
	if (!r && x.inner && level < EXCEPTION_INNER_MAX) {
		r = buf_printf(ret, e, "%*sinner\n", indent + 2, "");
		if (!r) r = put_chain(d, x.inner, level + 1, ret, e);
	}
	exception_done(&x);
	return r;
}

static int put_handler(const struct dotnet_thread *t, struct buf *ret, struct err *e)
{
	int r = buf_printf(ret, e, "handled by thread %u (managed %u", t->os_id, t->id);
	if (!r && t->name) r = buf_puts(ret, " \"", e);
	if (!r && t->name) r = buf_puts_clean(ret, t->name, e);
	return r ? r : buf_puts(ret, t->name ? "\")\n" : ")\n", e);
}

static int put_kind(struct dotnet *d, const struct exceptions *x, const struct exception_kind *kind,
		    struct buf *ret, struct err *e)
{
	int r =
	    buf_printf(ret, e, "\n%llu%s, %s 0x%llx\n", (unsigned long long)kind->count,
		       kind->thrown ? "" : " never thrown",
		       kind->count == 1 ? "at" : "the first at", (unsigned long long)kind->address);
	for (size_t i = 0; !r && i < x->threads.count; i++)
		if (x->of_thread[i] == kind) r = put_handler(&x->threads.v[i], ret, e);
	return r ? r : put_chain(d, kind->address, 0, ret, e);
}

int exceptions_text(struct dotnet *d, const struct exceptions *x, uint64_t limit, struct buf *ret,
		    struct err *e)
{
	size_t shown = limit ? MIN(limit, x->kind_count) : x->kind_count;
	int r = buf_printf(ret, e, "%llu exception%s of %zu kind%s\n", (unsigned long long)x->found,
			   x->found == 1 ? "" : "s", x->kind_count, x->kind_count == 1 ? "" : "s");
	for (size_t i = 0; !r && i < shown; i++)
		r = put_kind(d, x, x->kinds[i], ret, e);
	if (!r && shown < x->kind_count)
		r = buf_printf(ret, e, "\nand %zu more kinds (--limit 0 shows all)\n",
			       x->kind_count - shown);
	if (!r && x->left_out)
		r = buf_printf(ret, e, "\nand %llu exceptions of yet other kinds\n",
			       (unsigned long long)x->left_out);
	if (!r && x->loss.ranges)
		r = buf_printf(ret, e, "\n%llu bytes in %llu segments could not be read\n",
			       (unsigned long long)x->loss.bytes,
			       (unsigned long long)x->loss.ranges);
	return r;
}

/* --- JSON --- */

static int json_frames(struct json *j, struct dotnet *d, const struct exception *x, struct err *e)
{
	int r = 0;
	json_key(j, "frames");
	json_array(j);
	for (size_t i = 0; !r && i < x->frame_count; i++) {
		_cleanup_buf_ struct buf name = BUF_INIT(METHOD_NAME_MAX);
		r = dotnet_method_name(d, x->frames[i].method, &name, e);
		json_object(j);
		json_kv_hex(j, "pc", x->frames[i].pc);
		json_kv_string(j, "method", name.len ? name.data : NULL);
		json_object_end(j);
	}
	json_array_end(j);
	return r;
}

/* The members of the object that is open. */
static int json_chain(struct json *j, struct dotnet *d, uint64_t address, int depth, struct err *e)
{
	struct exception x;
	int r = exception_read(d, address, &x, e);
	json_kv_hex(j, "address", address);
	if (r) return r == -ERR_CORRUPT ? 0 : r;
	json_kv_string(j, "type", x.type->name);
	json_kv_string(j, "message", x.message);
	json_kv_uint(j, "hresult", x.hresult);
	json_kv_string(j, "remote_stack", x.remote_stack);
	r = json_frames(j, d, &x, e);
	json_key(j, "inner");
	if (!r && x.inner && depth < EXCEPTION_INNER_MAX) {
		json_object(j);
		r = json_chain(j, d, x.inner, depth + 1, e);
		json_object_end(j);
	} else {
		json_null(j);
	}
	exception_done(&x);
	return r;
}

static void json_threads(struct json *j, const struct exceptions *x,
			 const struct exception_kind *kind)
{
	json_key(j, "threads");
	json_array(j);
	for (size_t i = 0; i < x->threads.count; i++) {
		const struct dotnet_thread *t = &x->threads.v[i];
		if (x->of_thread[i] != kind) continue;
		json_object(j);
		json_kv_uint(j, "id", t->id);
		json_kv_uint(j, "tid", t->os_id);
		json_kv_string(j, "name", t->name);
		json_object_end(j);
	}
	json_array_end(j);
}

int exceptions_json(struct dotnet *d, const struct exceptions *x, pid_t pid, uint64_t limit,
		    struct buf *ret, struct err *e)
{
	size_t shown = limit ? MIN(limit, x->kind_count) : x->kind_count;
	struct json j;
	int r = 0;
	json_init(&j, ret, true);
	json_object(&j);
	json_kv_string(&j, "schema", "podsnap.exceptions/1");
	json_kv_int(&j, "pid", pid);
	json_kv_uint(&j, "found", x->found);
	json_kv_uint(&j, "kinds", x->kind_count);
	json_kv_uint(&j, "lost_bytes", x->loss.bytes);
	json_key(&j, "exceptions");
	json_array(&j);
	for (size_t i = 0; !r && i < shown; i++) {
		json_object(&j);
		json_kv_uint(&j, "count", x->kinds[i]->count);
		r = json_chain(&j, d, x->kinds[i]->address, 0, e);
		json_threads(&j, x, x->kinds[i]);
		json_object_end(&j);
	}
	if (r) return r;
	json_array_end(&j);
	json_object_end(&j);
	return json_finish(&j, e);
}
