/* Cores in memory, and snapshots with random contents to make them of. */
#ifndef TESTS_CORE_TEST_H
#define TESTS_CORE_TEST_H

#include "base/range_set.h"
#include "dumpers/core/core.h"
#include "dumpers/snapshot/corefile.h"
#include "dumpers/snapshot/memory.h"
#include "tests/unit/base/unit.h"

enum { PAGE = 4096 };

struct memory_sink {
	struct core_sink base;
	uint64_t seed;
	struct buf out;
	uint8_t *room; /* exactly as large as promised, so that AddressSanitizer sees more */
	size_t room_len;
	struct range_list lost, torn;
	uint64_t fail_after; /* bytes; 0 never */
};

static inline int sink_reserve(struct core_sink *sink, void **ret, size_t *ret_len, struct err *e)
{
	struct memory_sink *s = (struct memory_sink *)sink;

	free(s->room);
	s->room_len = 1 + unit_random(&s->seed) % (unit_random(&s->seed) % 4 ? 3 * PAGE : 100);
	s->room = malloc(s->room_len);
	assert_non_null(s->room);
	memset(s->room, 0xa5, s->room_len);
	*ret = s->room;
	*ret_len = s->room_len;
	return 0;
}

static inline int sink_commit(struct core_sink *sink, size_t len, struct err *e)
{
	struct memory_sink *s = (struct memory_sink *)sink;

	assert_true(len > 0 && len <= s->room_len);
	if (s->fail_after && s->out.len + len > s->fail_after)
		return err_set(e, ERR_NO_SPACE, "the sink is full");
	return buf_append(&s->out, s->room, len, e);
}

static inline int sink_lost(struct core_sink *sink, uint64_t start, uint64_t end, struct err *e)
{
	return range_list_add(&((struct memory_sink *)sink)->lost, start, end, e);
}

static inline int sink_torn(struct core_sink *sink, uint64_t start, uint64_t end, struct err *e)
{
	return range_list_add(&((struct memory_sink *)sink)->torn, start, end, e);
}

static inline void sink_init(struct memory_sink *s, uint64_t seed)
{
	*s = (struct memory_sink){
	    .base = {sink_reserve, sink_commit, sink_lost, sink_torn},
	    .seed = seed,
	    .out = BUF_INIT(1 << 30),
	    .lost = RANGE_LIST_INIT(1 << 20),
	    .torn = RANGE_LIST_INIT(1 << 20),
	};
}

static inline void sink_done(struct memory_sink *s)
{
	free(s->room);
	buf_done(&s->out);
	range_list_done(&s->lost);
	range_list_done(&s->torn);
}

/* Plans and writes; the size must be the one that was announced. */
static inline void write_core_as(struct snapshot *s, const struct core_config *config,
				 struct memory_sink *sink)
{
	struct core *core = NULL;
	struct err e = {0};

	if (core_plan(s, config, &core, &e)) fail_msg("%s", e.text);
	if (core_write(core, &sink->base, &e)) fail_msg("%s", e.text);
	assert_int_equal(core_size(core), sink->out.len);
	core_free(core);
}

static inline void write_core(struct snapshot *s, uint64_t hole_min, struct memory_sink *sink)
{
	const struct core_config config = {.hole_min = hole_min, .version = "test"};

	write_core_as(s, &config, sink);
}

static inline struct snapshot *read_core(const struct buf *bytes, const struct range_list *lost)
{
	struct snapshot *s = NULL;
	struct blob *blob = NULL;
	struct err e = {0};

	if (blob_from_memory(bytes->data, bytes->len, &blob, &e)) fail_msg("%s", e.text);
	assert_true(corefile_probe(blob));
	if (snapshot_open_core(blob, lost ? lost->ranges : NULL, lost ? lost->count : 0, &s, &e))
		fail_msg("%s", e.text);
	blob_unref(blob);
	return s;
}

