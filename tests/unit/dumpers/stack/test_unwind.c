#include "dumpers/stack/cfi.h"
#include "tests/unit/dumpers/stack/image.h"

static uint8_t stack[STACK_SIZE];

static void put_word(uint64_t addr, uint64_t value)
{
	memcpy(stack + (addr - STACK_BASE), &value, sizeof(value));
}

/* Collects; the report needs the modules, and they the snapshot, so all three are kept. */
struct report {
	struct snapshot *snapshot;
	struct modules *modules;
	struct stacks *stacks;
	struct blob *file;
};

static void collect(const struct image *im, const struct snapshot_thread *threads, size_t count,
		    struct report *ret)
{
	struct err e = {0};

	ret->snapshot = image_snapshot(im, stack, threads, count);
	ret->file = image_blob(im);
	if (modules_new(ret->snapshot, image_find, ret->file, &ret->modules, &e) ||
	    stacks_collect(ret->modules, &ret->stacks, &e))
		fail_msg("%s", e.text);
}

static void done(struct report *r)
{
	stacks_free(r->stacks);
	modules_free(r->modules);
	snapshot_free(r->snapshot);
	blob_unref(r->file);
}

static void collect_one(const struct image *im, uint64_t pc, uint64_t sp, uint64_t fp,
			struct report *ret)
{
	struct snapshot_thread t;

	image_thread(&t, 5, pc, sp, fp);
	collect(im, &t, 1, ret);
}

#define AT(function) (IMAGE_BASE + (function) + 0x10)

/* bare <- framed <- bare <- outermost */
static void through_tables(void **state)
{
	uint64_t sp = STACK_BASE + 0x100, fp = STACK_BASE + 0x140;
	struct image im;
	struct report r;

	memset(stack, 0, sizeof(stack));
	image_init(&im);
	put_word(sp, AT(IMAGE_FRAMED));
	put_word(fp, 0x1234);
	put_word(fp + 8, AT(IMAGE_BARE));
	/* A call that is its function's last instruction returns to the next function. */
	put_word(fp + 16, IMAGE_BASE + IMAGE_OUTERMOST + IMAGE_FUNCTION);
	collect_one(&im, AT(IMAGE_BARE), sp, fp, &r);

	const struct stack *v = &r.stacks->v[0];
	assert_int_equal(v->frame_count, 4);
	assert_null(v->end);
	assert_true(v->frames[0].pc == AT(IMAGE_BARE) && v->frames[0].sp == sp);
	assert_true(v->frames[1].pc == AT(IMAGE_FRAMED) && v->frames[1].sp == sp + 8);
	assert_true(v->frames[2].sp == fp + 16);
	assert_string_equal(v->frames[1].symbol, "framed");
	assert_true(v->frames[1].symbol_offset == 0x10);
	assert_string_equal(v->frames[3].symbol, "outermost");
	assert_true(v->frames[3].symbol_offset == IMAGE_FUNCTION);
	for (size_t i = 0; i < v->frame_count; i++)
		assert_false(v->frames[i].guessed || v->frames[i].signal_frame);
	done(&r);
}

/* Return addresses that point at frames again and again, and frame pointers in a circle. */
static void circles_end(void **state)
{
	uint64_t a = STACK_BASE + 0x100, b = STACK_BASE + 0x200;
	struct image im;
	struct report r;

	image_init(&im);
	memset(stack, 0, sizeof(stack));
	put_word(a, b);
	put_word(a + 8, AT(IMAGE_FRAMED));
	put_word(b, a);
	put_word(b + 8, AT(IMAGE_FRAMED));
	collect_one(&im, AT(IMAGE_FRAMED), a, a, &r);
	assert_int_equal(r.stacks->v[0].frame_count, 3);
	assert_contains(r.stacks->v[0].end, "does not rise");
	done(&r);

	/* The same without tables. */
	put_word(a + 8, AT(IMAGE_NO_CFI));
	put_word(b + 8, AT(IMAGE_NO_CFI));
	collect_one(&im, AT(IMAGE_NO_CFI), a, a, &r);
	assert_int_equal(r.stacks->v[0].frame_count, 3);
	assert_non_null(r.stacks->v[0].end);
	done(&r);
}

