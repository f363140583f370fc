#include "base/suggest.h"
#include "tests/unit/base/unit.h"

static const char *const words[] = {"capture", "stacks", "show",  "verify",
				    "version", "ps",     "config"};

static const char *nearest(const char *word)
{
	struct suggestion s;

	suggest_init(&s, word, strlen(word));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		suggest_consider(&s, words[i]);
	return s.best;
}

static void near_misses_are_found(void **state)
{
	assert_string_equal(nearest("capture"), "capture");
	assert_string_equal(nearest("captur"), "capture");
	assert_string_equal(nearest("cpature"), "capture"); /* swapped */
	assert_string_equal(nearest("stakcs"), "stacks");
	assert_string_equal(nearest("stacksss"), "stacks");
	assert_string_equal(nearest("shwo"), "show");
	assert_string_equal(nearest("confug"), "config");
	assert_string_equal(nearest("verfiy"), "verify");
}

static void abbreviations_come_after_near_misses(void **state)
{
	struct suggestion s;

	assert_string_equal(nearest("cap"), "capture");
	assert_string_equal(nearest("ver"), "verify");
	suggest_init(&s, "max", 3);
	suggest_consider(&s, "max-pause");
	assert_string_equal(s.best, "max-pause");
	suggest_consider(&s, "mux");
	assert_string_equal(s.best, "mux");
}

static void far_words_are_not_suggested(void **state)
{
	assert_null(nearest("objects"));
	assert_null(nearest(""));
	assert_null(nearest("xy"));
	assert_null(nearest("ca"));
	assert_null(nearest("catpuerx"));
}

static void two_edits_are_near_and_three_are_not(void **state)
{
	assert_string_equal(nearest("cxptuxe"), "capture");
	assert_null(nearest("cxpxuxe"));
	/* Half of a short word is too much. */
	assert_string_equal(nearest("p"), "ps");
	assert_null(nearest("xyz"));
}

static void only_the_given_length_counts(void **state)
{
	struct suggestion s;

	suggest_init(&s, "show=all of them", 4);
	suggest_consider(&s, "show");
	assert_string_equal(s.best, "show");
	assert_int_equal(s.best_distance, 0);
}

static void long_words_are_never_near(void **state)
{
	char text[101];
	struct suggestion s;

	memset(text, 'a', 100);
	text[100] = '\0';
	suggest_init(&s, text, 100);
	suggest_consider(&s, text);
	assert_null(s.best);
	suggest_init(&s, "aaaa", 4);
	suggest_consider(&s, text);
	assert_null(s.best);
	text[63] = '\0';
	suggest_init(&s, text, 63);
	suggest_consider(&s, text);
	assert_string_equal(s.best, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(near_misses_are_found),
	    cmocka_unit_test(abbreviations_come_after_near_misses),
	    cmocka_unit_test(far_words_are_not_suggested),
	    cmocka_unit_test(two_edits_are_near_and_three_are_not),
	    cmocka_unit_test(only_the_given_length_counts),
	    cmocka_unit_test(long_words_are_never_near),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
