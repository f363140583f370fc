/* What is read of a held snapshot, against a session that is played by a thread of this test. */
#include "exec/held.h"

#include "base/thread.h"
#include "bundle/frame.h"
#include "bundle/le.h"
#include "tests/unit/base/unit.h"

#include <poll.h>
#include <sys/eventfd.h>

enum { ENTRIES = 3, ENTRY_MAX = 3 << 20 };

/* A probe with random entries, and what it does wrong. */
struct probe {
	struct held *held;
	pthread_t thread;
	uint8_t *entries[ENTRIES + 1]; /* 0: the list */
	size_t sizes[ENTRIES + 1];
	ZSTD_CCtx *compressor;
	atomic_uint asked, largest;
	unsigned over_after; /* the session is over after so many answers; 0: when it is done */
	unsigned short_at;   /* the n-th answer has a byte less */
	uint32_t bad_entry;  /* 0: none; cannot be read behind bad_offset */
	uint64_t bad_offset;
	bool stale; /* each answer comes after one to another question */
	bool loses; /* each question is heard twice */
};

/* The bytes of all ranges; false: some are among the bad ones. */
static bool collect(const struct probe *p, const struct wire_read *read, uint8_t *to)
{
	assert_true(read->entry <= ENTRIES && read->count > 0 && read->count <= WIRE_READ_RANGES);
	assert_true(wire_read_bytes(read) <= WIRE_READ_MAX);
	for (uint32_t i = 0; i < read->count; i++) {
		const struct range *r = &read->ranges[i];

		assert_true(r->start < r->end && r->end <= p->sizes[read->entry]);
		if (p->bad_entry && p->bad_entry == read->entry && r->end > p->bad_offset)
			return false;
		memcpy(to, p->entries[read->entry] + r->start, r->end - r->start);
		to += r->end - r->start;
	}
	return true;
}

static void answer(struct probe *p, const struct wire_read *read, uint32_t id, unsigned count)
{
	static uint8_t plain[WIRE_READ_MAX], frame[2 * WIRE_READ_MAX];
	struct wire_read_reply reply = {
	    .id = id, .plain_len = wire_read_bytes(read), .frame = frame};

	if (!collect(p, read, plain)) {
		err_set(&reply.why, ERR_IO, "the memory at 0x1000 cannot be read");
		reply.plain_len = 0;
	} else {
		if (count == p->short_at) reply.plain_len--;
		assert_int_equal(frame_compress(p->compressor, plain, reply.plain_len, frame,
						sizeof(frame), &reply.frame_len, NULL),
				 0);
	}
	held_reads(p->held)->reply(p->held, &reply);
}

static void hear(struct probe *p, unsigned *count)
{
	const struct session_reads *reads = held_reads(p->held);
	struct wire_read read, again;

	while (reads->next(p->held, false, &read)) {
		assert_false(reads->next(p->held, false, &again));
		if (p->loses) {
			assert_true(reads->next(p->held, true, &again));
			assert_memory_equal(&read, &again, sizeof(read));
		}
		++*count;
		atomic_fetch_add(&p->asked, 1);
		if (wire_read_bytes(&read) > atomic_load(&p->largest))
			atomic_store(&p->largest, wire_read_bytes(&read));
		if (p->stale)
			answer(p, &(struct wire_read){.count = 1, .ranges = {{0, 1}}}, read.id - 1,
			       0);
		answer(p, &read, read.id, *count);
	}
}

static void *play_session(void *arg)
{
	struct probe *p = arg;
	const struct session_reads *reads = held_reads(p->held);
	struct wire_end end = {0};
	const uint8_t token[WIRE_TOKEN_BYTES] = {0xab, 1};
	struct err none = {0};
	unsigned count = 0;
	uint64_t events;

	snprintf(end.result_json, sizeof(end.result_json), "\"pid\":1,\"list_bytes\":%zu",
		 p->sizes[0]);
	reads->ready(p->held, token, &end);
	while (!reads->done(p->held) && (!p->over_after || count < p->over_after)) {
		struct pollfd fd = {.fd = reads->fd, .events = POLLIN};

		poll(&fd, 1, -1);
		eventfd_read(reads->fd, &events);
		hear(p, &count);
	}
	if (p->over_after) err_set(&none, ERR_NETWORK, "the network is gone");
	held_over(p->held, &none);
	return NULL;
}

