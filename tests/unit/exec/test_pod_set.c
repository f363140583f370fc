#include "exec/kube_internal.h"
#include "tests/unit/base/unit.h"

enum { PODS_PER_PAGE = 500 };

/* A server that has `count` pods named p-0, p-1, ..., of which each third crashes. */
struct server {
	size_t count;
	int expired; /* so many requests that continue a list find it gone */
	char asked[8][400];
	int requests;
	const char *one; /* what a single pod is, NULL: not found */
};

static void add_pod(struct buf *ret, size_t number)
{
	const char *state = number % 3 == 2
				? "{\"waiting\":{\"reason\":\"CrashLoopBackOff\"},\"x\":1}"
				: "{\"running\":{}}";

	assert_int_equal(
	    buf_printf(ret, NULL,
		       "%s{\"metadata\":{\"name\":\"p-%zu\",\"namespace\":\"ns\",\"uid\":\"u\"},"
		       "\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"app\"}]},"
		       "\"status\":{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"app\","
		       "\"state\":%s,\"lastState\":{\"terminated\":{\"exitCode\":3}}}]}}",
		       number % PODS_PER_PAGE ? "," : "", number, state),
	    0);
}

static int get(void *ctx, const char *path, struct buf *ret, struct err *e)
{
	struct server *s = ctx;
	const char *token = strstr(path, "&continue=");
	size_t from = token ? strtoul(token + strlen("&continue="), NULL, 10) : 0;
	size_t to = MIN(from + PODS_PER_PAGE, s->count);

	snprintf(s->asked[s->requests++ % 8], 400, "%s", path);
	if (!strstr(path, "pods?"))
		return s->one ? buf_puts(ret, s->one, e) : err_set(e, ERR_NOT_FOUND, "not found");
	if (token && s->expired-- > 0) return err_set(e, ERR_NOT_FOUND, "too old");
	assert_int_equal(buf_puts(ret, "{\"items\":[", e), 0);
	for (size_t i = from; i < to; i++)
		add_pod(ret, i);
	assert_int_equal(buf_puts(ret, "],\"metadata\":{", e), 0);
	if (to < s->count) assert_int_equal(buf_printf(ret, e, "\"continue\":\"%zu\"", to), 0);
	return buf_puts(ret, "}}", e);
}

static void every_page_is_taken_and_what_does_not_run_is_there(void **state)
{
	_cleanup_pod_set_ struct pod_set set = {0};
	struct server s = {.count = 900};
	struct pod_query query = {.labels = "a in (b),!c", .node = "n1"};
	struct err e;

	assert_int_equal(pods_query_from(get, &s, "ns", &query, &set, &e), 0);
	assert_int_equal(set.count, 900);
	assert_int_equal(s.requests, 2);
	assert_string_equal(s.asked[0],
			    "/api/v1/namespaces/ns/pods?limit=500&labelSelector=a%20in%20%28b%29%2C"
			    "%21c&fieldSelector=spec.nodeName%3Dn1");
	for (size_t i = 0; i < set.count; i++) {
		char name[32];

		snprintf(name, sizeof(name), "p-%zu", i);
		assert_string_equal(set.items[i].target.pod, name);
		assert_int_equal(set.items[i].not_running, i % 3 == 2);
		if (i % 3 == 2)
			assert_contains(set.items[i].why.text, "CrashLoopBackOff, exit status 3");
		else
			assert_string_equal(set.items[i].target.container, "app");
	}
}

static void all_namespaces_are_one_list(void **state)
{
	_cleanup_pod_set_ struct pod_set set = {0};
	struct server s = {.count = 1};
	struct pod_query query = {.all_namespaces = true};

	assert_int_equal(pods_query_from(get, &s, "ns", &query, &set, NULL), 0);
	assert_string_equal(s.asked[0], "/api/v1/pods?limit=500");
}

static void a_list_that_expired_is_begun_again(void **state)
{
	static const struct {
		int expired, result, requests;
	} cases[] = {{0, 0, 2}, {1, 0, 4}, {3, 0, 8}, {99, -ERR_NOT_FOUND, 8}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_pod_set_ struct pod_set set = {0};
		struct server s = {.count = 700, .expired = cases[i].expired};
		struct pod_query query = {.labels = "a=b"};
		struct err e;

		assert_int_equal(pods_query_from(get, &s, "ns", &query, &set, &e), cases[i].result);
		assert_int_equal(s.requests, cases[i].requests);
		if (cases[i].result == 0) assert_int_equal(set.count, 700);
	}
}

static void there_is_a_limit(void **state)
{
	_cleanup_pod_set_ struct pod_set all = {0}, more = {0};
	struct server s = {.count = PODS_MAX};
	struct pod_query query = {.labels = "a=b"};
	struct err e;

	assert_int_equal(pods_query_from(get, &s, "ns", &query, &all, &e), 0);
	assert_int_equal(all.count, PODS_MAX);
	s.count++;
	assert_int_equal(pods_query_from(get, &s, "ns", &query, &more, &e), -ERR_LIMIT);
	assert_contains(e.hint, "narrow");
}

