/* `stacks --async`: what no thread's stack has of a .NET process. */
#ifndef COLLECTOR_MANAGED_ASYNC_H
#define COLLECTOR_MANAGED_ASYNC_H

#include "collector/command.h"

/* Opens the source that the call names and prints the answer on stdout: see managed_run. */
int managed_async(struct command_call *call, struct err *e);

#endif
