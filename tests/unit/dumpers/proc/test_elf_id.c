#include "base/hash.h"
#include "dumpers/proc/elf_id.h"
#include "tests/unit/base/unit.h"

#include <elf.h>
#include <link.h>

/* What our own linker says, to compare with. */
struct own {
	uint8_t build_id[64];
	size_t len;
	uintptr_t base;
};
static int first_object(struct dl_phdr_info *info, size_t size, void *ctx)
{
	struct own *own = ctx;

	own->base = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		const char *at = (const char *)info->dlpi_addr + p->p_vaddr;

		/* The build-id note is alone in its segment or first of those of 4 bytes. */
		for (size_t o = 0; p->p_type == PT_NOTE && o + 16 < p->p_memsz; o += 4) {
			const ElfW(Nhdr) *n = (const void *)(at + o);

			if (n->n_type != NT_GNU_BUILD_ID || n->n_namesz != 4 ||
			    memcmp(n + 1, "GNU", 4) != 0)
				continue;
			own->len = n->n_descsz;
			memcpy(own->build_id, (const char *)(n + 1) + 4, own->len);
			return 1;
		}
	}
	return 1;
}

static int read_memory(void *ctx, uint64_t off, void *buf, size_t len)
{
	memcpy(buf, (const char *)ctx + off, len);
	return 0;
}

static void own_program_as_file_and_in_memory(void **state)
{
	_cleanup_blob_ struct blob *exe = NULL;
	struct elf_id from_file, from_memory;
	struct own own = {0};
	struct err e;

	dl_iterate_phdr(first_object, &own);
	assert_int_not_equal(own.len, 0);
	assert_int_equal(blob_open_file("/proc/self/exe", &exe, &e), 0);
	assert_int_equal(elf_id_of_blob(exe, &from_file, &e), 0);
	assert_int_equal(from_file.e_machine, EM_X86_64);
	assert_int_equal(from_file.elf_class, ELFCLASS64);
	assert_contains(from_file.interp, "ld-linux");
	assert_int_equal(from_file.build_id_len, own.len);
	assert_memory_equal(from_file.build_id, own.build_id, own.len);
	assert_false(from_file.has_go_note);

	assert_int_equal(
	    elf_id_read(read_memory, (void *)own.base, ELF_LAYOUT_MEMORY, &from_memory, &e), 0);
	assert_memory_equal(&from_memory, &from_file, sizeof(from_file));
}

static void sections_by_name(void **state)
{
	_cleanup_blob_ struct blob *exe = NULL;
	uint64_t offset, size;
	char interp[64] = {0};
	struct err e;

	assert_int_equal(blob_open_file("/proc/self/exe", &exe, &e), 0);
	assert_int_equal(elf_find_section(elf_read_blob, exe, ".interp", &offset, &size, &e), 0);
	assert_true(size < sizeof(interp));
	assert_int_equal(blob_read_at(exe, offset, interp, size, &e), 0);
	assert_contains(interp, "ld-linux");
	assert_int_equal(elf_find_section(elf_read_blob, exe, ".inter", &offset, &size, &e),
			 -ERR_NOT_FOUND);
	assert_int_equal(elf_find_section(elf_read_blob, exe, ".nosuch", &offset, &size, &e),
			 -ERR_NOT_FOUND);
}

/* --- built images --------------------------------------------------------------------------- */

struct image {
	uint8_t bytes[4096];
	size_t len;
};

static int read_image(void *ctx, uint64_t off, void *buf, size_t len)
{
	const struct image *image = ctx;

	if (off > image->len || len > image->len - off) return -1;
	memcpy(buf, image->bytes + off, len);
	return 0;
}

/* A 32-bit ARM program: one PT_NOTE at 0x200 that holds the given bytes. */
static void build_32(struct image *image, const void *notes, size_t notes_len)
{
	Elf32_Ehdr eh = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
			 .e_type = ET_EXEC,
			 .e_machine = EM_ARM,
			 .e_phoff = sizeof(eh),
			 .e_phentsize = sizeof(Elf32_Phdr),
			 .e_phnum = 1};
	Elf32_Phdr ph = {
	    .p_type = PT_NOTE, .p_offset = 0x200, .p_filesz = (Elf32_Word)notes_len, .p_align = 4};

	*image = (struct image){.len = 0x200 + notes_len};
	memcpy(image->bytes, &eh, sizeof(eh));
	memcpy(image->bytes + sizeof(eh), &ph, sizeof(ph));
	memcpy(image->bytes + 0x200, notes, notes_len);
}