static void make_list(struct probe *p, uint64_t *seed)
{
	struct buf list = BUF_INIT(1 << 20);

	for (size_t i = 1; i <= ENTRIES; i++) {
		struct buf record = BUF_INIT(4096);
		char name[64];
		uint8_t len[4];

		p->sizes[i] = 1 + (size_t)(unit_random(seed) % ENTRY_MAX);
		p->entries[i] = malloc(p->sizes[i]);
		for (size_t k = 0; k < p->sizes[i]; k++)
			p->entries[i][k] = (uint8_t)unit_random(seed);
		snprintf(name, sizeof(name), "modules/%zu/lib", i);
		assert_int_equal(wire_encode_listed(name, p->sizes[i], &record, NULL), 0);
		le32_put(len, (uint32_t)record.len);
		buf_append(&list, len, sizeof(len), NULL);
		buf_append(&list, record.data, record.len, NULL);
		buf_done(&record);
	}
	p->sizes[0] = list.len;
	p->entries[0] = malloc(list.len);
	memcpy(p->entries[0], list.data, list.len);
	buf_done(&list);
}

static void play(struct probe *p)
{
	p->compressor = frame_compressor(1);
	assert_int_equal(held_new(true, &p->held, NULL), 0);
	assert_int_equal(thread_start(&p->thread, play_session, p, NULL), 0);
}

static void start(struct probe *p, uint64_t *seed)
{
	make_list(p, seed);
	play(p);
}

static void stop(struct probe *p)
{
	held_finish(p->held);
	pthread_join(p->thread, NULL);
	held_free(p->held);
	for (size_t i = 0; i <= ENTRIES; i++)
		free(p->entries[i]);
	ZSTD_freeCCtx(p->compressor);
}

static void open_all(struct probe *p, struct blob *ret[ENTRIES + 1])
{
	const struct archive *a = held_archive(p->held);

	assert_int_equal(a->count, ENTRIES);
	for (size_t i = 1; i <= ENTRIES; i++) {
		const struct bundle_entry *entry = archive_at(a, i - 1);

		assert_int_equal(entry->size, p->sizes[i]);
		assert_int_equal(archive_open(a, entry, &ret[i], NULL), 0);
	}
}

static void close_all(struct blob *blobs[ENTRIES + 1])
{
	for (size_t i = 1; i <= ENTRIES; i++)
		blob_unref(blobs[i]);
}

static void read_pieces(struct probe *p, uint64_t *seed)
{
	struct blob *blobs[ENTRIES + 1];

	open_all(p, blobs);
	for (int i = 0; i < 300; i++) {
		size_t which = 1 + (size_t)(unit_random(seed) % ENTRIES), size = p->sizes[which];
		uint64_t start = unit_random(seed) % size;
		size_t len = (size_t)(unit_random(seed) % (size - start + 1));
		uint8_t *piece;

		if (i % 4) len = MIN(len, (size_t)100);
		piece = malloc(MAX(len, (size_t)1));
		assert_int_equal(blob_read_at(blobs[which], start, piece, len, NULL), 0);
		assert_memory_equal(piece, p->entries[which] + start, len);
		free(piece);
	}
	close_all(blobs);
}

static void reads_what_is_there(void **state)
{
	uint64_t seed = unit_seed();

	for (int round = 0; round < 6; round++) {
		struct probe p = {.stale = round % 2, .loses = round % 3 == 0};

		start(&p, &seed);
		assert_int_equal(held_await(p.held, NULL), 0);
		assert_string_equal(held_id(p.held), "ab010000000000000000000000000000");
		read_pieces(&p, &seed);
		stop(&p);
	}
}