/* Does the core's PODSNAP note of that type name the address? By our own reading of elf(5). */
static inline bool note_names(const struct buf *core, uint32_t type, uint64_t addr)
{
	Elf64_Phdr notes;
	Elf64_Nhdr h;

	memcpy(&notes, core->data + sizeof(Elf64_Ehdr), sizeof(notes));
	for (uint64_t at = notes.p_offset; at < notes.p_offset + notes.p_filesz;) {
		uint64_t desc, pair[2];

		memcpy(&h, core->data + at, sizeof(h));
		desc = at + sizeof(h) + align_up(h.n_namesz, 4);
		if (h.n_type == type && strcmp(core->data + at + sizeof(h), "PODSNAP") == 0)
			for (uint64_t i = 0; i + 16 <= h.n_descsz; i += 16) {
				memcpy(pair, core->data + desc + i, sizeof(pair));
				if (addr >= pair[0] && addr < pair[1]) return true;
			}
		at = desc + align_up(h.n_descsz, 4);
	}
	return false;
}

/* The first page of an ELF file, with a build-id note or without. */
static inline void make_elf(uint8_t *page, bool build_id)
{
	const struct {
		Elf64_Nhdr h;
		char name[4];
		uint8_t id[20];
	} note = {{4, 20, NT_GNU_BUILD_ID}, "GNU", {1, 2, 3}};
	Elf64_Ehdr h = {
	    .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	    .e_type = ET_DYN,
	    .e_machine = EM_X86_64,
	    .e_phoff = sizeof(h),
	    .e_phentsize = sizeof(Elf64_Phdr),
	    .e_phnum = build_id ? 2 : 1,
	};
	const Elf64_Phdr p[2] = {
	    {.p_type = PT_LOAD, .p_filesz = 3 * PAGE, .p_memsz = 3 * PAGE},
	    {.p_type = PT_NOTE,
	     .p_offset = 512,
	     .p_vaddr = 512,
	     .p_filesz = sizeof(note),
	     .p_memsz = sizeof(note),
	     .p_align = 4},
	};

	memset(page, 0, PAGE);
	memcpy(page, &h, sizeof(h));
	memcpy(page + sizeof(h), p, sizeof(p));
	memcpy(page + 512, &note, sizeof(note));
}

/* --- random snapshots --------------------------------------------------------------------------
 */

struct random_memory {
	struct buf maps;
	struct memory_range ranges[512];
	size_t count;
};

static inline void random_bytes(uint64_t *seed, void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)data)[i] = (uint8_t)unit_random(seed);
}

static inline void add_random_map(struct random_memory *m, uint64_t *seed, uint64_t start,
				  uint64_t pages)
{
	static const char *const names[] = {"", "", "[heap]", "/lib/a b.so", "/memfd:x (deleted)"};
	size_t name = unit_random(seed) % ARRAY_SIZE(names);
	uint64_t at = start, end = start + pages * PAGE;

	buf_printf(&m->maps, NULL, "%llx-%llx %c%c%cp %08llx 08:01 %d %s\n",
		   (unsigned long long)start, (unsigned long long)end, "r-"[unit_random(seed) % 2],
		   "w-"[unit_random(seed) % 2], "x-"[unit_random(seed) % 2],
		   (unsigned long long)(unit_random(seed) % 9 * PAGE), name > 2 ? (int)name : 0,
		   names[name]);
	while (at < end && m->count < ARRAY_SIZE(m->ranges)) {
		uint64_t wanted = (1 + unit_random(seed) % 9) * PAGE, len = MIN(wanted, end - at);
		struct memory_range *r = &m->ranges[m->count++];

		*r = (struct memory_range){at, at + len, (enum mem_state)(unit_random(seed) % 4),
					   NULL};
		if (r->state == MEM_NOT_CAPTURED && unit_random(seed) % 2) r->state = MEM_ERROR;
		if (r->state == MEM_BYTES) {
			r->data = malloc(len);
			random_bytes(seed, (void *)(uintptr_t)r->data, len);
		}
		at += len;
	}
}

