#include "base/json.h"
#include "dumpers/dotnet/async.h"

/* "<Charge>d__5", "<<Main>b__0_0>d": what stands between the brackets of the innermost type. */
int async_method_name(const char *type, struct buf *ret, struct err *e)
{
	_cleanup_free_ char *owner = strndup(type, strcspn(type, "["));
	char *open = NULL, *end;
	if (!owner) return err_set(e, ERR_NO_MEMORY, "no memory");
	/* Closures are nested types, too. */
	for (char *at = owner; (at = strstr(at, "+<")); at++)
		open = at;
	end = open ? strstr(open, ">d") : NULL;
	if (!end || end == open + 2) return buf_puts_clean(ret, type, e);
	*open = *end = '\0';
	int r = buf_puts_clean(ret, owner, e);
	if (!r) r = buf_puts(ret, ".", e);
	return r ? r : buf_puts_clean(ret, open + 2, e);
}

static int put_method(const struct async_method *m, struct buf *ret, struct err *e)
{
	int r = buf_puts(ret, "  ", e);
	if (!r) r = async_method_name(m->machine->name, ret, e);
	if (r) return r;
	return m->state < 0 ? buf_puts(ret, ", runs\n", e)
			    : buf_printf(ret, e, ", at await %d\n", m->state);
}

static int put_awaited(const struct async_stacks *s, const struct async_stack *stack,
		       struct buf *ret, struct err *e)
{
	int r = buf_puts(ret, ", awaits ", e);
	if (!r) r = buf_puts_clean(ret, stack->waits->name, e);
	return r ? r
		 : buf_printf(ret, e, " @0x%llx",
			      (unsigned long long)s->methods[stack->methods[0]].awaits);
}

static int put_stack(const struct async_stacks *s, const struct async_stack *stack, struct buf *ret,
		     struct err *e)
{
	bool circle = stack->end == ASYNC_CIRCLE;
	int r = buf_printf(ret, e, "\n%s%llu%s 0x%llx", circle ? "deadlock: " : "",
			   (unsigned long long)stack->same,
			   stack->same == 1 ? ", at" : ", the first at",
			   (unsigned long long)s->methods[stack->methods[0]].address);
	if (!r && stack->waits && !circle) r = put_awaited(s, stack, ret, e);
	if (!r) r = buf_puts(ret, "\n", e);
	for (size_t i = 0; !r && i < stack->count; i++)
		r = put_method(&s->methods[stack->methods[i]], ret, e);
	if (!r && stack->end == ASYNC_CUT) r = buf_puts(ret, "  and so on\n", e);
	if (!r && circle) r = buf_puts(ret, "  which one of these awaits\n", e);
	if (r || !stack->then) return r;
	r = buf_puts(ret, "  then ", e);
	if (!r) r = buf_puts_clean(ret, stack->then->name, e);
	return r ? r : buf_puts(ret, "\n", e);
}

int async_stacks_text(const struct async_stacks *s, uint64_t limit, struct buf *ret, struct err *e)
{
	size_t shown = limit ? MIN(limit, s->count) : s->count;
	int r = buf_printf(ret, e, "%zu async method%s, %zu different stack%s\n", s->method_count,
			   s->method_count == 1 ? "" : "s", s->count, s->count == 1 ? "" : "s");
	for (size_t i = 0; !r && i < shown; i++)
		r = put_stack(s, &s->v[i], ret, e);
	if (!r && shown < s->count)
		r = buf_printf(ret, e, "\nand %zu more stacks (--limit 0 shows all)\n",
			       s->count - shown);
	if (!r && s->loss.ranges)
		r = buf_printf(ret, e, "\n%llu bytes in %llu segments could not be read\n",
			       (unsigned long long)s->loss.bytes,
			       (unsigned long long)s->loss.ranges);
	return r;
}

static int json_method(struct json *j, const struct async_method *m, struct err *e)
{
	_cleanup_buf_ struct buf name = BUF_INIT(4 * DAC_NAME_MAX);
	int r = async_method_name(m->machine->name, &name, e);
	json_object(j);
	json_kv_string(j, "method", name.data);
	json_kv_hex(j, "address", m->address);
	json_kv_int(j, "state", m->state);
	json_object_end(j);
	return r;
}

static int json_stack(struct json *j, const struct async_stacks *s, const struct async_stack *stack,
		      struct err *e)
{
	int r = 0;
	json_object(j);
	json_kv_uint(j, "count", stack->same);
	json_key(j, "methods");
	json_array(j);
	for (size_t i = 0; !r && i < stack->count; i++)
		r = json_method(j, &s->methods[stack->methods[i]], e);
	json_array_end(j);
	json_kv_bool(j, "cut", stack->end == ASYNC_CUT);
	json_kv_bool(j, "circle", stack->end == ASYNC_CIRCLE);
	json_key(j, "awaits");
	if (stack->waits) {
		json_object(j);
		json_kv_string(j, "type", stack->waits->name);
		json_kv_hex(j, "address", s->methods[stack->methods[0]].awaits);
		json_object_end(j);
	} else {
		json_null(j);
	}
	json_kv_string(j, "continued_by", stack->then ? stack->then->name : NULL);
	json_object_end(j);
	return r;
}

int async_stacks_json(const struct async_stacks *s, pid_t pid, uint64_t limit, struct buf *ret,
		      struct err *e)
{
	size_t shown = limit ? MIN(limit, s->count) : s->count;
	struct json j;
	int r = 0;
	json_init(&j, ret, true);
	json_object(&j);
	json_kv_string(&j, "schema", "podsnap.async/1");
	json_kv_int(&j, "pid", pid);
	json_kv_uint(&j, "methods", s->method_count);
	json_kv_uint(&j, "lost_bytes", s->loss.bytes);
	json_key(&j, "stacks");
	json_array(&j);
	for (size_t i = 0; !r && i < shown; i++)
		r = json_stack(&j, s, &s->v[i], e);
	if (r) return r;
	json_array_end(&j);
	json_object_end(&j);
	return json_finish(&j, e);
}
