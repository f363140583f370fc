/* Values, origins and their precedence, the table itself, help. */
#include "tests/unit/base/options_table.h"

static int clear_env(void **state)
{
	for (size_t i = 0; i < OPT_COUNT; i++)
		if (table[i].env) unsetenv(table[i].env);
	return 0;
}

/* --- defaults --- */

static void defaults_apply_and_are_not_set(void **state)
{
	_cleanup_options_ struct options *o = new_options();

	assert_int_equal(options_count(o), OPT_COUNT);
	assert_ptr_equal(options_def(o, OPT_MODE), &table[OPT_MODE]);
	assert_string_equal(option_string(o, OPT_OUTPUT), ".");
	assert_int_equal(option_int(o, OPT_MAX_PAUSE), 2000000000);
	assert_null(option_string(o, OPT_CONTAINER));
	assert_int_equal(option_list_count(o, OPT_LABEL), 0);
	for (size_t i = 0; i < OPT_COUNT; i++) {
		assert_false(option_is_set(o, i));
		assert_int_equal(option_origin(o, i), ORIGIN_DEFAULT);
		assert_shown(o, i, table[i].def ? table[i].def : "", "default");
	}
}

static void a_wrong_table_is_refused(void **state)
{
	static const struct option_def twins[] = {{.name = "a"}, {.name = "a", .verbs = 1}};
	static const struct option_def letters[] = {
	    {.name = "a", .short_name = 'x', .verbs = 3},
	    {.name = "b", .short_name = 'x', .verbs = 2},
	};
	static const struct option_def bad_default[] = {
	    {.name = "a", .type = OPTION_INT, .min = 1, .max = 2, .def = "3"}};
	static const struct option_def no_choices[] = {{.name = "a", .type = OPTION_ENUM}};
	struct options *o = NULL;
	struct err e;

	assert_int_equal(options_new(&o, twins, 2, &e), -ERR_INTERNAL);
	assert_int_equal(options_new(&o, letters, 2, &e), -ERR_INTERNAL);
	assert_int_equal(options_new(&o, no_choices, 1, &e), -ERR_INTERNAL);
	assert_true(options_new(&o, bad_default, 1, &e) < 0);
	assert_string_equal(e.text, "default of --a: 3 is not between 1 and 2");
	assert_null(o);
	options_free(NULL);
}

/* --- precedence --- */

static void set_from(struct options *o, enum option_origin origin, const char *value)
{
	static const char record[] = "threads=";
	char request[64], flag[64];

	switch (origin) {
	case ORIGIN_DEFAULT:
		break;
	case ORIGIN_FILE:
		assert_int_equal(options_set_key(o, "capture.threads", value, "c.yaml:3", NULL), 0);
		break;
	case ORIGIN_ENV:
		setenv("PODSNAP_THREADS", value, 1);
		assert_int_equal(options_parse_env(o, NULL), 0);
		break;
	case ORIGIN_FLAG:
		snprintf(flag, sizeof(flag), "--threads=%s", value);
		ASSERT_PARSES(o, flag);
		break;
	case ORIGIN_REQUEST:
		snprintf(request, sizeof(request), "%s%s", record, value);
		assert_int_equal(options_parse_request(o, request, strlen(request) + 1, NULL), 0);
		break;
	}
}

/* For every pair, in both orders of setting. */
static void the_higher_origin_wins_in_any_order(void **state)
{
	static const int ranks[] = {0, 1, 2, 3, 3};
	static const char *const shown[] = {"default", "c.yaml:3", "PODSNAP_THREADS", "flag",
					    "request"};

	for (int a = ORIGIN_FILE; a <= ORIGIN_REQUEST; a++) {
		for (int b = ORIGIN_FILE; b <= ORIGIN_REQUEST; b++) {
			_cleanup_options_ struct options *o = new_options();
			bool second = ranks[b] >= ranks[a];

			set_from(o, (enum option_origin)a, "11");
			set_from(o, (enum option_origin)b, "22");
			assert_int_equal(option_int(o, OPT_THREADS), second ? 22 : 11);
			assert_int_equal(option_origin(o, OPT_THREADS), second ? b : a);
			assert_true(option_is_set(o, OPT_THREADS));
			assert_shown(o, OPT_THREADS, second ? "22" : "11", shown[second ? b : a]);
		}
	}
}

static void a_value_that_loses_is_checked_all_the_same(void **state)
{
	_cleanup_options_ struct options *o = new_options();
	struct err e;

	ASSERT_PARSES(o, "--threads=5");
	assert_int_equal(options_set_key(o, "capture.threads", "many", "c.yaml:9", &e), -ERR_USAGE);
	assert_int_equal(option_int(o, OPT_THREADS), 5);
}

