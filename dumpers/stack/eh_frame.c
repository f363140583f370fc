#include "dumpers/stack/eh_frame.h"

#include "dumpers/stack/modules_internal.h"
#include "dumpers/stack/unwind_table.h"

#include <string.h>

struct eh_frame_pair {
	uint64_t code; /* first address the FDE holds for */
	uint64_t fde;
};

enum { HDR_VERSION = 1, HDR_PAIR_BYTES = 8, HDR_MAX = 32 };
/* The only encoding with a searchable table that linkers write. */
enum { HDR_TABLE_ENCODING = CFI_PE_DATAREL | CFI_PE_SDATA4 };

/*
 * Reads .eh_frame_hdr: with a table in it index is done and true is returned; else
 * *ret_eh_frame is where .eh_frame starts, 0 if that is not said.
 */
static bool read_hdr(struct eh_frame_index *index, const struct module *module,
		     struct target_memory *memory, uint64_t *ret_eh_frame)
{
	const struct elf_image *image = module_image(module);
	uint64_t hdr = image->eh_frame_hdr + module->bias, size = image->eh_frame_hdr_size;
	uint8_t bytes[HDR_MAX] = {0};
	size_t len = (size_t)MIN(size, sizeof(bytes)), at = 4, n;
	uint64_t count;

	*ret_eh_frame = 0;
	if (len < at || target_memory_read(memory, hdr, bytes, len) < 0 || bytes[0] != HDR_VERSION)
		return false;
	n = cfi_pointer(bytes + at, len - at, bytes[1], hdr + at, hdr, ret_eh_frame);
	if (n == 0) return false;
	at += n;
	if (bytes[2] == CFI_PE_OMIT || bytes[3] != HDR_TABLE_ENCODING) return false;
	n = cfi_pointer(bytes + at, len - at, bytes[2], hdr + at, hdr, &count);
	at += n;
	if (n == 0 || count == 0 || count > UNWIND_FDES_MAX || count * HDR_PAIR_BYTES > size - at)
		return false;
	index->table = hdr + at;
	index->base = hdr;
	index->count = (size_t)count;
	return true;
}

static int compare_pairs(const void *a, const void *b)
{
	const struct eh_frame_pair *x = a, *y = b;

	return (x->code > y->code) - (x->code < y->code);
}

static bool add_pair(struct eh_frame_index *index, size_t *cap, uint64_t code, uint64_t fde)
{
	if (index->count >= UNWIND_FDES_MAX) return false;
	if (index->count == *cap) {
		size_t bigger = *cap ? *cap * 2 : 1024;
		struct eh_frame_pair *pairs = realloc(index->pairs, bigger * sizeof(*index->pairs));

		if (!pairs) return false;
		index->pairs = pairs;
		*cap = bigger;
	}
	index->pairs[index->count++] = (struct eh_frame_pair){code, fde};
	return true;
}

/* Entry by entry until the end mark, the end, or something that is no entry. */
static void walk(struct eh_frame_index *index, struct cfi_reader *reader, uint64_t at, uint64_t end)
{
	size_t cap = 0;

	while (at < end) {
		struct cfi_entry entry = {0};
		struct cfi_fde fde;
		int r = cfi_read(reader, at, &entry, &fde);

		/* An entry that is bad inside still says where the next one is. */
		if (entry.next <= at || entry.is_end) break;
		if (r == 0 && !entry.is_cie && fde.start < fde.end &&
		    !add_pair(index, &cap, fde.start, at))
			break;
		at = entry.next;
	}
	if (index->count) qsort(index->pairs, index->count, sizeof(*index->pairs), compare_pairs);
}

/* Address and size of .eh_frame by the section headers of the module's file. */
static bool find_section(struct modules *modules, const struct module *module, uint64_t *ret_start,
			 uint64_t *ret_size)
{
	struct blob *file = modules_file(modules, module, NULL);
	uint64_t offset, vaddr;

	if (!file ||
	    elf_find_section(elf_read_blob, file, ".eh_frame", &offset, ret_size, NULL) < 0)
		return false;
	if (!elf_image_vaddr(module_image(module), offset, &vaddr)) return false;
	*ret_start = vaddr + module->bias;
	return true;
}

void eh_frame_index_make(struct eh_frame_index *index, struct modules *modules,
			 const struct module *module, struct target_memory *memory,
			 struct cfi_reader *reader)
{
	uint64_t start, end, size;

	index->ready = true;
	if (read_hdr(index, module, memory, &start)) return;
	if (start)
		size = UNWIND_EH_FRAME_MAX;
	else if (!find_section(modules, module, &start, &size))
		return;
	size = MIN(size, (uint64_t)UNWIND_EH_FRAME_MAX);
	if (start < module->start || start >= module->end) return;
	end = MIN(start + size, module->end);
	walk(index, reader, start, end);
}

void eh_frame_index_done(struct eh_frame_index *index)
{
	free(index->pairs);
	*index = (struct eh_frame_index){0};
}

/* Entry i: code and FDE address. */
static bool read_pair(const struct eh_frame_index *index, struct target_memory *memory, size_t i,
		      struct eh_frame_pair *ret)
{
	int32_t pair[2];

	if (index->pairs) {
		*ret = index->pairs[i];
		return true;
	}
	if (target_memory_read(memory, index->table + i * HDR_PAIR_BYTES, pair, sizeof(pair)) < 0)
		return false;
	ret->code = index->base + (uint64_t)(int64_t)pair[0];
	ret->fde = index->base + (uint64_t)(int64_t)pair[1];
	return true;
}

bool eh_frame_index_find(const struct eh_frame_index *index, struct target_memory *memory,
			 uint64_t pc, uint64_t *ret_fde)
{
	size_t low = 0, high = index->count;
	struct eh_frame_pair pair;
	bool found = false;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (!read_pair(index, memory, mid, &pair)) return false;
		if (pair.code <= pc) {
			*ret_fde = pair.fde;
			found = true;
			low = mid + 1;
		} else {
			high = mid;
		}
	}
	return found;
}
