/* Texts to values: numbers, sizes, durations, switches, choices. */
#include "base/options_internal.h"
#include "base/suggest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Reads decimal digits at *p and moves it behind them; false without digits or past INT64_MAX. */
static bool read_digits(const char **p, uint64_t *ret, bool *ret_too_large)
{
	const char *start = *p;
	uint64_t value = 0;

	*ret_too_large = false;
	for (; **p >= '0' && **p <= '9'; (*p)++) {
		uint64_t digit = (uint64_t)(**p - '0');

		if (*ret_too_large) continue;
		if (mul_overflows(value, 10, &value) || add_overflows(value, digit, &value) ||
		    value > INT64_MAX)
			*ret_too_large = true;
	}
	*ret = value;
	return *p != start && !*ret_too_large;
}

int parse_int(const char *text, int64_t min, int64_t max, int64_t *ret, struct err *e)
{
	bool negative = text[0] == '-', too_large;
	const char *p = text + negative;
	uint64_t magnitude;
	int64_t value;
	bool ok = read_digits(&p, &magnitude, &too_large);

	if (*p || !(ok || too_large))
		return err_set(e, ERR_USAGE, "\"%.80s\" is not a whole number", text);
	/* INT64_MIN counts as too large, so that the negation is always defined. */
	if (too_large) magnitude = 0;
	value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
	if (too_large || value < min || value > max)
		return err_set(e, ERR_USAGE, "%.80s is not between %" PRId64 " and %" PRId64, text,
			       min, max);
	*ret = value;
	return 0;
}

enum { THOUSAND = 1000 };

/* K, Ki, KiB: the letter's place is its power of 1024. */
static const char size_units[] = "BKMGTPE";

/* The shift of a unit, or -1. */
static int size_shift(const char *unit)
{
	const char *at;
	char letter = unit[0];

	if (letter == '\0') return 0;
	if (letter >= 'a' && letter <= 'z') letter = (char)(letter - 'a' + 'A');
	at = strchr(size_units, letter);
	if (!at) return -1;
	if (unit[1] == '\0') return 10 * (int)(at - size_units);
	if (letter == 'B') return -1;
	if (strcmp(unit + 1, "i") != 0 && strcmp(unit + 1, "iB") != 0) return -1;
	return 10 * (int)(at - size_units);
}

int parse_size(const char *text, int64_t *ret_bytes, struct err *e)
{
	const char *p = text;
	bool too_large;
	uint64_t value;
	bool ok = read_digits(&p, &value, &too_large);
	int shift = size_shift(p);

	if (p == text || shift < 0)
		return err_set(e, ERR_USAGE,
			       "\"%.80s\" is not a size: write bytes, or 64K, 16MiB, 1G (powers "
			       "of two)",
			       text);
	if (!ok || value > (uint64_t)INT64_MAX >> shift)
		return err_set(e, ERR_USAGE, "%.80s is more bytes than a size can be", text);
	*ret_bytes = (int64_t)(value << shift);
	return 0;
}

static const struct {
	const char *name;
	uint64_t ns;
} duration_units[] = {
    /* A name that begins with another stands before it; of equals, errors print the last. */
    {"ns", 1},
    {"\xc2\xb5s", 1000}, /* the micro sign */
    {"us", 1000},
    {"ms", NS_PER_MS},
    {"s", NS_PER_S},
    {"m", (uint64_t)60 * NS_PER_S},
    {"h", (uint64_t)3600 * NS_PER_S},
};

/* Moves *p behind a unit; 0 if there is none. */
static uint64_t read_duration_unit(const char **p)
{
	for (size_t i = 0; i < ARRAY_SIZE(duration_units); i++) {
		size_t len = strlen(duration_units[i].name);

		if (strncmp(*p, duration_units[i].name, len) == 0) {
			*p += len;
			return duration_units[i].ns;
		}
	}
	return 0;
}

static int bad_duration(const char *text, struct err *e)
{
	if (text[0] && text[strspn(text, "0123456789.")] == '\0')
		return err_set(e, ERR_USAGE,
			       "%.80s has no unit: add ns, us, ms, s, m or h, as in 250ms", text);
	return err_set(e, ERR_USAGE,
		       "\"%.80s\" is not a duration: write a number and ns, us, ms, s, m or h, as "
		       "in 250ms or 1m30s",
		       text);
}

