#include "exec/kube_internal.h"
#include "tests/unit/base/unit.h"

/* The answers of a server: by path, or by its start where it ends in '*'. */
struct answer {
	const char *path, *body;
};
struct server {
	const struct answer *answers;
	size_t count;
	char asked[8][700];
	int requests;
	int expired; /* so many requests that continue a list find it gone */
};

static int get(void *ctx, const char *path, struct buf *ret, struct err *e)
{
	struct server *s = ctx;

	snprintf(s->asked[s->requests++ % 8], 700, "%s", path);
	if (strstr(path, "&continue=") && s->expired-- > 0)
		return err_set(e, ERR_NOT_FOUND, "the provided continue parameter is too old");
	for (size_t i = 0; i < s->count; i++) {
		size_t len = strlen(s->answers[i].path);
		bool prefix = s->answers[i].path[len - 1] == '*';

		if (prefix ? strncmp(path, s->answers[i].path, len - 1) == 0
			   : strcmp(path, s->answers[i].path) == 0)
			return buf_puts(ret, s->answers[i].body, e);
	}
	return err_set(e, ERR_NOT_FOUND, "not found");
}

#define RUNNING(name) "{\"name\":\"" name "\",\"state\":{\"running\":{}}}"
#define POD(name, extra_meta, spec, status)                                                        \
	"{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"ns\",\"uid\":\"u-" name              \
	"\"" extra_meta "},\"spec\":{" spec "},\"status\":{" status "}}"
#define NODE "\"nodeName\":\"n1\","
#define ONE "\"containers\":[{\"name\":\"app\"}]"
#define TWO "\"containers\":[{\"name\":\"app\"},{\"name\":\"side\"}]"
#define UP "\"phase\":\"Running\",\"containerStatuses\":[" RUNNING("app") "," RUNNING("side") "]"

static int select_from(struct server *s, const struct answer *answers, size_t count,
		       const char *source, const char *container, struct pod_target *t,
		       struct err *e)
{
	*s = (struct server){.answers = answers, .count = count};
	return pod_select_from(get, s, "ns", source, container, t, e);
}

static void a_pod_is_found_by_its_name(void **state)
{
	static const struct answer answers[] = {
	    {"/api/v1/namespaces/ns/pods/web", POD("web", "", NODE ONE, UP)}};
	static const char *const sources[] = {"web", "pod/web", "pods/web", "po/web", "pod.v1/web"};
	struct pod_target t;
	struct server s;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		assert_int_equal(select_from(&s, answers, 1, sources[i], NULL, &t, &e), 0);
		assert_string_equal(t.pod, "web");
		assert_string_equal(t.namespace_, "ns");
		assert_string_equal(t.container, "app");
		assert_string_equal(t.uid, "u-web");
		assert_string_equal(t.node, "n1");
		assert_string_equal(t.note, "");
	}
}

