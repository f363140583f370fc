/* The command line. */
#include "tests/unit/base/options_table.h"

static void every_way_to_give_a_value(void **state)
{
	const char *ways[][4] = {{"--output=x"}, {"--output", "x"}, {"-ox"},
				 {"-o", "x"},    {"-fvox"},         {"-fvo", "x"}};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		_cleanup_options_ struct options *o = new_options();

		assert_int_equal(parse(o, (char **)ways[i], NULL), 0);
		assert_string_equal(option_string(o, OPT_OUTPUT), "x");
		assert_int_equal(option_bool(o, OPT_FORCE), i >= 4);
		assert_shown(o, OPT_OUTPUT, "x", "flag");
	}
}

static void values_may_look_like_flags_or_be_empty(void **state)
{
	_cleanup_options_ struct options *o = new_options();

	ASSERT_PARSES(o, "--output", "--force", "-c", "--", "--label=a=b", "-l=c");
	assert_string_equal(option_string(o, OPT_OUTPUT), "--force");
	assert_string_equal(option_string(o, OPT_CONTAINER), "--");
	assert_false(option_bool(o, OPT_FORCE));
	assert_string_equal(option_list_at(o, OPT_LABEL, 0), "a=b");
	assert_string_equal(option_list_at(o, OPT_LABEL, 1), "=c");
	ASSERT_PARSES(o, "--output=", "-c", "");
	assert_string_equal(option_string(o, OPT_OUTPUT), "");
	assert_string_equal(option_string(o, OPT_CONTAINER), "");
	assert_true(option_is_set(o, OPT_CONTAINER));
}

static void switches_turn_on_and_off(void **state)
{
	_cleanup_options_ struct options *o = new_options();

	assert_true(option_bool(o, OPT_COMPRESS));
	assert_false(option_bool(o, OPT_FORCE));
	ASSERT_PARSES(o, "--no-compress", "--force");
	assert_false(option_bool(o, OPT_COMPRESS));
	assert_true(option_bool(o, OPT_FORCE));
	assert_shown(o, OPT_COMPRESS, "false", "flag");
	ASSERT_PARSES(o, "--compress=yes", "--force=off");
	assert_true(option_bool(o, OPT_COMPRESS));
	assert_false(option_bool(o, OPT_FORCE));
	assert_shown(o, OPT_COMPRESS, "true", "flag");
	/* A switch takes no value from the next argument, and the last one wins. */
	ASSERT_PARSES(o, "--force", "false", "--no-force", "-f");
	assert_true(option_bool(o, OPT_FORCE));
}

static void a_switch_counts(void **state)
{
	_cleanup_options_ struct options *o = new_options();

	assert_int_equal(option_int(o, OPT_VERBOSE), 0);
	ASSERT_PARSES(o, "-vfv", "--verbose");
	assert_int_equal(option_int(o, OPT_VERBOSE), 3);
	ASSERT_PARSES(o, "--no-verbose", "-v");
	assert_int_equal(option_int(o, OPT_VERBOSE), 1);
}

static void operands_stay_in_order(void **state)
{
	_cleanup_options_ struct options *o = new_options();
	char **argv = ARGS("pod/web", "-f", "-", "--output=x", "two", "--", "--three", "-f", "--");
	const char *const *operands = NULL;
	size_t count = 0;
	struct err e;

	assert_int_equal(
	    options_parse_args(o, count_args(argv), argv, VERB_CAPTURE, &operands, &count, &e), 0);
	assert_int_equal(count, 6);
	assert_string_equal(operands[0], "pod/web");
	assert_string_equal(operands[1], "-");
	assert_string_equal(operands[2], "two");
	assert_string_equal(operands[3], "--three");
	assert_string_equal(operands[4], "-f");
	assert_string_equal(operands[5], "--");
	assert_ptr_equal(operands[0], argv[0]);
	assert_null(operands[6]);
	assert_int_equal(options_parse_args(o, 0, argv, VERB_CAPTURE, &operands, &count, &e), 0);
	assert_int_equal(count, 0);
	assert_non_null(operands);
}

static void numbers_are_in_the_base_unit(void **state)
{
	_cleanup_options_ struct options *o = new_options();

	ASSERT_PARSES(o, "-T8", "--bwlimit=64K", "--max-pause", "1m30s", "--mode=cow");
	assert_int_equal(option_int(o, OPT_THREADS), 8);
	assert_int_equal(option_int(o, OPT_BWLIMIT), 65536);
	assert_int_equal(option_int(o, OPT_MAX_PAUSE), 90000000000);
	assert_string_equal(option_string(o, OPT_MODE), "cow");
	assert_shown(o, OPT_MAX_PAUSE, "1m30s", "flag");
}

