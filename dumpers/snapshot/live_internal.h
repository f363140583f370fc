/*
 * The live origin's inside. live.c: lifetime, the tracer thread and its watchdog. live_plan.c: the
 * choice of the mode. live_window.c: several at one instant. live_facts.c: what /proc tells before
 * the stop. live_stop.c: seize, interrupt, registers, detach. live_restart.c: system calls that the
 * stop cut short. live_inject.c: a system call run by the target. live_cow.c: the copy-on-write
 * child. live_ballast.c: that it is the one the OOM killer takes. live_reap.c: its end.
 * live_pages.c and live_shared.c: which pages there are. live_read.c: memory. live_denied.c: why
 * the kernel refused.
 */
#ifndef DUMPERS_SNAPSHOT_LIVE_INTERNAL_H
#define DUMPERS_SNAPSHOT_LIVE_INTERNAL_H

#include "base/range_set.h"
#include "dumpers/proc/cgroup.h"
#include "dumpers/proc/stat.h"
#include "dumpers/snapshot/live.h"
#include "dumpers/snapshot/live_window.h"
#include "dumpers/snapshot/regs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/user.h>

enum tracee_state {
	TRACEE_KNOWN,   /* seen, not seized, or let go */
	TRACEE_SEIZED,  /* seized and running, or on its way to the stop */
	TRACEE_STOPPED, /* stands */
	TRACEE_STUCK,   /* seized, but in the kernel where it cannot stop (D), or a zombie leader */
	TRACEE_LEFT,    /* in a call of ours that takes too long: it finds its own way */
	TRACEE_GONE,    /* ended */
};

struct tracee {
	pid_t tid; /* as this program's pid namespace numbers it */
	enum tracee_state state;
	int signal;       /* it stands before the delivery of this signal, which detach passes on */
	bool interrupted; /* PTRACE_INTERRUPT was asked for */
	bool taken;       /* its facts are those of the snapshot */
	bool complete;    /* live_complete was there */
	bool parent;      /* it has children, and is in a call that a stop makes fail */
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

/* HELD: the target stands, or its child does. */
enum live_phase { LIVE_STARTING, LIVE_HELD, LIVE_RELEASED, LIVE_FAILED };

/* Where a call can be injected; see live_inject.h. */
struct inject_site {
	uint64_t syscall_ret;            /* address of `syscall; ret` */
	uint64_t restorer;               /* of a call of rt_sigreturn */
	uint64_t stack_start, stack_end; /* the main thread's stack map */
	uint64_t start_stack;            /* where its program began on it */
};

enum { FORGET_RANGES_MAX = 1024 };

struct live {
	struct snapshot base;
	pid_t pid;         /* as this program numbers it */
	pid_t live_tid;    /* a thread with an address space: the leader, unless it is a zombie */
	int proc_fd;       /* /proc/PID */
	int task_fd;       /* /proc/PID/task */
	int target_mem_fd; /* /proc/PID/task/TID/mem */
	int target_pagemap_fd; /* -1: not to be had, then every page counts as bytes */
	int pagemap_fd;        /* of what is read; one of the two, borrowed */
	unsigned pid_depth;    /* how many pid namespaces below ours the target's is */
	struct page_cache pages;
	struct shared_file shared; /* under pages.lock */
	struct live_plan plan;

	/* The copy-on-write child. */
	struct inject_site site;
	int inject_mem_fd;                    /* the memory it lies in */
	bool suspend_seccomp;                 /* we may */
	uint64_t passed_filters;              /* how many we have in common; 0: none or others */
	uint8_t *inject_image, *inject_saved; /* INJECT_IMAGE_MAX bytes; NULL: no child wanted */
	uint64_t inject_frame;                /* where the image went last, ... */
	size_t inject_len;                    /* ... over that many bytes of inject_saved */
	pid_t child;                          /* as this program numbers it; 0 none */
	bool child_stands;                    /* it was waited for */
	struct range ballast;                 /* in the child */
	bool offered;                         /* the child's oom_score_adj is 1000 */
	bool child_ended;                     /* there was one: its zombie may be left */
	int child_mem_fd, child_pagemap_fd;
	atomic_bool reads_child;
	struct foreign *foreign; /* live_foreign.h; ascending; their bytes are in copies */
	size_t foreign_count;
	uint8_t *copies; /* NULL: none can be made */
	size_t copies_used;
	uint64_t shared_bytes; /* that may be copied */
	struct cgroup_meter meter;
	size_t
	    together; /* how many snapshots were taken with it, for which its room must do, too */
	bool forget_failed;

	/* The tracer thread's own, while it runs. */
	struct tracee *tracees;
	size_t tracee_count, tracee_cap;
	size_t completed;           /* of them, by live_complete_some */
	uint8_t *known;             /* a bit for each tid in tracees */
	uint64_t stop_started_ns;   /* first interrupt; 0 before */
	bool waits_for_child;       /* it could not be stopped for that */
	struct live_window *window; /* of those that are taken together; gone once it is held */

	pthread_t tracer;
	bool has_tracer;
	struct live_config config;
	pthread_mutex_t lock; /* for the rest */
	pthread_cond_t changed;
	enum live_phase phase;
	bool release_wanted;
	struct range_list forget; /* for the tracer to give up */
	bool released_early;
	const char *why;
	char why_text[48];
	uint64_t pause_ns;
	struct err tracer_err;