static void deep_stacks_are_cut(void **state)
{
	struct image im;
	struct report r;

	image_init(&im);
	for (uint64_t at = 0; at < STACK_SIZE; at += 8)
		put_word(STACK_BASE + at, AT(IMAGE_BARE));
	collect_one(&im, AT(IMAGE_BARE), STACK_BASE, 0, &r);
	assert_int_equal(r.stacks->v[0].frame_count, STACK_SIZE / 8 + 1);
	assert_contains(r.stacks->v[0].end, "cannot be read");
	assert_true(r.stacks->v[0].frame_count < STACK_FRAMES_MAX);
	done(&r);
}

static void by_frame_pointer(void **state)
{
	uint64_t sp = STACK_BASE + 0x100, fp = STACK_BASE + 0x140;
	struct image im;
	struct report r;

	image_init(&im);
	memset(stack, 0, sizeof(stack));
	put_word(fp, fp + 0x40);
	/* Again the last instruction: the rule must be that of the call. */
	put_word(fp + 8, IMAGE_BASE + IMAGE_BARE + IMAGE_FUNCTION);
	put_word(fp + 16, AT(IMAGE_OUTERMOST));
	collect_one(&im, AT(IMAGE_NO_CFI), sp, fp, &r);

	const struct stack *v = &r.stacks->v[0];
	assert_int_equal(v->frame_count, 3);
	assert_null(v->end);
	assert_false(v->frames[0].guessed);
	assert_true(v->frames[1].guessed);
	assert_true(v->frames[1].pc == IMAGE_BASE + IMAGE_BARE + IMAGE_FUNCTION);
	assert_string_equal(v->frames[1].symbol, "bare");
	assert_false(v->frames[2].guessed);
	done(&r);

	/* Not code, not aligned, below the stack pointer, nothing there: no frame is made up. */
	uint64_t bad[] = {fp + 16, fp + 1, sp - 8, 0, 0x1000, UINT64_MAX - 8};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		collect_one(&im, AT(IMAGE_NO_CFI), sp, bad[i], &r);
		assert_int_equal(r.stacks->v[0].frame_count, 1);
		assert_contains(r.stacks->v[0].end, "no unwind table for 0x7f0000001310");
		done(&r);
	}
}

static void calls_to_nowhere(void **state)
{
	uint64_t sp = STACK_BASE + 0x100;
	struct image im;
	struct report r;

	image_init(&im);
	memset(stack, 0, sizeof(stack));
	put_word(sp, AT(IMAGE_OUTERMOST));
	collect_one(&im, 0x10, sp, 0, &r);
	assert_int_equal(r.stacks->v[0].frame_count, 2);
	assert_null(r.stacks->v[0].frames[0].module);
	assert_true(r.stacks->v[0].frames[1].guessed);
	done(&r);

	put_word(sp, 0x20);
	collect_one(&im, AT(IMAGE_BARE), sp, 0, &r);
	assert_int_equal(r.stacks->v[0].frame_count, 1);
	assert_contains(r.stacks->v[0].end, "return address 0x20 is not code");
	done(&r);
}

/* A handler on another, lower stack; the trampoline has no call frame information, as musl's. */
static void over_a_signal(void **state)
{
	uint64_t sp = STACK_BASE + 0x100, uc = sp + 8;
	uint64_t interrupted_sp = STACK_BASE + 0x20;
	struct image im;
	struct report r;

	image_init(&im);
	memset(stack, 0, sizeof(stack));
	put_word(sp, IMAGE_BASE + IMAGE_SIGRETURN);
	put_word(uc + 40 + 15 * 8, interrupted_sp);
	put_word(uc + 40 + 16 * 8, IMAGE_BASE + IMAGE_BARE); /* at its very first instruction */
	put_word(interrupted_sp, AT(IMAGE_OUTERMOST));
	collect_one(&im, AT(IMAGE_BARE), sp, 0, &r);

	const struct stack *v = &r.stacks->v[0];
	assert_int_equal(v->frame_count, 4);
	assert_null(v->end);
	assert_true(v->frames[1].signal_frame);
	assert_false(v->frames[2].signal_frame || v->frames[2].guessed);
	assert_true(v->frames[2].sp == interrupted_sp);
	assert_string_equal(v->frames[2].symbol, "bare");
	assert_true(v->frames[2].symbol_offset == 0);
	done(&r);
}

/* A signal frame whose interrupted code is the trampoline itself, on the same stack. */
static void signal_circles_end(void **state)
{
	uint64_t uc = STACK_BASE + 0x100;
	struct image im;
	struct report r;

	image_init(&im);
	memset(stack, 0, sizeof(stack));
	put_word(uc + 40 + 15 * 8, uc);
	put_word(uc + 40 + 16 * 8, IMAGE_BASE + IMAGE_SIGRETURN);
	collect_one(&im, IMAGE_BASE + IMAGE_SIGRETURN, uc, 0, &r);
	assert_true(r.stacks->v[0].frame_count < 100);
	assert_contains(r.stacks->v[0].end, "signal frames");
	done(&r);
}