static void errors_name_the_place(void **state)
{
	_cleanup_options_ struct options *o = new_options();
	struct err e;

	setenv("PODSNAP_MAX_PAUSE", "soon", 1);
	assert_int_equal(options_parse_env(o, &e), -ERR_USAGE);
	assert_contains(e.text, "$PODSNAP_MAX_PAUSE: \"soon\" is not a duration");
	assert_int_equal(options_set_key(o, "capture.max-pause", "1d", "/etc/c.yaml:12", &e),
			 -ERR_USAGE);
	assert_contains(e.text, "/etc/c.yaml:12: capture.max-pause: \"1d\" is not a duration");
	assert_int_equal(options_parse_request(o, "threads=0", 10, &e), -ERR_USAGE);
	assert_string_equal(e.text, "request: threads: 0 is not between 1 and 64");
	assert_false(option_is_set(o, OPT_MAX_PAUSE));
	assert_false(option_is_set(o, OPT_THREADS));
}

static void empty_variables_do_not_count(void **state)
{
	_cleanup_options_ struct options *o = new_options();

	setenv("PODSNAP_MODE", "", 1);
	setenv("PODSNAP_VERBOSE", "1", 1);
	assert_int_equal(options_parse_env(o, NULL), 0);
	assert_false(option_is_set(o, OPT_MODE));
	assert_true(option_bool(o, OPT_VERBOSE));
	assert_shown(o, OPT_VERBOSE, "true", "PODSNAP_VERBOSE");
}

static void unknown_keys_name_the_near_one(void **state)
{
	_cleanup_options_ struct options *o = new_options();
	struct err e;

	assert_int_equal(options_set_key(o, "capture.thread", "1", "c.yaml:2", &e), -ERR_USAGE);
	assert_string_equal(e.text, "c.yaml:2: unknown key \"capture.thread\"; did you mean "
				    "\"capture.threads\"?");
	assert_int_equal(options_set_key(o, "colour", "1", "c.yaml:2", &e), -ERR_USAGE);
	assert_string_equal(e.text, "c.yaml:2: unknown key \"colour\"");
	/* A flag without a key is none of the file's. */
	assert_int_equal(options_set_key(o, "force", "true", "c.yaml:2", &e), -ERR_USAGE);
}

/* --- lists --- */

static void assert_labels(const struct options *o, const char *joined)
{
	_cleanup_buf_ struct buf text = BUF_INIT(4096);

	for (size_t i = 0; i < option_list_count(o, OPT_LABEL); i++)
		assert_int_equal(buf_printf(&text, NULL, "<%s>", option_list_at(o, OPT_LABEL, i)),
				 0);
	assert_string_equal(text.data ? text.data : "", joined);
}

static void lists_add_up_within_an_origin_only(void **state)
{
	_cleanup_options_ struct options *o = new_options();

	assert_int_equal(options_set_key(o, "labels", "a, b", "c.yaml:1", NULL), 0);
	assert_int_equal(options_set_key(o, "labels", "c", "c.yaml:2", NULL), 0);
	assert_labels(o, "<a><b><c>");
	assert_shown(o, OPT_LABEL, "a,b,c", "c.yaml:2");
	setenv("PODSNAP_LABELS", " x=1 ,\ty=2", 1);
	assert_int_equal(options_parse_env(o, NULL), 0);
	assert_labels(o, "<x=1><y=2>");
	/* A flag's commas are its own. */
	ASSERT_PARSES(o, "-l", "p,q", "--label=r", "--label=");
	assert_labels(o, "<p,q><r><>");
	assert_int_equal(options_set_key(o, "labels", "late", "c.yaml:3", NULL), 0);
	assert_labels(o, "<p,q><r><>");
}

static void empty_items_of_a_split_list_are_refused(void **state)
{
	static const char *const wrong[] = {"", ",", "a,", ",a", "a,,b", "a, ,b", " "};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_cleanup_options_ struct options *o = new_options();
		struct err e;

		assert_int_equal(options_set_key(o, "labels", wrong[i], "c.yaml:1", &e),
				 -ERR_USAGE);
		assert_string_equal(e.text, "c.yaml:1: labels: an item of the list is empty");
		assert_int_equal(option_list_count(o, OPT_LABEL), 0);
	}
}

