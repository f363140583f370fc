/* The process list for people and for programs. */
#ifndef DUMPERS_RUNTIME_PS_H
#define DUMPERS_RUNTIME_PS_H

#include "dumpers/runtime/list.h"

enum { PS_COMMAND_MAX = 80 }; /* bytes of a command that the narrow table shows */

/*
 * Appends a table as kubectl prints them: PID PPID UID THREADS RSS RUNTIME CAPTURE COMMAND, columns
 * two blanks apart. CAPTURE is "yes" or "no (BLOCKER)". wide adds EVIDENCE, CONTAINER and STARTED
 * before the command, shows it whole, and prints below the table why processes cannot be captured.
 */
int ps_print_text(const struct process_list *list, bool wide, struct buf *ret, struct err *e);
/* Appends one document, schema "podsnap.ps/1". */
int ps_print_json(const struct process_list *list, struct buf *ret, struct err *e);

#endif
