/*
 * unwound MODE: a program whose one thread stands in pause(), below what MODE says; prints "ready"
 * before.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

/* Never set: for the compiler the recursion below has an end. */
static volatile int released;

static NOINLINE void stand_still(void)
{
	puts("ready");
	fflush(stdout);
	while (!released)
		pause();
}

static NOINLINE int descend(int depth)
{
	if (depth > 0) return descend(depth - 1) + 1;
	stand_still();
	return 0;
}

static NOINLINE void on_signal(int signal)
{
	stand_still();
}

static NOINLINE void fault(volatile int *where)
{
	*where = 1;
}

static void use_altstack(void)
{
	static char altstack[64 << 10];
	stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack)};
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};

	if (sigaltstack(&ss, NULL) || sigaction(SIGSEGV, &sa, NULL)) exit(1);
	fault(NULL);
}

/* A function with a frame pointer and without call frame information, as a JIT compiler makes. */
void no_cfi(void (*next)(void));
__asm__(".text\n.type no_cfi, @function\nno_cfi:\n"
	"push %rbp\nmov %rsp, %rbp\nsub $32, %rsp\ncall *%rdi\nleave\nret\n"
	".size no_cfi, . - no_cfi\n");

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "deep"))
		descend(300);
	else if (!strcmp(mode, "altstack"))
		use_altstack();
	else if (!strcmp(mode, "no-cfi"))
		no_cfi(stand_still);
	else if (!strcmp(mode, "bad-call"))
		signal(SIGSEGV, on_signal), ((void (*)(void))(uintptr_t)16)();
	return 1;
}
