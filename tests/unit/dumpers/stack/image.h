/*
 * An ELF library built by hand, and a snapshot in which it is mapped: every byte is the test's to
 * spoil. Code is at IMAGE_TEXT, four functions of IMAGE_FUNCTION bytes: FRAMED (CFA = rbp + 16),
 * BARE (CFA = rsp + 8), OUTERMOST (no return address), and one without call frame information.
 */
#ifndef TESTS_UNIT_DUMPERS_STACK_IMAGE_H
#define TESTS_UNIT_DUMPERS_STACK_IMAGE_H

#include "dumpers/snapshot/memory.h"
#include "dumpers/stack/stacks.h"
#include "tests/unit/base/unit.h"

enum {
	IMAGE_SIZE = 0x4000,
	IMAGE_NOTE = 0x200,
	IMAGE_HDR = 0x300,
	IMAGE_EH_FRAME = 0x400,
	IMAGE_TEXT = 0x1000,
	IMAGE_FUNCTION = 0x100,
	IMAGE_FRAMED = IMAGE_TEXT,
	IMAGE_BARE = IMAGE_TEXT + IMAGE_FUNCTION,
	IMAGE_OUTERMOST = IMAGE_TEXT + 2 * IMAGE_FUNCTION,
	IMAGE_NO_CFI = IMAGE_TEXT + 3 * IMAGE_FUNCTION,
	IMAGE_SIGRETURN = IMAGE_TEXT + 4 * IMAGE_FUNCTION,
	IMAGE_SECTIONS = 0x2000,
	IMAGE_SYMTAB = 0x2400,
	IMAGE_STRTAB = 0x3000,
	IMAGE_PHDRS = 3,
	IMAGE_BUILD_ID = 20,
};
#define IMAGE_BASE 0x7f0000000000u
#define STACK_BASE 0x7fff00000000u
enum { STACK_SIZE = 0x4000 };

struct image {
	uint8_t bytes[IMAGE_SIZE];
	size_t cfi_len, fde_count, symbol_count, strings_len;
};

static inline void image_put(struct image *im, size_t at, const void *data, size_t len)
{
	assert_true(at <= IMAGE_SIZE && len <= IMAGE_SIZE - at);
	memcpy(im->bytes + at, data, len);
}

/* Appends to .eh_frame an entry with this body behind length and id; returns its offset there. */
static inline size_t image_cfi(struct image *im, uint32_t id, const void *body, size_t len)
{
	size_t at = im->cfi_len;
	uint32_t head[2] = {(uint32_t)len + 4, id};

	image_put(im, IMAGE_EH_FRAME + at, head, sizeof(head));
	image_put(im, IMAGE_EH_FRAME + at + sizeof(head), body, len);
	im->cfi_len += sizeof(head) + len;
	return at;
}

/* A CIE of version 1, "zR" with pcrel sdata4, code 1, data -8, and this program. */
static inline size_t image_cie(struct image *im, uint8_t return_column, const char *augmentation,
			       const void *program, size_t len)
{
	uint8_t body[256] = {1};
	size_t at = 1, n = strlen(augmentation) + 1;

	memcpy(body + at, augmentation, n);
	at += n;
	body[at++] = 1;    /* code alignment */
	body[at++] = 0x78; /* data alignment -8 */
	body[at++] = return_column;
	body[at++] = 1;    /* augmentation data */
	body[at++] = 0x1b; /* DW_EH_PE_pcrel | DW_EH_PE_sdata4 */
	memcpy(body + at, program, len);
	return image_cfi(im, 0, body, at + len);
}

