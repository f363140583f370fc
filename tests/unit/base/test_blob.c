#include "base/blob.h"
#include "tests/unit/base/unit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void memory_is_copied(void **state)
{
	_cleanup_blob_ struct blob *b = NULL;
	char source[] = "0123456789", data[11] = {0};
	struct err e;

	assert_int_equal(blob_from_memory(source, 10, &b, &e), 0);
	memset(source, 'x', 10);
	assert_int_equal(b->size, 10);
	assert_int_equal(blob_read_at(b, 0, data, 10, &e), 0);
	assert_string_equal(data, "0123456789");
}

static void empty_memory_reads_as_nothing(void **state)
{
	_cleanup_blob_ struct blob *b = NULL;
	char byte;
	struct err e;

	assert_int_equal(blob_from_memory(NULL, 0, &b, &e), 0);
	assert_int_equal(blob_read_at(b, 0, &byte, 0, &e), 0);
	assert_int_equal(blob_read_at(b, 0, &byte, 1, &e), -ERR_TRUNCATED);
}

static void reads_past_the_end_are_truncated(void **state)
{
	_cleanup_blob_ struct blob *b = NULL;
	char data[16];
	struct err e;

	assert_int_equal(blob_from_memory("0123456789", 10, &b, &e), 0);
	assert_int_equal(blob_read_at(b, 10, data, 0, &e), 0);
	assert_int_equal(blob_read_at(b, 9, data, 1, &e), 0);
	assert_int_equal(blob_read_at(b, 9, data, 2, &e), -ERR_TRUNCATED);
	assert_int_equal(blob_read_at(b, 11, data, 0, &e), -ERR_TRUNCATED);
	/* offset + len wraps to a valid place. */
	assert_int_equal(blob_read_at(b, UINT64_MAX, data, 2, &e), -ERR_TRUNCATED);
	assert_int_equal(blob_read_at(b, 2, data, SIZE_MAX, &e), -ERR_TRUNCATED);
}

static void slices_read_their_part_only(void **state)
{
	_cleanup_blob_ struct blob *b = NULL, *slice = NULL, *inner = NULL, *none = NULL;
	char data[11] = {0};
	struct err e;

	assert_int_equal(blob_from_memory("0123456789", 10, &b, &e), 0);
	assert_int_equal(blob_slice(b, 2, 6, &slice, &e), 0);
	assert_int_equal(blob_slice(slice, 1, 3, &inner, &e), 0);
	assert_int_equal(blob_slice(slice, 6, 0, &none, &e), 0);
	assert_int_equal(inner->size, 3);
	assert_int_equal(blob_read_at(inner, 0, data, 3, &e), 0);
	assert_string_equal(data, "345");
	assert_int_equal(blob_read_at(inner, 1, data, 3, &e), -ERR_TRUNCATED);
	assert_int_equal(blob_read_at(none, 0, data, 1, &e), -ERR_TRUNCATED);
}

static void slices_may_not_pass_their_parent(void **state)
{
	_cleanup_blob_ struct blob *b = NULL, *slice = NULL, *wrong = NULL;
	struct err e;

	assert_int_equal(blob_from_memory("0123456789", 10, &b, &e), 0);
	assert_int_equal(blob_slice(b, 2, 6, &slice, &e), 0);
	assert_int_equal(blob_slice(slice, 1, 6, &wrong, &e), -ERR_TRUNCATED);
	assert_int_equal(blob_slice(slice, 7, 0, &wrong, &e), -ERR_TRUNCATED);
	assert_int_equal(blob_slice(b, 1, UINT64_MAX, &wrong, &e), -ERR_TRUNCATED);
	assert_int_equal(blob_slice(b, UINT64_MAX, 2, &wrong, &e), -ERR_TRUNCATED);
	assert_null(wrong);
}

/* --- references, counted by an implementation of our own --- */

struct probe_blob {
	struct blob blob;
	int freed;
	size_t needed;
};

static int probe_read_at(struct blob *b, uint64_t offset, void *data, size_t len, struct err *e)
{
	return err_set(e, ERR_CORRUPT, "frame 3 is damaged");
}

static void probe_free(struct blob *b)
{
	((struct probe_blob *)b)->freed++;
}

static void probe_will_need(struct blob *b, const struct range *ranges, size_t count)
{
	struct probe_blob *p = (struct probe_blob *)b;

	for (size_t i = 0; i < count; i++)
		assert_true(ranges[i].start < ranges[i].end && ranges[i].end <= b->size);
	p->needed += count;
}

static const struct blob_ops probe_ops = {probe_read_at, probe_free, probe_will_need};