static void lists_and_values_have_caps(void **state)
{
	_cleanup_options_ struct options *o = new_options();
	_cleanup_free_ char *commas = malloc(2 * 5000), *large = calloc(1, 40000);
	struct err e;

	for (size_t i = 0; i < 5000; i++)
		memcpy(commas + 2 * i, "a,", 2);
	commas[2 * 4097 - 1] = '\0';
	assert_int_equal(options_set_key(o, "labels", commas, "c:1", &e), -ERR_USAGE);
	assert_contains(e.text, "more than 4096 items");
	assert_int_equal(option_list_count(o, OPT_LABEL), 0);
	commas[2 * 4096 - 1] = '\0';
	assert_int_equal(options_set_key(o, "labels", commas, "c:1", &e), 0);
	assert_int_equal(option_list_count(o, OPT_LABEL), 4096);
	assert_int_equal(options_set_key(o, "labels", "b", "c:2", &e), -ERR_USAGE);
	assert_contains(e.text, "c:2: labels: more than 4096 items");
	assert_int_equal(option_list_count(o, OPT_LABEL), 4096);
	assert_string_equal(option_list_at(o, OPT_LABEL, 4095), "a");

	memset(large, 'x', 32769);
	assert_int_equal(options_set(o, OPT_OUTPUT, large, ORIGIN_FLAG, NULL, &e), -ERR_USAGE);
	assert_string_equal(e.text, "--output: longer than 32768 bytes");
	assert_int_equal(options_set(o, OPT_OUTPUT, large + 1, ORIGIN_FLAG, NULL, &e), 0);
}

/* --- requests --- */

static void a_request_carries_what_is_set(void **state)
{
	static const size_t ids[] = {OPT_OUTPUT,    OPT_FORCE,     OPT_VERBOSE,
				     OPT_COMPRESS,  OPT_THREADS,   OPT_BWLIMIT,
				     OPT_MAX_PAUSE, OPT_CONTAINER, OPT_LABEL};
	_cleanup_options_ struct options *o = new_options(), *probe = new_options();
	_cleanup_buf_ struct buf request = BUF_INIT(4096);

	assert_int_equal(options_set_key(o, "capture.threads", "7", "c.yaml:1", NULL), 0);
	ASSERT_PARSES(o, "-vvf", "--no-force", "--no-compress", "-c", "", "-l", "a,b=c\nd", "-l",
		      "", "--bwlimit=1M", "--mode=cow");
	assert_int_equal(options_write_request(o, ids, ARRAY_SIZE(ids), &request, NULL), 0);
	assert_int_equal(options_parse_request(probe, request.data, request.len, NULL), 0);

	assert_int_equal(option_origin(probe, OPT_THREADS), ORIGIN_REQUEST);
	assert_int_equal(option_int(probe, OPT_THREADS), 7);
	assert_int_equal(option_int(probe, OPT_VERBOSE), 2);
	assert_false(option_bool(probe, OPT_FORCE));
	assert_true(option_is_set(probe, OPT_FORCE));
	assert_false(option_bool(probe, OPT_COMPRESS));
	assert_int_equal(option_int(probe, OPT_BWLIMIT), 1 << 20);
	assert_string_equal(option_string(probe, OPT_CONTAINER), "");
	assert_labels(probe, "<a,b=c\nd><>");
	/* Defaults stay behind, and so does what is not among the ids. */
	assert_false(option_is_set(probe, OPT_OUTPUT));
	assert_false(option_is_set(probe, OPT_MODE));
	assert_shown(probe, OPT_BWLIMIT, "1M", "request");
}

static void a_request_that_does_not_fit_writes_nothing(void **state)
{
	static const size_t ids[] = {OPT_CONTAINER, OPT_LABEL};
	_cleanup_options_ struct options *o = new_options();
	_cleanup_buf_ struct buf request = BUF_INIT(20);
	struct err e;

	assert_int_equal(buf_puts(&request, "x", NULL), 0);
	ASSERT_PARSES(o, "-c", "a", "-l", "bbbbbbbbbbbb");
	assert_int_equal(options_write_request(o, ids, 2, &request, &e), -ERR_LIMIT);
	assert_string_equal(request.data, "x");
	assert_int_equal(request.len, 1);
}

static void hostile_requests_are_refused(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		const char *text;
	} rows[] = {
	    {"threads=3", 9, "request: the last record is cut off"},
	    {"threads", 8, "request: \"threads\" has no \"=\""},
	    {"\0", 1, "request: \"\" has no \"=\""},
	    {"=3", 3, "request: unknown option \"\""},
	    {"thread=3", 9, "request: unknown option \"thread\""},
	    {"threads2=3", 11, "request: unknown option \"threads2\""},
	    {"force=1\0mode=x", 15, "request: mode: \"x\" is not one of auto|cow|stop"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_options_ struct options *o = new_options();
		struct err e = {0};

		assert_int_equal(options_parse_request(o, rows[i].data, rows[i].len, &e),
				 -ERR_USAGE);
		assert_string_equal(e.text, rows[i].text);
	}
}

