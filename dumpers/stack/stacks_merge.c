#include "dumpers/stack/stacks.h"

struct merge {
	struct stack_frame *out;
	size_t count;
	const struct stack_frame *native, *named;
	size_t native_left, named_left;
};

static void take_native(struct merge *m)
{
	m->out[m->count++] = *m->native++;
	m->native_left--;
}

static void take_named(struct merge *m)
{
	m->out[m->count++] = *m->named++;
	m->named_left--;
}

/*
 * The same frame, which the unwinder found, too: by whatever it did so, the runtime says that it is
 * right. In code that is no module's the runtime may mean a place a few bytes off, where it goes to
 * its own code.
 */
static bool is_both(const struct merge *m)
{
	if (m->native->sp != m->named->sp || !m->named->pc) return false;
	return m->native->pc == m->named->pc || !m->native->module;
}

static void take_both(struct merge *m)
{
	struct stack_frame *f = &m->out[m->count];
	take_native(m);
	f->method = m->named->method;
	f->il_offset = m->named->il_offset;
	f->guessed = false;
	m->named++;
	m->named_left--;
}

/* How deep the next of the runtime's frames is. A mark may be anywhere within the frame that
 * follows it. */
static uint64_t depth(const struct merge *m)
{
	uint64_t sp = m->named->sp;
	for (size_t i = 0; i < m->named_left; i++) {
		if (!m->named[i].pc) continue;
		return MIN(sp, m->named[i].sp);
	}
	return sp;
}

int stack_merge(struct stack *s, const struct stack_frame *frames, size_t count, struct err *e)
{
	struct merge m = {.native = s->frames,
			  .named = frames,
			  .native_left = s->frame_count,
			  .named_left = count};
	m.out = calloc(s->frame_count + count + 1, sizeof(*m.out));
	if (!m.out) return err_set(e, ERR_NO_MEMORY, "no memory for stacks");
	while (m.native_left && m.named_left) {
		if (is_both(&m))
			take_both(&m);
		else if (m.native->sp < depth(&m))
			take_native(&m);
		else
			take_named(&m);
	}
	while (m.native_left)
		take_native(&m);
	while (m.named_left)
		take_named(&m);
	free(s->frames);
	s->frames = m.out;
	s->frame_count = m.count;
	return 0;
}
