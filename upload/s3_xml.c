#include "upload/s3_xml.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	char c;
} entities[] = {{"&amp;", '&'},   {"&lt;", '<'},  {"&gt;", '>'},  {"&quot;", '"'},
		{"&apos;", '\''}, {"&#34;", '"'}, {"&#39;", '\''}};

/* Where the content of the first <element> begins, NULL if there is none. */
static const char *find_content(const char *p, const char *end, const char *element)
{
	size_t len = strlen(element);

	while ((p = memchr(p, '<', (size_t)(end - p)))) {
		const char *close;

		p++;
		if ((size_t)(end - p) <= len || memcmp(p, element, len) != 0) continue;
		if (p[len] == '>') return p + len + 1;
		if (p[len] != ' ') continue;
		close = memchr(p, '>', (size_t)(end - p));
		return close && close[-1] != '/' ? close + 1 : NULL;
	}
	return NULL;
}

/* The character at *p, which moves behind it. */
static char decode(const char **p, const char *end)
{
	char c = **p;

	if (c == '&')
		for (size_t i = 0; i < ARRAY_SIZE(entities); i++) {
			size_t n = strlen(entities[i].name);

			if ((size_t)(end - *p) < n || memcmp(*p, entities[i].name, n) != 0)
				continue;
			*p += n;
			return entities[i].c;
		}
	(*p)++;
	return (unsigned char)c < ' ' || c == 0x7f ? '?' : c;
}

bool s3_xml_text(const char *xml, size_t len, const char *element, char *ret, size_t size)
{
	const char *end = xml + len, *p = len > 0 ? find_content(xml, end, element) : NULL;
	const char *stop = p ? memchr(p, '<', (size_t)(end - p)) : NULL;
	size_t n = 0;

	ret[0] = '\0';
	if (!stop) return false;
	while (p < stop && n + 1 < size)
		ret[n++] = decode(&p, stop);
	ret[n] = '\0';
	return p == stop;
}

int s3_xml_escape(const char *text, struct buf *ret, struct err *e)
{
	for (const char *p = text; *p; p++) {
		const char *entity = NULL;
		int r;

		for (size_t i = 0; i < 4 && !entity; i++)
			if (*p == entities[i].c) entity = entities[i].name;
		r = entity ? buf_puts(ret, entity, e) : buf_append(ret, p, 1, e);
		if (r < 0) return r;
	}
	return 0;
}