static void without_registers(void **state)
{
	struct snapshot_thread t[2];
	struct image im;
	struct report r;

	image_init(&im);
	image_thread(&t[0], 5, AT(IMAGE_BARE), STACK_BASE, 0);
	image_thread(&t[1], 6, 0, 0, 0);
	t[0].gregs_len = t[1].gregs_len = 0;
	collect(&im, t, 2, &r);
	assert_int_equal(r.stacks->v[0].frame_count, 1);
	assert_string_equal(r.stacks->v[0].frames[0].symbol, "bare");
	assert_string_equal(r.stacks->v[0].end, "registers not available");
	assert_int_equal(r.stacks->v[1].frame_count, 0);
	assert_string_equal(r.stacks->v[1].end, "registers not available");
	done(&r);
}

static void other_cpus_are_refused(void **state)
{
	struct image im;
	struct snapshot *s;
	struct modules *m;
	struct stacks *stacks;
	struct err e = {0};

	image_init(&im);
	s = image_snapshot(&im, stack, NULL, 0);
	assert_int_equal(modules_new(s, NULL, NULL, &m, &e), 0);
	s->elf_class = ELFCLASS32; /* x32 has the same e_machine */
	assert_int_equal(stacks_collect(m, &stacks, &e), -ERR_UNSUPPORTED);
	s->elf_class = ELFCLASS64;
	s->e_machine = EM_AARCH64;
	assert_int_equal(stacks_collect(m, &stacks, &e), -ERR_UNSUPPORTED);
	modules_free(m);
	snapshot_free(s);
}

/* --- .eh_frame that would make libunwind read or jump where it must not -------------------------
 */

/* How many frames come of a framed function whose CIE or FDE program is this. */
static size_t frames_with(uint8_t return_column, const void *cie_bytes, size_t cie_len,
			  const void *fde_bytes, size_t fde_len)
{
	uint64_t fp = STACK_BASE + 0x140;
	struct image im;
	struct report r;
	size_t cie, count;

	image_init(&im);
	im.cfi_len = im.fde_count = 0;
	cie = image_cie(&im, return_column, "zR", cie_bytes, cie_len);
	image_fde(&im, cie, IMAGE_FRAMED, IMAGE_FUNCTION, fde_bytes, fde_len);
	image_eh_frame_hdr(&im);
	memset(stack, 0, sizeof(stack));
	put_word(fp, fp + 0x100);
	put_word(fp + 8, AT(IMAGE_OUTERMOST));
	/* The frame pointer is of no use, so that only the table can lead on. */
	collect_one(&im, AT(IMAGE_FRAMED), fp, fp, &r);
	count = r.stacks->v[0].frame_count;
	if (count > 1 && r.stacks->v[0].frames[1].guessed) count = 1;
	done(&r);
	return count;
}
#define FDE(...)                                                                                   \
	frames_with(16, cie_program, sizeof(cie_program), (const uint8_t[]){__VA_ARGS__},          \
		    sizeof((const uint8_t[]){__VA_ARGS__}))
#define CIE(...)                                                                                   \
	frames_with(16, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}),    \
		    framed_program, sizeof(framed_program))

