#include "dumpers/dotnet/heap_index.h"

#include "base/search.h"

/* Bits are counted in blocks: how many are set before each. */
enum { BITS = 64, BLOCK = 8 };

struct part {
	uint64_t start, end; /* addresses */
	uint64_t word;       /* number of the first */
};
struct heap_index {
	struct part *parts;
	size_t part_count, last; /* that was looked at */
	uint64_t word_count;
	uint64_t *bits;
	uint32_t *before; /* of each block */
	size_t block_count;
	uint32_t count;
};

static int lay_out(const struct dotnet_heap *heap, struct heap_index *x, struct err *e)
{
	for (uint32_t i = 0; i < heap->head.range_count; i++) {
		const struct dac_wire_range *range = &heap->ranges[i];
		x->parts[i] = (struct part){range->start, range->end, x->word_count};
		x->word_count +=
		    align_up(range->end - range->start, HEAP_INDEX_WORD) / HEAP_INDEX_WORD;
		if (x->word_count >= HEAP_INDEX_BYTES_MAX / HEAP_INDEX_WORD)
			return err_set(e, ERR_LIMIT, "a managed heap of more than %llu GiB",
				       (unsigned long long)(HEAP_INDEX_BYTES_MAX / GIB));
	}
	x->part_count = heap->head.range_count;
	return 0;
}

int heap_index_new(const struct dotnet_heap *heap, struct heap_index **ret, struct err *e)
{
	struct heap_index *x = calloc(1, sizeof(*x));
	if (!x) return err_set(e, ERR_NO_MEMORY, "no memory");
	x->parts = calloc(heap->head.range_count + 1u, sizeof(*x->parts));
	int r = x->parts ? lay_out(heap, x, e) : err_set(e, ERR_NO_MEMORY, "no memory");
	if (!r) {
		x->block_count = (size_t)(x->word_count / (BITS * BLOCK) + 1);
		x->bits = calloc(x->block_count * BLOCK, sizeof(*x->bits));
		x->before = calloc(x->block_count, sizeof(*x->before));
		if (!x->bits || !x->before) r = err_set(e, ERR_NO_MEMORY, "no memory");
	}
	if (r)
		heap_index_free(x);
	else
		*ret = x;
	return r;
}

void heap_index_free(struct heap_index *x)
{
	if (!x) return;
	free(x->parts);
	free(x->bits);
	free(x->before);
	free(x);
}

bool heap_index_word(struct heap_index *x, uint64_t address, uint32_t *ret)
{
	const struct part *p = &x->parts[x->last];
	if (address % HEAP_INDEX_WORD) return false;
	if (address < p->start || address >= p->end) {
		size_t i = FIRST_ABOVE(x->parts, x->part_count, start, address);
		if (!i || address >= x->parts[i - 1].end) return false;
		x->last = i - 1;
		p = &x->parts[i - 1];
	}
	*ret = (uint32_t)(p->word + (address - p->start) / HEAP_INDEX_WORD);
	return true;
}

void heap_index_add(struct heap_index *x, uint32_t word)
{
	x->bits[word / BITS] |= UINT64_C(1) << word % BITS;
}

int heap_index_seal(struct heap_index *x, struct err *e)
{
	uint64_t count = 0;
	for (size_t i = 0; i < x->block_count; i++) {
		if (count > HEAP_INDEX_OBJECTS_MAX)
			return err_set(e, ERR_LIMIT, "more than %d objects",
				       HEAP_INDEX_OBJECTS_MAX);
		x->before[i] = (uint32_t)count;
		for (size_t k = 0; k < BLOCK; k++)
			count += (uint64_t)__builtin_popcountll(x->bits[i * BLOCK + k]);
	}
	x->count = (uint32_t)count;
	return 0;
}

uint32_t heap_index_count(const struct heap_index *x)
{
	return x->count;
}

static uint32_t number_of(const struct heap_index *x, uint32_t word)
{
	size_t at = word / BITS, block = at / BLOCK;
	uint32_t n = x->before[block];
	for (size_t i = block * BLOCK; i < at; i++)
		n += (uint32_t)__builtin_popcountll(x->bits[i]);
	return n + (uint32_t)__builtin_popcountll(x->bits[at] & ((UINT64_C(1) << word % BITS) - 1));
}

bool heap_index_object(const struct heap_index *x, uint32_t word, uint32_t *ret)
{
	if (!(x->bits[word / BITS] >> word % BITS & 1)) return false;
	*ret = number_of(x, word);
	return true;
}

static const struct part *part_of(const struct heap_index *x, uint32_t word)
{
	return &x->parts[FIRST_ABOVE(x->parts, x->part_count, word, word) - 1];
}

bool heap_index_before(const struct heap_index *x, uint32_t word, uint32_t *ret)
{
	uint64_t first = part_of(x, word)->word, at = word;
	for (;; at = align_down(at, BITS) - 1) {
		uint64_t bits = x->bits[at / BITS] << (BITS - 1 - at % BITS);
		if (bits) {
			at -= (uint64_t)__builtin_clzll(bits);
			break;
		}
		if (align_down(at, BITS) <= first) return false;
	}
	return at >= first && heap_index_object(x, (uint32_t)at, ret);
}

uint64_t heap_index_address(const struct heap_index *x, uint32_t object)
{
	size_t low = 0, high = x->block_count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (x->before[middle] <= object)
			low = middle;
		else
			high = middle;
	}
	uint32_t left = object - x->before[low];
	size_t at = low * BLOCK;
	for (; at < (low + 1) * BLOCK; at++) {
		uint32_t here = (uint32_t)__builtin_popcountll(x->bits[at]);
		if (left < here) break;
		left -= here;
	}
	uint64_t bits = x->bits[at];
	for (; left; left--)
		bits &= bits - 1;
	uint32_t word = (uint32_t)(at * BITS + (uint64_t)__builtin_ctzll(bits));
	const struct part *p = part_of(x, word);
	return p->start + (word - p->word) * HEAP_INDEX_WORD;
}
