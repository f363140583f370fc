/*
 * What unwinding and symbols need of an ELF image's program headers (elf(5)): the segments, where
 * they are, and .eh_frame_hdr. Beside proc/elf_id.h, which tells what an image is. All of the
 * input is hostile; every count is capped.
 */
#ifndef DUMPERS_STACK_ELF_IMAGE_H
#define DUMPERS_STACK_ELF_IMAGE_H

#include "dumpers/proc/elf_id.h"

enum { ELF_IMAGE_LOADS_MAX = 16, ELF_IMAGE_PHDRS_MAX = 512 };

struct elf_load {
	uint64_t offset, vaddr, filesz, memsz; /* bytes and addresses of a PT_LOAD */
	bool executable;
};
struct elf_image {
	uint16_t machine, type;
	uint64_t entry;
	uint64_t low, high;                         /* [low, high) of p_vaddr over all PT_LOAD */
	uint64_t first;                             /* p_vaddr of the file's byte 0 */
	struct elf_load loads[ELF_IMAGE_LOADS_MAX]; /* the first of them */
	size_t load_count;
	uint64_t eh_frame_hdr; /* p_vaddr; meaningful when the size is not 0 */
	uint64_t eh_frame_hdr_size;
};

/*
 * Reads header and program headers of a 64-bit little-endian image; off of the callback is an
 * offset into the file. -ERR_CORRUPT when it is none or has no PT_LOAD that maps its header;
 * -ERR_UNSUPPORTED for a 32-bit one.
 */
int elf_image_read(elf_read_fn read, void *ctx, struct elf_image *ret, struct err *e);
/* p_vaddr of a file offset; false if no segment holds it. */
bool elf_image_vaddr(const struct elf_image *image, uint64_t offset, uint64_t *ret);
/* Is the address in an executable segment? */
bool elf_image_is_code(const struct elf_image *image, uint64_t vaddr);
/* Do both describe the same program? The check of last resort where there is no build-id. */
bool elf_image_equal(const struct elf_image *a, const struct elf_image *b);

#endif
