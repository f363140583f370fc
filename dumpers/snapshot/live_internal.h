/*
 * The live origin's inside. live.c: lifetime, the tracer thread and its watchdog. live_facts.c:
 * what /proc tells before the stop. live_stop.c: seize, interrupt, registers, detach.
 * live_restart.c: system calls that the stop cut short. live_pages.c and
 * live_shared.c: which pages there are. live_read.c: memory. live_denied.c: why the kernel refused.
 */
#ifndef DUMPERS_SNAPSHOT_LIVE_INTERNAL_H
#define DUMPERS_SNAPSHOT_LIVE_INTERNAL_H

#include "dumpers/snapshot/live.h"
#include "dumpers/snapshot/regs.h"

#include <pthread.h>
#include <stdatomic.h>

enum tracee_state {
	TRACEE_KNOWN,   /* seen, not seized */
	TRACEE_SEIZED,  /* seized and running, or on its way to the stop */
	TRACEE_STOPPED, /* stands */
	TRACEE_STUCK,   /* seized, but in the kernel where it cannot stop (D), or a zombie leader */
	TRACEE_GONE,    /* ended */
};

struct tracee {
	pid_t tid; /* as this program's pid namespace numbers it */
	enum tracee_state state;
	int signal;    /* it stands before the delivery of this signal, which detach passes on */
	bool repaired; /* its system call was set to restart */
	struct snapshot_thread facts;
};

/* Pages of one kind, as a look at the page tables gave them; see live_pages.c. */
struct page_extent {
	uint64_t start, end;
	uint8_t bits;
};
enum { PAGE_EXTENTS_MAX = 4096 };
struct page_cache {
	pthread_mutex_t lock;
	struct page_extent *extents; /* PAGE_EXTENTS_MAX of them, ascending, touching */
	size_t count;
	uint64_t *words; /* buffer of pagemap entries or scan results */
	bool no_scan;    /* this kernel lacks PAGEMAP_SCAN */
};

/* The file behind a map of shared memory; see live_shared.c. */
struct shared_file {
	int fd; /* -1: none is open */
	uint64_t map_start, map_end;
};

enum live_phase { LIVE_STARTING, LIVE_STOPPED, LIVE_RELEASED, LIVE_FAILED };

struct live {
	struct snapshot base;
	pid_t pid;          /* as this program numbers it */
	pid_t live_tid;     /* a thread with an address space: the leader, unless it is a zombie */
	int proc_fd;        /* /proc/PID */
	int task_fd;        /* /proc/PID/task */
	int mem_fd;         /* /proc/PID/task/TID/mem */
	int pagemap_fd;     /* -1: not to be had, then every page counts as bytes */
	unsigned pid_depth; /* how many pid namespaces below ours the target's is */
	struct page_cache pages;
	struct shared_file shared; /* under pages.lock */

	/* The tracer thread's own, while it runs. */
	struct tracee *tracees;
	size_t tracee_count, tracee_cap;
	uint8_t *known; /* a bit for each tid in tracees */
	uint8_t *xstate_buf;
	uint64_t stop_started_ns; /* first interrupt; 0 before */

	pthread_t tracer;
	bool has_tracer;
	struct live_config config;
	pthread_mutex_t lock; /* for the rest */
	pthread_cond_t changed;
	enum live_phase phase;
	bool release_wanted;
	bool released_early;
	const char *why;
	char why_text[48];
	uint64_t pause_ns;
	struct err tracer_err;

	atomic_uint_fast64_t progress; /* reads done */
	atomic_bool torn;
};

/* --- live_facts.c --- */
/* Picks live_tid and refuses kernel threads, zombies and 32-bit processes. */
int live_check_target(struct live *l, struct err *e);
/* Fills base.id and base.auxv. */
int live_read_identity(struct live *l, struct err *e);
/* Name, state, wait channel, CPU times and the target's own number of one thread; what cannot be
 * read stays empty. */
void live_read_thread(struct live *l, pid_t tid, struct snapshot_thread *t);
/* State letter of a thread now, 'X' if it is gone. */
char live_thread_state(struct live *l, pid_t tid);
/* pc, sp and system call of a thread that does not run, without stopping it (proc(5), syscall). */
void live_read_syscall(struct live *l, pid_t tid, struct snapshot_thread *t);
/* Adds every thread of task/ that is not known yet. */
int live_scan_threads(struct live *l, size_t *ret_new, struct err *e);
/* The value of a status line such as "SigCgt:", base 16; 0 if absent. */
uint64_t live_status_hex(const char *status, const char *key);
/* The text of task/TID/NAME; empty if it is not to be had. Returns its length. */
size_t live_read_task(struct live *l, pid_t tid, const char *name, char *ret, size_t ret_size);

/* --- live_stop.c; only from the tracer thread --- */
int live_stop(struct live *l, struct err *e);
void live_detach(struct live *l);
/* Moves the facts to base.threads, in order; the tracees keep none. */
int live_publish_threads(struct live *l, struct err *e);

/* --- live_restart.c; only from the tracer thread --- */
/* Sets a system call that the stop made fail with EINTR to restart, as soon as the thread stands:
 * if this program dies before, the target sees the EINTR. */
void live_repair_restart(struct live *l, struct tracee *t);
/* Takes it back if a signal with a handler came meanwhile: that one's EINTR is the target's own. */
void live_recheck_restart(struct live *l, struct tracee *t);
/* The signals pending for a stopped thread (shared: for its process), a bit each from signal 1 on.
 */
uint64_t live_pending_signals(pid_t tid, bool shared);

/* --- live_read.c --- */
extern const struct snapshot_ops live_ops;

/* --- live_pages.c --- */
int live_pages_init(struct live *l, struct err *e);
void live_pages_done(struct live *l);
/* True if memory of this map may not be read: device memory, the kernel's clock pages. */
bool live_map_unreadable(const struct map *map);
/* State of the page at addr, which is in map, and in *ret_end where that state ends. */
enum mem_state live_page_state(struct live *l, const struct map *map, uint64_t addr,
			       uint64_t *ret_end);

/* --- live_shared.c --- */
/* The same for a map of shared memory that no file keeps. */
enum mem_state live_shared_state(struct live *l, const struct map *map, uint64_t addr,
				 uint64_t *ret_end);

/* --- live_denied.c --- */
/* Sets -ERR_PERMISSION, or what errno says, with the likely blocker as hint. */
int live_denied(struct live *l, const char *what, struct err *e);

#endif
