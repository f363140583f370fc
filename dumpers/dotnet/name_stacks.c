#include "dumpers/dotnet/name_stacks.h"

#include "dumpers/dotnet/threads.h"
#include "dumpers/dotnet/unanswered.h"

enum { METHODS_SEEN = 1 << 12, METHOD_NAME_MAX = 4 * DAC_NAME_MAX };

/* Most frames are of methods that other frames have, too. */
struct seen_method {
	uint64_t method; /* 0: free */
	const char *name;
};
struct naming {
	struct dotnet *d;
	struct stacks *stacks;
	struct seen_method seen[METHODS_SEEN];
};

static int name_method(struct naming *n, uint64_t method, const char **ret, struct err *e)
{
	struct seen_method *slot = &n->seen[method / 8 % METHODS_SEEN];
	if (slot->method != method) {
		_cleanup_buf_ struct buf text = BUF_INIT(METHOD_NAME_MAX);
		int r = dotnet_method_name(n->d, method, &text, e);
		if (r) return r;
		const char *name = text.len ? stacks_keep(n->stacks, text.data, text.len) : NULL;
		*slot = (struct seen_method){method, name};
	}
	*ret = slot->name;
	return 0;
}

static int name_frames(struct naming *n, const struct dotnet_frames *from, struct stack_frame *to,
		       size_t *ret_count, struct err *e)
{
	*ret_count = 0;
	for (size_t i = 0; i < from->count; i++) {
		const struct dac_wire_frame *f = &from->v[i];
		const char *name = NULL;
		int r = f->method ? name_method(n, f->method, &name, e) : 0;
		if (r) return r;
		if (!name) continue;
		to[(*ret_count)++] = (struct stack_frame){
		    .pc = f->pc, .sp = f->sp, .method = name, .il_offset = f->il_offset};
	}
	return 0;
}

static int name_stack(struct naming *n, struct stack *s, struct err *e)
{
	struct dotnet_frames managed = {0};
	int r = dotnet_frames_read(n->d, (uint32_t)s->thread->tid, &managed, e);
	/* It runs no managed code, or none that the library can walk. */
	if (r == -ERR_CORRUPT) return 0;
	if (r) return r;
	struct stack_frame *frames = calloc(managed.count + 1, sizeof(*frames));
	size_t count = 0;
	r = frames ? name_frames(n, &managed, frames, &count, e)
		   : err_set(e, ERR_NO_MEMORY, "no memory for stacks");
	if (!r) r = stack_merge(s, frames, count, e);
	free(frames);
	dotnet_frames_done(&managed);
	return r;
}

static const char *keep(struct stacks *s, const char *text)
{
	return text ? stacks_keep(s, text, strlen(text)) : NULL;
}

/* Stacks are in the order of a snapshot's threads: the leader's, then by ascending tid. */
static struct stack *find_stack(struct stacks *s, uint32_t tid)
{
	size_t low = 1, high = s->count;
	if (s->count && (uint32_t)s->v[0].thread->tid == tid) return &s->v[0];
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if ((uint32_t)s->v[middle].thread->tid < tid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->count && (uint32_t)s->v[low].thread->tid == tid ? &s->v[low] : NULL;
}

static int name_thread(struct naming *n, const struct dotnet_thread *t, struct err *e)
{
	struct stack *s = t->os_id ? find_stack(n->stacks, t->os_id) : NULL;
	if (!s) return 0;
	s->managed = (struct stack_managed){.id = t->id,
					    .name = keep(n->stacks, t->name),
					    .exception = keep(n->stacks, t->exception),
					    .message = keep(n->stacks, t->message)};
	return name_stack(n, s, e);
}

/* Questions over which a process of the library was lost, while another went on. */
static void say_unanswered(struct dotnet *d, struct stacks *stacks)
{
	_cleanup_buf_ struct buf text = BUF_INIT(2 * ERR_TEXT_MAX);
	if (!unanswered_count(d) || unanswered_text(d, &text, NULL)) return;
	stacks->unnamed = stacks_keep(stacks, text.data, strcspn(text.data, "\n"));
}

int dotnet_name_stacks(struct dotnet *d, struct stacks *stacks, struct err *e)
{
	struct dotnet_threads threads = {0};
	struct err why = {0};
	struct naming *n = calloc(1, sizeof(*n));
	if (!n) return err_set(e, ERR_NO_MEMORY, "no memory for stacks");
	n->d = d;
	n->stacks = stacks;
	int r = dotnet_threads_read(d, &threads, &why);
	for (size_t i = 0; !r && i < threads.count; i++)
		r = name_thread(n, &threads.v[i], &why);
	dotnet_threads_done(&threads);
	free(n);
	if (!r) {
		say_unanswered(d, stacks);
		return 0;
	}
	stacks->unnamed = stacks_keep(stacks, why.text, strlen(why.text));
	if (r != -ERR_NO_MEMORY) return 0;
	if (e) *e = why;
	return r;
}