/* An FDE of a function, and its line in .eh_frame_hdr's table: to be added in order of start. */
static inline size_t image_fde(struct image *im, size_t cie, uint32_t start, uint32_t size,
			       const void *program, size_t len)
{
	size_t at = im->cfi_len;
	uint8_t body[256];
	int32_t pc = (int32_t)start - (int32_t)(IMAGE_EH_FRAME + at + 8);
	int32_t line[2] = {(int32_t)start - IMAGE_HDR, (int32_t)(IMAGE_EH_FRAME + at) - IMAGE_HDR};

	memcpy(body, &pc, 4);
	memcpy(body + 4, &size, 4);
	body[8] = 0;
	memcpy(body + 9, program, len);
	image_cfi(im, (uint32_t)(at + 4 - cie), body, 9 + len);
	image_put(im, IMAGE_HDR + 12 + im->fde_count * 8, line, sizeof(line));
	im->fde_count++;
	return at;
}

static inline void image_headers(struct image *im)
{
	Elf64_Ehdr eh = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB},
			 .e_type = ET_DYN,
			 .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT,
			 .e_phoff = sizeof(eh),
			 .e_ehsize = sizeof(eh),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = IMAGE_PHDRS,
			 .e_shoff = IMAGE_SECTIONS,
			 .e_shentsize = sizeof(Elf64_Shdr),
			 .e_shnum = 3};
	uint32_t note_len = 16 + IMAGE_BUILD_ID;
	Elf64_Phdr ph[IMAGE_PHDRS] = {
	    {.p_type = PT_LOAD, .p_filesz = IMAGE_SIZE, .p_memsz = IMAGE_SIZE, .p_align = 4096},
	    {.p_type = PT_NOTE,
	     .p_offset = IMAGE_NOTE,
	     .p_vaddr = IMAGE_NOTE,
	     .p_filesz = note_len,
	     .p_memsz = note_len,
	     .p_align = 4},
	    {.p_type = PT_GNU_EH_FRAME, .p_vaddr = IMAGE_HDR, .p_memsz = 0x100},
	};
	Elf64_Shdr sh[3] = {
	    {0},
	    {.sh_type = SHT_SYMTAB,
	     .sh_offset = IMAGE_SYMTAB,
	     .sh_entsize = sizeof(Elf64_Sym),
	     .sh_size = im->symbol_count * sizeof(Elf64_Sym),
	     .sh_link = 2},
	    {.sh_type = SHT_STRTAB, .sh_offset = IMAGE_STRTAB, .sh_size = im->strings_len},
	};

	image_put(im, 0, &eh, sizeof(eh));
	image_put(im, sizeof(eh), ph, sizeof(ph));
	image_put(im, IMAGE_SECTIONS, sh, sizeof(sh));
}

static inline void image_symbol(struct image *im, const char *name, uint64_t value, uint64_t size,
				uint8_t bind, uint8_t type)
{
	Elf64_Sym sym = {.st_name = (uint32_t)im->strings_len,
			 .st_info = (uint8_t)ELF64_ST_INFO(bind, type),
			 .st_shndx = 1,
			 .st_value = value,
			 .st_size = size};

	image_put(im, IMAGE_SYMTAB + im->symbol_count * sizeof(sym), &sym, sizeof(sym));
	image_put(im, IMAGE_STRTAB + im->strings_len, name, strlen(name) + 1);
	im->symbol_count++;
	im->strings_len += strlen(name) + 1;
}

static inline void image_eh_frame_hdr(struct image *im)
{
	uint8_t hdr[12] = {1, 0x1b, 0x03, 0x3b};
	int32_t eh_frame = IMAGE_EH_FRAME - (IMAGE_HDR + 4);
	uint32_t count = (uint32_t)im->fde_count;

	memcpy(hdr + 4, &eh_frame, 4);
	memcpy(hdr + 8, &count, 4);
	image_put(im, IMAGE_HDR, hdr, sizeof(hdr));
}

/* DW_CFA_def_cfa rsp 8; DW_CFA_offset rip 1 */
static const uint8_t cie_program[] = {0x0c, 7, 8, 0x90, 1};
/* DW_CFA_def_cfa rbp 16; DW_CFA_offset rbp 2 */
static const uint8_t framed_program[] = {0x0c, 6, 16, 0x86, 2};
/* DW_CFA_undefined rip */
static const uint8_t outermost_program[] = {0x07, 16};

