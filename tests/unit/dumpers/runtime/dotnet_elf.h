/*
 * ELF libraries as .NET builds them, made by hand: a build-id note, .dynstr with what is exported
 * and needed, and .data with the version that is compiled in. Sections have a chunk each, so that
 * a test can fill or spoil any.
 */
#ifndef TESTS_UNIT_DUMPERS_RUNTIME_DOTNET_ELF_H
#define TESTS_UNIT_DUMPERS_RUNTIME_DOTNET_ELF_H

#include "base/blob.h"
#include "tests/unit/base/unit.h"

#include <elf.h>

enum {
	LIB_SIZE = 1 << 18,
	LIB_NOTE = 0x100,
	LIB_NAMES = 0x200, /* of sections */
	LIB_SECTIONS = 0x400,
	LIB_DYNSTR = 0x1000,
	LIB_DATA = 0x2000,
	LIB_DATA_SIZE = LIB_SIZE - LIB_DATA,
	LIB_RODATA = 0x1800,
	LIB_RODATA_SIZE = 0x400,
	LIB_BUILD_ID = 20,
};

struct lib {
	uint8_t bytes[LIB_SIZE];
	size_t dynstr_len;
};

static inline void lib_name(struct lib *lib, const char *name)
{
	size_t len = strlen(name) + 1;

	memcpy(lib->bytes + LIB_DYNSTR + lib->dynstr_len, name, len);
	lib->dynstr_len += len;
}

static inline void lib_sections(struct lib *lib)
{
	static const char names[] = "\0.shstrtab\0.dynstr\0.data\0.rodata";
	const Elf64_Shdr sections[] = {
	    {.sh_type = SHT_NULL},
	    {1, SHT_STRTAB, 0, 0, LIB_NAMES, sizeof(names), 0, 0, 1, 0},
	    {11, SHT_STRTAB, 0, 0, LIB_DYNSTR, lib->dynstr_len, 0, 0, 1, 0},
	    {19, SHT_PROGBITS, 0, 0, LIB_DATA, LIB_DATA_SIZE, 0, 0, 1, 0},
	    {25, SHT_PROGBITS, 0, 0, LIB_RODATA, LIB_RODATA_SIZE, 0, 0, 1, 0},
	};

	memcpy(lib->bytes + LIB_NAMES, names, sizeof(names));
	memcpy(lib->bytes + LIB_SECTIONS, sections, sizeof(sections));
}

static inline void lib_build_id(struct lib *lib, uint8_t first)
{
	Elf64_Nhdr note = {4, LIB_BUILD_ID, NT_GNU_BUILD_ID};
	uint8_t *at = lib->bytes + LIB_NOTE;

	memcpy(at, &note, sizeof(note));
	memcpy(at + sizeof(note), "GNU", 4);
	for (uint8_t i = 0; i < LIB_BUILD_ID; i++)
		at[sizeof(note) + 4 + i] = (uint8_t)(first + i);
}

/* A library for this CPU whose .data holds the text. */
static inline struct lib *lib_new(const char *text, uint8_t first_of_build_id)
{
	struct lib *lib = calloc(1, sizeof(*lib));
	Elf64_Ehdr eh = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			 .e_type = ET_DYN,
			 .e_machine = EM_X86_64,
			 .e_phoff = sizeof(Elf64_Ehdr),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 1,
			 .e_shoff = LIB_SECTIONS,
			 .e_shentsize = sizeof(Elf64_Shdr),
			 .e_shnum = 5,
			 .e_shstrndx = 1};
	Elf64_Phdr ph = {.p_type = PT_NOTE,
			 .p_offset = LIB_NOTE,
			 .p_filesz = sizeof(Elf64_Nhdr) + 4 + LIB_BUILD_ID,
			 .p_align = 4};

	assert_non_null(lib);
	memcpy(lib->bytes, &eh, sizeof(eh));
	memcpy(lib->bytes + sizeof(eh), &ph, sizeof(ph));
	memcpy(lib->bytes + LIB_DATA + 0x40, text, strlen(text) + 1);
	lib_build_id(lib, first_of_build_id);
	lib_name(lib, "");
	lib_name(lib, "libc.so.6");
	lib_sections(lib);
	return lib;
}

/* Takes the library over. */
static inline struct blob *lib_blob(struct lib *lib)
{
	struct blob *blob;

	lib_sections(lib);
	assert_int_equal(blob_from_memory(lib->bytes, sizeof(lib->bytes), &blob, NULL), 0);
	free(lib);
	return blob;
}

#endif
