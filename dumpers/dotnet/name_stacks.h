/* Managed threads and methods in the report of all stacks. */
#ifndef DUMPERS_DOTNET_NAME_STACKS_H
#define DUMPERS_DOTNET_NAME_STACKS_H

#include "dumpers/dotnet/dotnet.h"
#include "dumpers/stack/stacks.h"

/*
 * Adds what the runtime knows to a report of the same snapshot. Where the DAC fails, what it had
 * said until then stays, and stacks->unnamed says why there is no more. -ERR_NO_MEMORY.
 */
int dotnet_name_stacks(struct dotnet *d, struct stacks *stacks, struct err *e);

#endif
