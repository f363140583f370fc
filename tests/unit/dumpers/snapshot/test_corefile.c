/* Cores as others write them, built here note by note. */
#include "dumpers/snapshot/corefile.h"
#include "tests/unit/base/unit.h"

enum { PAGE = 4096, PRSTATUS_BYTES = 336, DATA = 0x10000 };

struct core_image {
	Elf64_Ehdr header;
	Elf64_Phdr loads[16];
	size_t load_count;
	struct buf notes;
	uint8_t data[4 * PAGE]; /* at offset DATA */
	uint64_t cut;           /* length of the file, 0: all */
};

static void image_init(struct core_image *c)
{
	memset(c, 0, sizeof(*c));
	c->notes = BUF_INIT(DATA / 2);
	c->header = (Elf64_Ehdr){
	    .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	    .e_type = ET_CORE,
	    .e_machine = EM_X86_64,
	    .e_phoff = sizeof(Elf64_Ehdr),
	    .e_phentsize = sizeof(Elf64_Phdr),
	};
	for (size_t i = 0; i < sizeof(c->data); i++)
		c->data[i] = (uint8_t)(i / PAGE + 1);
}

static void add_note(struct core_image *c, const char *name, uint32_t type, const void *data,
		     size_t len)
{
	const Elf64_Nhdr h = {(uint32_t)strlen(name) + 1, (uint32_t)len, type};
	static const char zeros[4];

	buf_append(&c->notes, &h, sizeof(h), NULL);
	buf_append(&c->notes, name, h.n_namesz, NULL);
	buf_append(&c->notes, zeros, -h.n_namesz & 3, NULL);
	buf_append(&c->notes, data, len, NULL);
	buf_append(&c->notes, zeros, -len & 3, NULL);
}

static void add_thread(struct core_image *c, pid_t tid, uint64_t pc, uint64_t sp, int64_t nr)
{
	uint8_t d[PRSTATUS_BYTES] = {0};

	memcpy(d + 32, &tid, sizeof(tid));
	memcpy(d + 112 + 120, &nr, sizeof(nr));
	memcpy(d + 112 + 128, &pc, sizeof(pc));
	memcpy(d + 112 + 152, &sp, sizeof(sp));
	add_note(c, "CORE", NT_PRSTATUS, d, sizeof(d));
}

static void add_load(struct core_image *c, uint64_t start, uint64_t memsz, uint64_t data_page,
		     uint64_t filesz, uint32_t flags)
{
	c->loads[c->load_count++] = (Elf64_Phdr){.p_type = PT_LOAD,
						 .p_vaddr = start,
						 .p_memsz = memsz,
						 .p_offset = DATA + data_page * PAGE,
						 .p_filesz = filesz,
						 .p_flags = flags};
}

static struct blob *image_blob(struct core_image *c)
{
	size_t len = DATA + sizeof(c->data);
	uint8_t *file = calloc(1, len);
	Elf64_Phdr note = {.p_type = PT_NOTE, .p_offset = DATA / 2, .p_filesz = c->notes.len};
	struct blob *blob = NULL;

	assert_non_null(file);
	if (!c->header.e_phnum) c->header.e_phnum = (uint16_t)(c->load_count + 1);
	memcpy(file, &c->header, sizeof(c->header));
	memcpy(file + sizeof(c->header), &note, sizeof(note));
	memcpy(file + sizeof(c->header) + sizeof(note), c->loads,
	       c->load_count * sizeof(*c->loads));
	if (c->notes.len) memcpy(file + DATA / 2, c->notes.data, c->notes.len);
	memcpy(file + DATA, c->data, sizeof(c->data));
	assert_int_equal(blob_from_memory(file, c->cut ? (size_t)c->cut : len, &blob, NULL), 0);
	free(file);
	buf_done(&c->notes);
	return blob;
}

static struct snapshot *image_open(struct core_image *c)
{
	struct blob *blob = image_blob(c);
	struct snapshot *s = NULL;
	struct err e = {0};

	if (snapshot_open_core(blob, NULL, 0, &s, &e)) fail_msg("%s", e.text);
	blob_unref(blob);
	return s;
}