static const uint8_t go_and_gnu_notes[] = {
    4, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 'G', 'o', 0,   0,   'a', 'b', 'c', 'd', 'e', 0,
    0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0,   0,   'G', 'N', 'U', 0,   1,   2,   3,   0,
};

static void class_32_and_padded_notes(void **state)
{
	struct image image;
	struct elf_id id;

	build_32(&image, go_and_gnu_notes, sizeof(go_and_gnu_notes));
	assert_int_equal(elf_id_read(read_image, &image, ELF_LAYOUT_FILE, &id, NULL), 0);
	assert_int_equal(id.elf_class, ELFCLASS32);
	assert_int_equal(id.e_machine, EM_ARM);
	assert_string_equal(id.interp, "");
	assert_true(id.has_go_note);
	assert_int_equal(id.build_id_len, 3);
	assert_memory_equal(id.build_id, "\1\2\3", 3);
}

static void an_id_of_an_odd_size_is_none(void **state)
{
	uint8_t notes[16 + 70] = {4, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0};
	struct image image;
	struct elf_id id;

	build_32(&image, notes, sizeof(notes));
	assert_int_equal(elf_id_read(read_image, &image, ELF_LAYOUT_FILE, &id, NULL), 0);
	assert_int_equal(id.build_id_len, 0);
	notes[4] = 65;
	build_32(&image, notes, sizeof(notes));
	assert_int_equal(elf_id_read(read_image, &image, ELF_LAYOUT_FILE, &id, NULL), 0);
	assert_int_equal(id.build_id_len, 0);
	notes[4] = 64;
	build_32(&image, notes, sizeof(notes));
	assert_int_equal(elf_id_read(read_image, &image, ELF_LAYOUT_FILE, &id, NULL), 0);
	assert_int_equal(id.build_id_len, 64);
}

static void what_is_not_elf(void **state)
{
	struct image image = {.len = 0};
	struct elf_id id = {.e_machine = 77};
	uint64_t offset, size;
	struct err e;

	assert_int_equal(elf_id_read(read_image, &image, ELF_LAYOUT_FILE, &id, &e), -ERR_CORRUPT);
	image.len = 64;
	assert_int_equal(elf_id_read(read_image, &image, ELF_LAYOUT_FILE, &id, &e), -ERR_CORRUPT);
	assert_string_equal(e.text, "not an ELF image");
	assert_int_equal(elf_find_section(read_image, &image, ".x", &offset, &size, &e),
			 -ERR_CORRUPT);
	build_32(&image, "", 0);
	image.bytes[EI_DATA] = ELFDATA2MSB;
	assert_int_equal(elf_id_read(read_image, &image, ELF_LAYOUT_FILE, &id, &e),
			 -ERR_UNSUPPORTED);
	image.bytes[EI_DATA] = ELFDATA2LSB;
	image.bytes[EI_CLASS] = 3;
	assert_int_equal(elf_id_read(read_image, &image, ELF_LAYOUT_FILE, &id, &e), -ERR_CORRUPT);
	image.bytes[EI_CLASS] = ELFCLASS64;
	image.len = 60;
	assert_int_equal(elf_id_read(read_image, &image, ELF_LAYOUT_FILE, &id, &e), -ERR_CORRUPT);
	assert_int_equal(id.e_machine, 77);
}

/* Random damage of a real image: no crash, no endless loop; ASan and UBSan judge. */
static void damage(void **state)
{
	uint64_t seed = unit_seed();
	struct image whole, image;

	build_32(&whole, go_and_gnu_notes, sizeof(go_and_gnu_notes));
	for (int i = 0; i < 20000; i++) {
		struct elf_id id;
		uint64_t offset, size;

		image = whole;
		for (int k = 0; k < 3; k++)
			image.bytes[unit_random(&seed) % image.len] = (uint8_t)unit_random(&seed);
		image.len = unit_random(&seed) % (image.len + 1);
		if (elf_id_read(read_image, &image, (enum elf_layout)(i & 1), &id, NULL) == 0)
			assert_true(id.build_id_len <= sizeof(id.build_id));
		elf_find_section(read_image, &image, ".text", &offset, &size, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(own_program_as_file_and_in_memory),
	    cmocka_unit_test(sections_by_name),
	    cmocka_unit_test(class_32_and_padded_notes),
	    cmocka_unit_test(an_id_of_an_odd_size_is_none),
	    cmocka_unit_test(what_is_not_elf),
	    cmocka_unit_test(damage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
