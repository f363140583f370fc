#include "dumpers/proc/scan.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool scan_line(struct scan *s, struct scan *ret_line)
{
	const char *newline;

	if (s->at == s->end) return false;
	newline = memchr(s->at, '\n', scan_left(s));
	ret_line->at = s->at;
	ret_line->end = newline ? newline : s->end;
	s->at = newline ? newline + 1 : s->end;
	return true;
}

void scan_blanks(struct scan *s)
{
	while (s->at < s->end && is_blank(*s->at))
		s->at++;
}

bool scan_field(struct scan *s, struct scan *ret_field)
{
	struct scan rest = *s;

	scan_blanks(&rest);
	if (rest.at == rest.end) return false;
	ret_field->at = rest.at;
	while (rest.at < rest.end && !is_blank(*rest.at))
		rest.at++;
	ret_field->end = rest.at;
	*s = rest;
	return true;
}

bool scan_until(struct scan *s, char c, struct scan *ret)
{
	const char *found = s->at == s->end ? NULL : memchr(s->at, c, scan_left(s));

	if (!found) return false;
	ret->at = s->at;
	ret->end = found;
	s->at = found + 1;
	return true;
}

bool scan_literal(struct scan *s, const char *literal)
{
	size_t len = strlen(literal);

	if (scan_left(s) < len || memcmp(s->at, literal, len) != 0) return false;
	s->at += len;
	return true;
}

bool scan_char(struct scan *s, char c)
{
	if (s->at == s->end || *s->at != c) return false;
	s->at++;
	return true;
}

static unsigned digit_of(char c)
{
	if (c >= '0' && c <= '9') return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f') return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F') return (unsigned)(c - 'A') + 10;
	return UINT32_MAX;
}

bool scan_u64(struct scan *s, unsigned base, uint64_t *ret)
{
	const char *p = s->at;
	uint64_t value = 0;

	for (; p < s->end && digit_of(*p) < base; p++) {
		if (mul_overflows(value, base, &value) ||
		    add_overflows(value, digit_of(*p), &value))
			return false;
	}
	if (p == s->at) return false;
	s->at = p;
	*ret = value;
	return true;
}

bool scan_u32(struct scan *s, unsigned base, uint32_t *ret)
{
	struct scan rest = *s;
	uint64_t value;

	if (!scan_u64(&rest, base, &value) || value > UINT32_MAX) return false;
	*s = rest;
	*ret = (uint32_t)value;
	return true;
}

bool scan_i64(struct scan *s, int64_t *ret)
{
	struct scan rest = *s;
	bool negative = scan_char(&rest, '-');
	uint64_t value;

	if (!scan_u64(&rest, 10, &value) || value > INT64_MAX) return false;
	*s = rest;
	*ret = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

bool scan_equals(const struct scan *s, const char *text)
{
	return scan_left(s) == strlen(text) && memcmp(s->at, text, scan_left(s)) == 0;
}

void scan_copy(const struct scan *s, char *ret, size_t ret_size)
{
	size_t len = MIN(scan_left(s), ret_size - 1);

	memcpy(ret, s->at, len);
	ret[len] = '\0';
}
