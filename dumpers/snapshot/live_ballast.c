/*
 * Whom the OOM killer takes: the process with the most pages mapped, to which oom_score_adj adds so
 * many thousandths of the limit (mm/oom_kill.c, oom_badness). The child has the pages of the target
 * without those of files, and gives up what was read; it gets an oom_score_adj of 1000, and in a
 * pod that is hardly more than the others': the kubelet gives a container without guaranteed memory
 * up to 1000, and nobody can have more. The target would be taken.
 *
 * So where memory may run out the child gets a small piece of shared memory, mapped over and over
 * until it weighs as much as the target can and its oom_score_adj does not make up for. It costs
 * its page tables, and time while the target stands. It lies above all that is large, because a
 * process that was killed gives its memory back from the bottom, and another one may be taken when
 * it comes to its last 40 MiB (mm/mmap.c, exit_mmap; mm/mmu_gather.c).
 */
#include "dumpers/snapshot/live_cow.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PIECES = 128, PIECE_MIN = 1 << 20, PIECE_MAX = 16 << 20, PAGE = 4096 };
enum { OOM_SCORE_ADJ_MAX = 1000, MARGIN_SHARE = 64 };
#define ADDRESS_END 0x7ffffffff000u /* TASK_SIZE */

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* linux/mman.h */
#endif

static uint64_t memory_limit(const struct live *l)
{
	if (l->meter.usage_fd >= 0) return l->meter.limit;
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * PAGE;
}

/* The target's, from 0; the most where it is not to be had. */
static uint64_t oom_score_adj(struct live *l)
{
	char text[32];
	long adj;

	if (!live_read_proc(l, "oom_score_adj", text, sizeof(text))) return OOM_SCORE_ADJ_MAX;
	adj = strtol(text, NULL, 10);
	return adj < 0 ? 0 : MIN((uint64_t)adj, (uint64_t)OOM_SCORE_ADJ_MAX);
}

/* Pages of files, which the limit may not count as the target's; 0 where it is not to be had. */
static uint64_t file_bytes(struct live *l)
{
	char text[256], *end;
	uint64_t shared;

	if (!live_read_proc(l, "statm", text, sizeof(text))) return 0;
	strtoull(text, &end, 10);
	strtoull(end, &end, 10);
	shared = strtoull(end, NULL, 10);
	return MIN(shared, (uint64_t)UINT32_MAX) * PAGE;
}

uint64_t live_ballast_bytes(struct live *l)
{
	uint64_t limit = memory_limit(l);
	uint64_t share = limit / OOM_SCORE_ADJ_MAX * oom_score_adj(l);

	return MIN(share + file_bytes(l) + limit / MARGIN_SHARE, limit);
}

/* The highest address where len bytes are free; 0 if nowhere. */
static uint64_t find_room(const struct live *l, uint64_t len)
{
	const struct maps *maps = &l->base.maps;
	uint64_t end = ADDRESS_END;

	for (size_t i = maps->count; i > 0; i--) {
		const struct map *below = &maps->v[i - 1];

		if (below->start >= ADDRESS_END) continue; /* [vsyscall] */
		if (below->end <= end && end - below->end >= len) break;
		end = below->start;
	}
	return end > len ? end - len : 0;
}

/* The result of mmap, mremap or madvise in the child. */
static int64_t call(struct live *l, long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
		    uint64_t f)
{
	const struct inject_call call = {.nr = nr, .args = {a, b, c, d, f}};

	return live_cow_call(l, &call);
}

int live_ballast_add(struct live *l, struct err *e)
{
	uint64_t weight = l->offered ? live_ballast_bytes(l) : memory_limit(l);
	uint64_t piece, total, start, at;
	int64_t r;

	piece = align_up(MIN(MAX(weight / PIECES, (uint64_t)PIECE_MIN), (uint64_t)PIECE_MAX), PAGE);
	total = weight - weight % piece + piece;
	start = find_room(l, total);
	r = !start ? -ENOMEM
		   : call(l, SYS_mmap, start, piece, PROT_READ,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, UINT64_MAX);
	/* With a size of 0 mremap(2) maps shared memory once more. */
	for (at = start + piece; r >= 0 && at < start + total; at += piece)
		r = call(l, SYS_mremap, start, 0, piece, MREMAP_MAYMOVE | MREMAP_FIXED, at);
	if (r >= 0) r = call(l, SYS_madvise, start, total, MADV_POPULATE_READ, 0, 0);
	if (r < 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "memory may run out, and the OOM killer could take it instead of a "
			       "child (%s)",
			       strerror((int)-r));
	l->ballast = (struct range){start, start + total};
	return 0;
}