static inline void image_init(struct image *im)
{
	static const uint8_t sigreturn[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
	uint32_t note[4] = {4, IMAGE_BUILD_ID, NT_GNU_BUILD_ID, 0x00554e47};
	size_t cie;

	memset(im, 0, sizeof(*im));
	im->strings_len = 1;
	cie = image_cie(im, 16, "zR", cie_program, sizeof(cie_program));
	image_fde(im, cie, IMAGE_FRAMED, IMAGE_FUNCTION, framed_program, sizeof(framed_program));
	image_fde(im, cie, IMAGE_BARE, IMAGE_FUNCTION, "", 0);
	image_fde(im, cie, IMAGE_OUTERMOST, IMAGE_FUNCTION, outermost_program,
		  sizeof(outermost_program));
	image_eh_frame_hdr(im);
	image_symbol(im, "framed", IMAGE_FRAMED, IMAGE_FUNCTION, STB_GLOBAL, STT_FUNC);
	image_symbol(im, "bare", IMAGE_BARE, IMAGE_FUNCTION, STB_GLOBAL, STT_FUNC);
	image_symbol(im, "outermost", IMAGE_OUTERMOST, IMAGE_FUNCTION, STB_GLOBAL, STT_FUNC);
	image_put(im, IMAGE_NOTE, note, sizeof(note));
	memset(im->bytes + IMAGE_NOTE + sizeof(note), 0xab, IMAGE_BUILD_ID);
	image_put(im, IMAGE_SIGRETURN, sigreturn, sizeof(sigreturn));
	image_headers(im);
}

/* Registers by DWARF number into the layout of NT_PRSTATUS. */
static inline void image_thread(struct snapshot_thread *t, pid_t tid, uint64_t pc, uint64_t sp,
				uint64_t fp)
{
	memset(t, 0, sizeof(*t));
	t->tid = tid;
	strcpy(t->name, "worker");
	t->state = 'S';
	strcpy(t->wchan, "futex_wait");
	t->gregs_len = 216;
	t->pc = pc;
	t->sp = sp;
	memcpy(t->gregs + 128, &pc, 8);
	memcpy(t->gregs + 152, &sp, 8);
	memcpy(t->gregs + 32, &fp, 8);
}

#define IMAGE_MAPS                                                                                 \
	"7f0000000000-7f0000004000 r-xp 00000000 08:01 77 /lib/libimage.so\n"                      \
	"7fff00000000-7fff00004000 rw-p 00000000 00:00 0 [stack]\n"

/* The image, and a stack of STACK_SIZE bytes at STACK_BASE. */
static inline struct snapshot *image_snapshot(const struct image *im, const uint8_t *stack,
					      const struct snapshot_thread *threads, size_t count)
{
	struct memory_range ranges[] = {
	    {IMAGE_BASE, IMAGE_BASE + IMAGE_SIZE, MEM_BYTES, im->bytes},
	    {STACK_BASE, STACK_BASE + STACK_SIZE, MEM_BYTES, stack},
	};
	struct snapshot *s = NULL;
	struct err e = {0};

	if (snapshot_open_memory(IMAGE_MAPS, ranges, ARRAY_SIZE(ranges), threads, count, &s, &e))
		fail_msg("%s", e.text);
	return s;
}

/* A finder whose ctx is a struct blob *. */
static inline int image_find(void *ctx, const struct module *module, struct blob **ret,
			     struct err *e)
{
	if (!ctx) return err_set(e, ERR_NOT_FOUND, "%s: not here", module->path);
	*ret = blob_ref(ctx);
	return 0;
}

static inline struct blob *image_blob(const struct image *im)
{
	struct blob *b = NULL;

	assert_int_equal(blob_from_memory(im->bytes, sizeof(im->bytes), &b, NULL), 0);
	return b;
}

#endif
