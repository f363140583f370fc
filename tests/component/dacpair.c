/* Does a data-access library belong to a runtime? dacpair RUNTIME LIBRARY: exit status 0 if it
 * does, else 1 and why on stdout. */
#include "dumpers/runtime/dotnet_dac.h"

#include <stdio.h>

int main(int argc, char *argv[])
{
	_cleanup_blob_ struct blob *runtime = NULL, *dac = NULL;
	struct err e = {0};
	int r = argc == 3 ? 0 : err_set(&e, ERR_USAGE, "usage: dacpair RUNTIME LIBRARY");

	if (!r) r = blob_open_file(argv[1], &runtime, &e);
	if (!r) r = blob_open_file(argv[2], &dac, &e);
	if (!r) r = dotnet_dac_check(runtime, dac, &e);
	if (r) printf("%s\n", e.text);
	return r ? 1 : 0;
}