int parse_duration(const char *text, int64_t *ret_ns, struct err *e)
{
	const char *p = text;
	bool too_large = false, any_too_large = false;
	uint64_t total = 0;

	if (strcmp(text, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	do {
		uint64_t whole, unit, part;
		const char *fraction = NULL;

		if (!read_digits(&p, &whole, &too_large) && !too_large)
			return bad_duration(text, e);
		if (*p == '.') {
			fraction = ++p;
			p += strspn(p, "0123456789");
			if (p == fraction) return bad_duration(text, e);
		}
		unit = read_duration_unit(&p);
		if (!unit) return bad_duration(text, e);

		any_too_large |= too_large;
		if (mul_overflows(whole, unit, &part) || add_overflows(total, part, &total))
			any_too_large = true;
		/* What is finer than a nanosecond falls away. */
		for (part = unit / 10; fraction && *fraction >= '0' && *fraction <= '9'; part /= 10)
			if (add_overflows(total, (uint64_t)(*fraction++ - '0') * part, &total))
				any_too_large = true;
		if (total > INT64_MAX) any_too_large = true;
	} while (*p);

	if (any_too_large)
		return err_set(e, ERR_USAGE, "%.80s is longer than the 292 years a duration can be",
			       text);
	*ret_ns = (int64_t)total;
	return 0;
}

static int parse_bool(const char *text, int64_t *ret, struct err *e)
{
	static const char *const words[][2] = {
	    {"false", "true"}, {"0", "1"}, {"no", "yes"}, {"off", "on"}};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		for (int value = 0; value < 2; value++) {
			if (strcmp(text, words[i][value]) == 0) {
				*ret = value;
				return 0;
			}
		}
	}
	return err_set(e, ERR_USAGE, "\"%.80s\" is neither true nor false", text);
}

/* Kubernetes' quantities of CPU: 2, 0.5, 500m. */
int parse_cpus(const char *text, int64_t *ret_thousandths, struct err *e)
{
	const char *p = text;
	bool too_large;
	uint64_t whole, thousandths = 0;
	bool ok = read_digits(&p, &whole, &too_large);

	if (ok && *p == 'm') {
		thousandths = whole;
		whole = 0;
		p++;
	} else if (ok && *p == '.') {
		p++;
		ok = *p != '\0';
		for (uint64_t worth = THOUSAND / 10; *p >= '0' && *p <= '9'; worth /= 10)
			thousandths += worth * (uint64_t)(*p++ - '0');
	}
	if (!ok || *p || whole > INT64_MAX / THOUSAND - 1 || thousandths > INT64_MAX / 2)
		return err_set(e, ERR_USAGE, "\"%.80s\" is no number of CPUs: write 2, 0.5 or 500m",
			       text);
	*ret_thousandths = (int64_t)(whole * THOUSAND + thousandths);
	return 0;
}

static int check_choice(const char *choices, const char *text, struct err *e)
{
	_cleanup_free_ char *words = strdup(choices);
	struct suggestion near;
	char *rest = words, *word;

	if (!words) return err_set(e, ERR_NO_MEMORY, "no memory");
	suggest_init(&near, text, strlen(text));
	while ((word = strsep(&rest, "|"))) {
		if (strcmp(word, text) == 0) return 0;
		suggest_consider(&near, word);
	}
	if (near.best)
		return err_set(e, ERR_USAGE, "\"%.80s\" is not one of %s; did you mean \"%s\"?",
			       text, choices, near.best);
	return err_set(e, ERR_USAGE, "\"%.80s\" is not one of %s", text, choices);
}

/* A number in its option's unit, the way a user would write it: 64K, 250ms. */
static void format_number(enum option_type type, int64_t value, char ret[32])
{
	const char *unit = "";
	uint64_t per_unit = 1;

	if (type == OPTION_SIZE) {
		unit = "B";
		for (int i = 1; size_units[i] && value != 0; i++) {
			if (value % ((int64_t)1 << (10 * i)) != 0) break;
			per_unit = (uint64_t)1 << (10 * i);
			unit = &size_units[i];
		}
	} else if (type == OPTION_DURATION) {
		unit = duration_units[0].name;
		for (size_t i = 0; i < ARRAY_SIZE(duration_units) && value != 0; i++) {
			if (value % (int64_t)duration_units[i].ns != 0) continue;
			per_unit = duration_units[i].ns;
			unit = duration_units[i].name;
		}
	} else if (type == OPTION_CPUS && value % THOUSAND == 0) {
		per_unit = THOUSAND;
	} else if (type == OPTION_CPUS) {
		unit = "m";
	}
	snprintf(ret, 32, "%" PRId64 "%.*s", value / (int64_t)per_unit, type == OPTION_SIZE ? 1 : 2,
		 unit);
}

/* INT, SIZE, DURATION and CPUS. */
static int parse_number(const struct option_def *def, const char *text, int64_t *ret, struct err *e)
{
	int64_t min = def->min, max = def->max, value;
	char min_text[32], max_text[32];
	int r;

	if (min == 0 && max == 0) max = INT64_MAX;
	if (def->type == OPTION_INT) return parse_int(text, min, max, ret, e);
	r = def->type == OPTION_SIZE       ? parse_size(text, &value, e)
	    : def->type == OPTION_DURATION ? parse_duration(text, &value, e)
					   : parse_cpus(text, &value, e);
	if (r < 0) return r;
	if (value < min || value > max) {
		format_number(def->type, min, min_text);
		format_number(def->type, max, max_text);
		return err_set(e, ERR_USAGE, "%.80s is not between %s and %s", text, min_text,
			       max_text);
	}
	*ret = value;
	return 0;
}

int option_check_value(const struct option_def *def, const char *text, int64_t *ret, struct err *e)
{
	if (strlen(text) > OPTION_VALUE_MAX)
		return err_set(e, ERR_USAGE, "longer than %d bytes", OPTION_VALUE_MAX);
	switch (def->type) {
	case OPTION_BOOL:
		return parse_bool(text, ret, e);
	case OPTION_INT:
	case OPTION_SIZE:
	case OPTION_DURATION:
	case OPTION_CPUS:
		return parse_number(def, text, ret, e);
	case OPTION_ENUM:
		*ret = 0;
		return check_choice(def->choices, text, e);
	case OPTION_STRING:
	case OPTION_LIST:
		*ret = 0;
		return 0;
	}
	return err_set(e, ERR_INTERNAL, "an option of unknown type %d", (int)def->type);
}
