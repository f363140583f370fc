/*
 * Where the managed heap's objects lie. A heap of regions (.NET 7 and later) has a list of regions
 * for each generation; one of segments has a list for generation 2, whose ephemeral segment also
 * holds generations 1 and 0, and one for each kind of large object (gcinterface.h, gcpriv.h).
 */
#include "dumpers/dotnet/dac_host_internal.h"

enum { HEAPS_MAX = 1024, OBJECT_MIN = 24 };

struct heap_answer {
	struct dac *dac;
	struct buf ranges, skips;
	struct dac_wire_heap head;
};

static int add_range(struct heap_answer *a, const struct dac_segment *segment, uint64_t start,
		     uint64_t end, uint32_t generation, struct err *e)
{
	const struct dac_wire_range range = {.start = start,
					     .end = end,
					     .heap = a->head.heap_count,
					     .generation = (uint8_t)generation,
					     .frozen =
						 (segment->flags & DAC_SEGMENT_READ_ONLY) != 0};
	if (start >= end) return 0;
	if (a->head.range_count == DAC_RANGES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d segments", DAC_RANGES_MAX);
	a->head.range_count++;
	return buf_append(&a->ranges, &range, sizeof(range), e);
}

static int add_skip(struct heap_answer *a, uint64_t start, uint64_t limit, struct err *e)
{
	/* A free object without its length stands at the end of the room. */
	const struct dac_wire_skip skip = {start, limit + OBJECT_MIN};
	if (!start || limit < start || limit > UINT64_MAX - OBJECT_MIN) return 0;
	a->head.skip_count++;
	return buf_append(&a->skips, &skip, sizeof(skip), e);
}

static int add_thread_rooms(struct heap_answer *a, struct err *e)
{
	struct dac_thread_store store = {0};
	struct dac_thread thread;
	void *sos = a->dac->sos;
	int r = 0;
	if (DAC_CALL(sos, SOS_THREAD_STORE, struct dac_thread_store *)(sos, &store) < 0) return 0;
	uint64_t at = store.first;
	for (int i = 0; !r && at && i < DAC_THREADS_MAX; i++, at = thread.next) {
		thread = (struct dac_thread){0};
		if (DAC_CALL(sos, SOS_THREAD, uint64_t, struct dac_thread *)(sos, at, &thread) < 0)
			break;
		r = add_skip(a, thread.alloc_ptr, thread.alloc_limit, e);
	}
	return r;
}

static int add_global_room(struct heap_answer *a, struct err *e)
{
	uint64_t start = 0, limit = 0;
	if (!a->dac->sos12 || DAC_CALL(a->dac->sos12, SOS12_ALLOCATION_CONTEXT, uint64_t *,
				       uint64_t *)(a->dac->sos12, &start, &limit) < 0)
		return 0;
	return add_skip(a, start, limit, e);
}

static size_t read_generations(struct heap_answer *a, const struct dac_heap *heap,
			       struct dac_generation ret[static DAC_GENERATIONS])
{
	struct dac_generation more[16];
	uint32_t count = 0, needed = 0;
	hresult hr = HR_FAIL;
	void *sos8 = a->dac->sos8;
	for (size_t i = 0; i < ARRAY_SIZE(heap->generation); i++)
		ret[i] = heap->generation[i];
	if (!sos8 || DAC_CALL(sos8, SOS8_GENERATION_COUNT, uint32_t *)(sos8, &count) < 0 ||
	    count > ARRAY_SIZE(more) || count < DAC_GENERATIONS)
		return ARRAY_SIZE(heap->generation);
	if (a->head.server)
		hr = DAC_CALL(sos8, SOS8_GENERATIONS_SERVER, uint64_t, uint32_t,
			      struct dac_generation *,
			      uint32_t *)(sos8, heap->address, count, more, &needed);
	else
		hr = DAC_CALL(sos8, SOS8_GENERATIONS, uint32_t, struct dac_generation *,
			      uint32_t *)(sos8, count, more, &needed);
	if (hr < 0) return ARRAY_SIZE(heap->generation);
	for (size_t i = 0; i < DAC_GENERATIONS; i++)
		ret[i] = more[i];
	return DAC_GENERATIONS;
}

static int add_ephemeral(struct heap_answer *a, const struct dac_heap *heap,
			 const struct dac_generation *g, const struct dac_segment *segment,
			 struct err *e)
{
	int r = add_range(a, segment, segment->memory, g[1].start, 2, e);
	if (!r) r = add_range(a, segment, g[1].start, g[0].start, 1, e);
	if (!r) r = add_range(a, segment, g[0].start, heap->alloc_allocated, 0, e);
	return r;
}

static int add_segments(struct heap_answer *a, const struct dac_heap *heap,
			const struct dac_generation *g, uint32_t generation, bool regions,
			struct err *e)
{
	uint64_t at = g[generation].start_segment;
	for (int i = 0; at && i < DAC_RANGES_MAX; i++) {
		struct dac_segment segment = {0};
		bool ephemeral = at == heap->ephemeral_segment;
		int r;
		if (DAC_CALL(a->dac->sos, SOS_SEGMENT, uint64_t,
			     struct dac_segment *)(a->dac->sos, at, &segment) < 0)
			return err_set(e, ERR_CORRUPT, "a segment of the heap cannot be read");
		if (ephemeral && !regions)
			r = add_ephemeral(a, heap, g, &segment, e);
		else
			r = add_range(a, &segment, segment.memory,
				      ephemeral ? heap->alloc_allocated : segment.allocated,
				      generation, e);
		if (r) return r;
		if (segment.next == at) break;
		at = segment.next;
	}
	return 0;
}

static int add_heap(struct heap_answer *a, const struct dac_heap *heap, struct err *e)
{
	struct dac_generation g[DAC_GENERATIONS] = {0};
	size_t count = read_generations(a, heap, g);
	bool regions = g[0].start_segment != g[1].start_segment;
	int r = add_skip(a, g[0].alloc_ptr, g[0].alloc_limit, e);
	for (uint32_t i = regions ? 0 : 2; !r && i < count; i++)
		r = add_segments(a, heap, g, i, regions, e);
	a->head.heap_count++;
	return r;
}

static int add_server_heaps(struct heap_answer *a, uint32_t count, hresult *ret_hr, struct err *e)
{
	uint64_t addresses[HEAPS_MAX];
	uint32_t needed = 0;
	void *sos = a->dac->sos;
	if (count > HEAPS_MAX) return err_set(e, ERR_LIMIT, "%u heaps", count);
	hresult hr = DAC_CALL(sos, SOS_HEAP_LIST, uint32_t, uint64_t *,
			      uint32_t *)(sos, count, addresses, &needed);
	if (hr < 0) return dac_refused(hr, "no list of heaps", ret_hr, e);
	for (uint32_t i = 0; i < count; i++) {
		struct dac_heap heap = {0};
		hr = DAC_CALL(sos, SOS_HEAP_DETAILS, uint64_t, struct dac_heap *)(sos, addresses[i],
										  &heap);
		if (hr < 0) return dac_refused(hr, "no such heap", ret_hr, e);
		heap.address = addresses[i];
		int r = add_heap(a, &heap, e);
		if (r) return r;
	}
	return 0;
}

static int add_heaps(struct heap_answer *a, hresult *ret_hr, struct err *e)
{
	struct dac_heap_kind kind = {0};
	struct dac_heap heap = {0};
	void *sos = a->dac->sos;
	hresult hr = DAC_CALL(sos, SOS_HEAP, struct dac_heap_kind *)(sos, &kind);
	if (hr < 0) return dac_refused(hr, "no managed heap", ret_hr, e);
	a->head.server = kind.server != 0;
	a->head.valid = kind.valid != 0;
	if (kind.server) return add_server_heaps(a, kind.count, ret_hr, e);
	hr = DAC_CALL(sos, SOS_HEAP_STATIC, struct dac_heap *)(sos, &heap);
	return hr < 0 ? dac_refused(hr, "no managed heap", ret_hr, e) : add_heap(a, &heap, e);
}

int dac_answer_heap(struct dac *dac, struct buf *ret, hresult *ret_hr, struct err *e)
{
	struct heap_answer a = {
	    .dac = dac, .ranges = BUF_INIT(DAC_PAYLOAD_MAX), .skips = BUF_INIT(DAC_PAYLOAD_MAX)};
	int r = add_heaps(&a, ret_hr, e);
	if (!r) r = add_thread_rooms(&a, e);
	if (!r) r = add_global_room(&a, e);
	if (!r) r = buf_append(ret, &a.head, sizeof(a.head), e);
	if (!r) r = buf_append(ret, a.ranges.data, a.ranges.len, e);
	if (!r) r = buf_append(ret, a.skips.data, a.skips.len, e);
	buf_done(&a.ranges);
	buf_done(&a.skips);
	return r;
}

bool dac_finalizer_queue(struct dac *dac, uint64_t heap, const struct dac_heap *details,
			 uint64_t ret[static QUEUE_PARTS_MAX], uint32_t *ret_count)
{
	void *sos8 = dac->sos8;
	uint32_t count = 0, needed = 0;
	hresult hr = HR_FAIL;
	/* Without the newer interface there are four generations and two parts behind them. */
	if (!sos8) {
		for (uint32_t i = 0; i < 6; i++)
			ret[i] = details->finalization[i];
		*ret_count = 6;
		return true;
	}
	if (DAC_CALL(sos8, SOS8_GENERATION_COUNT, uint32_t *)(sos8, &count) < 0 ||
	    count > QUEUE_PARTS_MAX - 2)
		return false;
	count += 2;
	if (heap)
		hr = DAC_CALL(sos8, SOS8_FINALIZATION_SERVER, uint64_t, uint32_t, uint64_t *,
			      uint32_t *)(sos8, heap, count, ret, &needed);
	else
		hr = DAC_CALL(sos8, SOS8_FINALIZATION, uint32_t, uint64_t *,
			      uint32_t *)(sos8, count, ret, &needed);
	*ret_count = count;
	return hr >= 0;
}
