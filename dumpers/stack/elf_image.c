#include "dumpers/stack/elf_image.h"

#include <elf.h>
#include <string.h>

enum { PAGE = 4096 };

static int read_header(elf_read_fn read, void *ctx, Elf64_Ehdr *ret, struct err *e)
{
	if (read(ctx, 0, ret, sizeof(*ret)) < 0 || memcmp(ret->e_ident, ELFMAG, SELFMAG) != 0)
		return err_set(e, ERR_CORRUPT, "not an ELF image");
	if (ret->e_ident[EI_CLASS] != ELFCLASS64 || ret->e_ident[EI_DATA] != ELFDATA2LSB)
		return err_set(e, ERR_UNSUPPORTED, "not a 64-bit little-endian ELF image");
	if (ret->e_type != ET_EXEC && ret->e_type != ET_DYN)
		return err_set(e, ERR_CORRUPT, "an ELF image of type %u, not a program or library",
			       ret->e_type);
	if (ret->e_phentsize != sizeof(Elf64_Phdr) || ret->e_phnum > ELF_IMAGE_PHDRS_MAX)
		return err_set(e, ERR_CORRUPT,
			       "an ELF image of %u program headers of %u bytes each", ret->e_phnum,
			       ret->e_phentsize);
	return 0;
}

static void take_load(const Elf64_Phdr *p, struct elf_image *image, bool *has_first)
{
	uint64_t end;

	if (p->p_memsz == 0 || add_overflows(p->p_vaddr, p->p_memsz, &end)) return;
	image->low = MIN(image->low, p->p_vaddr);
	image->high = MAX(image->high, end);
	if (!*has_first && align_down(p->p_offset, PAGE) == 0 && p->p_vaddr >= p->p_offset) {
		image->first = p->p_vaddr - p->p_offset;
		*has_first = true;
	}
	if (image->load_count < ELF_IMAGE_LOADS_MAX)
		image->loads[image->load_count++] =
		    (struct elf_load){.offset = p->p_offset,
				      .vaddr = p->p_vaddr,
				      .filesz = p->p_filesz,
				      .memsz = p->p_memsz,
				      .executable = (p->p_flags & PF_X) != 0};
}

int elf_image_read(elf_read_fn read, void *ctx, struct elf_image *ret, struct err *e)
{
	struct elf_image image = {.low = UINT64_MAX};
	bool has_first = false;
	Elf64_Ehdr h;
	Elf64_Phdr p;
	int r = read_header(read, ctx, &h, e);

	if (r < 0) return r;
	image.machine = h.e_machine;
	image.type = h.e_type;
	image.entry = h.e_entry;
	for (size_t i = 0; i < h.e_phnum; i++) {
		uint64_t at;

		if (add_overflows(h.e_phoff, i * sizeof(p), &at) ||
		    read(ctx, at, &p, sizeof(p)) < 0)
			return err_set(e, ERR_CORRUPT, "program header %zu cannot be read", i);
		if (p.p_type == PT_LOAD) {
			take_load(&p, &image, &has_first);
		} else if (p.p_type == PT_GNU_EH_FRAME) {
			image.eh_frame_hdr = p.p_vaddr;
			image.eh_frame_hdr_size = p.p_memsz;
		}
	}
	if (!has_first)
		return err_set(e, ERR_CORRUPT, "no segment of the ELF image maps its header");
	*ret = image;
	return 0;
}

bool elf_image_vaddr(const struct elf_image *image, uint64_t offset, uint64_t *ret)
{
	for (size_t i = 0; i < image->load_count; i++) {
		const struct elf_load *l = &image->loads[i];

		if (offset < l->offset || offset - l->offset >= l->filesz) continue;
		*ret = l->vaddr + (offset - l->offset);
		return true;
	}
	return false;
}

bool elf_image_is_code(const struct elf_image *image, uint64_t vaddr)
{
	for (size_t i = 0; i < image->load_count; i++) {
		const struct elf_load *l = &image->loads[i];

		if (l->executable && vaddr >= l->vaddr && vaddr - l->vaddr < l->memsz) return true;
	}
	return false;
}

bool elf_image_equal(const struct elf_image *a, const struct elf_image *b)
{
	for (size_t i = 0; i < MIN(a->load_count, b->load_count); i++) {
		const struct elf_load *x = &a->loads[i], *y = &b->loads[i];

		if (x->offset != y->offset || x->vaddr != y->vaddr || x->filesz != y->filesz ||
		    x->memsz != y->memsz || x->executable != y->executable)
			return false;
	}
	return a->machine == b->machine && a->type == b->type && a->entry == b->entry &&
	       a->low == b->low && a->high == b->high && a->eh_frame_hdr == b->eh_frame_hdr &&
	       a->eh_frame_hdr_size == b->eh_frame_hdr_size && a->load_count == b->load_count;
}
