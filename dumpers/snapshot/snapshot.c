#include "dumpers/snapshot/snapshot.h"

#include "base/search.h"

#include <stdlib.h>
#include <string.h>

const char *mem_state_name(enum mem_state state)
{
	switch (state) {
	case MEM_BYTES:
		return "bytes";
	case MEM_ZERO:
		return "zero";
	case MEM_FILE:
		return "file";
	case MEM_NOT_CAPTURED:
		return "not captured";
	case MEM_UNMAPPED:
		return "unmapped";
	case MEM_ERROR:
		return "read error";
	}
	return "?";
}

const char *snapshot_consistency_name(enum snapshot_consistency consistency)
{
	switch (consistency) {
	case CONSISTENCY_STOPPED:
		return "stopped";
	case CONSISTENCY_COW:
		return "cow";
	case CONSISTENCY_CORE:
		return "core";
	case CONSISTENCY_RUNNING:
		return "running";
	}
	return "?";
}

size_t snapshot_read(struct snapshot *s, uint64_t addr, void *data, size_t len,
		     enum mem_state *state)
{
	uint64_t end;

	if (len == 0) {
		*state = MEM_UNMAPPED;
		return 0;
	}
	if (add_overflows(addr, len, &end)) len = (size_t)(UINT64_MAX - addr) + 1;
	return s->ops->read(s, addr, data, len, state);
}

int snapshot_read_all(struct snapshot *s, uint64_t addr, void *data, size_t len, struct err *e)
{
	uint8_t *out = data;
	size_t done = 0;

	while (done < len) {
		enum mem_state state;
		size_t n = snapshot_read(s, addr + done, out + done, len - done, &state);

		if (state == MEM_ZERO)
			memset(out + done, 0, n);
		else if (state != MEM_BYTES)
			return err_set(e, state == MEM_ERROR ? ERR_IO : ERR_NOT_FOUND,
				       "%zu bytes of memory at 0x%llx: %s at 0x%llx", len,
				       (unsigned long long)addr, mem_state_name(state),
				       (unsigned long long)(addr + done));
		done += n;
		if (addr + done < addr && done < len)
			return err_set(e, ERR_NOT_FOUND, "memory at 0x%llx: the address wraps",
				       (unsigned long long)addr);
	}
	return 0;
}

void snapshot_forget(struct snapshot *s, uint64_t start, uint64_t end)
{
	if (s->ops->forget && start < end) s->ops->forget(s, start, end);
}

void snapshot_will_need(struct snapshot *s, const struct range *ranges, size_t count)
{
	if (s->ops->will_need && count > 0) s->ops->will_need(s, ranges, count);
}

uint64_t snapshot_extent(struct snapshot *s, uint64_t addr, uint64_t end, enum mem_state *state)
{
	uint64_t at;

	*state = MEM_UNMAPPED;
	if (addr >= end) return end;
	at = s->ops->extent(s, addr, end, state);
	while (at < end) {
		enum mem_state next;
		uint64_t next_end = s->ops->extent(s, at, end, &next);

		if (next != *state) break;
		at = next_end;
	}
	return at;
}

uint64_t snapshot_auxv(const struct snapshot *s, uint64_t type)
{
	for (size_t at = 0; at + 16 <= s->auxv_len; at += 16) {
		uint64_t pair[2];

		memcpy(pair, s->auxv + at, sizeof(pair));
		if (pair[0] == type) return pair[1];
		if (pair[0] == AT_NULL) break;
	}
	return 0;
}

const struct snapshot_thread *snapshot_find_thread(const struct snapshot *s, pid_t tid)
{
	size_t low = 1, high = s->thread_count;

	if (s->thread_count && s->threads[0].tid == tid) return &s->threads[0];
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->threads[mid].tid == tid) return &s->threads[mid];
		if (s->threads[mid].tid < tid)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

void snapshot_free(struct snapshot *s)
{
	if (s) s->ops->free(s);
}

void snapshot_base_done(struct snapshot *s)
{
	for (size_t i = 0; i < s->thread_count; i++)
		free(s->threads[i].xstate);
	free(s->threads);
	s->threads = NULL;
	s->thread_count = 0;
	maps_done(&s->maps);
}

static int compare_threads(const void *a, const void *b, void *ctx)
{
	const struct snapshot_thread *x = a, *y = b;
	pid_t leader = *(const pid_t *)ctx;

	if ((x->tid == leader) != (y->tid == leader)) return x->tid == leader ? -1 : 1;
	return (x->tid > y->tid) - (x->tid < y->tid);
}

void snapshot_sort_threads(struct snapshot *s)
{
	size_t i = 1;

	/* The usual case: /proc lists them so. Each is 2 KiB to move, and the target may stand. */
	while (i < s->thread_count &&
	       compare_threads(&s->threads[i - 1], &s->threads[i], &s->id.pid) <= 0)
		i++;
	if (i >= s->thread_count) return;
	/* qsort_r may copy through a temporary of the whole array: fine, it is outside the pause.
	 */
	qsort_r(s->threads, s->thread_count, sizeof(*s->threads), compare_threads, &s->id.pid);
}

uint64_t snapshot_map_above(const struct snapshot *s, uint64_t addr)
{
	size_t i = FIRST_ABOVE(s->maps.v, s->maps.count, start, addr);

	return i < s->maps.count ? s->maps.v[i].start : UINT64_MAX;
}
