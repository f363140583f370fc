/* Managed stacks, the objects that stand for threads, and the locks that these hold. */
#include "dumpers/dotnet/dac_host_internal.h"

enum {
	ALL_FRAMES = 0xf, /* CLRDataSimpleFrameType */
	CONTEXT_FLAGS = 0x100007,
	CONTEXT_ROOM = 8192, /* with everything that a CPU may have */
	CONTEXT_SP = 0x98,
	CONTEXT_PC = 0xf8,
	HANDLES_MAX = 1 << 20,
	HANDLES_AT_ONCE = 64,
	TYPES_SEEN = 1024,
	SYNC_BLOCKS_TRIED_MAX = 1 << 22,
};
/* DACSTACKPRIV_REQUEST_FRAME_DATA: the address of the runtime's mark, 0 in managed code. */
#define REQUEST_FRAME 0xf0000000u

static void release(void *object)
{
	if (object) DAC_CALL(object, 2)(object);
}

/* A call that returns belongs to what stands before it. */
static int32_t il_offset_at(void *walk, uint64_t pc, bool is_return)
{
	void *frame = NULL, *method = NULL;
	uint32_t needed = 0, offset = UINT32_MAX;
	hresult hr = DAC_CALL(walk, WALK_FRAME, void **)(walk, &frame);
	if (hr >= 0 && frame) hr = DAC_CALL(frame, FRAME_METHOD, void **)(frame, &method);
	if (hr >= 0 && method)
		hr = DAC_CALL(method, METHOD_IL_OFFSETS, uint64_t, uint32_t, uint32_t *,
			      uint32_t *)(method, pc - (is_return ? 1 : 0), 1, &needed, &offset);
	release(method);
	release(frame);
	return hr < 0 || offset > INT32_MAX ? -1 : (int32_t)offset;
}

static bool read_frame(struct dac *dac, void *walk, bool is_return, struct dac_wire_frame *ret)
{
	_Alignas(16) uint8_t context[CONTEXT_ROOM] = {0};
	uint32_t size = 0;
	uint64_t mark = 0;
	*ret = (struct dac_wire_frame){.il_offset = -1};
	if (DAC_CALL(walk, WALK_CONTEXT, uint32_t, uint32_t, uint32_t *,
		     uint8_t *)(walk, CONTEXT_FLAGS, sizeof(context), &size, context) < 0)
		return false;
	memcpy(&ret->sp, context + CONTEXT_SP, sizeof(ret->sp));
	memcpy(&ret->pc, context + CONTEXT_PC, sizeof(ret->pc));
	DAC_CALL(walk, WALK_REQUEST, uint32_t, uint32_t, const void *, uint32_t, uint64_t *)
	(walk, REQUEST_FRAME, 0, NULL, sizeof(mark), &mark);
	if (mark) {
		ret->pc = 0;
		ret->sp = mark;
		DAC_CALL(dac->sos, SOS_METHOD_OF_FRAME, uint64_t, uint64_t *)
		(dac->sos, mark, &ret->method);
	} else if (DAC_CALL(dac->sos, SOS_METHOD_AT, uint64_t, uint64_t *)(dac->sos, ret->pc,
									   &ret->method) >= 0 &&
		   ret->method) {
		ret->il_offset = il_offset_at(walk, ret->pc, is_return);
	}
	return true;
}

static int walk_stack(struct dac *dac, void *walk, struct buf *ret, struct err *e)
{
	struct dac_wire_frame frame;
	int r = 0;
	for (int i = 0; !r && i < DAC_FRAMES_MAX; i++) {
		if (!read_frame(dac, walk, i > 0, &frame)) break;
		r = buf_append(ret, &frame, sizeof(frame), e);
		if (DAC_CALL(walk, WALK_NEXT)(walk) != HR_OK) break;
	}
	return r;
}

int dac_answer_stack(struct dac *dac, uint64_t tid, struct buf *ret, hresult *ret_hr, struct err *e)
{
	void *task = NULL, *walk = NULL;
	hresult hr = DAC_CALL(dac->process, PROCESS_TASK_BY_THREAD, uint32_t,
			      void **)(dac->process, (uint32_t)tid, &task);
	if (hr < 0 || !task) return dac_refused(hr, "no such thread", ret_hr, e);
	hr = DAC_CALL(task, TASK_STACK_WALK, uint32_t, void **)(task, ALL_FRAMES, &walk);
	int r = hr < 0 || !walk ? dac_refused(hr, "the thread's stack cannot be walked", ret_hr, e)
				: walk_stack(dac, walk, ret, e);
	release(walk);
	release(task);
	return r;
}

