/*
 * Options from one table: flag, environment variable, configuration key, type, range, default,
 * help. Precedence: flag (or the probe's request), environment, file, default. An unknown flag or
 * key is an error. `podsnap config show`, --help, the man page and completion print the same table.
 */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include "base/buf.h"

enum option_type {
	OPTION_BOOL,     /* --x, --no-x, --x=true|false */
	OPTION_INT,      /* decimal, min..max */
	OPTION_SIZE,     /* bytes: 64K, 16MiB, 1G (powers of two); min..max in bytes */
	OPTION_DURATION, /* 250ms, 2s, 5m, 1h, 0; kept in nanoseconds; min..max in nanoseconds */
	OPTION_CPUS,     /* 2, 0.5, 500m; kept in thousandths of a CPU; min..max in those */
	OPTION_STRING,
	OPTION_ENUM, /* one of choices, "a|b|c" */
	OPTION_LIST, /* a string that may be given several times; env and file: comma-separated */
};

struct option_def {
	const char *name; /* long flag without dashes; also the key in a request */
	char short_name;  /* 0 if none */
	const char *env;  /* environment variable, NULL if none */
	const char *key;  /* dotted key in the configuration file, NULL if none */
	enum option_type type;
	int64_t min, max;    /* for INT, SIZE, DURATION, CPUS; both 0: any non-negative value */
	const char *choices; /* ENUM */
	const char *def;     /* default as text, NULL: unset */
	const char *metavar; /* "FILE" in help; NULL: from the type */
	const char *help;    /* one sentence, no full stop */
	uint32_t verbs; /* bit set of verbs that take it; 0 = all; the meaning is the caller's */
};

enum option_origin { ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENV, ORIGIN_FLAG, ORIGIN_REQUEST };

struct options; /* values of one table */

/* defs stay borrowed; ids are indexes into it. */
int options_new(struct options **ret, const struct option_def *defs, size_t count, struct err *e);
void options_free(struct options *o);
static inline void options_free_ptr(struct options **o)
{
	options_free(*o);
}
#define _cleanup_options_ _cleanup_(options_free_ptr)

/*
 * argv[0] is the first argument, not the program. Parses flags wherever they stand (GNU style:
 * --x=v, --x v, -xv, -x v, bundled bools, "--" ends). Operands go to *ret_operands (borrowed from
 * argv; the array is owned by o), in order. Options whose verbs lack verb_bit are refused by name.
 * -ERR_USAGE names the flag and, for a near miss, the one that was probably meant.
 */
int options_parse_args(struct options *o, int argc, char **argv, uint32_t verb_bit,
		       const char *const **ret_operands, size_t *ret_count, struct err *e);
/* Reads every def's environment variable that is set and not empty. */
int options_parse_env(struct options *o, struct err *e);
/* One key of the configuration file; where ("FILE:LINE") goes into errors and into `config show`.
 */
int options_set_key(struct options *o, const char *key, const char *value, const char *where,
		    struct err *e);
/* A request: name=value records, each ended by NUL. */
int options_parse_request(struct options *o, const void *data, size_t len, struct err *e);
/* The reverse: appends every set (non-default) option among ids as name=value NUL. */
int options_write_request(const struct options *o, const size_t *ids, size_t count, struct buf *ret,
			  struct err *e);
/* Sets a value as text with an origin (a lower origin never replaces a higher one, but its value is
 * checked all the same). Items of a LIST from one origin add up; another origin starts anew. where
 * (may be NULL, copied) is what option_show says instead of the origin's name. */
int options_set(struct options *o, size_t id, const char *value, enum option_origin origin,
		const char *where, struct err *e);

bool option_bool(const struct options *o, size_t id);
/* INT, SIZE (bytes), DURATION (ns), CPUS (thousandths); BOOL: how often it was switched on (-vv is
 * 2). 0 if unset. */
int64_t option_int(const struct options *o, size_t id);
const char *option_string(const struct options *o, size_t id); /* STRING, ENUM; NULL if unset */
size_t option_list_count(const struct options *o, size_t id);
const char *option_list_at(const struct options *o, size_t id, size_t index);
bool option_is_set(const struct options *o, size_t id); /* origin above default */
enum option_origin option_origin(const struct options *o, size_t id);
/* The value as text ("" if unset) and where it came from ("default", "FILE:3", "PODSNAP_X",
 * "flag"). */
void option_show(const struct options *o, size_t id, struct buf *ret_value, struct buf *ret_where);
size_t options_count(const struct options *o);
const struct option_def *options_def(const struct options *o, size_t id);

/* The help lines of all options that verb_bit takes, wrapped at 100 columns. */
int options_help(const struct option_def *defs, size_t count, uint32_t verb_bit, struct buf *ret,
		 struct err *e);

/* The parsers on their own. Whole text or -ERR_USAGE. */
int parse_size(const char *text, int64_t *ret_bytes, struct err *e);
int parse_duration(const char *text, int64_t *ret_ns, struct err *e);
int parse_cpus(const char *text, int64_t *ret_thousandths, struct err *e);
int parse_int(const char *text, int64_t min, int64_t max, int64_t *ret, struct err *e);

#endif