static void an_empty_request_sets_nothing(void **state)
{
	_cleanup_options_ struct options *o = new_options();

	assert_int_equal(options_parse_request(o, NULL, 0, NULL), 0);
	for (size_t i = 0; i < OPT_COUNT; i++)
		assert_false(option_is_set(o, i));
}

/* --- help --- */

static void help_lists_the_options_of_the_verb(void **state)
{
	_cleanup_buf_ struct buf help = BUF_INIT(1 << 16);
	static const char expected[] =
	    "  -o, --output DEST           where the bundle goes (default: .; also "
	    "$PODSNAP_OUTPUT)\n"
	    "  -f, --force                 overwrite what exists\n"
	    "  -v, --verbose               say more; twice: say all (also $PODSNAP_VERBOSE)\n"
	    "      --[no-]compress         compress the bundle\n"
	    "  -T, --threads N             threads that compress (default: 2; also "
	    "$PODSNAP_THREADS)\n"
	    "      --bwlimit SIZE          bytes a second at most\n"
	    "      --max-pause DURATION    how long the target may stand still before it is let go "
	    "and "
	    "the rest\n"
	    "                              is read while it runs (default: 2s; also "
	    "$PODSNAP_MAX_PAUSE)\n"
	    "  -c, --container NAME        the container of the pod\n"
	    "      --mode auto|cow|stop    how memory is read (default: auto; also $PODSNAP_MODE)\n"
	    "  -l, --label KEY=VALUE       a label for the bundle (may be repeated; also "
	    "$PODSNAP_LABELS)\n";

	assert_int_equal(options_help(table, OPT_COUNT, VERB_CAPTURE, &help, NULL), 0);
	assert_string_equal(help.data, expected);
}

static void help_wraps_at_the_width(void **state)
{
	_cleanup_buf_ struct buf help = BUF_INIT(1 << 16);
	char *rest, *line;
	size_t lines = 0;
	struct option_def defs[] = {
	    {.name = "a-name-that-is-longer-than-the-column",
	     .type = OPTION_STRING,
	     .help = "aaaa bbb cc d aaaa bbb cc d aaaa bbb cc d aaaa bbb cc d aaaa bbb cc d "
		     "aaaa bbb cc d aaaa bbb cc d aaaa bbb cc d aaaa bbb cc d aaaa bbb cc d "
		     "aaaa bbb cc d aaaa bbb cc d aaaa bbb cc d aaaa bbb cc d aaaa bbb cc d"},
	    {.name = "bare", .type = OPTION_BOOL},
	};

	assert_int_equal(options_help(defs, 2, 0, &help, NULL), 0);
	assert_contains(help.data, "  --a-name-that-is-longer-than-the-column TEXT\n");
	assert_contains(help.data, "\n      --bare\n");
	rest = help.data;
	while (*rest && (line = strsep(&rest, "\n"))) {
		size_t indent = strspn(line, " "), len = strlen(line);

		assert_true(len <= 100 && line[len - 1] != ' ');
		assert_true(indent == 6 || indent == 30);
		lines++;
	}
	assert_int_equal(lines, 2 + 3);
}

static void help_that_does_not_fit_is_an_error(void **state)
{
	_cleanup_buf_ struct buf help = BUF_INIT(100);
	struct err e;

	assert_int_equal(options_help(table, OPT_COUNT, VERB_CAPTURE, &help, &e), -ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults_apply_and_are_not_set),
	    cmocka_unit_test(a_wrong_table_is_refused),
	    cmocka_unit_test_setup_teardown(the_higher_origin_wins_in_any_order, clear_env,
					    clear_env),
	    cmocka_unit_test(a_value_that_loses_is_checked_all_the_same),
	    cmocka_unit_test_setup_teardown(errors_name_the_place, clear_env, clear_env),
	    cmocka_unit_test_setup_teardown(empty_variables_do_not_count, clear_env, clear_env),
	    cmocka_unit_test(unknown_keys_name_the_near_one),
	    cmocka_unit_test_setup_teardown(lists_add_up_within_an_origin_only, clear_env,
					    clear_env),
	    cmocka_unit_test(empty_items_of_a_split_list_are_refused),
	    cmocka_unit_test(lists_and_values_have_caps),
	    cmocka_unit_test(a_request_carries_what_is_set),
	    cmocka_unit_test(a_request_that_does_not_fit_writes_nothing),
	    cmocka_unit_test(hostile_requests_are_refused),
	    cmocka_unit_test(an_empty_request_sets_nothing),
	    cmocka_unit_test(help_lists_the_options_of_the_verb),
	    cmocka_unit_test(help_wraps_at_the_width),
	    cmocka_unit_test(help_that_does_not_fit_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
