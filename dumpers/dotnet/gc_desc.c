#include "dumpers/dotnet/gc_desc.h"

enum { WORD = 8, SERIES = 16, OBJECT_SIZE_MAX_SHIFT = 40 };

struct part {
	int64_t length;            /* of a series: to be added to the object's size */
	uint64_t offset;           /* of a series: of its start */
	uint32_t references, skip; /* of an item that repeats */
};
struct gc_desc {
	bool repeats;
	uint64_t start; /* of the first item that repeats */
	size_t count;
	struct part parts[];
};

int gc_desc_size(int64_t count, size_t *ret, struct err *e)
{
	if (!count || count > GC_DESC_SERIES_MAX || count < -GC_DESC_SERIES_MAX)
		return err_set(e, ERR_CORRUPT, "a type with %lld series of references",
			       (long long)count);
	*ret = count > 0 ? WORD + SERIES * (size_t)count : WORD * (2 + (size_t)-count);
	return 0;
}

/* The index-th word below the method table, from 1 on. */
static uint64_t word_below(const uint8_t *data, size_t len, size_t index)
{
	uint64_t word;
	memcpy(&word, data + len - index * WORD, sizeof(word));
	return word;
}

static void parse_series(const uint8_t *data, size_t len, struct gc_desc *d)
{
	for (size_t i = 0; i < d->count; i++) {
		d->parts[i].offset = word_below(data, len, 2 + 2 * i);
		d->parts[i].length = (int64_t)word_below(data, len, 3 + 2 * i);
	}
}

/* Every round has a reference, and all are aligned: so what looks for the next one finds it within
 * a round, whatever size the object says it has. */
static int parse_items(const uint8_t *data, size_t len, struct gc_desc *d, struct err *e)
{
	uint64_t references = 0;
	bool aligned;
	d->repeats = true;
	d->start = word_below(data, len, 2);
	aligned = d->start % WORD == 0;
	for (size_t i = 0; i < d->count; i++) {
		uint64_t word = word_below(data, len, 3 + i);
		d->parts[i].references = (uint32_t)word;
		d->parts[i].skip = (uint32_t)(word >> 32);
		references += d->parts[i].references;
		aligned = aligned && d->parts[i].skip % WORD == 0;
	}
	return references && aligned
		   ? 0
		   : err_set(e, ERR_CORRUPT, "a type whose references are none, or between words");
}

int gc_desc_parse(const uint8_t *data, size_t len, struct gc_desc **ret, struct err *e)
{
	size_t needed;
	if (len < WORD) return err_set(e, ERR_CORRUPT, "a description of references is cut");
	int64_t count = (int64_t)word_below(data, len, 1);
	int r = gc_desc_size(count, &needed, e);
	if (r) return r;
	if (needed != len) return err_set(e, ERR_CORRUPT, "a description of references is cut");
	size_t parts = (size_t)(count > 0 ? count : -count);
	struct gc_desc *d = calloc(1, sizeof(*d) + parts * sizeof(d->parts[0]));
	if (!d) return err_set(e, ERR_NO_MEMORY, "no memory");
	d->count = parts;
	if (count > 0)
		parse_series(data, len, d);
	else
		r = parse_items(data, len, d, e);
	if (r)
		free(d);
	else
		*ret = d;
	return r;
}

/* False: nothing of it is in the object. */
static bool fit(uint64_t start, uint64_t end, uint64_t size, struct gc_run *run)
{
	end = MIN(end, size - WORD);
	if (start < WORD || start >= end || start % WORD) return false;
	run->start = start;
	run->end = align_down(end, WORD);
	return run->start < run->end;
}

static bool next_series(const struct gc_desc *d, uint64_t size, struct gc_run *run)
{
	while (run->item < d->count) {
		const struct part *p = &d->parts[run->item++];
		uint64_t length = size + (uint64_t)p->length, end;
		if (length > size || add_overflows(p->offset, length, &end)) continue;
		if (fit(p->offset, end, size, run)) return true;
	}
	return false;
}

static bool next_item(const struct gc_desc *d, uint64_t size, struct gc_run *run)
{
	if (!run->at) run->at = MAX(d->start, (uint64_t)WORD);
	while (run->at < size - WORD) {
		const struct part *p = &d->parts[run->item];
		uint64_t start = run->at, end = start + (uint64_t)p->references * WORD;
		run->item = (run->item + 1) % d->count;
		run->at = end + p->skip;
		if (fit(start, end, size, run)) return true;
	}
	return false;
}

bool gc_desc_next(const struct gc_desc *d, uint64_t size, struct gc_run *run)
{
	if (size < 2 * WORD || size >> OBJECT_SIZE_MAX_SHIFT) return false;
	return d->repeats ? next_item(d, size, run) : next_series(d, size, run);
}