static void image_refused(struct core_image *c, int code, const char *text)
{
	struct blob *blob = image_blob(c);
	struct snapshot *s = NULL;
	struct err e = {0};

	assert_int_equal(snapshot_open_core(blob, NULL, 0, &s, &e), -code);
	assert_contains(e.text, text);
	assert_null(s);
	blob_unref(blob);
}

/* The kernel's NT_FILE: two maps of one file and one of another. */
static void add_files(struct core_image *c)
{
	static const char names[] = "/lib/x.so\0/lib/x.so\0/data";
	const uint64_t numbers[] = {3,        PAGE, 0x400000, 0x402000, 0,   0x402000,
				    0x403000, 2,    0x500000, 0x504000, 0x10};
	uint8_t d[sizeof(numbers) + sizeof(names)];

	memcpy(d, numbers, sizeof(numbers));
	memcpy(d + sizeof(numbers), names, sizeof(names));
	add_note(c, "CORE", NT_FILE, d, sizeof(d));
}

static void make_kernel_core(struct core_image *c)
{
	const uint64_t auxv[] = {AT_PAGESZ, PAGE, AT_SYSINFO_EHDR, 0x7000000, AT_NULL, 0};

	image_init(c);
	add_thread(c, 12, 0x401234, 0x7ff800, 202);
	add_note(c, "CORE", NT_AUXV, auxv, sizeof(auxv));
	add_files(c);
	add_note(c, "CORE", NT_FPREGSET, "first", 5);
	add_thread(c, 14, 0x401000, 0x7ff000, -1);
	add_note(c, "LINUX", NT_X86_XSTATE, "second", 6);
	add_load(c, 0x400000, 0x2000, 0, PAGE, PF_R | PF_X);
	add_load(c, 0x402000, 0x1000, 1, PAGE, PF_R | PF_W);
	add_load(c, 0x600000, 0x2000, 2, PAGE, PF_R | PF_W);
	add_load(c, 0x7ff000, 0x1000, 3, PAGE, PF_R | PF_W);
	add_load(c, 0x7000000, 0x1000, 3, PAGE, PF_R | PF_X);
}

static void test_threads(void **state)
{
	struct core_image image;
	struct snapshot *s;

	make_kernel_core(&image);
	s = image_open(&image);
	assert_int_equal(s->thread_count, 2);
	assert_int_equal(s->id.pid, 12);
	assert_int_equal(s->threads[0].tid, 12);
	assert_int_equal(s->threads[0].pc, 0x401234);
	assert_int_equal(s->threads[0].sp, 0x7ff800);
	assert_true(s->threads[0].in_syscall);
	assert_int_equal(s->threads[0].syscall_nr, 202);
	assert_int_equal(s->threads[0].fpregs_len, 5);
	assert_int_equal(s->threads[0].state, '?');
	assert_string_equal(s->threads[0].name, "");
	assert_false(s->threads[1].in_syscall);
	assert_int_equal(s->threads[1].xstate_len, 6);
	assert_memory_equal(s->threads[1].xstate, "second", 6);
	assert_int_equal(s->consistency, CONSISTENCY_CORE);
	assert_int_equal(snapshot_auxv(s, AT_SYSINFO_EHDR), 0x7000000);
	snapshot_free(s);
}

static void test_maps(void **state)
{
	static const struct {
		uint64_t start, end, offset;
		int prot;
		const char *name;
	} want[] = {
	    {0x400000, 0x402000, 0, PROT_READ | PROT_EXEC, "/lib/x.so"},
	    {0x402000, 0x403000, 2 * PAGE, PROT_READ | PROT_WRITE, "/lib/x.so"},
	    {0x500000, 0x504000, 16 * PAGE, PROT_READ, "/data"},
	    {0x600000, 0x602000, 0, PROT_READ | PROT_WRITE, ""},
	    {0x7ff000, 0x800000, 0, PROT_READ | PROT_WRITE, "[stack]"},
	    {0x7000000, 0x7001000, 0, PROT_READ | PROT_EXEC, "[vdso]"},
	};
	struct core_image image;
	struct snapshot *s;

	make_kernel_core(&image);
	s = image_open(&image);
	assert_int_equal(s->maps.count, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		const struct map *m = &s->maps.v[i];

		assert_int_equal(m->start, want[i].start);
		assert_int_equal(m->end, want[i].end);
		assert_int_equal(m->offset, want[i].offset);
		assert_int_equal(m->prot, want[i].prot);
		assert_string_equal(m->name, want[i].name);
		assert_int_equal(m->inode != 0, want[i].name[0] == '/');
	}
	assert_int_equal(s->maps.v[0].inode, s->maps.v[1].inode);
	assert_int_not_equal(s->maps.v[0].inode, s->maps.v[2].inode);
	snapshot_free(s);
}

