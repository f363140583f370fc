#include "base/rfc3339.h"

#include <stdio.h>

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