	atomic_uint_fast64_t progress; /* reads done */
	atomic_bool torn;
};

/* --- live_facts.c --- */
/* Bytes of /proc/.../status that are read: a process in thousands of groups has more, and its last
 * lines are missing then. */
enum { LIVE_STATUS_MAX = 8192 };
/* The text of /proc/PID/NAME, or of another process by "../PID/NAME"; empty if it is not to be had.
 * Returns its length. */
size_t live_read_proc(struct live *l, const char *name, char *ret, size_t ret_size);
/* False if the thread is gone. */
bool live_read_stat(struct live *l, pid_t tid, struct proc_stat *ret);
/* The target's memory map now. ret is empty before. */
int live_read_maps(struct live *l, struct maps *ret, struct err *e);
/* The same of another process, as this program numbers it. */
int live_read_maps_of(struct live *l, pid_t pid, struct maps *ret, struct err *e);
/* What the target's own pid namespace calls a process that this program calls pid; 0 if nothing. */
pid_t live_own_pid(struct live *l, pid_t pid);
/* The first threads of task/, the leader among them if it lives; how many. */
size_t live_list_threads(struct live *l, pid_t *ret, size_t max);
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
/* Empties that list; facts that were not published are gone. */
void live_forget_threads(struct live *l);
/* The value of a status line such as "SigCgt:", base 16; 0 if absent. */
uint64_t live_status_hex(const char *status, const char *key);
/* The text of task/TID/NAME; empty if it is not to be had. Returns its length. */
size_t live_read_task(struct live *l, pid_t tid, const char *name, char *ret, size_t ret_size);

/* --- live_stop.c; only from the tracer thread --- */
/* Priority for the pause, or none any more. A hint. */
void live_hurry(bool hurry);
/* Sleeps before the next look for a stop that is awaited since then. The look takes its CPU from
 * someone, often from who is awaited: so the longer that takes, the longer the sleep, by a share.
 */
void live_nap(uint64_t since_ns);
int live_stop(struct live *l, struct err *e);
/* After live_detach and live_publish_threads: the threads stand once more, as far as they can be
 * stopped. Their registers are not read again. */
void live_stop_again(struct live *l);
/*
 * Lets all go that stand. A thread that is traced is sent also the signals that it ignores, SIGCHLD
 * of its children above all (kernel/signal.c, sig_ignored); while it stands, another one is woken
 * for them. If that one is traced it stops, and its call is mended; if not, its call may return
 * EINTR. So those in such calls go last, and of those the ones last that no signals are for.
 */
void live_detach(struct live *l);
/* Those that came late to their stop, and stand now, go on. Returns whether there are more. */
bool live_detach_latecomers(struct live *l);
/* After live_detach, when threads were seized and not stopped: those go on that stopped for such a
 * signal. */
void live_detach_woken(struct live *l);
/* Whether a thread has children; false where the kernel does not tell (CONFIG_PROC_CHILDREN). */
bool live_has_children(struct live *l, pid_t tid);
/* Bytes that the vector state of a thread may have. */
size_t live_xstate_room(void);
/* Did a seized thread stop or end? Takes its general registers when it stopped. */
void live_poll_tracee(struct live *l, struct tracee *t);
/* Takes the rest of the facts of a thread that stands, once: vector state, signals. */
void live_complete(struct live *l, struct tracee *t);
/* The same for the next count threads, work for the time in which the target forks. True if there
 * are more. */
bool live_complete_some(struct live *l, size_t count);
/* Moves the facts to base.threads, in order; the tracees keep none. */
int live_publish_threads(struct live *l, struct err *e);

/* --- live_restart.c; only from the tracer thread --- */
/* The general registers of a thread that stands; false if they are not to be had. */
bool live_get_regs(pid_t tid, struct user_regs_struct *regs);
bool live_set_regs(pid_t tid, const struct user_regs_struct *regs);
/* By what is known before the stop: is it in a call of that kind? */
bool live_may_see_eintr(const struct tracee *t);
/* Leaves it to the kernel whether a system call that the stop made fail with EINTR restarts: unless
 * a handler is to run. As soon as the thread stands: if this program dies before, the target sees
 * the EINTR. */
void live_repair_restart(struct tracee *t);
/* The signals pending for a stopped thread alone, a bit each from signal 1 on. */
uint64_t live_pending_signals(pid_t tid);

/* --- live_reap.c; only from the tracer thread --- */
/* Makes the target wait for its children that are zombies because of us. */
void live_reap(struct live *l);

/* --- live_read.c --- */
extern const struct snapshot_ops live_ops;

/* --- live_pages.c --- */
int live_pages_init(struct live *l, struct err *e);
void live_pages_done(struct live *l);
/* From now on pages are those of this pagemap. */
void live_pages_switch(struct live *l, int pagemap_fd);
/* True if memory of this map may not be read: device memory, the kernel's clock pages. */
bool live_map_unreadable(const struct map *map);
/* State of the page at addr, which is in map, and in *ret_end where that state ends. */
enum mem_state live_page_state(struct live *l, const struct map *map, uint64_t addr,
			       uint64_t *ret_end);
/* True if the process itself has the page in its tables, of whatever kind of memory: reading it
 * makes nobody allocate it. */
bool live_page_touched(struct live *l, const struct map *map, uint64_t addr, uint64_t *ret_end);

/* --- live_shared.c --- */
/* The same for a map of shared memory that no file keeps. */
enum mem_state live_shared_state(struct live *l, const struct map *map, uint64_t addr,
				 uint64_t *ret_end);

/* --- live_denied.c --- */
/* -ERR_PERMISSION with the likely blocker and what helps, or what else errno says. */
int live_denied(struct live *l, const char *what, struct err *e);

#endif
