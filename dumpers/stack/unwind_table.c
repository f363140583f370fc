#include "dumpers/stack/unwind_table.h"

#include "dumpers/proc/elf_id.h"

#include <string.h>

/* DWARF pointer encodings (LSB core, "DWARF Extensions"). */
enum {
	ENC_UDATA4 = 0x03,
	ENC_SDATA4 = 0x0b,
	ENC_PCREL_SDATA4 = 0x1b,
	ENC_DATAREL_SDATA4 = 0x3b,
};
enum { EH_FRAME_MAX = 64 << 20, ENTRIES_MAX = 4 << 20, ELF_PHDRS_MAX = 128 };

static bool read_phdr(struct modules *modules, const struct module *module, size_t index,
		      Elf64_Phdr *ret)
{
	Elf64_Ehdr eh;
	uint64_t at;
	if (modules_read(modules, module->start, &eh, sizeof eh, NULL)) return false;
	if (index >= eh.e_phnum || index >= ELF_PHDRS_MAX) return false;
	if (add_overflows(module->start, eh.e_phoff, &at)) return false;
	return !add_overflows(at, index * sizeof *ret, &at) &&
	       !modules_read(modules, at, ret, sizeof *ret, NULL);
}

static bool load_header(struct modules *modules, const struct module *module,
			struct unwind_table *ret)
{
	Elf64_Phdr ph;
	for (size_t i = 0; read_phdr(modules, module, i, &ph); i++) {
		uint8_t hdr[12];
		uint32_t count;
		if (ph.p_type != PT_GNU_EH_FRAME) continue;
		uint64_t base = module->bias + ph.p_vaddr;
		if (modules_read(modules, base, hdr, sizeof hdr, NULL)) return false;
		/* Linkers write this one form; another is as good as none. */
		if (hdr[0] != 1 || hdr[1] != ENC_PCREL_SDATA4 || hdr[2] != ENC_UDATA4 ||
		    hdr[3] != ENC_DATAREL_SDATA4) {
			return false;
		}
		memcpy(&count, hdr + 8, sizeof count);
		if (count > ENTRIES_MAX) return false;
		*ret = (struct unwind_table){
		    .found = true, .base = base, .table = base + sizeof hdr, .count = count};
		return true;
	}
	return false;
}

/* A reader of .eh_frame bytes that never leaves them. */
struct cursor {
	const uint8_t *at, *end;
	bool bad;
};

static uint8_t take_byte(struct cursor *c)
{
	if (c->at >= c->end) {
		c->bad = true;
		return 0;
	}
	return *c->at++;
}

static void skip_leb(struct cursor *c)
{
	while (take_byte(c) & 0x80) {
	}
}

static int32_t take_i32(struct cursor *c)
{
	int32_t v = 0;
	if (c->end - c->at < 4) {
		c->bad = true;
		return 0;
	}
	memcpy(&v, c->at, sizeof v);
	c->at += sizeof v;
	return v;
}

/* The pointer encoding of a CIE's FDEs: 'R' of its augmentation. */
static uint8_t fde_encoding(const uint8_t *cie, const uint8_t *end)
{
	struct cursor c = {.at = cie + 8, .end = end}; /* length and id are known */
	char aug[8] = {0};
	size_t n = 0;
	(void)take_byte(&c); /* version */
	for (uint8_t b; (b = take_byte(&c)) != 0;) {
		if (n < sizeof aug - 1) aug[n++] = (char)b;
	}
	skip_leb(&c);        /* code alignment */
	skip_leb(&c);        /* data alignment */
	(void)take_byte(&c); /* return address register, version 1 */
	if (aug[0] != 'z') return 0;
	skip_leb(&c);
	for (size_t i = 1; i < n && !c.bad; i++) {
		if (aug[i] == 'R') return take_byte(&c);
		if (aug[i] == 'L') (void)take_byte(&c);
		if (aug[i] == 'P') {
			uint8_t enc = take_byte(&c);
			c.at += (enc & 0x0f) == ENC_UDATA4 || (enc & 0x0f) == ENC_SDATA4 ? 4 : 8;
			if (c.at > c.end) return 0;
		}
	}
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return x < y ? -1 : x > y;
}

