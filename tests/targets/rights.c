/*
 * rights [--uid N] [--dumpable 0|1]: becomes that user, says whether others of its user may look at
 * it, and sleeps. Prints "ready".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		unsigned long value = strtoul(argv[i + 1], NULL, 10);
		int r = strcmp(argv[i], "--uid") == 0 ? setgid((gid_t)value) || setuid((uid_t)value)
						      : prctl(PR_SET_DUMPABLE, value, 0, 0, 0);
		if (r != 0) {
			perror(argv[i]);
			return 1;
		}
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
