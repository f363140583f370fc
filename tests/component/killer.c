/*
 * Runs a program and kills it at a chosen system call of the thread that stops others:
 *
 *     killer N PROGRAM ARGUMENT...
 *
 * From that thread's first PTRACE_INTERRUPT on, each entry into and each exit from a system call is
 * a moment; at the Nth the whole program gets SIGKILL (N = 0: never). The last line on stderr is
 * "killer: MOMENTS NAME", the number of moments there were and the system call of the last one.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct watch {
	pid_t program, tracer; /* tracer: 0 not known yet */
	long wanted, moments;
	unsigned long long last_nr;
};

static pid_t start(char **argv)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid ||
	    ptrace(PTRACE_SETOPTIONS, pid, NULL,
		   (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
			    PTRACE_O_EXITKILL)) < 0)
		return -1;
	return pid;
}

static void take_call(struct watch *w, pid_t tid)
{
	struct __ptrace_syscall_info info = {0};

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof(info), &info) <= 0) return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		w->last_nr = info.entry.nr;
		if (!w->tracer && info.entry.nr == SYS_ptrace &&
		    info.entry.args[0] == PTRACE_INTERRUPT)
			w->tracer = tid;
	}
	if (tid != w->tracer) return;
	if (++w->moments == w->wanted) kill(w->program, SIGKILL);
}

/* The signal to pass on. */
static int take_stop(struct watch *w, pid_t tid, int status)
{
	int sig = WSTOPSIG(status);

	if (sig == (SIGTRAP | 0x80)) {
		take_call(w, tid);
		return 0;
	}
	/* Events, and the first stop of a new thread. */
	return status >> 16 || sig == SIGSTOP || sig == SIGTRAP ? 0 : sig;
}

int main(int argc, char **argv)
{
	struct watch w = {.wanted = argc > 2 ? atol(argv[1]) : -1};
	int status = 0, result = 1;
	pid_t tid;

	if (w.wanted < 0) {
		fprintf(stderr, "usage: killer N PROGRAM ARGUMENT...\n");
		return 2;
	}
	w.program = start(argv + 2);
	if (w.program < 0) return 2;
	ptrace(PTRACE_SYSCALL, w.program, NULL, NULL);
	while ((tid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (tid > 0 && WIFSTOPPED(status)) {
			long sig = take_stop(&w, tid, status);

			ptrace(!w.tracer || w.tracer == tid ? PTRACE_SYSCALL : PTRACE_CONT, tid,
			       NULL, (void *)sig);
		} else if (tid == w.program) {
			result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
	}
	fprintf(stderr, "killer: %ld %llu\n", w.moments, w.last_nr);
	return result;
}
