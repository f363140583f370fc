/*
 * Processes to take snapshots of: the test forks, the child runs one function. Shared memory tells
 * the test what the child does.
 */
#ifndef TESTS_LIVE_CHILD_H
#define TESTS_LIVE_CHILD_H

#include "dumpers/snapshot/live.h"
#include "tests/unit/base/unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { CHILD_THREADS_MAX = 64, AWAIT_S = 60 };

struct child_shared {
	atomic_int ready;    /* threads or processes that are where they should be */
	atomic_ulong beats;  /* goes up as long as the child runs */
	atomic_int signals;  /* seen by handlers */
	atomic_int returned; /* calls that should have stayed blocked */
	atomic_int go;       /* the test's word to the child */
	struct {
		pid_t tid;
		long syscall_nr;
		uint64_t sp; /* an address within the frame that blocks */
	} threads[CHILD_THREADS_MAX];
	uint64_t address[16];
};

struct child {
	pid_t pid;
	struct child_shared *shared;
	struct process process;
};

/* Waits for a condition, with a bound that only a hang reaches. */
#define await(condition)                                                                           \
	do {                                                                                       \
		uint64_t until_ = now_ns() + (uint64_t)AWAIT_S * NS_PER_S;                         \
		while (!(condition)) {                                                             \
			if (now_ns() > until_) fail_msg("hangs: %s", #condition);                  \
			usleep(200);                                                               \
		}                                                                                  \
	} while (0)

static inline void child_start(struct child *c, void (*run)(struct child_shared *), int ready)
{
	struct err e = {0};

	c->shared = mmap(NULL, sizeof(*c->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(c->shared != MAP_FAILED);
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (c->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(c->shared);
		_exit(0);
	}
	await(atomic_load(&c->shared->ready) >= ready);
	c->process = (struct process)PROCESS_INIT;
	if (process_open(c->pid, &c->process, &e)) fail_msg("%s", e.text);
}

static inline void child_end(struct child *c)
{
	kill(c->pid, SIGKILL);
	assert_int_equal(waitpid(c->pid, NULL, 0), c->pid);
	process_done(&c->process);
	munmap(c->shared, sizeof(*c->shared));
}

/* The child goes on doing what it did. */
static inline void child_beats(const struct child *c)
{
	unsigned long beats = atomic_load(&c->shared->beats);

	await(atomic_load(&c->shared->beats) > beats + 2);
}

static inline struct snapshot *child_snapshot(const struct child *c)
{
	const struct live_config config = {.mode = SNAPSHOT_STOP,
					   .max_pause_ns = 30 * (uint64_t)NS_PER_S};
	struct snapshot *s = NULL;
	struct err e = {0};

	if (snapshot_open_live(&c->process, &config, &s, &e)) fail_msg("%s (%s)", e.text, e.hint);
	return s;
}

/* A field of /proc/PID/task/TID/FILE. */
static inline void child_read(const struct child *c, pid_t tid, const char *file, char *ret,
			      size_t ret_size)
{
	struct buf b = BUF_INIT(ret_size - 1);
	char name[64];

	snprintf(name, sizeof(name), "task/%d/%s", tid, file);
	ret[0] = '\0';
	if (process_read(&c->process, name, &b, NULL) == 0 && b.data)
		memcpy(ret, b.data, b.len + 1);
	buf_done(&b);
}

static inline char child_state(const struct child *c, pid_t tid)
{
	char text[1024], *at;

	child_read(c, tid, "stat", text, sizeof(text));
	at = strrchr(text, ')');
	return at ? at[2] : 'X';
}

/* Sleeps in this system call (and not on its way out of it). */
static inline bool child_sleeps_in(const struct child *c, pid_t tid, long nr)
{
	char text[256], *end;
	long got;

	child_read(c, tid, "syscall", text, sizeof(text));
	got = strtol(text, &end, 10);
	return end != text && got == nr;
}

static inline void child_beat_forever(struct child_shared *s)
{
	for (;;) {
		atomic_fetch_add(&s->beats, 1);
		usleep(500);
	}
}

#endif
