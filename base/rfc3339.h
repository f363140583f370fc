/* Points in time as text, RFC 3339; written always in UTC. */
#ifndef BASE_RFC3339_H
#define BASE_RFC3339_H

#include "base/util.h"

enum { RFC3339_SIZE = 21 };

/* "2026-01-02T03:04:05Z" with NUL. A time outside the years 0 to 9999, which the format cannot
 * say, becomes the nearest that it can. Returns ret. */
char *rfc3339_utc(time_t time, char ret[RFC3339_SIZE]);
/* The whole text; parts of a second are dropped. */
bool rfc3339_parse(const char *text, time_t *ret);

#endif