static inline void random_thread(struct snapshot_thread *t, uint64_t *seed, pid_t tid)
{
	static const char *const names[] = {"main", "a \"b\"\\", "tab\there", "",
					    "\x01\x7f\xc2\x85"};
	static const char states[] = "RSDTtZ";

	memset(t, 0, sizeof(*t));
	t->tid = tid;
	snprintf(t->name, sizeof(t->name), "%s", names[unit_random(seed) % ARRAY_SIZE(names)]);
	snprintf(t->wchan, sizeof(t->wchan), "%s", unit_random(seed) % 2 ? "futex_wait_queue" : "");
	t->state = states[unit_random(seed) % 6];
	t->utime_ticks = unit_random(seed) % 1000000;
	t->stime_ticks = unit_random(seed) % 1000000;
	if (unit_random(seed) % 5 == 0) {
		/* Did not stop. */
		t->pc = unit_random(seed);
		t->sp = unit_random(seed);
		t->in_syscall = unit_random(seed) % 2;
		t->syscall_nr = t->in_syscall ? unit_random(seed) % 400 : 0;
		return;
	}
	t->gregs_len = 216;
	random_bytes(seed, t->gregs, t->gregs_len);
	t->in_syscall = (int8_t)t->gregs[127] >= 0;
	memcpy(&t->pc, t->gregs + 128, 8);
	memcpy(&t->sp, t->gregs + 152, 8);
	if (t->in_syscall) memcpy(&t->syscall_nr, t->gregs + 120, 8);
	t->fpregs_len = 512;
	random_bytes(seed, t->fpregs, t->fpregs_len);
	t->sigpend = unit_random(seed);
	t->sighold = unit_random(seed);
	if (unit_random(seed) % 3 == 0) {
		t->cursig = 11;
		random_bytes(seed, t->siginfo, sizeof(t->siginfo));
	}
	t->xstate_len = unit_random(seed) % 4 ? 2432 : 0;
	if (!t->xstate_len) return;
	t->xstate = malloc(t->xstate_len);
	random_bytes(seed, t->xstate, t->xstate_len);
}

static inline void random_identity(struct snapshot *s, uint64_t *seed)
{
	s->id.ppid = (pid_t)(unit_random(seed) % 30000);
	s->id.pgrp = (pid_t)(unit_random(seed) % 30000);
	s->id.sid = (pid_t)(unit_random(seed) % 30000);
	s->id.uid = (uint32_t)unit_random(seed);
	s->id.gid = (uint32_t)unit_random(seed);
	s->id.nice = (int8_t)(unit_random(seed) % 40 - 20);
	s->id.state = 'S';
	snprintf(s->id.comm, sizeof(s->id.comm), "service");
	snprintf(s->id.args, sizeof(s->id.args), "service --flag \"x\"");
	snprintf(s->id.exe, sizeof(s->id.exe), "/opt/a \"quoted\"/service");
	s->taken_ns = unit_random(seed);
	s->auxv_len = unit_random(seed) % 20 * 16;
	random_bytes(seed, s->auxv, s->auxv_len);
}

static inline struct snapshot *random_snapshot(uint64_t *seed)
{
	struct random_memory m = {.maps = BUF_INIT(1 << 20)};
	struct snapshot_thread threads[12];
	size_t thread_count = 1 + unit_random(seed) % ARRAY_SIZE(threads);
	uint64_t at = PAGE * (1 + unit_random(seed) % 100);
	struct snapshot *s = NULL;
	struct err e = {0};

	for (size_t i = unit_random(seed) % 25; i-- > 0 && m.count < 400;) {
		uint64_t pages = 1 + unit_random(seed) % 60;

		add_random_map(&m, seed, at, pages);
		at += pages * PAGE + (unit_random(seed) % 3) * PAGE;
	}
	for (size_t i = 0; i < thread_count; i++)
		random_thread(&threads[i], seed, (pid_t)(100 + (i * 13 + 3) % thread_count));
	if (snapshot_open_memory(m.maps.data ? m.maps.data : "", m.ranges, m.count, threads,
				 thread_count, &s, &e))
		fail_msg("%s", e.text);
	for (size_t i = 0; i < thread_count; i++)
		free(threads[i].xstate);
	for (size_t i = 0; i < m.count; i++)
		free((void *)(uintptr_t)m.ranges[i].data);
	buf_done(&m.maps);
	random_identity(s, seed);
	return s;
}

#endif
