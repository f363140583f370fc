/*
 * The core-file origin: an ELF core of podsnap, the kernel, gdb's gcore or createdump (elf(5), gABI
 * chapter "Core Files"). podsnap's own note "PODSNAP" tells what cores lack; without it names are
 * empty, states '?', and what is in no segment is NOT_CAPTURED.
 *
 * The PODSNAP note (name "PODSNAP", n_type as below, one note per type, all little-endian):
 *   1 ZERO          pairs of u64 [start, end): pages the kernel did not have
 *   2 NOT_CAPTURED  pairs of u64 [start, end): mapped but not in this core
 *   3 FILE          pairs of u64 [start, end): unmodified file pages, left to the module's file
 *   4 MAPS          the text of /proc/PID/maps
 *   5 THREADS       JSON lines, one a thread:
 * {"tid","name","state","wchan","syscall","utime","stime"} 6 INFO          JSON:
 * {"consistency","taken","exe","version"}
 */
#ifndef DUMPERS_SNAPSHOT_COREFILE_H
#define DUMPERS_SNAPSHOT_COREFILE_H

#include "dumpers/snapshot/snapshot.h"

enum podsnap_note {
	NOTE_ZERO = 1,
	NOTE_NOT_CAPTURED,
	NOTE_FILE_PAGES,
	NOTE_MAPS,
	NOTE_THREADS,
	NOTE_INFO,
};
#define PODSNAP_NOTE_NAME "PODSNAP"

/* True if the blob starts with an ELF header of type ET_CORE. */
bool corefile_probe(struct blob *blob);
/*
 * References the blob. lost: ranges of file offsets that hold padding (from a bundle's manifest),
 * whose addresses read as NOT_CAPTURED; borrowed for the call. -ERR_CORRUPT "not a core file: ...",
 * -ERR_UNSUPPORTED for another CPU.
 */
int snapshot_open_core(struct blob *blob, const struct range *lost, size_t lost_count,
		       struct snapshot **ret, struct err *e);

#endif
