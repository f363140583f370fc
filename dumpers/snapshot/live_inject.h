/*
 * One system call run by a stopped thread of the target, such that this program may be killed at
 * any instant: then the kernel lets the thread run on from where it stands, and it finds its way
 * back by itself.
 *
 * The thread is sent to a `syscall; ret` that its own code holds, with a stack pointer at a frame
 * as the kernel makes them for signal handlers (arch/x86/kernel/signal_64.c, struct rt_sigframe):
 * `ret` goes to rt_sigreturn, and that loads the registers, the signal mask and the vector state
 * the thread had. While we live, all of it is put back before the `ret` is reached. A clone's child
 * gets a second frame, which loads the registers of exit_group(0).
 *
 * The frames lie at the low end of the main thread's stack map, which the kernel makes 128 KiB
 * larger than needed (fs/exec.c, setup_arg_pages), as far below whatever is in use as can be.
 */
#ifndef DUMPERS_SNAPSHOT_LIVE_INJECT_H
#define DUMPERS_SNAPSHOT_LIVE_INJECT_H

#include "dumpers/snapshot/live_internal.h"

#include <sys/user.h>

struct inject_call {
	long nr;
	uint64_t args[6];
	uint64_t deadline_ns; /* of the monotonic clock: the thread is then left to itself */
};

/* Looks the addresses up; the target may run. -ERR_UNSUPPORTED says what it lacks. */
int live_inject_find(struct live *l, struct inject_site *ret, struct err *e);
/*
 * How well a stopped thread is suited: negative not at all, else the higher the better. Its
 * registers are those the target will go on with.
 */
int live_inject_score(struct live *l, const struct tracee *t);
/*
 * Runs the call in a thread that stands (score >= 0). *ret_value is what it returned, negative
 * errno included; *ret_child, for clone, the child in this program's pid namespace, traced, not yet
 * waited for. ret_child may be NULL for other calls. Afterwards the thread stands as before.
 * -ERR_UNSUPPORTED when nothing was done; -ERR_GONE when the thread ended; -ERR_TIMEOUT when the
 * call goes on: the thread is still traced, and finds its way when this thread ends.
 */
int live_inject(struct live *l, const struct inject_site *site, struct tracee *t,
		const struct inject_call *call, int64_t *ret_value, pid_t *ret_child,
		struct err *e);

/* --- live_inject_x86_64.c --- */
enum {
	INJECT_GADGET_BYTES = 16,    /* at most, of each pattern */
	INJECT_XSTATE_OFFSET = 1024, /* in the image */
	INJECT_IMAGE_MAX = INJECT_XSTATE_OFFSET + (64 << 10) + 64,
};
/* True if code begins with the pattern; len bytes are there. */
bool inject_is_syscall_ret(const uint8_t *code, size_t len);
bool inject_is_restorer(const uint8_t *code, size_t len);
/*
 * The frames of a thread, to be written at address `frame` (a multiple of 64), and its length; 0 if
 * its vector state is not known. regs and mask are what the thread shall go on with.
 */
size_t inject_build_image(uint8_t image[INJECT_IMAGE_MAX], uint64_t frame,
			  const struct inject_site *site, const struct user_regs_struct *regs,
			  uint64_t mask, const uint8_t *xstate, size_t xstate_len);
/* Registers that run the call, and return into the frame. */
void inject_set_call(struct user_regs_struct *regs, const struct inject_site *site, uint64_t frame,
		     const struct inject_call *call);

#endif
