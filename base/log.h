/*
 * Messages for people, on stderr (stdout is the result). Never log a secret.
 * Levels: error and warn always (warn not with -q), info by default, debug with -v, trace with -vv.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

/* Where the text of a line (no prefix, no newline) goes instead of stderr; the probe sends it over
 * the wire. Called by whichever thread logs; it must not log itself. */
typedef void (*log_sink_fn)(void *ctx, enum log_level level, const char *line);

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* NULL sink restores stderr. Not thread-safe: call it before threads start. */
void log_set_sink(log_sink_fn sink, void *ctx);
/* What the lines of this thread are about, "web-1": stands before their text on stderr. Copied, at
 * most 599 bytes; NULL: nothing. */
void log_set_subject(const char *text);
/* Thread-safe; a line is written by one write(2); control bytes of the text become '?'.
 * At most 2047 bytes of text. errno is kept. */
void log_line(enum log_level level, const char *fmt, ...) _printf_(2, 3);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_trace(...) log_line(LOG_TRACE, __VA_ARGS__)

/* Makes a text harmless to a terminal, as it is done to every line: control bytes become '?'. */
void log_sanitize(char *text);

/* "podsnap: error: TEXT" and, below it, the advice line by line. */
void log_err(const struct err *e);
/* The same as a warning: it did not end what was done. */
void log_warn_err(const struct err *e);

#endif
