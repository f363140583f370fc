/*
 * A snapshot: one instant of a process. Immutable facts (threads with all their registers, the
 * memory map, auxv, credentials) and a memory reader. Every dumper that looks at a stopped process
 * reads this struct and nothing else, so that the same code answers live, from a core file (on
 * disk or inside a bundle), from a remote probe, and from memory that a test built.
 *
 * Origins: snapshot/live.c (ptrace, with or without a copy-on-write child), snapshot/corefile.c,
 * snapshot/memory.c; the remote origin gets a file of its own and nothing else changes.
 */
#ifndef DUMPERS_SNAPSHOT_SNAPSHOT_H
#define DUMPERS_SNAPSHOT_SNAPSHOT_H

#include "base/blob.h"
#include "dumpers/proc/maps.h"
#include "dumpers/proc/process.h"

#include <elf.h>

/* What is known of the bytes at an address. */
enum mem_state {
	MEM_BYTES,        /* read */
	MEM_ZERO,         /* the kernel has no page: reads as zeros */
	MEM_FILE,         /* unmodified page of the mapped file, not kept: ask the module's file */
	MEM_NOT_CAPTURED, /* was there, is not in this snapshot */
	MEM_UNMAPPED,     /* nothing was mapped */
	MEM_ERROR,        /* the read failed */
};
const char *mem_state_name(enum mem_state state);

enum snapshot_consistency {
	CONSISTENCY_STOPPED, /* all threads stood still for every read */
	CONSISTENCY_COW,     /* reads come from a frozen copy */
	CONSISTENCY_CORE,    /* as consistent as the core file */
	CONSISTENCY_RUNNING, /* the target was not stopped: torn */
};
const char *snapshot_consistency_name(enum snapshot_consistency consistency);

enum {
	SNAPSHOT_THREADS_MAX = 1 << 17,
	SNAPSHOT_GREGS_MAX = 512, /* bytes of NT_PRSTATUS registers */
	SNAPSHOT_FPREGS_MAX = 1024,
	SNAPSHOT_XSTATE_MAX = 64 << 10,
	SNAPSHOT_AUXV_MAX = 4096,
	SNAPSHOT_WCHAN_MAX = 64,
};

struct snapshot_thread {
	pid_t tid;     /* as the target's own pid namespace numbers it */
	char name[16]; /* comm; "" if not known */
	char state;    /* R, S, D, T, ... of /proc before the stop; '?' if not known */
	char wchan[SNAPSHOT_WCHAN_MAX]; /* kernel wait channel or syscall name; "" if not known */
	bool in_syscall;                /* was inside a system call when stopped */
	uint64_t syscall_nr;            /* if in_syscall */
	uint64_t utime_ticks, stime_ticks; /* CPU time, in USER_HZ */
	uint64_t pc, sp;                   /* 0 if registers are not known */
	/* Raw register sets, in the layout of the ELF note of the same name; len 0 = absent. */
	uint8_t gregs[SNAPSHOT_GREGS_MAX]; /* NT_PRSTATUS pr_reg: struct user_regs_struct */
	size_t gregs_len;
	uint8_t fpregs[SNAPSHOT_FPREGS_MAX]; /* NT_FPREGSET */
	size_t fpregs_len;
	uint8_t *xstate; /* NT_X86_XSTATE, owned */
	size_t xstate_len;
	int32_t cursig;       /* signal that stopped it, 0 none */
	uint8_t siginfo[128]; /* NT_SIGINFO of that signal; zeros if none, or not known */
	uint64_t sigpend, sighold;
};

struct snapshot_identity {
	pid_t pid, ppid, pgrp, sid; /* in the target's pid namespace */
	uint32_t uid, gid;
	char state;
	int8_t nice;
	char comm[16];  /* NUL-terminated */
	char args[80];  /* first bytes of the command line, spaces between; pr_psargs */
	char exe[1024]; /* path inside the target's root; "" if not known */
};

struct snapshot;
struct snapshot_ops {
	/*
	 * Reads from addr on: at most len bytes, at least one (len > 0), all of one state. Returns
	 * the number of bytes that have *state; only for MEM_BYTES are they in data.
	 */
	size_t (*read)(struct snapshot *s, uint64_t addr, void *data, size_t len,
		       enum mem_state *state);
	/* The longest range from addr on (below end) that has one state, without reading it: what a
	 * page source asks. Returns its end; BYTES means "has bytes to read". */
	uint64_t (*extent)(struct snapshot *s, uint64_t addr, uint64_t end, enum mem_state *state);
	/* [start, end) will not be read again: an origin that pays for it may let it go. NULL: none
	 * of its business. */
	void (*forget)(struct snapshot *s, uint64_t start, uint64_t end);
	/* See snapshot_will_need. NULL: none of its business. */
	void (*will_need)(struct snapshot *s, const struct range *ranges, size_t count);
	void (*free)(struct snapshot *s);
};

/* Embedded first in each origin. Filled by the origin, read-only for everybody else. */
struct snapshot {
	const struct snapshot_ops *ops;
	enum snapshot_consistency consistency;
	uint16_t e_machine; /* EM_X86_64, ... */
	uint8_t elf_class;  /* ELFCLASS64 or 32 */
	struct snapshot_identity id;
	struct snapshot_thread *threads; /* leader first, then ascending tid; owned */
	size_t thread_count;
	struct maps maps; /* owned */
	uint8_t auxv[SNAPSHOT_AUXV_MAX];
	size_t auxv_len;
	uint64_t taken_ns; /* wall clock of the instant, ns since the epoch; 0 not known */
};

/* Bytes from addr on that share one state; see ops.read. Thread-safe. */
size_t snapshot_read(struct snapshot *s, uint64_t addr, void *data, size_t len,
		     enum mem_state *state);
/* Exactly len bytes, ZERO as zeros; any other state is an error (-ERR_NOT_FOUND not mapped or not
 * captured, -ERR_IO). */
int snapshot_read_all(struct snapshot *s, uint64_t addr, void *data, size_t len, struct err *e);
/* Whole pages of [start, end) will not be read again; else reads of them may fail. */
void snapshot_forget(struct snapshot *s, uint64_t start, uint64_t end);
/* Those addresses will be read soon: where each read costs a wait (a snapshot that a pod holds),
 * one may bring them all. */
void snapshot_will_need(struct snapshot *s, const struct range *ranges, size_t count);
uint64_t snapshot_extent(struct snapshot *s, uint64_t addr, uint64_t end, enum mem_state *state);
/* An auxv value (AT_*), 0 if absent. */
uint64_t snapshot_auxv(const struct snapshot *s, uint64_t type);
/* NULL if there is none. */
const struct snapshot_thread *snapshot_find_thread(const struct snapshot *s, pid_t tid);
void snapshot_free(struct snapshot *s); /* NULL-safe; a live target runs on */
static inline void snapshot_free_ptr(struct snapshot **s)
{
	snapshot_free(*s);
}
#define _cleanup_snapshot_ _cleanup_(snapshot_free_ptr)

/* For origins: frees threads and maps of the embedded part. */
void snapshot_base_done(struct snapshot *s);
/* For origins: the thread whose tid is id.pid first, then by tid. */
void snapshot_sort_threads(struct snapshot *s);
/* For origins: start of the lowest map above addr, UINT64_MAX if there is none. */
uint64_t snapshot_map_above(const struct snapshot *s, uint64_t addr);

#endif