static void the_last_reference_frees(void **state)
{
	struct probe_blob p = {.freed = 0};
	struct blob *slice = NULL, *inner = NULL;
	struct err e;

	blob_init(&p.blob, &probe_ops, 100);
	assert_ptr_equal(blob_ref(&p.blob), &p.blob);
	blob_unref(&p.blob);
	assert_int_equal(p.freed, 0);
	assert_int_equal(blob_slice(&p.blob, 0, 50, &slice, &e), 0);
	assert_int_equal(blob_slice(slice, 0, 20, &inner, &e), 0);
	blob_unref(&p.blob);
	blob_unref(slice);
	assert_int_equal(p.freed, 0);
	blob_unref(inner);
	assert_int_equal(p.freed, 1);
	blob_unref(NULL);
}

static void errors_of_the_implementation_pass_through(void **state)
{
	struct probe_blob p = {.freed = 0};
	_cleanup_blob_ struct blob *slice = NULL;
	char byte;
	struct err e;

	blob_init(&p.blob, &probe_ops, 100);
	assert_int_equal(blob_slice(&p.blob, 0, 50, &slice, &e), 0);
	assert_int_equal(blob_read_at(slice, 0, &byte, 1, &e), -ERR_CORRUPT);
	assert_string_equal(e.text, "frame 3 is damaged");
}

static void what_is_not_there_is_not_needed(void **state)
{
	static const struct range ranges[] = {{0, 100}, {5, 5}, {9, 8}, {99, 101}, {99, 100}};
	struct probe_blob p = {.freed = 0};
	_cleanup_blob_ struct blob *memory = NULL;

	blob_init(&p.blob, &probe_ops, 100);
	blob_will_need(&p.blob, ranges, ARRAY_SIZE(ranges));
	assert_int_equal(p.needed, 2);
	blob_will_need(&p.blob, ranges + 1, 3);
	blob_will_need(&p.blob, ranges, 0);
	assert_int_equal(p.needed, 2);
	assert_int_equal(blob_from_memory("abc", 3, &memory, NULL), 0);
	blob_will_need(memory, ranges, ARRAY_SIZE(ranges));
}

/* --- files --- */

static void files_read_at_any_offset(void **state)
{
	char dir[] = "/tmp/podsnap-test-XXXXXX", path[64], data[11] = {0};
	_cleanup_blob_ struct blob *b = NULL;
	struct err e;
	int fd;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "0123456789", 10), 10);
	assert_int_equal(blob_open_file(path, &b, &e), 0);
	assert_int_equal(b->size, 10);
	assert_int_equal(blob_read_at(b, 7, data, 3, &e), 0);
	assert_string_equal(data, "789");

	/* The file shrinks behind our back. */
	assert_int_equal(ftruncate(fd, 5), 0);
	assert_int_equal(blob_read_at(b, 4, data, 3, &e), -ERR_TRUNCATED);
	assert_contains(e.text, path);
	close(fd);
	unlink(path);
	rmdir(dir);
}

static void only_regular_files_open(void **state)
{
	char dir[] = "/tmp/podsnap-test-XXXXXX", path[64];
	struct blob *b = NULL;
	struct err e;

	assert_int_equal(blob_open_file("/no/such", &b, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "/no/such");
	assert_int_equal(blob_open_file("/", &b, &e), -ERR_UNSUPPORTED);
	assert_int_equal(blob_open_file("/dev/null", &b, &e), -ERR_UNSUPPORTED);
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(blob_open_file(path, &b, &e), -ERR_UNSUPPORTED);
	unlink(path);
	rmdir(dir);
	assert_null(b);
}

static void an_fd_is_taken_over_on_success_only(void **state)
{
	struct blob *b = NULL;
	struct err e;
	int fds[2], fd = memfd_create("blob", MFD_CLOEXEC);
	char byte;

	assert_int_equal(write(fd, "abc", 3), 3);
	assert_int_equal(blob_from_fd(fd, &b, &e), 0);
	assert_int_equal(blob_read_at(b, 1, &byte, 1, &e), 0);
	assert_int_equal(byte, 'b');
	blob_unref(b);
	assert_int_equal(fcntl(fd, F_GETFD), -1);

	b = NULL;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(blob_from_fd(fds[0], &b, &e), -ERR_UNSUPPORTED);
	assert_null(b);
	assert_int_equal(close(fds[0]), 0);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(memory_is_copied),
	    cmocka_unit_test(empty_memory_reads_as_nothing),
	    cmocka_unit_test(reads_past_the_end_are_truncated),
	    cmocka_unit_test(slices_read_their_part_only),
	    cmocka_unit_test(slices_may_not_pass_their_parent),
	    cmocka_unit_test(the_last_reference_frees),
	    cmocka_unit_test(errors_of_the_implementation_pass_through),
	    cmocka_unit_test(what_is_not_there_is_not_needed),
	    cmocka_unit_test(files_read_at_any_offset),
	    cmocka_unit_test(only_regular_files_open),
	    cmocka_unit_test(an_fd_is_taken_over_on_success_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
