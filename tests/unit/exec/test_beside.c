/* Which container of a pod, or of the node's agent, has the probe: by documents as the API server
 * has them. */
#include "exec/container.h"
#include "exec/json_doc.h"
#include "exec/node_agent.h"
#include "exec/sidecar.h"
#include "tests/unit/base/unit.h"

#define RUNS(name) "{\"name\":\"" name "\",\"state\":{\"running\":{}}}"
#define SHARED "\"shareProcessNamespace\":true,"
#define CONTAINERS "\"containers\":[{\"name\":\"app\"},{\"name\":\"podsnap\"},{\"name\":\"other\"}]"
#define ALL_RUN "\"containerStatuses\":[" RUNS("app") "," RUNS("podsnap") "," RUNS("other") "]"
#define POD(meta, spec, status)                                                                    \
	"{\"metadata\":{\"name\":\"p\",\"namespace\":\"ns\"" meta "},\"spec\":{" spec              \
	"},\"status\":{" status "}}"

static cJSON *parse(const char *text)
{
	cJSON *doc = cJSON_Parse(text);

	assert_non_null(doc);
	return doc;
}

static void what_is_a_sidecar(void **state)
{
	static const struct {
		const char *pod, *target, *found, *text, *hint;
		int result;
	} cases[] = {
	    {.pod = POD("", SHARED CONTAINERS, ALL_RUN), .target = "app", .found = "podsnap"},
	    {.pod = POD(",\"annotations\":{\"podsnap/sidecar\":\"other\"}", SHARED CONTAINERS,
			ALL_RUN),
	     .target = "app",
	     .found = "other"},
	    /* One that starts before the others, and stays. */
	    {.pod = POD("",
			SHARED "\"containers\":[{\"name\":\"app\"}],\"initContainers\":[{\"name\":"
			       "\"podsnap\",\"restartPolicy\":\"Always\"}]",
			"\"initContainerStatuses\":[" RUNS("podsnap") "]"),
	     .target = "app",
	     .found = "podsnap"},
	    {.pod = POD("", "\"containers\":[{\"name\":\"app\"}]", ""),
	     .target = "app",
	     .result = -ERR_NOT_FOUND,
	     .text = "no container podsnap",
	     .hint = "shareProcessNamespace: true\n"},
	    {.pod = POD("", SHARED CONTAINERS, ALL_RUN),
	     .target = "podsnap",
	     .result = -ERR_NOT_FOUND,
	     .text = "the target itself",
	     .hint = "-c"},
	    {.pod = POD("", CONTAINERS, ALL_RUN),
	     .target = "app",
	     .result = -ERR_UNSUPPORTED,
	     .text = "does not see the processes of app",
	     .hint = "shareProcessNamespace: true"},
	    {.pod = POD("", "\"shareProcessNamespace\":\"true\"," CONTAINERS, ALL_RUN),
	     .target = "app",
	     .result = -ERR_UNSUPPORTED,
	     .text = "does not see",
	     .hint = "shareProcessNamespace: true"},
	    {.pod = POD("", SHARED CONTAINERS,
			"\"containerStatuses\":[{\"name\":\"podsnap\",\"state\":{\"waiting\":"
			"{\"reason\":\"CrashLoopBackOff\"}}}]"),
	     .target = "app",
	     .result = -ERR_UNSUPPORTED,
	     .text = "does not run: CrashLoopBackOff",
	     .hint = "kubectl describe pod -n ns p"},
	    {.pod = "{}",
	     .target = "app",
	     .result = -ERR_NOT_FOUND,
	     .text = "no container",
	     .hint = ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_json_doc_ cJSON *pod = parse(cases[i].pod);
		const char *found = NULL;
		struct err e = {0};

		assert_int_equal(sidecar_find(pod, cases[i].target, &found, &e), cases[i].result);
		if (cases[i].found) {
			assert_string_equal(found, cases[i].found);
			continue;
		}
		assert_contains(e.text, cases[i].text);
		assert_contains(e.hint, cases[i].hint);
	}
}

static void the_hint_has_the_targets_user(void **state)
{
	_cleanup_json_doc_ cJSON *pod = parse(
	    POD("",
		"\"securityContext\":{\"runAsUser\":5},\"containers\":[{\"name\":\"app\"},"
		"{\"name\":\"own\",\"securityContext\":{\"runAsUser\":6}},{\"name\":\"seen\"}]",
		"\"containerStatuses\":[{\"name\":\"seen\",\"user\":{\"linux\":{\"uid\":7}}}]"));
	static const struct {
		const char *target, *hint;
	} cases[] = {{"app", "runAsUser: 5}"}, {"own", "runAsUser: 6}"}, {"seen", "runAsUser: 7}"}};
	const char *found;
	uint32_t uid;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(sidecar_find(pod, cases[i].target, &found, &e), -ERR_NOT_FOUND);
		assert_contains(e.hint, cases[i].hint);
	}
	cJSON_Delete(pod);
	pod = parse(POD(
	    "", "\"containers\":[{\"name\":\"app\",\"securityContext\":{\"runAsUser\":-1}}]", ""));
	assert_false(container_user(pod, "app", &uid));
}