/* One pair for each FDE with the encoding that linkers use; relative to the section's start. */
static size_t list_fdes(const uint8_t *data, size_t len, int32_t *pairs, size_t max)
{
	size_t count = 0;
	for (size_t at = 0; at + 8 <= len;) {
		uint32_t size, id;
		memcpy(&size, data + at, sizeof size);
		if (size == 0) {
			at += 4; /* crt files end theirs with a zero in the middle of a static
				    program */
			continue;
		}
		if (size == UINT32_MAX || size > len - at - 4) break;
		memcpy(&id, data + at + 4, sizeof id);
		if (id && id <= at + 4 && count < max) {
			const uint8_t *cie = data + at + 4 - id;
			struct cursor c = {.at = data + at + 8, .end = data + at + 4 + size};
			bool known = len - (size_t)(cie - data) > 16 &&
				     fde_encoding(cie, data + len) == ENC_PCREL_SDATA4;
			int32_t start = take_i32(&c);
			if (known && !c.bad && start) {
				pairs[2 * count] = start + (int32_t)(at + 8);
				pairs[2 * count + 1] = (int32_t)at;
				count++;
			}
		}
		at += 4 + (size_t)size;
	}
	return count;
}

static bool section_address(struct modules *modules, const struct module *module, uint64_t offset,
			    uint64_t *ret)
{
	Elf64_Phdr ph;
	for (size_t i = 0; read_phdr(modules, module, i, &ph); i++) {
		if (ph.p_type == PT_LOAD && offset >= ph.p_offset &&
		    offset - ph.p_offset < ph.p_filesz) {
			*ret = module->bias + ph.p_vaddr + (offset - ph.p_offset);
			return true;
		}
	}
	return false;
}

static void make(struct modules *modules, const struct module *module, struct unwind_table *ret)
{
	struct blob *file = modules_file(modules, module, NULL);
	uint64_t offset, size, address;
	if (!file || elf_find_section(elf_read_blob, file, ".eh_frame", &offset, &size, NULL))
		return;
	if (size < 16 || size > EH_FRAME_MAX) return;
	if (!section_address(modules, module, offset, &address)) return;
	_cleanup_free_ uint8_t *data = malloc(size);
	size_t max = size / 16 + 1;
	_cleanup_free_ int32_t *pairs = calloc(max, 2 * sizeof *pairs);
	if (!data || !pairs || blob_read_at(file, offset, data, size, NULL)) return;
	size_t count = list_fdes(data, size, pairs, max);
	qsort(pairs, count, 2 * sizeof *pairs, compare_entries);
	*ret = (struct unwind_table){
	    .found = count > 0,
	    .base = address,
	    .table = UNWIND_MADE_BASE + module->index * UNWIND_MADE_STRIDE,
	    .count = count,
	    .made = STEAL_PTR(pairs),
	};
}

void unwind_table_load(struct modules *modules, const struct module *module,
		       struct unwind_table *ret)
{
	*ret = (struct unwind_table){0};
	if (!load_header(modules, module, ret)) make(modules, module, ret);
}

void unwind_table_done(struct unwind_table *t)
{
	free(t->made);
	*t = (struct unwind_table){0};
}

int unwind_table_read(const struct unwind_table *t, uint64_t addr, void *data, size_t len)
{
	uint64_t size = t->count * 2 * sizeof *t->made;
	if (!t->made || addr < t->table || addr - t->table > size ||
	    size - (addr - t->table) < len) {
		return -ERR_NOT_FOUND;
	}
	memcpy(data, (const uint8_t *)t->made + (addr - t->table), len);
	return 0;
}
