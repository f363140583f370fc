/*
 * The core-file origin's inside. corefile.c: headers, segments, memory. corefile_notes.c: what the
 * notes say. corefile_maps.c: a memory map where no note has one.
 */
#ifndef DUMPERS_SNAPSHOT_COREFILE_INTERNAL_H
#define DUMPERS_SNAPSHOT_COREFILE_INTERNAL_H

#include "base/range_set.h"
#include "dumpers/snapshot/corefile.h"
#include "dumpers/snapshot/regs.h"

enum {
	CORE_SEGMENTS_MAX = 1 << 22,
	CORE_NOTES_MAX = 1 << 21,
	CORE_FILES_MAX = 1 << 20,
	CORE_NOTE_NAME_MAX = 32,
	CORE_FILE_NOTE_MAX = 256 << 20,
};

struct core_segment {
	uint64_t start, end; /* addresses */
	uint64_t data_end;   /* what lies above has no bytes in the file */
	uint64_t offset;     /* of start in the file */
	uint32_t flags;      /* PF_R | PF_W | PF_X */
};

/* One entry of the NT_FILE note. */
struct core_file_entry {
	uint64_t start, end;
	uint64_t offset;  /* bytes */
	const char *name; /* in file_note */
};

struct corefile {
	struct snapshot base;
	struct blob *blob;
	struct core_segment *segments; /* ascending, disjoint */
	size_t segment_count;
	struct range *note_ranges; /* PT_NOTE segments in the file */
	size_t note_range_count;
	struct range_list lost; /* file offsets that hold padding */
	struct range_list zero, not_captured, file_pages;
	bool ours;                     /* has a PODSNAP note: what the file lacks is said there */
	struct core_file_entry *files; /* ascending */
	size_t file_count;
	char *file_note;
	char *maps_note; /* text, NULL if there is none */
	size_t maps_note_len;
	char *threads_note, *info_note;
	size_t threads_note_len, info_note_len;
	size_t thread_cap;
};

/* Reads every note into c and its base. */
int corefile_read_notes(struct corefile *c, struct err *e);
/* base.maps from the MAPS note, or from segments and NT_FILE. */
int corefile_read_maps(struct corefile *c, struct err *e);

#endif