/* --- the target's side ------------------------------------------------------------------------ */

static void the_target_is_not_the_sidecar(void **state)
{
	_cleanup_json_doc_ cJSON *pod =
	    parse(POD("",
		      "\"nodeName\":\"n\"," SHARED
		      "\"containers\":[{\"name\":\"podsnap\"},{\"name\":\"app\"}]",
		      "\"phase\":\"Running\",\"containerStatuses\":[" RUNS(
			  "podsnap") ",{\"name\":\"app\",\"containerID\":\"containerd://0123abcd\","
				     "\"state\":{\"running\":{}}}]"));
	struct pod_target t;
	struct err e;

	assert_int_equal(container_choose(pod, NULL, &t, &e), 0);
	assert_string_equal(t.container, "app");
	assert_string_equal(t.container_id, "0123abcd");
	assert_int_equal(container_choose(pod, "podsnap", &t, &e), 0);
	assert_string_equal(t.container, "podsnap");
	assert_string_equal(t.container_id, "");
}

/* --- the agent -------------------------------------------------------------------------------- */

#define AGENT(name, meta, state)                                                                   \
	"{\"metadata\":{\"name\":\"" name "\"" meta                                                \
	"},\"status\":{\"phase\":\"Pending\",\"containerStatuses\":[{\"name\":\"c-" name           \
	"\",\"state\":" state "}]}}"
#define UP "{\"running\":{}}"
#define DOWN "{\"waiting\":{\"reason\":\"ImagePullBackOff\"}}"
#define LEAVES ",\"deletionTimestamp\":\"2025-01-01T00:00:00Z\""

static void which_agent_is_asked(void **state)
{
	static const struct pod_target target = {.namespace_ = "ns",
						 .pod = "p",
						 .container = "app",
						 .node = "n1",
						 .container_id = "0123"};
	static const struct {
		const char *list, *pod, *container, *text;
		int result;
	} cases[] = {
	    {.list = "{\"items\":[" AGENT("a", "", UP) "]}", .pod = "a", .container = "c-a"},
	    {.list = "{\"items\":[" AGENT("a", LEAVES,
					  UP) "," AGENT("b", "", UP) "," AGENT("c", "", DOWN) "]}",
	     .pod = "b",
	     .container = "c-b"},
	    {.list = "{\"items\":[]}",
	     .result = -ERR_NOT_FOUND,
	     .text = "node n1 has no node agent in namespace agents"},
	    {.list = "{}", .result = -ERR_NOT_FOUND, .text = "has no node agent"},
	    {.list = "{\"items\":[" AGENT("a", "", DOWN) "]}",
	     .result = -ERR_UNSUPPORTED,
	     .text = "node agent a on node n1 does not run: ImagePullBackOff"},
	    {.list =
		 "{\"items\":[{\"metadata\":{\"name\":\"a\"},\"status\":{\"phase\":\"Pending\"}}]}",
	     .result = -ERR_UNSUPPORTED,
	     .text = "does not run: Pending"},
	    {.list = "{\"items\":[" AGENT("../a", "", UP) "]}",
	     .result = -ERR_SERVER,
	     .text = "no valid name"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_json_doc_ cJSON *list = parse(cases[i].list);
		struct pod_target t;
		struct err e;

		assert_int_equal(node_agent_choose(list, &target, "agents", &t, &e),
				 cases[i].result);
		if (cases[i].text) {
			assert_contains(e.text, cases[i].text);
			continue;
		}
		assert_string_equal(t.namespace_, "agents");
		assert_string_equal(t.pod, cases[i].pod);
		assert_string_equal(t.container, cases[i].container);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_a_sidecar),
	    cmocka_unit_test(the_hint_has_the_targets_user),
	    cmocka_unit_test(the_target_is_not_the_sidecar),
	    cmocka_unit_test(which_agent_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
