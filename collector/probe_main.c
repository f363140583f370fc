/*
 * podsnap-probe: what runs beside the target. `podsnap-probe serve` speaks the wire on stdin and
 * stdout. It unlinks its own file at once, keeps descriptors 0 and 1 open until it ends, and ends
 * by itself when the client is gone: stdin ends, or nothing comes for a while.
 * `podsnap-probe idle [SECONDS]` keeps a container alive in which others serve.
 */
#include "collector/probe_serve.h"

#include "base/util.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { IDLE_S_MAX = 86400 };

static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* Until SIGTERM or SIGINT, also as process 1, for which the kernel's default is to ignore them; as
 * that it waits for what is orphaned in the container. seconds NULL: without an end. */
static int idle(const char *seconds)
{
	uint64_t left = seconds ? MIN(strtoul(seconds, NULL, 10), IDLE_S_MAX) : 0;
	uint64_t end = seconds ? now_ns() + left * NS_PER_S : UINT64_MAX;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (uint64_t now; (now = now_ns()) < end;) {
		uint64_t rest = MIN(end - now, IDLE_S_MAX * NS_PER_S);
		const struct timespec time = {.tv_sec = (time_t)(rest / NS_PER_S),
					      .tv_nsec = (long)(rest % NS_PER_S)};
		reap();
		int signal = sigtimedwait(&set, NULL, &time);
		if (signal == SIGTERM || signal == SIGINT) break;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "serve")) return probe_serve();
	if ((argc == 2 || argc == 3) && !strcmp(argv[1], "idle")) return idle(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts("podsnap-probe " PODSNAP_VERSION);
		return 0;
	}
	fputs("podsnap-probe is run by podsnap in a container. Usage: podsnap-probe serve\n",
	      stderr);
	return 2;
}