static void the_container_follows_kubectl(void **state)
{
	static const struct answer plain[] = {{"*", POD("web", "", NODE TWO, UP)}};
	static const struct answer annotated[] = {
	    {"*",
	     POD("web", ",\"annotations\":{\"kubectl.kubernetes.io/default-container\":\"side\"}",
		 NODE TWO, UP)}};
	static const struct answer stale[] = {
	    {"*",
	     POD("web", ",\"annotations\":{\"kubectl.kubernetes.io/default-container\":\"gone\"}",
		 NODE TWO, UP)}};
	struct pod_target t;
	struct server s;
	struct err e;

	assert_int_equal(select_from(&s, plain, 1, "web", NULL, &t, &e), 0);
	assert_string_equal(t.container, "app");
	assert_contains(t.note, "container app of app, side");
	assert_int_equal(select_from(&s, annotated, 1, "web", NULL, &t, &e), 0);
	assert_string_equal(t.container, "side");
	assert_int_equal(select_from(&s, stale, 1, "web", NULL, &t, &e), 0);
	assert_string_equal(t.container, "app");
	assert_int_equal(select_from(&s, plain, 1, "web", "side", &t, &e), 0);
	assert_string_equal(t.container, "side");
	assert_string_equal(t.note, "");
	assert_int_equal(select_from(&s, plain, 1, "web", "nosuch", &t, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "nosuch");
	assert_contains(e.hint, "app, side");
}

static void what_cannot_be_entered_is_explained(void **state)
{
	static const struct {
		const char *pod;
		int code;
		const char *text, *hint;
	} cases[] = {
	    {POD("web", "", NODE ONE, "\"phase\":\"Succeeded\""), ERR_GONE, "has ended", "logs"},
	    {POD("web", "", NODE ONE, "\"phase\":\"Failed\",\"reason\":\"Evicted\""), ERR_GONE,
	     "Evicted", "logs"},
	    {POD("web", "", ONE,
		 "\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\","
		 "\"message\":\"0/1 nodes are available\"}]"),
	     ERR_NOT_FOUND, "waits for a node: 0/1 nodes", "describe"},
	    {POD("web", "", NODE ONE,
		 "\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"app\",\"state\":"
		 "{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},\"lastState\":{\"terminated\":"
		 "{\"exitCode\":139}}}]"),
	     ERR_GONE, "CrashLoopBackOff, exit status 139", "--previous"},
	    {POD("web", "", NODE ONE,
		 "\"phase\":\"Pending\",\"containerStatuses\":[{\"name\":\"app\",\"state\":"
		 "{\"waiting\":{\"reason\":\"ImagePullBackOff\"}}}]"),
	     ERR_NOT_FOUND, "has not started: ImagePullBackOff", "describe"},
	    {POD("web", "", NODE "\"nodeSelector\":{\"kubernetes.io/os\":\"windows\"}," ONE, UP),
	     ERR_UNSUPPORTED, "Windows", ""},
	    {POD("../x", "", NODE ONE, UP), ERR_SERVER, "no valid name", ""},
	    {"[]", ERR_SERVER, "no JSON object", ""},
	    {"{\"metadata\":", ERR_SERVER, "no JSON object", ""},
	    {"{}", ERR_SERVER, "no valid name", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct answer answer = {"*", cases[i].pod};
		struct pod_target t;
		struct server s;
		struct err e;

		assert_int_equal(select_from(&s, &answer, 1, "web", NULL, &t, &e), -cases[i].code);
		assert_contains(e.text, cases[i].text);
		assert_contains(e.hint, cases[i].hint);
	}
}

static void a_missing_pod_says_where_to_look(void **state)
{
	struct pod_target t;
	struct server s;
	struct err e;

	assert_int_equal(select_from(&s, NULL, 0, "web", NULL, &t, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "no pod \"web\" in namespace ns");
	assert_contains(e.hint, "kubectl get pods -n ns");
}

static void names_do_not_break_out_of_paths(void **state)
{
	static const char *const sources[] = {"",  "a b", "a%2f",     "pod/", "deploy/a/b",
					      "A", "..",  "pod/../x", "x?y"};
	struct pod_target t;
	struct server s;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		assert_int_equal(select_from(&s, NULL, 0, sources[i], NULL, &t, &e), -ERR_USAGE);
		assert_int_equal(s.requests, 0);
	}
}

#define READY(since)                                                                               \
	UP ",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"lastTransitionTime\":"      \
	   "\"" since "\"}]"

static void a_workload_yields_its_best_pod(void **state)
{
	static const struct answer answers[] = {
	    {"/apis/apps/v1/namespaces/ns/deployments/web",
	     "{\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"web\"},\"matchExpressions\":["
	     "{\"key\":\"tier\",\"operator\":\"In\",\"values\":[\"a\",\"b\"]},"
	     "{\"key\":\"x\",\"operator\":\"NotIn\",\"values\":[\"c\"]},"
	     "{\"key\":\"y\",\"operator\":\"Exists\"},"
	     "{\"key\":\"z\",\"operator\":\"DoesNotExist\"}]}}}"},
	    {"/api/v1/namespaces/ns/"
	     "pods?limit=500&labelSelector=app%3Dweb%2Ctier%20in%20%28a%2Cb%29"
	     "%2Cx%20notin%20%28c%29%2Cy%2C%21z",
	     "{\"metadata\":{\"continue\":\"p=2\"},\"items\":[" POD(
		 "w-pending", "", ONE,
		 "\"phase\":\"Pending\"") "," POD("w-leaving", ",\"deletionTimestamp\":\"x\"",
						  NODE ONE,
						  READY(
						      "2020-01-01T00:00:00Z")) "," POD("w-late", "",
										       NODE ONE,
										       READY(
											   "2026-"
											   "01-"
											   "01T00:"
											   "00:"
											   "00Z")) "]}"},
	    {"/api/v1/namespaces/ns/"
	     "pods?limit=500&labelSelector=app%3Dweb%2Ctier%20in%20%28a%2Cb%29"
	     "%2Cx%20notin%20%28c%29%2Cy%2C%21z&continue=p%3D2",
	     "{\"metadata\":{},\"items\":[" POD(
		 "w-early", "", NODE TWO,
		 READY("2025-01-01T00:00:00Z")) "," POD("w-unready", "", NODE ONE, UP) "]}"},
	};
	static const char *const sources[] = {"deploy/web", "deployment/web",
					      "deployments.apps/web", "deploy.v1.apps/web"};
	struct pod_target t;
	struct server s;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		assert_int_equal(select_from(&s, answers, 3, sources[i], NULL, &t, &e), 0);
		assert_int_equal(s.requests, 3);
		assert_string_equal(t.pod, "w-early");
		assert_contains(t.note, "pod w-early, one of the 5 of deployment/web");
		assert_contains(t.note, "container app of app, side");
	}
}

/* etcd forgets old revisions after some minutes. */
static void a_list_that_expired_is_begun_again(void **state)
{
	static const struct answer answers[] = {
	    {"/api/v1/namespaces/ns/services/web", "{\"spec\":{\"selector\":{\"app\":\"w\"}}}"},
	    {"/api/v1/namespaces/ns/pods?limit=500&labelSelector=app%3Dw",
	     "{\"metadata\":{\"continue\":\"2\"},\"items\":[" POD("w-1", "", NODE ONE, UP) "]}"},
	    {"/api/v1/namespaces/ns/pods?limit=500&labelSelector=app%3Dw&continue=2",
	     "{\"items\":[" POD("w-2", "", NODE ONE, UP) "]}"},
	};
	static const struct {
		int expired, result, requests;
	} cases[] = {{0, 0, 3}, {1, 0, 5}, {3, 0, 9}, {99, -ERR_NOT_FOUND, 9}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct server s = {
		    .answers = answers, .count = ARRAY_SIZE(answers), .expired = cases[i].expired};
		struct pod_target t = {0};
		struct err e;

		assert_int_equal(pod_select_from(get, &s, "ns", "svc/web", NULL, &t, &e),
				 cases[i].result);
		assert_int_equal(s.requests, cases[i].requests);
		if (cases[i].result == 0) assert_contains(t.note, "one of the 2 of service/web");
	}
}

static void services_have_bare_selectors(void **state)
{
	static const struct answer answers[] = {
	    {"/api/v1/namespaces/ns/services/web", "{\"spec\":{\"selector\":{\"app\":\"w\"}}}"},
	    {"/api/v1/namespaces/ns/services/external", "{\"spec\":{}}"},
	    {"/api/v1/namespaces/ns/pods?limit=500&labelSelector=app%3Dw", "{\"items\":[]}"},
	};
	struct pod_target t;
	struct server s;
	struct err e;

	assert_int_equal(select_from(&s, answers, 3, "svc/web", NULL, &t, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "service/web in namespace ns has no pods");
	assert_int_equal(select_from(&s, answers, 3, "svc/external", NULL, &t, &e),
			 -ERR_UNSUPPORTED);
	assert_int_equal(select_from(&s, answers, 3, "svc/none", NULL, &t, &e), -ERR_NOT_FOUND);
	assert_contains(e.hint, "kubectl get services -n ns");
}

static void types_are_known(void **state)
{
	static const char *const typed[] = {
	    "pod/a", "deploy/a",     "sts/a", "ds/a", "rs/a",
	    "job/a", "jobs.batch/a", "svc/a", "rc/a", "statefulset.apps/a"};
	static const char *const not_typed[] = {
	    "a",         "./a",       "/a",          "pod/",
	    "pod/a/b",   "s3://b/k",  "configmap/a", "deploy.batch/a",
	    "deployx/a", "pod.apps/a"};

	for (size_t i = 0; i < ARRAY_SIZE(typed); i++)
		assert_true(pod_source_is_typed(typed[i]));
	for (size_t i = 0; i < ARRAY_SIZE(not_typed); i++)
		assert_false(pod_source_is_typed(not_typed[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_pod_is_found_by_its_name),
	    cmocka_unit_test(the_container_follows_kubectl),
	    cmocka_unit_test(what_cannot_be_entered_is_explained),
	    cmocka_unit_test(a_missing_pod_says_where_to_look),
	    cmocka_unit_test(names_do_not_break_out_of_paths),
	    cmocka_unit_test(a_workload_yields_its_best_pod),
	    cmocka_unit_test(a_list_that_expired_is_begun_again),
	    cmocka_unit_test(services_have_bare_selectors),
	    cmocka_unit_test(types_are_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
