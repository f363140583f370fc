#include "collector/bundle_name.h"
#include "tests/unit/base/unit.h"

static struct pod_target target(const char *namespace_, const char *pod, const char *container)
{
	struct pod_target t = {0};

	snprintf(t.namespace_, sizeof(t.namespace_), "%s", namespace_);
	snprintf(t.pod, sizeof(t.pod), "%s", pod);
	snprintf(t.container, sizeof(t.container), "%s", container);
	return t;
}

static void a_name_says_whose_it_is(void **state)
{
	struct pod_target t = target("shop", "web-1", "app");
	char name[BUNDLE_FILE_NAME_MAX];

	bundle_name(&t, "1-java/process.json", 1767323045, name);
	assert_string_equal(name, "shop_web-1_app_java_20260102T030405Z.podsnap.tar.zst");
	bundle_name(NULL, "17-a-b/core", 1767323045, name);
	assert_string_equal(name, "local_a-b_20260102T030405Z.podsnap.tar.zst");
	bundle_name(&t, "meta.json", 1767323045, name);
	assert_string_equal(name, "shop_web-1_app_process_20260102T030405Z.podsnap.tar.zst");
}

static void a_long_name_is_short_enough_and_still_its_own(void **state)
{
	char pods[2][254], names[2][BUNDLE_FILE_NAME_MAX], part[64];

	memset(part, 'n', 63);
	part[63] = '\0';
	for (int i = 0; i < 2; i++) {
		struct pod_target t;

		memset(pods[i], 'p', 253);
		pods[i][252] = (char)('a' + i);
		pods[i][253] = '\0';
		t = target(part, pods[i], part);
		bundle_name(&t, "1-fifteen-letters/core", 1767323045, names[i]);
		assert_true(strlen(names[i]) <= 240);
		assert_contains(names[i], "_fifteen-letters_20260102T030405Z.podsnap.tar.zst");
		assert_memory_equal(names[i], part, 63);
	}
	assert_string_not_equal(names[0], names[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_name_says_whose_it_is),
	    cmocka_unit_test(a_long_name_is_short_enough_and_still_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
