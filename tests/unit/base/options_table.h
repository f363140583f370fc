/* The option table that the tests of options share. */
#ifndef TESTS_UNIT_BASE_OPTIONS_TABLE_H
#define TESTS_UNIT_BASE_OPTIONS_TABLE_H

#include "base/options.h"
#include "tests/unit/base/unit.h"

enum { VERB_CAPTURE = 1, VERB_SHOW = 2 };

enum {
	OPT_OUTPUT,
	OPT_FORMAT,
	OPT_FORCE,
	OPT_VERBOSE,
	OPT_COMPRESS,
	OPT_THREADS,
	OPT_BWLIMIT,
	OPT_MAX_PAUSE,
	OPT_CONTAINER,
	OPT_MODE,
	OPT_LABEL,
	OPT_COUNT,
};

static const struct option_def table[OPT_COUNT] = {
    [OPT_OUTPUT] = {.name = "output",
		    .short_name = 'o',
		    .env = "PODSNAP_OUTPUT",
		    .key = "capture.output",
		    .type = OPTION_STRING,
		    .def = ".",
		    .metavar = "DEST",
		    .help = "where the bundle goes",
		    .verbs = VERB_CAPTURE},
    [OPT_FORMAT] = {.name = "format",
		    .short_name = 'o',
		    .type = OPTION_ENUM,
		    .choices = "text|json",
		    .help = "how the answer is printed",
		    .verbs = VERB_SHOW},
    [OPT_FORCE] = {.name = "force",
		   .short_name = 'f',
		   .type = OPTION_BOOL,
		   .help = "overwrite what exists"},
    [OPT_VERBOSE] = {.name = "verbose",
		     .short_name = 'v',
		     .env = "PODSNAP_VERBOSE",
		     .type = OPTION_BOOL,
		     .help = "say more; twice: say all"},
    [OPT_COMPRESS] = {.name = "compress",
		      .key = "capture.compress",
		      .type = OPTION_BOOL,
		      .def = "true",
		      .help = "compress the bundle"},
    [OPT_THREADS] = {.name = "threads",
		     .short_name = 'T',
		     .env = "PODSNAP_THREADS",
		     .key = "capture.threads",
		     .type = OPTION_INT,
		     .min = 1,
		     .max = 64,
		     .def = "2",
		     .help = "threads that compress"},
    [OPT_BWLIMIT] = {.name = "bwlimit",
		     .type = OPTION_SIZE,
		     .min = 1 << 16,
		     .max = 1 << 30,
		     .help = "bytes a second at most"},
    [OPT_MAX_PAUSE] = {.name = "max-pause",
		       .env = "PODSNAP_MAX_PAUSE",
		       .key = "capture.max-pause",
		       .type = OPTION_DURATION,
		       .min = 1000000,
		       .max = 90000000000,
		       .def = "2s",
		       .help = "how long the target may stand still before it is let go and the "
			       "rest is read while it runs"},
    [OPT_CONTAINER] = {.name = "container",
		       .short_name = 'c',
		       .type = OPTION_STRING,
		       .metavar = "NAME",
		       .help = "the container of the pod"},
    [OPT_MODE] = {.name = "mode",
		  .env = "PODSNAP_MODE",
		  .type = OPTION_ENUM,
		  .choices = "auto|cow|stop",
		  .def = "auto",
		  .help = "how memory is read"},
    [OPT_LABEL] = {.name = "label",
		   .short_name = 'l',
		   .env = "PODSNAP_LABELS",
		   .key = "labels",
		   .type = OPTION_LIST,
		   .metavar = "KEY=VALUE",
		   .help = "a label for the bundle"},
};

/* A fresh set of values of the table. */
static inline struct options *new_options(void)
{
	struct options *o = NULL;
	struct err e = {0};

	if (options_new(&o, table, OPT_COUNT, &e) != 0) fail_msg("%s", e.text);
	return o;
}

/* argv as main gets it, of literals that nobody writes to. */
#define ARGS(...) ((char **)(const char *[]){__VA_ARGS__, NULL})

static inline int count_args(char **argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	return argc;
}

/* Parses for the capture verb; operands are dropped. */
static inline int parse(struct options *o, char **argv, struct err *e)
{
	const char *const *operands;
	size_t count;

	return options_parse_args(o, count_args(argv), argv, VERB_CAPTURE, &operands, &count, e);
}

#define ASSERT_PARSES(o, ...)                                                                      \
	do {                                                                                       \
		struct err e_ = {0};                                                               \
		if (parse(o, ARGS(__VA_ARGS__), &e_) != 0) fail_msg("%s", e_.text);                \
	} while (0)

/* Refused as wrong usage with exactly that text. */
#define ASSERT_REFUSED(expected, ...)                                                              \
	do {                                                                                       \
		_cleanup_options_ struct options *o_ = new_options();                              \
		struct err e_ = {0};                                                               \
		assert_int_equal(parse(o_, ARGS(__VA_ARGS__), &e_), -ERR_USAGE);                   \
		assert_string_equal(e_.text, expected);                                            \
	} while (0)

/* What option_show says. */
static inline void assert_shown(const struct options *o, size_t id, const char *value,
				const char *where)
{
	_cleanup_buf_ struct buf value_text = BUF_INIT(4096), where_text = BUF_INIT(4096);

	option_show(o, id, &value_text, &where_text);
	assert_string_equal(value_text.data ? value_text.data : "", value);
	assert_string_equal(where_text.data, where);
}

#endif
