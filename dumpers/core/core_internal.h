/*
 * The core writer's inside. core.c: headers and data; core_blob.c: the same, read at random.
 * core_select.c: what is wanted of the memory; core_stacks.c: where unwinding reads. core_plan.c:
 * how that becomes segments. core_notes.c: the notes.
 */
#ifndef DUMPERS_CORE_CORE_INTERNAL_H
#define DUMPERS_CORE_CORE_INTERNAL_H

#include "base/buf.h"
#include "base/range_set.h"
#include "dumpers/core/core.h"

enum { CORE_PAGE = 4096, CORE_SEGMENTS_LIMIT = 1 << 22, CORE_RANGES_LIMIT = 1 << 22 };

/* One PT_LOAD: [start, data_end) is in the file, [data_end, end) is a hole of one kind. */
struct core_load {
	uint64_t start, data_end, end;
	uint32_t flags; /* PF_R | PF_W | PF_X */
	enum mem_state hole;
};

struct core_select;

struct core {
	struct snapshot *s;
	uint64_t hole_min;
	struct core_load *loads; /* ascending */
	size_t load_count, load_cap;
	struct range_list filler;                   /* zeros within the data */
	struct range_list zero, not_captured, file; /* of the notes */
	struct buf maps, threads, info;             /* texts of the notes */
	size_t first_thread;                        /* index of the one that debuggers select */
	uint64_t notes_len, data_offset, size;
};

/* Bytes on their way into the sink, or without a sink only counted. */
struct core_out {
	struct core_sink *sink;
	uint64_t offset; /* in the core file */
	struct err *e;
	int r; /* the first error; sticks */
};
void core_put(struct core_out *out, const void *data, size_t len);
void core_put_zeros(struct core_out *out, uint64_t len);

/* All before the data: ELF header, program headers, notes, up to data_offset. */
void core_put_head(struct core *c, struct core_out *out);
/* Fills loads and range lists. */
int core_plan_pages(struct core *c, const struct core_select *select, struct err *e);
/* Fills the note texts and first_thread. */
int core_prepare_notes(struct core *c, const char *version, struct err *e);
/* All notes, as PT_NOTE holds them. */
void core_put_notes(struct core *c, struct core_out *out);

#endif