static void wrong_values_name_the_flag(void **state)
{
	ASSERT_REFUSED("--threads: \"two\" is not a whole number", "-T", "two");
	ASSERT_REFUSED("--threads: 65 is not between 1 and 64", "--threads=65");
	ASSERT_REFUSED("--bwlimit: 1K is not between 64K and 1G", "--bwlimit=1K");
	ASSERT_REFUSED("--max-pause: 100us is not between 1ms and 90s", "--max-pause=100us");
	ASSERT_REFUSED("--max-pause: 5 has no unit: add ns, us, ms, s, m or h, as in 250ms",
		       "--max-pause=5");
	ASSERT_REFUSED("--force: \"maybe\" is neither true nor false", "--force=maybe");
	ASSERT_REFUSED("--mode: \"cwo\" is not one of auto|cow|stop; did you mean \"cow\"?",
		       "--mode=cwo");
	ASSERT_REFUSED("--mode: \"\" is not one of auto|cow|stop", "--mode=");
	ASSERT_REFUSED("--mode: \"auto|cow\" is not one of auto|cow|stop", "--mode=auto|cow");
}

static void missing_values_are_named(void **state)
{
	ASSERT_REFUSED("--output needs a value: --output DEST", "--output");
	ASSERT_REFUSED("-T needs a value: -T N", "-fT");
	ASSERT_REFUSED("--max-pause needs a value: --max-pause DURATION", "x", "--max-pause");
	ASSERT_REFUSED("--mode needs a value: --mode auto|cow|stop", "--mode");
}

static void unknown_flags_name_the_near_one(void **state)
{
	ASSERT_REFUSED("unknown option --outptu; did you mean --output?", "--outptu=x");
	ASSERT_REFUSED("unknown option --max_pause; did you mean --max-pause?", "--max_pause",
		       "2s");
	ASSERT_REFUSED("unknown option --max; did you mean --max-pause?", "--max=2s");
	ASSERT_REFUSED("unknown option --no-comprss; did you mean --no-compress?", "--no-comprss");
	ASSERT_REFUSED("unknown option --nothing-like-it", "--nothing-like-it");
	ASSERT_REFUSED("unknown option --no-", "--no-");
	ASSERT_REFUSED("unknown option -z", "-fz");
	/* No option of another verb is suggested. */
	ASSERT_REFUSED("unknown option --formatt", "--formatt");
	ASSERT_REFUSED("unknown option --", "--=x");
}

static void long_unknown_flags_are_cut(void **state)
{
	_cleanup_options_ struct options *o = new_options();
	char flag[1000];
	struct err e;

	memset(flag, '-', sizeof(flag));
	memset(flag + 2, 'a', sizeof(flag) - 3);
	flag[sizeof(flag) - 1] = '\0';
	assert_int_equal(parse(o, ARGS(flag), &e), -ERR_USAGE);
	assert_int_equal(strlen(e.text), strlen("unknown option --") + 80);
}

static void only_switches_turn_off(void **state)
{
	ASSERT_REFUSED("--no-output: --output is not a switch that can be turned off",
		       "--no-output");
	ASSERT_REFUSED("--no-force takes no value", "--no-force=true");
}

static void flags_of_other_verbs_are_refused_by_name(void **state)
{
	ASSERT_REFUSED("--format does not apply to this command", "--format=json");
}

static void one_letter_may_serve_two_verbs(void **state)
{
	_cleanup_options_ struct options *o = new_options();
	char **argv = ARGS("-o", "json");
	const char *const *operands;
	size_t count;
	struct err e;

	assert_int_equal(options_parse_args(o, 2, argv, VERB_SHOW, &operands, &count, &e), 0);
	assert_string_equal(option_string(o, OPT_FORMAT), "json");
	assert_shown(o, OPT_OUTPUT, ".", "default");
	ASSERT_PARSES(o, "-o", "json");
	assert_string_equal(option_string(o, OPT_OUTPUT), "json");
	/* 0 is a verb that no option with verbs takes. */
	assert_int_equal(options_parse_args(o, 2, argv, 0, &operands, &count, &e), -ERR_USAGE);
	assert_string_equal(e.text, "-o does not apply to this command");
}

static void outputs_are_untouched_on_failure(void **state)
{
	_cleanup_options_ struct options *o = new_options();
	const char *const *operands = (const char *const *)&operands;
	size_t count = 77;

	assert_int_equal(
	    options_parse_args(o, 1, ARGS("-z"), VERB_CAPTURE, &operands, &count, NULL),
	    -ERR_USAGE);
	assert_ptr_equal(operands, &operands);
	assert_int_equal(count, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_way_to_give_a_value),
	    cmocka_unit_test(values_may_look_like_flags_or_be_empty),
	    cmocka_unit_test(switches_turn_on_and_off),
	    cmocka_unit_test(a_switch_counts),
	    cmocka_unit_test(operands_stay_in_order),
	    cmocka_unit_test(numbers_are_in_the_base_unit),
	    cmocka_unit_test(wrong_values_name_the_flag),
	    cmocka_unit_test(missing_values_are_named),
	    cmocka_unit_test(unknown_flags_name_the_near_one),
	    cmocka_unit_test(long_unknown_flags_are_cut),
	    cmocka_unit_test(only_switches_turn_off),
	    cmocka_unit_test(flags_of_other_verbs_are_refused_by_name),
	    cmocka_unit_test(one_letter_may_serve_two_verbs),
	    cmocka_unit_test(outputs_are_untouched_on_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
