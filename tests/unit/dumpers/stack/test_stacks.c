#include "tests/unit/dumpers/stack/image.h"

enum { THREADS = 14 };

static uint8_t stack[STACK_SIZE];

struct report {
	struct snapshot *snapshot;
	struct modules *modules;
	struct stacks *stacks;
	struct blob *file;
	struct buf text;
};

/* Threads 2 to 13 stand in bare, 1 in outermost, and 14 in code that has no name. */
static void collect(struct image *im, struct report *r)
{
	struct snapshot_thread t[THREADS];
	uint64_t ret = IMAGE_BASE + IMAGE_OUTERMOST + 4;
	struct err e = {0};

	memset(stack, 0, sizeof(stack));
	memcpy(stack + 0x100, &ret, sizeof(ret));
	for (int i = 0; i < THREADS; i++)
		image_thread(&t[i], i + 1, IMAGE_BASE + IMAGE_BARE + 4, STACK_BASE + 0x100, 0);
	image_thread(&t[0], 1, IMAGE_BASE + IMAGE_OUTERMOST, STACK_BASE, 0);
	strcpy(t[0].name, "ma\x1b[2Jin\n");
	image_thread(&t[THREADS - 1], THREADS, IMAGE_BASE + IMAGE_NO_CFI + 1, STACK_BASE, 1);
	r->text = BUF_INIT(1 << 20);
	r->file = image_blob(im);
	r->snapshot = image_snapshot(im, stack, t, THREADS);
	strcpy(r->snapshot->id.comm, "service");
	if (modules_new(r->snapshot, image_find, r->file, &r->modules, &e) ||
	    stacks_collect(r->modules, &r->stacks, &e))
		fail_msg("%s", e.text);
}

static void done(struct report *r)
{
	stacks_free(r->stacks);
	modules_free(r->modules);
	snapshot_free(r->snapshot);
	blob_unref(r->file);
	buf_done(&r->text);
}

static void folded(void **state)
{
	static const char expected[] =
	    "pid 1 (service), 14 threads\n"
	    "\n"
	    "12 threads: 2 \"worker\" S futex_wait, 3 \"worker\" S futex_wait, 4 \"worker\" S "
	    "futex_wait, 5 \"worker\" S futex_wait, 6 \"worker\" S futex_wait, 7 \"worker\" S "
	    "futex_wait, 8 \"worker\" S futex_wait, 9 \"worker\" S futex_wait, and 4 more\n"
	    "  #0  0x00007f0000001104 bare+0x4  libimage.so\n"
	    "  #1  0x00007f0000001204 outermost+0x4  libimage.so\n"
	    "\n"
	    "1 thread: 1 \"ma?[2Jin?\" S futex_wait\n"
	    "  #0  0x00007f0000001200 outermost+0x0  libimage.so\n"
	    "\n"
	    "1 thread: 14 \"worker\" S futex_wait\n"
	    "  #0  0x00007f0000001301 ??  libimage.so+0x1301\n"
	    "  ... no unwind table for 0x7f0000001301, and no frame pointer\n";
	struct report r;
	struct image im;

	image_init(&im);
	collect(&im, &r);
	assert_int_equal(stacks_print_text(r.stacks, false, &r.text, NULL), 0);
	assert_string_equal(r.text.data, expected);
	done(&r);
}

static void full_and_json(void **state)
{
	struct report r;
	struct image im;
	size_t count = 0;

	image_init(&im);
	collect(&im, &r);
	assert_int_equal(stacks_print_text(r.stacks, true, &r.text, NULL), 0);
	for (const char *at = r.text.data; (at = strstr(at, "\nthread ")); at++)
		count++;
	assert_int_equal(count, THREADS);
	buf_clear(&r.text);
	assert_int_equal(stacks_print_json(r.stacks, false, &r.text, NULL), 0);
	assert_contains(r.text.data, "{\"schema\":\"podsnap.stacks/1\",\"pid\":1,");
	assert_contains(r.text.data, "\"symbol\":\"bare\",\"offset\":4}");
	assert_contains(r.text.data, "\"build_id\":\"abababababababababababababababababababab\"");
	assert_contains(r.text.data, "\"end\":\"no unwind table for 0x7f0000001301");
	done(&r);
}