static void hostile_programs(void **state)
{
	assert_int_equal(FDE(0x0c, 6, 16, 0x86, 2), 2); /* the good one */
	assert_int_equal(CIE(0x0c, 7, 8, 0x90, 1), 2);
	assert_int_equal(frames_with(17, cie_program, sizeof(cie_program), framed_program, 5), 1);
	assert_int_equal(frames_with(255, cie_program, sizeof(cie_program), framed_program, 5), 1);
	assert_int_equal(CIE(0x90, 1), 1);                   /* no rule for the CFA */
	assert_int_equal(CIE(0x0a, 0x0c, 7, 8, 0x0b), 1);    /* one that is taken back */
	assert_int_equal(FDE(0x09, 6, 0xff, 0xff, 0x7f), 1); /* register 2097151 */
	assert_int_equal(FDE(0x09, 17, 6), 1);
	assert_int_equal(FDE(0x0b), 1);             /* restore without remember */
	assert_int_equal(FDE(0x0c, 40, 16), 1);     /* CFA from a register that is not there */
	assert_int_equal(FDE(0xbf, 2), 1);          /* DW_CFA_offset 63 */
	assert_int_equal(FDE(0x01, 0, 0, 0, 0), 1); /* DW_CFA_set_loc */
	assert_int_equal(FDE(0x3f), 1);             /* unknown */
	assert_int_equal(FDE(0x0c, 6), 1);          /* cut */
	assert_int_equal(FDE(0x0c, 6, 0x80, 0x80), 1);
	/* DW_CFA_def_cfa_expression: good; division; a jump onto itself; too long; empty. */
	assert_int_equal(FDE(0x0f, 2, 0x76, 16), 2);
	assert_int_equal(FDE(0x0f, 4, 0x76, 16, 0x30, 0x1b), 1);
	assert_int_equal(FDE(0x0f, 3, 0x2f, 0xfd, 0xff), 1);
	assert_int_equal(FDE(0x0f, 0x7f, 0x76, 16), 1);
	assert_int_equal(FDE(0x0f, 0), 1);
	assert_int_equal(FDE(0x0f, 2, 0x8f, 16), 1); /* breg31 */
}

/* 16 remembered states are fine, 17 are not; both must end well. */
static void remembered_states(void **state)
{
	uint8_t program[64];

	memset(program, 0x0a, sizeof(program));
	memcpy(program, framed_program, 5);
	assert_int_equal(frames_with(16, cie_program, 5, program, 5 + CFI_REMEMBER_MAX), 2);
	assert_int_equal(frames_with(16, cie_program, 5, program, 6 + CFI_REMEMBER_MAX), 1);
}

/* Any bytes for .eh_frame and its header: no crash, no endless walk. */
static void random_eh_frame(void **state)
{
	uint64_t seed = unit_seed();
	size_t walked = 0;

	for (int round = 0; round < 1000; round++) {
		struct image im;
		struct report r;
		int spoil = 1 + (int)(unit_random(&seed) % 6);

		image_init(&im);
		for (int i = 0; i < spoil; i++)
			im.bytes[IMAGE_HDR +
				 unit_random(&seed) % (IMAGE_EH_FRAME - IMAGE_HDR + im.cfi_len)] =
			    (uint8_t)unit_random(&seed);
		for (uint64_t at = 0; at < 0x400; at += 8)
			put_word(STACK_BASE + at,
				 unit_random(&seed) % 2
				     ? IMAGE_BASE + IMAGE_TEXT + unit_random(&seed) % 0x500
				     : STACK_BASE + unit_random(&seed) % 0x400 / 8 * 8);
		collect_one(&im, IMAGE_BASE + IMAGE_TEXT + unit_random(&seed) % 0x500,
			    STACK_BASE + unit_random(&seed) % 0x200 / 8 * 8,
			    STACK_BASE + unit_random(&seed) % 0x400, &r);
		assert_true(r.stacks->v[0].frame_count >= 1);
		/* Each signal frame may start again from below. */
		assert_true(r.stacks->v[0].frame_count <= 34 * (0x400 / 8 + 2));
		if (r.stacks->v[0].frame_count > 1) walked++;
		done(&r);
	}
	assert_true(walked > 10);
}

/* Without .eh_frame_hdr's table the entries are walked. */
static void table_made_of_eh_frame(void **state)
{
	uint64_t sp = STACK_BASE + 0x100;
	struct image im;
	struct report r;

	image_init(&im);
	im.bytes[IMAGE_HDR + 2] = 0xff; /* no count */
	im.bytes[IMAGE_HDR + 3] = 0xff; /* no table */
	memset(stack, 0, sizeof(stack));
	put_word(sp, AT(IMAGE_OUTERMOST));
	collect_one(&im, AT(IMAGE_BARE), sp, 0, &r);
	assert_int_equal(r.stacks->v[0].frame_count, 2);
	assert_null(r.stacks->v[0].end);
	done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(through_tables),         cmocka_unit_test(circles_end),
	    cmocka_unit_test(deep_stacks_are_cut),    cmocka_unit_test(by_frame_pointer),
	    cmocka_unit_test(calls_to_nowhere),       cmocka_unit_test(over_a_signal),
	    cmocka_unit_test(signal_circles_end),     cmocka_unit_test(without_registers),
	    cmocka_unit_test(other_cpus_are_refused), cmocka_unit_test(hostile_programs),
	    cmocka_unit_test(remembered_states),      cmocka_unit_test(random_eh_frame),
	    cmocka_unit_test(table_made_of_eh_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
