/* Command line and environment of a process: /proc/PID/cmdline and environ (proc(5)), NUL-separated
 * strings that the process may have overwritten with anything. */
#ifndef DUMPERS_PROC_CMDLINE_H
#define DUMPERS_PROC_CMDLINE_H

#include "dumpers/proc/process.h"

enum {
	CMDLINE_TEXT_MAX = 4 << 20, /* the kernel allows 6 MiB with the environment */
	CMDLINE_COUNT_MAX = 4096,
};

struct string_list {
	char **v; /* owned, count of them, each NUL-terminated */
	size_t count;
	bool cut; /* there were more than CMDLINE_COUNT_MAX */
	char *storage;
};
void string_list_done(struct string_list *list);
#define _cleanup_string_list_ _cleanup_(string_list_done)

/* Splits at NULs; the last may lack one. Empty strings at the end are dropped: a process that wrote
 * a title over its arguments (setproctitle) leaves NULs behind it. With redact the values that look
 * like secrets are masked:
 * "--password=x", "-Dtoken=x", "--token" "x", URLs with user:password@. */
int cmdline_split(const char *text, size_t len, bool redact, struct string_list *ret,
		  struct err *e);
/* NAME=value strings, secret values masked unless show_secrets; what is no NAME=value is dropped.
 */
int environ_split(const char *text, size_t len, bool show_secrets, struct string_list *ret,
		  struct err *e);
/* One line for people: blanks between, arguments with blanks or quotes in '...' (not a lone one,
 * which is a title), control bytes as '?'. At most max_bytes (0: no limit); what is longer ends in
 * "...". */
int cmdline_join(const struct string_list *argv, size_t max_bytes, struct buf *ret, struct err *e);

/* A kernel thread and a zombie have none: count 0. */
int process_cmdline(const struct process *p, bool redact, struct string_list *ret, struct err *e);
int process_environ(const struct process *p, bool show_secrets, struct string_list *ret,
		    struct err *e);

#endif