/* "name@@VERSION" of .symtab, and a name longer than any. */
static void names_are_cut(void **state)
{
	char long_name[600];
	struct report r;
	struct image im;

	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	image_init(&im);
	im.symbol_count = 0;
	image_symbol(&im, "bare@@IMAGE_1.0", IMAGE_BARE, IMAGE_FUNCTION, STB_GLOBAL, STT_FUNC);
	image_symbol(&im, long_name, IMAGE_OUTERMOST, IMAGE_FUNCTION, STB_GLOBAL, STT_FUNC);
	image_headers(&im);
	collect(&im, &r);
	assert_string_equal(r.stacks->v[1].frames[0].symbol, "bare");
	assert_int_equal(strlen(r.stacks->v[1].frames[1].symbol), STACK_SYMBOL_MAX - 1);
	/* The same name is the same string. */
	assert_ptr_equal(r.stacks->v[1].frames[1].symbol, r.stacks->v[2].frames[1].symbol);
	done(&r);
}

/* Two snapshots of the same thing give the same text, whatever was in the way between. */
static void same_snapshot_same_text(void **state)
{
	struct report a, b;
	struct image im;

	image_init(&im);
	collect(&im, &a);
	collect(&im, &b);
	assert_int_equal(stacks_print_text(a.stacks, false, &a.text, NULL), 0);
	assert_int_equal(stacks_print_text(b.stacks, false, &b.text, NULL), 0);
	assert_string_equal(a.text.data, b.text.data);
	done(&a);
	done(&b);
}

/* --- frames that a runtime knows --- */

static struct stack native_stack(const struct stack_frame *frames, size_t count)
{
	struct stack s = {.frame_count = count};

	s.frames = calloc(count + 1, sizeof(*frames));
	assert_non_null(s.frames);
	memcpy(s.frames, frames, count * sizeof(*frames));
	return s;
}

static void assert_frames(struct stack *s, const struct stack_frame *expected, size_t count)
{
	assert_int_equal(s->frame_count, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(s->frames[i].pc, expected[i].pc);
		assert_int_equal(s->frames[i].sp, expected[i].sp);
		assert_ptr_equal(s->frames[i].method, expected[i].method);
		assert_int_equal(s->frames[i].il_offset, expected[i].il_offset);
		assert_int_equal(s->frames[i].guessed, expected[i].guessed);
	}
	free(s->frames);
}

static const char enter[] = "Enter", take[] = "Take", run[] = "Run", start[] = "Start";

static void named_frames_go_where_they_are(void **state)
{
	static const struct module module = {.name = "libimage.so"};
	const struct stack_frame native[] = {
	    {.pc = 0x10, .sp = 0x100, .module = &module, .il_offset = -1},
	    {.pc = 0x20, .sp = 0x200, .module = &module, .il_offset = -1},
	    {.pc = 0x30, .sp = 0x300, .il_offset = -1},
	    {.pc = 0x40, .sp = 0x400, .guessed = true, .il_offset = -1},
	    {.pc = 0x60, .sp = 0x600, .module = &module, .guessed = true, .il_offset = -1},
	};
	/* A mark in the frame of 0x20, one a few bytes off, one found by both, one that the
	 * unwinder has passed over. */
	const struct stack_frame named[] = {
	    {.pc = 0, .sp = 0x280, .method = enter, .il_offset = -1},
	    {.pc = 0x2f, .sp = 0x300, .method = take, .il_offset = 7},
	    {.pc = 0x40, .sp = 0x400, .method = run, .il_offset = 8},
	    {.pc = 0x50, .sp = 0x500, .method = start, .il_offset = -1},
	};
	const struct stack_frame expected[] = {
	    {.pc = 0x10, .sp = 0x100, .il_offset = -1},
	    {.pc = 0x20, .sp = 0x200, .il_offset = -1},
	    {.pc = 0, .sp = 0x280, .method = enter, .il_offset = -1},
	    {.pc = 0x30, .sp = 0x300, .method = take, .il_offset = 7},
	    {.pc = 0x40, .sp = 0x400, .method = run, .il_offset = 8},
	    {.pc = 0x50, .sp = 0x500, .method = start, .il_offset = -1},
	    {.pc = 0x60, .sp = 0x600, .guessed = true, .il_offset = -1},
	};
	struct stack s = native_stack(native, ARRAY_SIZE(native));

	assert_int_equal(stack_merge(&s, named, ARRAY_SIZE(named), NULL), 0);
	assert_frames(&s, expected, ARRAY_SIZE(expected));
}