/* In order, few and large questions; here and there, small ones; what is known, none. */
static void asks_no_more_than_it_needs(void **state)
{
	uint64_t seed = unit_seed();
	struct probe p = {0};
	struct blob *blobs[ENTRIES + 1];
	uint8_t byte;
	unsigned before;

	start(&p, &seed);
	assert_int_equal(held_await(p.held, NULL), 0);
	open_all(&p, blobs);
	before = atomic_load(&p.asked);
	for (uint64_t at = 0; at < p.sizes[1]; at += 1000)
		assert_int_equal(blob_read_at(blobs[1], at, &byte, 1, NULL), 0);
	assert_true(atomic_load(&p.asked) - before <= 6 + p.sizes[1] / WIRE_READ_MAX);
	before = atomic_load(&p.asked);
	for (uint64_t at = 0; at < p.sizes[1]; at += 1000)
		assert_int_equal(blob_read_at(blobs[1], at, &byte, 1, NULL), 0);
	assert_int_equal(atomic_load(&p.asked), before);
	atomic_store(&p.largest, 0);
	for (uint64_t at = p.sizes[2]; at > 2 * HELD_BLOCK; at -= 2 * HELD_BLOCK)
		assert_int_equal(blob_read_at(blobs[2], at - 1, &byte, 1, NULL), 0);
	assert_true(atomic_load(&p.largest) <= HELD_BLOCK);
	close_all(blobs);
	stop(&p);
}

/* What is known to be needed comes many blocks at once, from wherever it is; a page among it that
 * cannot be read hides no other. */
static void brings_what_will_be_needed(void **state)
{
	uint64_t seed = unit_seed();

	for (int round = 0; round < 4; round++) {
		struct probe p = {.bad_entry = round % 2};
		struct blob *blobs[ENTRIES + 1];
		struct range ranges[64];
		uint8_t byte;
		unsigned before;

		start(&p, &seed);
		p.bad_offset = p.sizes[1] - 1;
		assert_int_equal(held_await(p.held, NULL), 0);
		open_all(&p, blobs);
		for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
			uint64_t at = unit_random(&seed) % (p.sizes[1] - 1);

			ranges[i] = (struct range){at, at + 1};
		}
		before = atomic_load(&p.asked);
		blob_will_need(blobs[1], ranges, ARRAY_SIZE(ranges));
		assert_true(atomic_load(&p.asked) - before <=
			    1 + ARRAY_SIZE(ranges) * HELD_BLOCK / WIRE_READ_MAX);
		if (!p.bad_entry) before = atomic_load(&p.asked);
		for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
			if (p.bad_entry &&
			    ranges[i].start / HELD_BLOCK == p.bad_offset / HELD_BLOCK)
				continue;
			assert_int_equal(blob_read_at(blobs[1], ranges[i].start, &byte, 1, NULL),
					 0);
			assert_int_equal(byte, p.entries[1][ranges[i].start]);
		}
		if (!p.bad_entry) assert_int_equal(atomic_load(&p.asked), before);
		close_all(blobs);
		stop(&p);
	}
}

/* A page that cannot be read is that read's error, and hides nothing before it. */
static void a_page_that_cannot_be_read(void **state)
{
	uint64_t seed = unit_seed();
	struct probe p = {.bad_entry = 1};
	struct blob *blobs[ENTRIES + 1];
	struct err e = {0};
	uint8_t byte;

	start(&p, &seed);
	p.bad_offset = p.sizes[1] / 2 / HELD_BLOCK * HELD_BLOCK;
	assert_int_equal(held_await(p.held, NULL), 0);
	open_all(&p, blobs);
	for (uint64_t at = 0; at < p.bad_offset; at += 1000)
		assert_int_equal(blob_read_at(blobs[1], at, &byte, 1, NULL), 0);
	assert_int_equal(blob_read_at(blobs[1], p.bad_offset, &byte, 1, &e), -ERR_IO);
	assert_string_equal(e.text, "the memory at 0x1000 cannot be read");
	assert_int_equal(blob_read_at(blobs[2], 0, &byte, 1, NULL), 0);
	close_all(blobs);
	stop(&p);
}

