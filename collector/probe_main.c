/*
 * podsnap-probe: what runs beside the target. `podsnap-probe serve` speaks the wire on stdin and
 * stdout. It unlinks its own file at once, keeps descriptors 0 and 1 open until it ends, and ends
 * by itself when the client is gone: stdin ends, or nothing comes for a while.
 */
#include "collector/probe_serve.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "serve")) return probe_serve();
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts("podsnap-probe " PODSNAP_VERSION);
		return 0;
	}
	fputs("podsnap-probe is run by podsnap in a container. Usage: podsnap-probe serve\n",
	      stderr);
	return 2;
}