/* Both ends: where native code ended early, and where it all stays. A module's own code keeps its
 * name, whatever the runtime calls another place at that depth. */
static void named_frames_without_native_ones(void **state)
{
	static const struct module module = {.name = "libimage.so"};
	const struct stack_frame native[] = {
	    {.pc = 0x10, .sp = 0x100, .module = &module, .il_offset = -1}};
	const struct stack_frame named[] = {
	    {.pc = 0x20, .sp = 0x100, .method = take, .il_offset = 1},
	    {.pc = 0, .sp = 0x180, .method = enter, .il_offset = -1},
	};
	struct stack s = native_stack(native, 1), none = native_stack(native, 0);
	struct stack same = native_stack(native, 1);

	assert_int_equal(stack_merge(&s, named, 2, NULL), 0);
	assert_int_equal(s.frame_count, 3);
	assert_null(s.frames[s.frames[0].pc == 0x10 ? 0 : 1].method);
	assert_ptr_equal(s.frames[2].method, enter);
	free(s.frames);
	assert_int_equal(stack_merge(&none, named, 2, NULL), 0);
	assert_frames(&none, named, 2);
	assert_int_equal(stack_merge(&same, NULL, 0, NULL), 0);
	assert_frames(&same, native, 1);
}

/* A mark has no address of its own: methods tell such stacks apart. */
static void marks_are_folded_by_method(void **state)
{
	struct report r;
	struct image im;

	image_init(&im);
	collect(&im, &r);
	for (size_t i = 1; i < 4; i++) {
		const struct stack_frame mark = {
		    .sp = STACK_BASE, .method = i < 3 ? enter : run, .il_offset = -1};
		assert_int_equal(stack_merge(&r.stacks->v[i], &mark, 1, NULL), 0);
	}
	r.stacks->v[1].managed = (struct stack_managed){
	    .id = 7, .name = "till", .exception = "Shop.Closed", .message = "a\nb"};
	r.stacks->unnamed = "half of it";
	assert_int_equal(stacks_print_text(r.stacks, false, &r.text, NULL), 0);
	assert_contains(r.text.data, "14 threads\nmanaged methods have no names: half of it\n");
	assert_contains(
	    r.text.data,
	    "\n2 threads: 2 \"worker\" S futex_wait (managed 7 \"till\"), 3 \"worker\" S "
	    "futex_wait\n  2 handles Shop.Closed: a?b\n  #0                     Enter\n");
	assert_contains(r.text.data, "\n1 thread: 4 \"worker\" S futex_wait\n  #0      ");
	buf_clear(&r.text);
	assert_int_equal(stacks_print_json(r.stacks, false, &r.text, NULL), 0);
	assert_contains(r.text.data, "\"unnamed\":\"half of it\",");
	assert_contains(r.text.data,
			"\"managed\":{\"id\":7,\"name\":\"till\",\"exception\":{\"type\":"
			"\"Shop.Closed\",\"message\":\"a\\nb\"}}");
	assert_contains(r.text.data, "\"method\":\"Run\"}");
	done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(folded),
	    cmocka_unit_test(full_and_json),
	    cmocka_unit_test(names_are_cut),
	    cmocka_unit_test(same_snapshot_same_text),
	    cmocka_unit_test(named_frames_go_where_they_are),
	    cmocka_unit_test(named_frames_without_native_ones),
	    cmocka_unit_test(marks_are_folded_by_method),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
