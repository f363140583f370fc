/*
 * The first process of every pod on the test cluster: it holds the pod's namespaces and, where
 * they share the process namespace, reaps what is orphaned into it.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (;;) {
		if (sigwait(&set, &sig)) return EXIT_FAILURE;
		if (sig != SIGCHLD) return EXIT_SUCCESS;
		while (waitpid(-1, NULL, WNOHANG) > 0) {
		}
	}
}
