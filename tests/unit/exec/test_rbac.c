#include "exec/rbac.h"
#include "tests/unit/base/unit.h"

static void a_rule_follows_from_the_path(void **state)
{
	static const struct {
		const char *path, *rule, *method;
	} cases[] = {
	    {"/api/v1/namespaces/shop/pods/web-1/exec?container=app&command=sh",
	     "a Role in namespace shop needs this rule:\n- apiGroups: [\"\"]\n"
	     "  resources: [\"pods/exec\"]\n  verbs: [\"get\", \"create\"]"},
	    {"/api/v1/namespaces/shop/pods/web-1/ephemeralcontainers",
	     "a Role in namespace shop needs this rule:\n- apiGroups: [\"\"]\n"
	     "  resources: [\"pods/ephemeralcontainers\"]\n  verbs: [\"patch\"]"},
	    {"/api/v1/namespaces/shop/pods/web-1",
	     "a Role in namespace shop needs this rule:\n- apiGroups: [\"\"]\n"
	     "  resources: [\"pods\"]\n  verbs: [\"get\"]"},
	    {"/api/v1/namespaces/shop/pods?limit=500",
	     "a Role in namespace shop needs this rule:\n- apiGroups: [\"\"]\n"
	     "  resources: [\"pods\"]\n  verbs: [\"list\"]"},
	    {"/apis/apps/v1/namespaces/shop/deployments/web",
	     "a Role in namespace shop needs this rule:\n- apiGroups: [\"apps\"]\n"
	     "  resources: [\"deployments\"]\n  verbs: [\"get\"]"},
	    {"/api/v1/nodes/n1", "a ClusterRole needs this rule:\n- apiGroups: [\"\"]\n"
				 "  resources: [\"nodes\"]\n  verbs: [\"get\"]"},
	    {"/api/v1/namespaces/shop/events",
	     "a Role in namespace shop needs this rule:\n- apiGroups: [\"\"]\n"
	     "  resources: [\"events\"]\n  verbs: [\"create\"]",
	     "POST"},
	};
	char rule[ERR_HINT_MAX];
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(rbac_rule(cases[i].method ? cases[i].method : "GET", cases[i].path,
					   rule, sizeof(rule), &e),
				 0);
		assert_string_equal(rule, cases[i].rule);
	}
}

static void other_paths_have_no_rule(void **state)
{
	static const char *const paths[] = {
	    "", "/", "/api", "/api/v1", "/healthz", "/apis/apps/v1", "/a/b/c/d/e/f/g/h/i/j/k/l"};
	char rule[ERR_HINT_MAX];
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		assert_int_equal(rbac_rule("GET", paths[i], rule, sizeof(rule), &e), -ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_rule_follows_from_the_path),
	    cmocka_unit_test(other_paths_have_no_rule),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
