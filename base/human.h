/* Sizes and durations for people: three digits or so and a unit. Not for programs to read. */
#ifndef BASE_HUMAN_H
#define BASE_HUMAN_H

#include "base/util.h"

enum { HUMAN_MAX = 16 };

/* "0 B", "1023 B", "1.5 GiB"; powers of two, up to EiB. Returns ret. */
char *human_size(uint64_t bytes, char ret[HUMAN_MAX]);
/* "0 ns", "12.3 ms", "45.6 s", "2m05s", "3h07m", "49h00m". Returns ret. */
char *human_duration(uint64_t ns, char ret[HUMAN_MAX]);

#endif