static void a_short_answer_is_none(void **state)
{
	uint64_t seed = unit_seed();
	struct probe p = {.short_at = 2};
	struct blob *blobs[ENTRIES + 1];
	struct err e = {0};
	uint8_t byte;

	start(&p, &seed);
	assert_int_equal(held_await(p.held, NULL), 0);
	open_all(&p, blobs);
	assert_int_equal(blob_read_at(blobs[1], 0, &byte, 1, &e), -ERR_PROTOCOL);
	assert_non_null(strstr(e.text, " bytes instead of "));
	assert_int_equal(blob_read_at(blobs[1], 0, &byte, 1, NULL), 0);
	close_all(blobs);
	stop(&p);
}

static void nothing_comes_after_the_session(void **state)
{
	uint64_t seed = unit_seed();

	for (unsigned after = 1; after <= 3; after++) {
		struct probe p = {.over_after = after};
		struct blob *blobs[ENTRIES + 1];
		struct err e = {0};
		uint8_t *all;
		int r = 0;

		start(&p, &seed);
		assert_int_equal(held_await(p.held, NULL), 0);
		open_all(&p, blobs);
		all = malloc(ENTRY_MAX);
		for (size_t i = 1; r == 0 && i <= ENTRIES; i++)
			r = blob_read_at(blobs[i], 0, all, p.sizes[i], &e);
		if (r == 0) r = blob_read_at(blobs[1], 0, all, p.sizes[1], &e);
		free(all);
		if (r < 0) assert_string_equal(e.text, "the network is gone");
		assert_true(r == -ERR_NETWORK || atomic_load(&p.asked) <= after);
		close_all(blobs);
		stop(&p);
	}
}

/* Each list that is not one is refused; none is read past its end. */
static void hostile_lists(void **state)
{
	uint64_t seed = unit_seed();

	for (int round = 0; round < 200; round++) {
		struct probe p = {0};
		struct err e = {0};
		int r;

		make_list(&p, &seed);
		if (round % 2) {
			p.sizes[0] = 1 + (size_t)(unit_random(&seed) % (p.sizes[0] - 1));
			p.entries[0] = realloc(p.entries[0], p.sizes[0]);
		} else {
			p.entries[0][unit_random(&seed) % p.sizes[0]] ^=
			    (uint8_t)(1 + unit_random(&seed) % 255);
		}
		play(&p);
		r = held_await(p.held, &e);
		assert_true(r == 0 || r == -ERR_PROTOCOL);
		if (r == 0) assert_true(held_archive(p.held)->count <= ENTRIES);
		stop(&p);
	}
}

static void over_before_it_began(void **state)
{
	struct held *held;
	struct err why, e = {0};

	err_set(&why, ERR_PERMISSION, "it may not be traced");
	assert_int_equal(held_new(false, &held, NULL), 0);
	held_over(held, &why);
	assert_int_equal(held_await(held, &e), -ERR_PERMISSION);
	assert_string_equal(e.text, "it may not be traced");
	held_free(held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_what_is_there),
	    cmocka_unit_test(asks_no_more_than_it_needs),
	    cmocka_unit_test(brings_what_will_be_needed),
	    cmocka_unit_test(a_page_that_cannot_be_read),
	    cmocka_unit_test(a_short_answer_is_none),
	    cmocka_unit_test(nothing_comes_after_the_session),
	    cmocka_unit_test(hostile_lists),
	    cmocka_unit_test(over_before_it_began),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
