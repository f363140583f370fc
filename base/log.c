#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Longer lines are cut; an err text and its context fit. */
enum { LINE_MAX_BYTES = 2048, SUBJECT_MAX_BYTES = 600, PREFIX_MAX_BYTES = SUBJECT_MAX_BYTES + 64 };

static atomic_int current_level = LOG_INFO;
static log_sink_fn current_sink;
static void *current_sink_ctx;
static _Thread_local char subject[SUBJECT_MAX_BYTES];

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

void log_set_subject(const char *text)
{
	snprintf(subject, sizeof(subject), "%s", text ? text : "");
}

/* Replaces C0 controls, DEL and the UTF-8 form of C1 controls (CSI is one): a terminal obeys them,
 * and the text may come from a hostile target. */
void log_sanitize(char *text)
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
	const char *colon = *subject ? ": " : "";
	int n;

	if (!*word)
		n = snprintf(ret, PREFIX_MAX_BYTES, "podsnap: %s%s", subject, colon);
	else if (want_colour())
		n = snprintf(ret, PREFIX_MAX_BYTES, "podsnap: %s%s\033[0m %s%s", on, word, subject,
			     colon);
	else
		n = snprintf(ret, PREFIX_MAX_BYTES, "podsnap: %s %s%s", word, subject, colon);
	return (size_t)n;
}

/* Lines are clean; one write(2), so that those of several threads do not mix. */
static void write_stderr(const char *lines, size_t len)
{
	ssize_t n;

	do {
		n = write(STDERR_FILENO, lines, len);
	} while (n < 0 && errno == EINTR);
}

static void emit(enum log_level level, char *text)
{
	char line[PREFIX_MAX_BYTES + LINE_MAX_BYTES + 1];
	size_t prefix_len, len = strlen(text);

	log_sanitize(text);
	if (current_sink) {
		current_sink(current_sink_ctx, level, text);
		return;
	}
	prefix_len = write_prefix(line, level);
	memcpy(line + prefix_len, text, len);
	line[prefix_len + len] = '\n';
	write_stderr(line, prefix_len + len + 1);
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
	emit(level, text);
	errno = saved;
}

/* The next line of an advice, indented and without a prefix: a command or a YAML rule is there to
 * be copied. Returns where the one after it begins. */
static const char *advice_line(const char *advice, char ret[LINE_MAX_BYTES])
{
	size_t len = strcspn(advice, "\n");

	snprintf(ret, LINE_MAX_BYTES, "  %.*s", (int)len, advice);
	log_sanitize(ret);
	return advice + len + (advice[len] == '\n');
}

static void say_with_advice(enum log_level level, const struct err *e)
{
	const char *text = e->text[0] ? e->text : err_info(e->code)->name;
	const char *advice = err_advice(e);
	char line[LINE_MAX_BYTES], all[PREFIX_MAX_BYTES + ERR_TEXT_MAX + 4 * ERR_HINT_MAX];
	size_t len;
	int saved = errno;

	if (log_get_level() < level) return;
	if (!advice) advice = "";
	if (current_sink) {
		log_line(level, "%s", text);
		while (*advice) {
			advice = advice_line(advice, line);
			current_sink(current_sink_ctx, level, line);
		}
		errno = saved;
		return;
	}
	snprintf(line, sizeof(line), "%s", text);
	log_sanitize(line);
	len = write_prefix(all, level);
	len += (size_t)snprintf(all + len, sizeof(all) - len, "%s\n", line);
	while (*advice) {
		advice = advice_line(advice, line);
		len += (size_t)snprintf(all + len, sizeof(all) - len, "%s\n", line);
		if (len >= sizeof(all)) len = sizeof(all) - 1;
	}
	write_stderr(all, len);
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
