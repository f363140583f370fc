/* The program file of a process, through /proc/PID/exe: the very file, also when it was deleted or
 * lies in a root of its own. */
#ifndef DUMPERS_PROC_EXE_H
#define DUMPERS_PROC_EXE_H

#include "dumpers/proc/elf_id.h"
#include "dumpers/proc/process.h"

/* *ret is a new reference. -ERR_PERMISSION without the right to trace the process,
 * -ERR_NOT_FOUND for a kernel thread or zombie. */
int process_open_exe(const struct process *p, struct blob **ret, struct err *e);
/* Errors of both. */
int process_exe_id(const struct process *p, struct elf_id *ret, struct err *e);

#endif
