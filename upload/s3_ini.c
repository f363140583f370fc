#include "upload/s3_ini.h"

#include <openssl/crypto.h>
#include <string.h>

struct ini_state {
	const char *file;
	unsigned long line;
	char section[256]; /* empty before the first */
	s3_ini_fn visit;
	void *ctx;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static char *trim(char *text)
{
	size_t len;

	while (is_space(*text))
		text++;
	len = strlen(text);
	while (len > 0 && is_space(text[len - 1]))
		text[--len] = '\0';
	return text;
}

static void cut_comment(char *value)
{
	for (char *p = value; *p; p++) {
		if ((*p != '#' && *p != ';') || (p > value && !is_space(p[-1]))) continue;
		*p = '\0';
		return;
	}
}

static int broken(const struct ini_state *s, const char *why, struct err *e)
{
	return err_set(e, ERR_CORRUPT, "%s:%lu: %s", s->file, s->line, why);
}

static int parse_section(struct ini_state *s, char *line, struct err *e)
{
	char *end = strchr(line, ']'), *from, *to = s->section;

	if (!end) return broken(s, "a section without its ]", e);
	*end = '\0';
	from = trim(line + 1);
	if (strlen(from) >= sizeof(s->section))
		return broken(s, "the section's name is too long", e);
	for (; *from; from++)
		if (!is_space(*from) || !is_space(from[1])) *to++ = is_space(*from) ? ' ' : *from;
	*to = '\0';
	return s->section[0] ? 0 : broken(s, "a section without a name", e);
}

static int parse_line(struct ini_state *s, char *line, struct err *e)
{
	bool indented = is_space(*line);
	char *equals, *key, *value;

	key = trim(line);
	if (*key == '\0' || *key == '#' || *key == ';' || (indented && s->section[0])) return 0;
	if (*key == '[') return parse_section(s, key, e);
	equals = strchr(key, '=');
	if (!equals) return broken(s, "neither a [section] nor a key = value", e);
	if (!s->section[0]) return broken(s, "a setting before the first [section]", e);
	*equals = '\0';
	value = equals + 1;
	cut_comment(value);
	key = trim(key);
	if (*key == '\0') return broken(s, "a value without a key", e);
	for (char *p = key; *p; p++)
		if (*p >= 'A' && *p <= 'Z') *p = (char)(*p - 'A' + 'a');
	return s->visit(s->ctx, s->section, key, trim(value), e);
}

int s3_ini_parse(const char *text, size_t len, const char *file, s3_ini_fn visit, void *ctx,
		 struct err *e)
{
	struct ini_state s = {.file = file, .visit = visit, .ctx = ctx};
	const char *p = text, *end = text + len;
	char line[S3_INI_LINE_MAX + 1];
	int r = 0;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) p += 3;
	while (p < end && r == 0) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((newline ? newline : end) - p);

		s.line++;
		if (n > S3_INI_LINE_MAX) {
			r = err_set(e, ERR_LIMIT, "%s:%lu: longer than %d bytes", file, s.line,
				    S3_INI_LINE_MAX);
			break;
		}
		if (memchr(p, '\0', n)) {
			r = broken(&s, "a NUL byte", e);
			break;
		}
		memcpy(line, p, n);
		line[n] = '\0';
		r = parse_line(&s, line, e);
		p = newline ? newline + 1 : end;
	}
	OPENSSL_cleanse(line, sizeof(line));
	return r;
}