/* What is known of a method table: most handles are of a few types. */
struct seen_type {
	uint64_t address;
	bool is_thread;
};

static bool is_thread_type(struct dac *dac, struct seen_type *seen, uint64_t type)
{
	static const char name[] = "System.Threading.Thread";
	struct seen_type *slot = &seen[type / 8 % TYPES_SEEN];
	if (slot->address == type) return slot->is_thread;
	_cleanup_buf_ struct buf text = BUF_INIT(DAC_NAME_MAX * 4);
	bool named = !dac_append_name(dac, SOS_TYPE_NAME, type, &text, NULL) && text.len;
	*slot = (struct seen_type){type, named && !strcmp(text.data, name)};
	return slot->is_thread;
}

static int add_if_thread(struct dac *dac, struct seen_type *seen, uint64_t handle, struct buf *ret,
			 struct err *e)
{
	uint64_t object, type;
	if (!dac_target_read(handle, &object, sizeof(object)) || !object) return 0;
	if (!dac_target_read(object, &type, sizeof(type))) return 0;
	if (!is_thread_type(dac, seen, type & ~UINT64_C(7))) return 0;
	return buf_append(ret, &object, sizeof(object), e);
}

int dac_answer_thread_objects(struct dac *dac, struct buf *ret, hresult *ret_hr, struct err *e)
{
	struct dac_handle handles[HANDLES_AT_ONCE];
	struct seen_type *seen = calloc(TYPES_SEEN, sizeof(*seen));
	void *list = NULL;
	uint32_t count = HANDLES_AT_ONCE;
	int r = 0;
	if (!seen) return err_set(e, ERR_NO_MEMORY, "no memory");
	hresult hr = DAC_CALL(dac->sos, SOS_HANDLES, void **)(dac->sos, &list);
	if (hr < 0 || !list) r = dac_refused(hr, "no list of handles", ret_hr, e);
	for (int done = 0; !r && count == HANDLES_AT_ONCE && done < HANDLES_MAX;
	     done += HANDLES_AT_ONCE) {
		count = 0;
		hr = DAC_CALL(list, ENUM_NEXT, uint32_t, struct dac_handle *,
			      uint32_t *)(list, HANDLES_AT_ONCE, handles, &count);
		if (hr < 0 || count > HANDLES_AT_ONCE) break;
		for (uint32_t i = 0; !r && i < count; i++)
			r = add_if_thread(dac, seen, handles[i].handle, ret, e);
	}
	release(list);
	free(seen);
	return r;
}

/* The lock's own word: its owner's bit, then how many wait (syncblk.h, AwareLock). */
static struct dac_wire_sync_block wire_sync_block(const struct dac_sync_block *b)
{
	return (struct dac_wire_sync_block){.object = b->object,
					    .owner = b->owner,
					    .times = b->recursion,
					    .entering = b->held >> 1,
					    .in_wait = b->in_wait,
					    .is_held = b->held & 1};
}

/* They are numbered from 1 on; each tells how many there are. */
int dac_answer_sync_blocks(struct dac *dac, struct buf *ret, hresult *ret_hr, struct err *e)
{
	uint32_t count = 1, kept = 0;
	int r = 0;
	for (uint32_t i = 1; !r && i <= MIN(count, (uint32_t)SYNC_BLOCKS_TRIED_MAX); i++) {
		struct dac_sync_block block = {0};
		hresult hr = DAC_CALL(dac->sos, SOS_SYNC_BLOCK, uint32_t,
				      struct dac_sync_block *)(dac->sos, i, &block);
		/* Where there is none at all, it fails at the first. */
		if (hr < 0 && i > 1) return dac_refused(hr, "no such sync block", ret_hr, e);
		if (hr < 0) return 0;
		count = block.count;
		if (block.is_free || !block.object || !(block.held || block.in_wait)) continue;
		if (kept++ == DAC_SYNC_BLOCKS_MAX)
			return err_set(e, ERR_LIMIT, "more than %d locks", DAC_SYNC_BLOCKS_MAX);
		const struct dac_wire_sync_block record = wire_sync_block(&block);
		r = buf_append(ret, &record, sizeof(record), e);
	}
	return r;
}