static void test_memory(void **state)
{
	static const struct {
		uint64_t end;
		enum mem_state state;
	} want[] = {
	    {0x400000, MEM_UNMAPPED}, {0x401000, MEM_BYTES},      {0x402000, MEM_FILE},
	    {0x403000, MEM_BYTES},    {0x500000, MEM_UNMAPPED},   {0x504000, MEM_FILE},
	    {0x600000, MEM_UNMAPPED}, {0x601000, MEM_BYTES},      {0x602000, MEM_NOT_CAPTURED},
	    {0x7ff000, MEM_UNMAPPED}, {0x800000, MEM_BYTES},      {0x7000000, MEM_UNMAPPED},
	    {0x7001000, MEM_BYTES},   {UINT64_MAX, MEM_UNMAPPED},
	};
	struct core_image image;
	struct snapshot *s;
	uint64_t at = 0;
	uint8_t byte;

	make_kernel_core(&image);
	s = image_open(&image);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		enum mem_state got;

		at = snapshot_extent(s, at, UINT64_MAX, &got);
		assert_int_equal(at, want[i].end);
		assert_int_equal(got, want[i].state);
	}
	assert_int_equal(snapshot_read_all(s, 0x402fff, &byte, 1, NULL), 0);
	assert_int_equal(byte, 2);
	snapshot_free(s);
}

/* Segments in any order; where two overlap, the lower one's bytes count. */
static void test_overlap(void **state)
{
	struct core_image image;
	struct snapshot *s;
	uint8_t bytes[4];

	image_init(&image);
	add_thread(&image, 1, 0, 0, -1);
	add_load(&image, 0x2000, 0x2000, 1, 2 * PAGE, PF_R);
	add_load(&image, 0x1000, 0x2000, 0, PAGE, PF_R);
	s = image_open(&image);
	assert_int_equal(snapshot_read_all(s, 0x1ffe, bytes, 2, NULL), 0);
	assert_memory_equal(bytes, "\1\1", 2);
	assert_int_equal(snapshot_read_all(s, 0x2000, bytes, 1, NULL), -ERR_NOT_FOUND);
	assert_int_equal(snapshot_read_all(s, 0x3000, bytes, 4, NULL), 0);
	assert_memory_equal(bytes, "\3\3\3\3", 4);
	snapshot_free(s);
}

/* A core that was cut while it was written: what is there is there. */
static void test_cut(void **state)
{
	struct core_image image;
	struct snapshot *s;
	uint8_t byte;

	make_kernel_core(&image);
	image.cut = DATA + PAGE + 100;
	s = image_open(&image);
	assert_int_equal(snapshot_read_all(s, 0x400fff, &byte, 1, NULL), 0);
	assert_int_equal(snapshot_read_all(s, 0x402000 + 99, &byte, 1, NULL), 0);
	assert_int_equal(snapshot_read_all(s, 0x402000 + 100, &byte, 1, NULL), -ERR_NOT_FOUND);
	assert_int_equal(snapshot_read_all(s, 0x600000, &byte, 1, NULL), -ERR_NOT_FOUND);
	snapshot_free(s);
}

