#include "base/rfc3339.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* 0000-01-01T00:00:00Z and 9999-12-31T23:59:59Z in seconds since 1970. */
#define FIRST_SECOND (-62167219200LL)
#define LAST_SECOND 253402300799LL

char *rfc3339_utc(time_t time, char ret[RFC3339_SIZE])
{
	time_t clamped = (time_t)MAX(FIRST_SECOND, MIN(LAST_SECOND, (long long)time));
	struct tm tm;

	gmtime_r(&clamped, &tm);
	/* The clamp makes every field fit; the remainders tell the compiler. */
	snprintf(ret, RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02uZ",
		 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
		 (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
		 (unsigned)tm.tm_sec % 100);
	return ret;
}

/* Does text begin as the pattern does, where 0 stands for any digit? */
static bool looks_like(const char *text, const char *pattern)
{
	for (; *pattern; text++, pattern++)
		if (*pattern == '0' ? !isdigit((unsigned char)*text) : *text != *pattern)
			return false;
	return true;
}

static int two_digits(const char *text)
{
	return (text[0] - '0') * 10 + text[1] - '0';
}

bool rfc3339_parse(const char *text, time_t *ret)
{
	struct tm tm = {0};
	time_t offset_s = 0;

	if (!looks_like(text, "0000-00-00T00:00:00")) return false;
	tm.tm_year = two_digits(text) * 100 + two_digits(text + 2) - 1900;
	tm.tm_mon = two_digits(text + 5) - 1;
	tm.tm_mday = two_digits(text + 8);
	tm.tm_hour = two_digits(text + 11);
	tm.tm_min = two_digits(text + 14);
	tm.tm_sec = two_digits(text + 17);
	text += 19;
	if (tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
	    tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	if (looks_like(text, ".0")) text += 1 + strspn(text + 1, "0123456789");
	if (looks_like(text, "+00:00") || looks_like(text, "-00:00")) {
		offset_s = two_digits(text + 1) * 3600 + two_digits(text + 4) * 60;
		if (*text == '-') offset_s = -offset_s;
		text += 6;
	} else if (*text++ != 'Z') {
		return false;
	}
	if (*text) return false;
	*ret = timegm(&tm) - offset_s;
	return true;
}
