/* Names of the capabilities of linux/capability.h (capabilities(7)). */
#ifndef DUMPERS_PROC_CAPABILITY_H
#define DUMPERS_PROC_CAPABILITY_H

#include "base/buf.h"

enum { CAPABILITY_MAX = 64, CAPABILITY_SYS_PTRACE = 19 };

/* "SYS_PTRACE" for 19, as Kubernetes writes it; NULL for a number we do not know. */
const char *capability_name(unsigned number);
/* Appends "CHOWN, KILL, #45" for a set. */
int capability_list(uint64_t set, struct buf *ret, struct err *e);

#endif
