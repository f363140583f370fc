/*
 * The packer turns entries into tar bytes (pax headers by libarchive) and tar bytes into zstd
 * frames, compressed by several threads and emitted in order into a bundle_output. Memory is
 * bounded: (threads + 2) x about 2 MiB. It writes no end-of-archive: the assembler does.
 *
 * The data of an entry of 1 MiB or more starts a frame; smaller entries share frames.
 *
 * All functions of one packer are called from one thread, and the output is called from within
 * them only. An error of the output or of the compressor is final: every later call returns it
 * again. Errors of the caller (usage, a bad or second name) change nothing.
 */
#ifndef BUNDLE_PACKER_H
#define BUNDLE_PACKER_H

#include "bundle/entry.h"

struct packer;
enum { PACKER_THREADS_MAX = 64, PACKER_LEVEL_MIN = -7, PACKER_LEVEL_MAX = 19 };

struct packer_config {
	int level;       /* zstd level, -7..19 */
	int threads;     /* compressors, 1..64; 1 compresses in the calling thread. Where the
			  * system refuses threads (a pids limit), fewer do the work. */
	int64_t mtime_s; /* of every entry, seconds since the epoch */
};

int packer_new(struct packer **ret, const struct packer_config *config, struct bundle_output *out,
	       struct err *e);
/* Drops what is not flushed; NULL-safe. */
void packer_free(struct packer *p);

/* Opens an entry of exactly size bytes. -ERR_USAGE if one is open, -ERR_CORRUPT for a bad name,
 * -ERR_EXISTS if this packer had the name before, -ERR_LIMIT past BUNDLE_ENTRIES_MAX entries. */
int packer_begin(struct packer *p, const char *name, uint64_t size, struct err *e);
/* Appends data to the open entry; -ERR_LIMIT past its size. */
int packer_write(struct packer *p, const void *data, size_t len, struct err *e);
/* Without a copy: room in the current frame (1..BUNDLE_FRAME_PLAIN_MAX bytes, never past the
 * entry's end) for the caller to fill, then packer_commit says how much of it counts. */
int packer_reserve(struct packer *p, void **ret_data, size_t *ret_len, struct err *e);
int packer_commit(struct packer *p, size_t len, struct err *e);
/* Notes that [start, end) of the entry's data is padding (lost) or was read running (torn). Does
 * not advance: the caller still writes the bytes. In any order; beyond BUNDLE_RANGES_MAX ranges the
 * closest ones are merged. -ERR_USAGE past the entry's size. */
int packer_mark_lost(struct packer *p, uint64_t start, uint64_t end, struct err *e);
int packer_mark_torn(struct packer *p, uint64_t start, uint64_t end, struct err *e);
/* Closes the entry. Missing bytes are padded with zeros and marked lost; with anything lost an OK
 * status becomes PARTIAL. reason may be NULL: then one is made for a PARTIAL entry. Emits the
 * entry's record. */
int packer_end(struct packer *p, enum entry_status status, const char *reason, struct err *e);

/* A whole small entry at once. */
int packer_add(struct packer *p, const char *name, const void *data, size_t len, struct err *e);
/* An entry that has no bytes in the tar, listed with its reason; status is not OK. */
int packer_absent(struct packer *p, const char *name, enum entry_status status, const char *reason,
		  struct err *e);
/* Cuts the current frame and waits until everything is emitted. */
int packer_flush(struct packer *p, struct err *e);
/* Plain bytes taken so far. */
uint64_t packer_offset(const struct packer *p);

#endif
