#include "dumpers/proc/elf_id.h"

#include <elf.h>
#include <string.h>

enum {
	/* PT_PHDR of real programs has about a dozen; kernels' cores, with PN_XNUM, are not for
	 * here. */
	PHDR_COUNT_MAX = 512,
	SHDR_COUNT_MAX = 8192,
	NOTES_BYTES_MAX = 64 << 10,
	SECTION_NAME_MAX = 64,
};

struct image {
	elf_read_fn read;
	void *ctx;
	enum elf_layout layout;
	uint64_t first_vaddr; /* of the segment that maps the ELF header */
};

/* The fields of both classes' headers that are used here. */
struct header {
	uint8_t elf_class;
	uint16_t type, machine, phentsize, phnum, shentsize, shnum, shstrndx;
	uint64_t phoff, shoff;
};
struct segment {
	uint32_t type;
	uint64_t offset, vaddr, filesz, align;
};
struct section {
	uint32_t name, type;
	uint64_t offset, size;
};

static int read_at(const struct image *image, uint64_t off, void *buf, size_t len)
{
	uint64_t end;

	if (add_overflows(off, len, &end)) return -ERR_CORRUPT;
	return image->read(image->ctx, off, buf, len) < 0 ? -ERR_IO : 0;
}

#define TAKE_EHDR(h, eh)                                                                           \
	do {                                                                                       \
		(h)->type = (eh).e_type;                                                           \
		(h)->machine = (eh).e_machine;                                                     \
		(h)->phoff = (eh).e_phoff;                                                         \
		(h)->phentsize = (eh).e_phentsize;                                                 \
		(h)->phnum = (eh).e_phnum;                                                         \
		(h)->shoff = (eh).e_shoff;                                                         \
		(h)->shentsize = (eh).e_shentsize;                                                 \
		(h)->shnum = (eh).e_shnum;                                                         \
		(h)->shstrndx = (eh).e_shstrndx;                                                   \
	} while (0)

static int read_header(const struct image *image, struct header *ret, struct err *e)
{
	unsigned char ident[EI_NIDENT];
	Elf64_Ehdr e64;
	Elf32_Ehdr e32;
	bool is_64;

	if (read_at(image, 0, ident, sizeof(ident)) < 0 || memcmp(ident, ELFMAG, SELFMAG) != 0)
		return err_set(e, ERR_CORRUPT, "not an ELF image");
	if (ident[EI_DATA] == ELFDATA2MSB)
		return err_set(e, ERR_UNSUPPORTED, "a big-endian ELF image");
	if (ident[EI_DATA] != ELFDATA2LSB ||
	    (ident[EI_CLASS] != ELFCLASS64 && ident[EI_CLASS] != ELFCLASS32))
		return err_set(e, ERR_CORRUPT, "an ELF image of class %u and byte order %u",
			       ident[EI_CLASS], ident[EI_DATA]);
	is_64 = ident[EI_CLASS] == ELFCLASS64;
	if (read_at(image, 0, is_64 ? (void *)&e64 : (void *)&e32,
		    is_64 ? sizeof(e64) : sizeof(e32)) < 0)
		return err_set(e, ERR_CORRUPT, "an ELF image that ends inside its header");
	ret->elf_class = ident[EI_CLASS];
	if (is_64)
		TAKE_EHDR(ret, e64);
	else
		TAKE_EHDR(ret, e32);
	return 0;
}

/* Offset of entry index of a header table; false where it cannot be. */
static bool table_entry(uint64_t table, uint16_t entsize, size_t index, size_t struct_size,
			uint64_t *ret)
{
	return table != 0 && entsize >= struct_size &&
	       !add_overflows(table, (uint64_t)entsize * index, ret);
}

static int read_segment(const struct image *image, const struct header *h, size_t index,
			struct segment *ret)
{
	uint64_t at;
	Elf64_Phdr p64;
	Elf32_Phdr p32;

	if (h->elf_class == ELFCLASS64) {
		if (!table_entry(h->phoff, h->phentsize, index, sizeof(p64), &at) ||
		    read_at(image, at, &p64, sizeof(p64)) < 0)
			return -ERR_CORRUPT;
		*ret = (struct segment){p64.p_type, p64.p_offset, p64.p_vaddr, p64.p_filesz,
					p64.p_align};
		return 0;
	}
	if (!table_entry(h->phoff, h->phentsize, index, sizeof(p32), &at) ||
	    read_at(image, at, &p32, sizeof(p32)) < 0)
		return -ERR_CORRUPT;
	*ret = (struct segment){p32.p_type, p32.p_offset, p32.p_vaddr, p32.p_filesz, p32.p_align};
	return 0;
}

/* Where the bytes of a segment are in the image. */
static bool segment_start(const struct image *image, const struct segment *s, uint64_t *ret)
{
	if (image->layout == ELF_LAYOUT_FILE) {
		*ret = s->offset;
		return true;
	}
	if (s->vaddr < image->first_vaddr) return false;
	*ret = s->vaddr - image->first_vaddr;
	return true;
}

static void take_note(const char *owner, size_t owner_len, uint32_t type, const uint8_t *desc,
		      size_t desc_len, struct elf_id *ret)
{
	if (owner_len == 4 && !memcmp(owner, "Go\0\0", 4)) ret->has_go_note = true;
	if (owner_len != 4 || memcmp(owner, "GNU\0", 4) != 0 || type != NT_GNU_BUILD_ID) return;
	if (ret->build_id_len || desc_len == 0 || desc_len > sizeof(ret->build_id)) return;
	memcpy(ret->build_id, desc, desc_len);
	ret->build_id_len = desc_len;
}

