#include "dumpers/stack/stacks.h"

#include "base/hash.h"
#include "base/json.h"

static void put_frame(struct json *j, const struct stack_frame *f)
{
	json_object(j);
	if (f->pc) json_kv_hex(j, "pc", f->pc);
	json_kv_hex(j, "sp", f->sp);
	if (f->module) {
		char build_id[2 * BUILD_ID_MAX + 1];
		hex_encode(f->module->build_id, f->module->build_id_len, build_id);
		json_kv_string(j, "module", f->module->path);
		if (f->module->build_id_len) json_kv_string(j, "build_id", build_id);
		json_kv_hex(j, "module_offset", f->pc - f->module->bias);
	}
	if (f->symbol) {
		json_kv_string(j, "symbol", f->symbol);
		json_kv_uint(j, "offset", f->symbol_offset);
	}
	if (f->method) json_kv_string(j, "method", f->method);
	if (f->il_offset >= 0) json_kv_int(j, "il_offset", f->il_offset);
	if (f->signal_frame) json_kv_bool(j, "signal", true);
	if (f->guessed) json_kv_bool(j, "guessed", true);
	json_object_end(j);
}

static void put_managed(struct json *j, const struct stack_managed *m)
{
	json_key(j, "managed");
	json_object(j);
	json_kv_uint(j, "id", m->id);
	json_kv_string(j, "name", m->name);
	if (m->exception) {
		json_key(j, "exception");
		json_object(j);
		json_kv_string(j, "type", m->exception);
		json_kv_string(j, "message", m->message);
		json_object_end(j);
	}
	json_object_end(j);
}

static void put_stack(struct json *j, const struct stack *s)
{
	const char state[] = {s->thread->state, 0};
	json_object(j);
	json_kv_int(j, "tid", s->thread->tid);
	json_kv_string(j, "name", s->thread->name);
	json_kv_string(j, "state", state);
	json_kv_string(j, "wchan", s->thread->wchan);
	if (s->managed.id) put_managed(j, &s->managed);
	json_key(j, "frames");
	json_array(j);
	for (size_t i = 0; i < s->frame_count; i++)
		put_frame(j, &s->frames[i]);
	json_array_end(j);
	if (s->end) json_kv_string(j, "end", s->end);
	json_object_end(j);
}

int stacks_print_json(const struct stacks *s, bool indent, struct buf *ret, struct err *e)
{
	struct json j;
	json_init(&j, ret, indent);
	json_object(&j);
	json_kv_string(&j, "schema", "podsnap.stacks/1");
	json_kv_int(&j, "pid", s->snapshot->id.pid);
	json_kv_string(&j, "name", s->snapshot->id.comm);
	if (s->unnamed) json_kv_string(&j, "unnamed", s->unnamed);
	json_key(&j, "threads");
	json_array(&j);
	for (size_t i = 0; i < s->count; i++)
		put_stack(&j, &s->v[i]);
	json_array_end(&j);
	json_object_end(&j);
	return json_finish(&j, e);
}
