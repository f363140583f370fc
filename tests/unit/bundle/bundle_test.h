/* What the tests of bundle/ share: seeded randomness, a sink in memory, bundles made of it. */
#ifndef BUNDLE_TEST_H
#define BUNDLE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "bundle/assembler.h"

/* xorshift64*: the same on every machine, so that a printed seed is enough. */
static uint64_t random_state;

static inline uint64_t random_u64(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1dull;
}

static inline uint64_t random_below(uint64_t limit)
{
	return random_u64() % limit;
}

/* PODSNAP_TEST_SEED repeats a run. */
static inline int random_setup(void **state)
{
	const char *text = getenv("PODSNAP_TEST_SEED");

	random_state = text ? strtoull(text, NULL, 0) : now_ns() | 1;
	print_message("PODSNAP_TEST_SEED=0x%llx\n", (unsigned long long)random_state);
	return 0;
}

/* Bytes that compress a little: runs, and noise. */
static inline void random_fill(uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t run = 1 + random_below(4096);

		run = MIN(run, len - i);
		if (random_below(2)) {
			memset(data + i, (int)random_u64(), run);
		} else {
			for (size_t k = 0; k < run; k++)
				data[i + k] = (uint8_t)random_u64();
		}
		i += run;
	}
}

#define assert_ok(expression)                                                                      \
	do {                                                                                       \
		struct err *check_e_ = &test_err;                                                  \
		int check_r_ = (expression);                                                       \
		if (check_r_ < 0) fail_msg("%s: %d: %s", #expression, check_r_, check_e_->text);   \
	} while (0)
static struct err test_err;

struct test_entry {
	char name[BUNDLE_NAME_MAX];
	uint8_t *data;
	size_t size;
};

struct test_bundle {
	struct test_entry *entries;
	size_t count;
	struct buf bytes; /* of the bundle */
};

static inline int write_to_buf(void *ctx, const void *data, size_t len, struct err *e)
{
	return buf_append(ctx, data, len, e);
}

static inline void test_bundle_free(struct test_bundle *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->entries[i].data);
	free(t->entries);
	buf_done(&t->bytes);
}
#define _cleanup_test_bundle_ _cleanup_(test_bundle_free)

static inline struct test_entry *test_bundle_add(struct test_bundle *t, const char *name,
						 size_t size)
{
	struct test_entry *entry;

	t->entries = reallocarray(t->entries, t->count + 1, sizeof(*t->entries));
	assert_non_null(t->entries);
	entry = &t->entries[t->count++];
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	entry->size = size;
	entry->data = malloc(MAX(size, (size_t)1));
	assert_non_null(entry->data);
	random_fill(entry->data, size);
	return entry;
}

/* Packs in pieces of random size, by copy or by reservation. */
static inline void pack_entry(struct packer *p, const struct test_entry *entry)
{
	size_t at = 0;

	assert_ok(packer_begin(p, entry->name, entry->size, &test_err));
	while (at < entry->size) {
		size_t piece = 1 + random_below(random_below(2) ? 100000 : 3000000);

		piece = MIN(piece, entry->size - at);
		if (random_below(2)) {
			assert_ok(packer_write(p, entry->data + at, piece, &test_err));
		} else {
			void *room;
			size_t len;

			assert_ok(packer_reserve(p, &room, &len, &test_err));
			assert_in_range(len, 1, entry->size - at);
			piece = MIN(piece, len);
			memcpy(room, entry->data + at, piece);
			assert_ok(packer_commit(p, piece, &test_err));
		}
		at += piece;
	}
	assert_ok(packer_end(p, ENTRY_OK, NULL, &test_err));
}

static const struct bundle_summary test_summary = {
    .tool = "podsnap test",
    .created = "2026-01-02T03:04:05Z",
    .extra_json = "\"pause_ns\":123,\"note\":\"a \\\"b\\\"\"",
};

/* All entries by one producer, then the end. */
static inline void test_bundle_pack(struct test_bundle *t, int threads)
{
	const struct packer_config config = {.level = 1, .threads = threads, .mtime_s = 1700000000};
	struct assembler *a;
	struct packer *p;

	t->bytes = BUF_INIT(SIZE_MAX);
	assert_ok(assembler_new(&a, write_to_buf, &t->bytes, &test_err));
	assert_ok(packer_new(&p, &config, assembler_stream(a, true), &test_err));
	for (size_t i = 0; i < t->count; i++)
		pack_entry(p, &t->entries[i]);
	assert_ok(packer_flush(p, &test_err));
	packer_free(p);
	assert_ok(assembler_finish(a, &test_summary, &test_err));
	assembler_free(a);
}

#endif
