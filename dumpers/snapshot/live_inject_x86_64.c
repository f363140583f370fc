#include "dumpers/snapshot/live_inject.h"

#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

/* asm/sigcontext.h and asm/ucontext.h of the kernel; glibc's <ucontext.h> hides half of it. */
struct sigcontext_64 {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t di, si, bp, bx, dx, ax, cx, sp, ip, flags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};
struct rt_sigframe {
	uint64_t pretcode; /* what `ret` takes */
	uint64_t uc_flags, uc_link;
	uint64_t ss_sp;
	uint32_t ss_flags, ss_pad;
	uint64_t ss_size;
	struct sigcontext_64 mc;
	uint64_t sigmask;
	uint8_t info[128];
};
/* struct _fpx_sw_bytes, in the unused bytes of the legacy area. */
struct fpx_sw_bytes {
	uint32_t magic1, extended_size;
	uint64_t xfeatures;
	uint32_t xstate_size, padding[7];
};
enum {
	UC_FP_XSTATE = 1,
	UC_SIGCONTEXT_SS = 2,
	UC_STRICT_RESTORE_SS = 4,
	FP_XSTATE_MAGIC1 = 0x46505853,
	FP_XSTATE_MAGIC2 = 0x46505845,
	SW_BYTES_OFFSET = 464,
	CHILD_FRAME_OFFSET = 448,
	/* No such mode: sigaltstack(2) refuses it, rt_sigreturn ignores that, and the thread's own
	 * alternate stack stays. */
	SS_INVALID = 0x7fff,
};
_Static_assert(sizeof(struct rt_sigframe) <= CHILD_FRAME_OFFSET, "the frames overlap");
_Static_assert(CHILD_FRAME_OFFSET + sizeof(struct rt_sigframe) <= INJECT_XSTATE_OFFSET,
	       "the vector state overlaps");

bool inject_is_syscall_ret(const uint8_t *code, size_t len)
{
	return len >= 3 && code[0] == 0x0f && code[1] == 0x05 && code[2] == 0xc3;
}

/* mov $15, %rax (or %eax); syscall */
bool inject_is_restorer(const uint8_t *code, size_t len)
{
	static const uint8_t long_form[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
	static const uint8_t short_form[] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};

	return (len >= sizeof(long_form) && memcmp(code, long_form, sizeof(long_form)) == 0) ||
	       (len >= sizeof(short_form) && memcmp(code, short_form, sizeof(short_form)) == 0);
}

/*
 * A system call that the stop interrupted is made anew, as the kernel itself would do on the way
 * out. One with a restart block (-516) is, too: it may wait longer than it was told, which every
 * caller must expect, and does not show an EINTR for a signal that never came.
 */
static void restart_call(struct sigcontext_64 *mc, const struct user_regs_struct *regs)
{
	int64_t result = (int64_t)regs->rax;

	if ((int64_t)regs->orig_rax < 0) return;
	if (result != -512 && result != -513 && result != -514 && result != -516) return;
	mc->ax = regs->orig_rax;
	mc->ip -= 2;
}

static void fill_frame(struct rt_sigframe *f, const struct inject_site *site,
		       const struct user_regs_struct *r, uint64_t mask)
{
	*f = (struct rt_sigframe){
	    .pretcode = site->restorer,
	    .uc_flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
	    .ss_flags = SS_INVALID,
	    .sigmask = mask,
	    .mc = {.r8 = r->r8,
		   .r9 = r->r9,
		   .r10 = r->r10,
		   .r11 = r->r11,
		   .r12 = r->r12,
		   .r13 = r->r13,
		   .r14 = r->r14,
		   .r15 = r->r15,
		   .di = r->rdi,
		   .si = r->rsi,
		   .bp = r->rbp,
		   .bx = r->rbx,
		   .dx = r->rdx,
		   .ax = r->rax,
		   .cx = r->rcx,
		   .sp = r->rsp,
		   .ip = r->rip,
		   .flags = r->eflags,
		   .cs = (uint16_t)r->cs,
		   .ss = (uint16_t)r->ss},
	};
	restart_call(&f->mc, r);
}

/* As the kernel's own frames have it: the area, what is in it, and two magic numbers. */
static void fill_xstate(uint8_t *area, const uint8_t *xstate, size_t len)
{
	struct fpx_sw_bytes sw = {.magic1 = FP_XSTATE_MAGIC1,
				  .extended_size = (uint32_t)len + 4,
				  .xstate_size = (uint32_t)len};
	uint32_t magic2 = FP_XSTATE_MAGIC2;

	/* NT_X86_XSTATE keeps the enabled features there. */
	memcpy(&sw.xfeatures, xstate + SW_BYTES_OFFSET, sizeof(sw.xfeatures));
	memcpy(area, xstate, len);
	memcpy(area + SW_BYTES_OFFSET, &sw, sizeof(sw));
	memcpy(area + len, &magic2, sizeof(magic2));
}

size_t inject_build_image(uint8_t image[INJECT_IMAGE_MAX], uint64_t frame,
			  const struct inject_site *site, const struct user_regs_struct *regs,
			  uint64_t mask, const uint8_t *xstate, size_t xstate_len)
{
	struct user_regs_struct child = *regs;
	struct rt_sigframe f;

	if (xstate_len < SW_BYTES_OFFSET + sizeof(struct fpx_sw_bytes) ||
	    xstate_len > SNAPSHOT_XSTATE_MAX)
		return 0;
	memset(image, 0, INJECT_XSTATE_OFFSET);
	fill_frame(&f, site, regs, mask);
	f.uc_flags |= UC_FP_XSTATE;
	f.mc.fpstate = frame + INJECT_XSTATE_OFFSET;
	memcpy(image, &f, sizeof(f));
	child.rip = site->syscall_ret;
	child.rax = SYS_exit_group;
	child.orig_rax = (unsigned long long)-1;
	child.rdi = 0;
	child.rsp = frame + CHILD_FRAME_OFFSET;
	fill_frame(&f, site, &child, UINT64_MAX);
	memcpy(image + CHILD_FRAME_OFFSET, &f, sizeof(f));
	fill_xstate(image + INJECT_XSTATE_OFFSET, xstate, xstate_len);
	return INJECT_XSTATE_OFFSET + xstate_len + sizeof(uint32_t);
}

void inject_set_call(struct user_regs_struct *regs, const struct inject_site *site, uint64_t frame,
		     const struct inject_call *call)
{
	regs->rax = (unsigned long long)call->nr;
	/* Else the kernel would take the thread to be on its way out of a call to restart. */
	regs->orig_rax = (unsigned long long)-1;
	regs->rdi = call->args[0];
	regs->rsi = call->nr == SYS_clone ? frame + CHILD_FRAME_OFFSET : call->args[1];
	regs->rdx = call->args[2];
	regs->r10 = call->args[3];
	regs->r8 = call->args[4];
	regs->r9 = call->args[5];
	regs->rip = site->syscall_ret;
	regs->rsp = frame;
}