static void test_refused(void **state)
{
	struct core_image image;

	make_kernel_core(&image);
	image.header.e_type = ET_DYN;
	image_refused(&image, ERR_CORRUPT, "not a core file: an ELF file of type 3");
	make_kernel_core(&image);
	image.header.e_ident[0] = 'x';
	image_refused(&image, ERR_CORRUPT, "not a core file: not ELF");
	make_kernel_core(&image);
	image.cut = 10;
	image_refused(&image, ERR_CORRUPT, "not a core file: shorter");
	make_kernel_core(&image);
	image.header.e_machine = EM_AARCH64;
	image_refused(&image, ERR_UNSUPPORTED, "another CPU");
	make_kernel_core(&image);
	image.header.e_ident[EI_CLASS] = ELFCLASS32;
	image_refused(&image, ERR_UNSUPPORTED, "32-bit");
	image_init(&image);
	add_load(&image, 0x1000, 0x1000, 0, PAGE, PF_R);
	image_refused(&image, ERR_CORRUPT, "no threads");
	make_kernel_core(&image);
	image.header.e_phnum = 60000;
	image_refused(&image, ERR_CORRUPT, "60000 program headers do not fit");
	image_init(&image);
	add_thread(&image, 1, 0, 0, -1);
	add_load(&image, UINT64_MAX - 10, 0x1000, 0, PAGE, PF_R);
	image_refused(&image, ERR_CORRUPT, "wraps");
	image_init(&image);
	add_note(&image, "CORE", NT_PRSTATUS, "short", 5);
	image_refused(&image, ERR_CORRUPT, "PRSTATUS");
}

static void test_probe(void **state)
{
	struct core_image image;
	struct blob *blob;

	make_kernel_core(&image);
	blob = image_blob(&image);
	assert_true(corefile_probe(blob));
	blob_unref(blob);
	make_kernel_core(&image);
	image.header.e_type = ET_EXEC;
	blob = image_blob(&image);
	assert_false(corefile_probe(blob));
	blob_unref(blob);
	assert_int_equal(blob_from_memory("\177ELF", 4, &blob, NULL), 0);
	assert_false(corefile_probe(blob));
	blob_unref(blob);
}

/* Passes reads on, and keeps what was said to be needed. */
struct waiting_blob {
	struct blob blob;
	struct blob *file; /* owned */
	struct range needed[8];
	size_t count;
};

static int waiting_read_at(struct blob *b, uint64_t offset, void *data, size_t len, struct err *e)
{
	return blob_read_at(((struct waiting_blob *)b)->file, offset, data, len, e);
}

static void waiting_free(struct blob *b)
{
	blob_unref(((struct waiting_blob *)b)->file);
}

static void waiting_will_need(struct blob *b, const struct range *ranges, size_t count)
{
	struct waiting_blob *w = (struct waiting_blob *)b;

	assert_true(count <= ARRAY_SIZE(w->needed));
	memcpy(w->needed, ranges, count * sizeof(*ranges));
	w->count = count;
}

/* Only the bytes that the file has, by where it has them. */
static void test_will_need(void **state)
{
	static const struct blob_ops ops = {waiting_read_at, waiting_free, waiting_will_need};
	static const struct range addresses[] = {
	    {0x600ff0, 0x601010},   /* from the file into what it lacks */
	    {0x402010, 0x402020},   /* whole */
	    {0x300000, 0x400008},   /* from nowhere into the first segment */
	    {0x9000000, 0x9001000}, /* nowhere */
	};
	static const struct range offsets[] = {{DATA + 2 * PAGE + 0xff0, DATA + 3 * PAGE},
					       {DATA + PAGE + 0x10, DATA + PAGE + 0x20},
					       {DATA, DATA + 8}};
	struct waiting_blob w = {.count = 0};
	struct core_image image;
	struct snapshot *s;

	make_kernel_core(&image);
	w.file = image_blob(&image);
	blob_init(&w.blob, &ops, w.file->size);
	assert_int_equal(snapshot_open_core(&w.blob, NULL, 0, &s, NULL), 0);
	snapshot_will_need(s, addresses, ARRAY_SIZE(addresses));
	assert_int_equal(w.count, ARRAY_SIZE(offsets));
	assert_memory_equal(w.needed, offsets, sizeof(offsets));
	snapshot_free(s);
	blob_unref(&w.blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_threads), cmocka_unit_test(test_maps),
	    cmocka_unit_test(test_memory),  cmocka_unit_test(test_overlap),
	    cmocka_unit_test(test_cut),     cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_probe),   cmocka_unit_test(test_will_need),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
