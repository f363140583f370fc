#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Longer lines are cut; an err text and its context fit. */
enum { LINE_MAX_BYTES = 2048, PREFIX_MAX_BYTES = 64 };

static atomic_int current_level = LOG_INFO;
static log_sink_fn current_sink;
static void *current_sink_ctx;

void log_set_level(enum log_level level)
{
	atomic_store(&current_level, (int)level);
}

enum log_level log_get_level(void)
{
	return (enum log_level)atomic_load(&current_level);
}

void log_set_sink(log_sink_fn sink, void *ctx)
{
	current_sink = sink;
	current_sink_ctx = ctx;
}

/* Replaces C0 controls, DEL and the UTF-8 form of C1 controls (CSI is one): a terminal obeys them,
 * and the text may come from a hostile target. */
static void sanitize(char *text)
{
	unsigned char *p = (unsigned char *)text;

	for (; *p; p++) {
		if (*p < 0x20 || *p == 0x7f) *p = '?';
		if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) p[0] = p[1] = '?';
	}
}

static bool want_colour(void)
{
	const char *no_color = getenv("NO_COLOR");

	return !(no_color && *no_color) && isatty(STDERR_FILENO);
}

/* What stands before a line of that level; LOG_WARN and LOG_ERROR are coloured on a terminal. */
static size_t write_prefix(char ret[PREFIX_MAX_BYTES], enum log_level level)
{
	const char *word = level == LOG_ERROR ? "error:" : level == LOG_WARN ? "warning:" : "";
	const char *on = level == LOG_ERROR ? "\033[1;31m" : "\033[1;33m";
	int n;

	if (!*word)
		n = snprintf(ret, PREFIX_MAX_BYTES, "podsnap: ");
	else if (want_colour())
		n = snprintf(ret, PREFIX_MAX_BYTES, "podsnap: %s%s\033[0m ", on, word);
	else
		n = snprintf(ret, PREFIX_MAX_BYTES, "podsnap: %s ", word);
	return (size_t)n;
}

/* text is clean; one write(2), so that lines of several threads do not mix. */
static void emit_stderr(const char *prefix, size_t prefix_len, const char *text)
{
	char line[PREFIX_MAX_BYTES + LINE_MAX_BYTES + 1];
	size_t len = strlen(text);
	ssize_t n;

	memcpy(line, prefix, prefix_len);
	memcpy(line + prefix_len, text, len);
	line[prefix_len + len] = '\n';
	do {
		n = write(STDERR_FILENO, line, prefix_len + len + 1);
	} while (n < 0 && errno == EINTR);
}

static void emit(enum log_level level, bool with_prefix, char *text)
{
	char prefix[PREFIX_MAX_BYTES] = "";
	size_t prefix_len;

	sanitize(text);
	if (current_sink) {
		current_sink(current_sink_ctx, level, text);
	} else {
		prefix_len = with_prefix ? write_prefix(prefix, level) : 0;
		emit_stderr(prefix, prefix_len, text);
	}
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	int saved = errno;
	va_list ap;

	if ((int)level > atomic_load(&current_level)) return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	emit(level, true, text);
	errno = saved;
}

static void say_with_advice(enum log_level level, const struct err *e)
{
	const char *advice = err_advice(e);
	char text[LINE_MAX_BYTES];
	int saved = errno;

	log_line(level, "%s", e->text[0] ? e->text : err_info(e->code)->name);
	if (advice && log_get_level() >= level) {
		/* No prefix: a command or a YAML rule is there to be copied. */
		while (*advice) {
			size_t len = strcspn(advice, "\n");

			snprintf(text, sizeof(text), "  %.*s", (int)len, advice);
			emit(level, false, text);
			advice += len;
			if (*advice == '\n') advice++;
		}
	}
	errno = saved;
}

void log_err(const struct err *e)
{
	say_with_advice(LOG_ERROR, e);
}

void log_warn_err(const struct err *e)
{
	say_with_advice(LOG_WARN, e);
}