static void nothing_found_names_the_selection(void **state)
{
	static const struct {
		struct pod_query query;
		const char *text, *hint;
	} cases[] = {
	    {{.labels = "app=x"},
	     "in namespace ns that match the selector app=x",
	     "get pods -n ns"},
	    {{.labels = "app=x", .node = "n9"}, "selector app=x, on node n9", "-n ns"},
	    {{.node = "n9"}, "in namespace ns that are on node n9", "-n ns"},
	    {{.labels = "app=x", .all_namespaces = true}, "no pods in the cluster that", "pods -A"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_pod_set_ struct pod_set set = {0};
		struct server s = {0};
		struct err e;

		assert_int_equal(pods_query_from(get, &s, "ns", &cases[i].query, &set, &e),
				 -ERR_NOT_FOUND);
		assert_contains(e.text, cases[i].text);
		assert_contains(e.hint, cases[i].hint);
	}
}

static void a_node_s_name_cannot_widen_the_selection(void **state)
{
	_cleanup_pod_set_ struct pod_set set = {0};
	struct server s = {.count = 1};
	struct pod_query query = {.node = "n1,metadata.name!=x"};
	struct err e;

	assert_int_equal(pods_query_from(get, &s, "ns", &query, &set, &e), -ERR_USAGE);
	assert_int_equal(s.requests, 0);
}

#define HEAD "{\"metadata\":{\"name\":\"web\",\"namespace\":\"ns\"},"
#define SPEC                                                                                       \
	"\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"app\"},{\"name\":\"late\"}],"   \
	"\"initContainers\":[{\"name\":\"once\"},{\"name\":\"side\",\"restartPolicy\":\"Always\"}" \
	"],"                                                                                       \
	"\"ephemeralContainers\":[{\"name\":\"debug\"}]},"
#define RUNS(name) "{\"name\":\"" name "\",\"state\":{\"running\":{}}}"
#define STATUS                                                                                     \
	"\"status\":{\"phase\":\"Running\",\"containerStatuses\":[" RUNS(                          \
	    "app") ",{\"name\":\"late\",\"state\":{\"waiting\":{\"reason\":\"ImagePullBackOff\"}}" \
		   "}],"                                                                           \
		   "\"initContainerStatuses\":[" RUNS("once") "," RUNS(                            \
		       "side") "],\"ephemeralContainerStatuses\":[" RUNS("debug") "]}}"

static void all_containers_are_those_that_run_beside_each_other(void **state)
{
	static const char *const names[] = {"app", "late", "side"};
	_cleanup_pod_set_ struct pod_set set = {0};
	struct server s = {.one = HEAD SPEC STATUS};
	struct pod_query query = {.all_containers = true};
	struct err e;

	assert_int_equal(pods_source_from(get, &s, "ns", "web", &query, &set, &e), 0);
	assert_int_equal(set.count, ARRAY_SIZE(names));
	for (size_t i = 0; i < set.count; i++) {
		assert_string_equal(set.items[i].target.container, names[i]);
		assert_int_equal(set.items[i].not_running, strcmp(names[i], "late") == 0);
	}
	assert_contains(set.items[1].why.text, "ImagePullBackOff");
}

static void a_pod_that_has_ended_is_one_choice(void **state)
{
	_cleanup_pod_set_ struct pod_set set = {0};
	struct server s = {.one = HEAD SPEC "\"status\":{\"phase\":\"Succeeded\"}}"};
	struct pod_query query = {.all_containers = true};

	assert_int_equal(pods_source_from(get, &s, "ns", "web", &query, &set, NULL), 0);
	assert_int_equal(set.count, 1);
	assert_true(set.items[0].not_running);
	assert_contains(set.items[0].why.text, "has ended: Succeeded");
}

static void what_is_named_twice_is_there_once(void **state)
{
	_cleanup_pod_set_ struct pod_set set = {0};
	struct server s = {.one = HEAD SPEC STATUS};
	struct pod_query query = {0};

	assert_int_equal(pods_source_from(get, &s, "ns", "web", &query, &set, NULL), 0);
	assert_int_equal(pods_source_from(get, &s, "ns", "pod/web", &query, &set, NULL), 0);
	assert_int_equal(set.count, 1);
	query.container = "side";
	assert_int_equal(pods_source_from(get, &s, "ns", "web", &query, &set, NULL), 0);
	assert_int_equal(set.count, 2);
}

static void a_source_that_is_not_there_is_among_the_others(void **state)
{
	_cleanup_pod_set_ struct pod_set set = {0};
	struct pod_query query = {0};
	struct server s = {0};
	struct err e;

	assert_int_equal(pods_source_from(get, &s, "ns", "web", &query, &set, &e), 0);
	assert_int_equal(set.count, 1);
	assert_string_equal(set.items[0].target.pod, "web");
	assert_int_equal(set.items[0].why.code, ERR_NOT_FOUND);
	assert_false(set.items[0].not_running);
	assert_int_equal(pods_source_from(get, &s, "ns", "a b", &query, &set, &e), -ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_page_is_taken_and_what_does_not_run_is_there),
	    cmocka_unit_test(all_namespaces_are_one_list),
	    cmocka_unit_test(a_list_that_expired_is_begun_again),
	    cmocka_unit_test(there_is_a_limit),
	    cmocka_unit_test(nothing_found_names_the_selection),
	    cmocka_unit_test(a_node_s_name_cannot_widen_the_selection),
	    cmocka_unit_test(all_containers_are_those_that_run_beside_each_other),
	    cmocka_unit_test(a_pod_that_has_ended_is_one_choice),
	    cmocka_unit_test(what_is_named_twice_is_there_once),
	    cmocka_unit_test(a_source_that_is_not_there_is_among_the_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
