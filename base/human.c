#include "base/human.h"

#include <inttypes.h>
#include <stdio.h>

/* Tenths of value in units of per_unit, rounded to the nearest. */
static uint64_t tenths_of(uint64_t value, uint64_t per_unit)
{
	uint64_t whole = value / per_unit, rest = value % per_unit;

	/* rest < per_unit <= 1 EiB, so 10 * rest cannot overflow. */
	return whole * 10 + (rest * 10 + per_unit / 2) / per_unit;
}

char *human_size(uint64_t bytes, char ret[HUMAN_MAX])
{
	static const char letters[] = "KMGTPE";
	uint64_t per_unit = KIB, tenths;
	size_t i = 0;

	if (bytes < KIB) {
		snprintf(ret, HUMAN_MAX, "%u B", (unsigned)bytes);
		return ret;
	}
	/* 10235 tenths would print as 1023.5; what rounds to 1024 goes to the next unit. */
	while ((tenths = tenths_of(bytes, per_unit)) >= 10240 && i + 2 < sizeof(letters)) {
		per_unit <<= 10;
		i++;
	}
	snprintf(ret, HUMAN_MAX, "%u.%u %ciB", (unsigned)(tenths / 10) % 10000,
		 (unsigned)(tenths % 10), letters[i]);
	return ret;
}

char *human_duration(uint64_t ns, char ret[HUMAN_MAX])
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {{"us", 1000}, {"ms", NS_PER_MS}, {"s", NS_PER_S}};
	uint64_t seconds = ns / NS_PER_S + (ns % NS_PER_S >= NS_PER_S / 2);

	if (ns < 1000) {
		snprintf(ret, HUMAN_MAX, "%u ns", (unsigned)ns);
		return ret;
	}
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		uint64_t tenths = tenths_of(ns, units[i].ns);

		/* 1000 of a unit is one of the next; 60 s are a minute. */
		if (tenths >= (i == 2 ? 600u : 10000u)) continue;
		snprintf(ret, HUMAN_MAX, "%u.%u %s", (unsigned)(tenths / 10),
			 (unsigned)(tenths % 10), units[i].name);
		return ret;
	}
	if (seconds < 3600)
		snprintf(ret, HUMAN_MAX, "%um%02us", (unsigned)(seconds / 60),
			 (unsigned)(seconds % 60));
	else
		snprintf(ret, HUMAN_MAX, "%" PRIu64 "h%02um", seconds / 3600,
			 (unsigned)(seconds % 3600 / 60));
	return ret;
}