/* Elf32_Nhdr and Elf64_Nhdr are alike. align is 4, or 8 where the segment says so. */
static void parse_notes(const uint8_t *notes, size_t len, size_t align, struct elf_id *ret)
{
	size_t at = 0;

	while (len - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n;
		size_t name_at = at + sizeof(n), desc_at;

		memcpy(&n, notes + at, sizeof(n));
		if (n.n_namesz > len - name_at) return;
		desc_at = align_up(name_at + n.n_namesz, align);
		if (desc_at > len || n.n_descsz > len - desc_at) return;
		take_note((const char *)notes + name_at, n.n_namesz, n.n_type, notes + desc_at,
			  n.n_descsz, ret);
		at = MIN((size_t)align_up(desc_at + n.n_descsz, align), len);
	}
}

static void read_notes(const struct image *image, const struct segment *s, struct elf_id *ret)
{
	size_t len = (size_t)MIN(s->filesz, (uint64_t)NOTES_BYTES_MAX);
	_cleanup_free_ uint8_t *notes = malloc(len + 1);
	uint64_t start;

	if (!notes || !segment_start(image, s, &start) || read_at(image, start, notes, len) < 0)
		return;
	parse_notes(notes, len, s->align == 8 ? 8 : 4, ret);
}

static void read_interp(const struct image *image, const struct segment *s, struct elf_id *ret)
{
	size_t len = (size_t)MIN(s->filesz, sizeof(ret->interp) - 1);
	char interp[ELF_ID_INTERP_MAX] = {0};
	uint64_t start;

	if (!segment_start(image, s, &start) || read_at(image, start, interp, len) < 0) return;
	memcpy(ret->interp, interp, sizeof(interp));
}

int elf_id_read(elf_read_fn read, void *ctx, enum elf_layout layout, struct elf_id *ret,
		struct err *e)
{
	struct image image = {.read = read, .ctx = ctx, .layout = layout};
	struct elf_id id = {0};
	struct header h = {0};
	struct segment s;
	size_t count;
	int r = read_header(&image, &h, e);

	if (r < 0) return r;
	id.elf_class = h.elf_class;
	id.e_machine = h.machine;
	id.e_type = h.type;
	count = MIN(h.phnum, (size_t)PHDR_COUNT_MAX);
	for (size_t i = 0; i < count && read_segment(&image, &h, i, &s) == 0; i++) {
		if (s.type != PT_LOAD) continue;
		/* Only the segment that starts the file holds the header, and so the base. */
		image.first_vaddr = s.vaddr - MIN(s.vaddr, s.offset);
		break;
	}
	for (size_t i = 0; i < count && read_segment(&image, &h, i, &s) == 0; i++) {
		if (s.type == PT_NOTE)
			read_notes(&image, &s, &id);
		else if (s.type == PT_INTERP)
			read_interp(&image, &s, &id);
	}
	*ret = id;
	return 0;
}

int elf_read_blob(void *ctx, uint64_t off, void *buf, size_t len)
{
	return blob_read_at(ctx, off, buf, len, NULL);
}

int elf_id_of_blob(struct blob *file, struct elf_id *ret, struct err *e)
{
	return elf_id_read(elf_read_blob, file, ELF_LAYOUT_FILE, ret, e);
}

static int read_section(const struct image *image, const struct header *h, size_t index,
			struct section *ret)
{
	uint64_t at;
	Elf64_Shdr s64;
	Elf32_Shdr s32;

	if (h->elf_class == ELFCLASS64) {
		if (!table_entry(h->shoff, h->shentsize, index, sizeof(s64), &at) ||
		    read_at(image, at, &s64, sizeof(s64)) < 0)
			return -ERR_CORRUPT;
		*ret = (struct section){s64.sh_name, s64.sh_type, s64.sh_offset, s64.sh_size};
		return 0;
	}
	if (!table_entry(h->shoff, h->shentsize, index, sizeof(s32), &at) ||
	    read_at(image, at, &s32, sizeof(s32)) < 0)
		return -ERR_CORRUPT;
	*ret = (struct section){s32.sh_name, s32.sh_type, s32.sh_offset, s32.sh_size};
	return 0;
}

/* Is this the section's name, its NUL included? */
static bool section_is_named(const struct image *image, const struct section *strings,
			     const struct section *s, const char *name)
{
	size_t size = strlen(name) + 1;
	char text[SECTION_NAME_MAX];
	uint64_t at;

	if (size > sizeof(text) || s->name >= strings->size || size > strings->size - s->name ||
	    add_overflows(strings->offset, s->name, &at) || read_at(image, at, text, size) < 0)
		return false;
	return memcmp(text, name, size) == 0;
}

int elf_find_section(elf_read_fn read, void *ctx, const char *name, uint64_t *ret_offset,
		     uint64_t *ret_size, struct err *e)
{
	struct image image = {.read = read, .ctx = ctx, .layout = ELF_LAYOUT_FILE};
	struct section strings, s;
	struct header h = {0};
	int r = read_header(&image, &h, e);

	if (r < 0) return r;
	if (h.shnum == 0 || read_section(&image, &h, h.shstrndx, &strings) < 0)
		return err_set(e, ERR_NOT_FOUND, "the ELF image has no section headers");
	for (size_t i = 0; i < MIN(h.shnum, (size_t)SHDR_COUNT_MAX); i++) {
		if (read_section(&image, &h, i, &s) < 0) break;
		if (s.type == SHT_NULL || !section_is_named(&image, &strings, &s, name)) continue;
		*ret_offset = s.offset;
		*ret_size = s.size;
		return 0;
	}
	return err_set(e, ERR_NOT_FOUND, "the ELF image has no section %s", name);
}
