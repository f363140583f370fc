/* Shared by the options_*.c files; nobody else includes it. */
#ifndef BASE_OPTIONS_INTERNAL_H
#define BASE_OPTIONS_INTERNAL_H

#include "base/options.h"

/* Caps on what a command line, a file or a request may hand in. */
enum { OPTION_VALUE_MAX = 32 << 10, OPTION_ITEMS_MAX = 4096 };

struct option_value {
	enum option_origin origin;
	char *text;     /* owned; NULL: unset, or a LIST */
	int64_t number; /* INT, SIZE, DURATION; BOOL: how often it was switched on */
	char **items;   /* LIST; owned */
	size_t item_count;
	char *where; /* owned; NULL: follows from the origin */
};

struct options {
	const struct option_def *defs; /* borrowed */
	size_t count;
	struct option_value *values; /* count of them, owned */
	const char **operands;       /* owned array of borrowed strings */
};

static inline bool option_takes_verb(const struct option_def *def, uint32_t verb_bit)
{
	return def->verbs == 0 || (def->verbs & verb_bit) != 0;
}

/* The metavar in help and errors; never NULL, empty for a BOOL. */
const char *option_metavar(const struct option_def *def);

/*
 * Is text a value of def? Its number (BOOL: 0 or 1) goes to *ret; 0 for texts. -ERR_USAGE with the
 * reason alone: the caller puts the flag, variable or line before it.
 */
int option_check_value(const struct option_def *def, const char *text, int64_t *ret, struct err *e);

#endif
