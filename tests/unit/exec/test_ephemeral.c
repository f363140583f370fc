/* The ephemeral container that a pod gets, by documents as the API server has them. */
#include "exec/ephemeral.h"
#include "exec/json_doc.h"
#include "tests/unit/base/unit.h"

#define IMAGE "probe:1"

static const struct ephemeral_spec as_target = {IMAGE, false}, tracer = {IMAGE, true};

static cJSON *parse(const char *text)
{
	cJSON *doc = cJSON_Parse(text);

	assert_non_null(doc);
	return doc;
}

/* Takes the container out of a patch. */
static cJSON *patched(const cJSON *pod, const char *target, const struct ephemeral_spec *spec)
{
	_cleanup_free_ char *text = ephemeral_patch(pod, target, spec, "podsnap-1");
	_cleanup_json_doc_ cJSON *patch = parse(text);
	cJSON *list =
	    cJSON_GetObjectItem(cJSON_GetObjectItem(patch, "spec"), "ephemeralContainers");

	assert_int_equal(cJSON_GetArraySize(patch), 1);
	assert_int_equal(cJSON_GetArraySize(list), 1);
	return cJSON_DetachItemFromArray(list, 0);
}

/* The rights of the container that a pod gets. */
static cJSON *rights(const char *pod_text, const char *target)
{
	_cleanup_json_doc_ cJSON *pod = parse(pod_text), *c = patched(pod, target, &as_target);

	return cJSON_DetachItemFromObject(c, "securityContext");
}

static void it_shares_the_targets_processes_and_its_rights(void **state)
{
	_cleanup_json_doc_ cJSON *pod = parse(
	    "{\"spec\":{\"containers\":[{\"name\":\"side\"},{\"name\":\"app\",\"securityContext\":"
	    "{\"runAsUser\":1000,\"capabilities\":{\"drop\":[\"ALL\"]}}}]},"
	    "\"status\":{\"containerStatuses\":[{\"name\":\"app\",\"user\":{\"linux\":"
	    "{\"uid\":7,\"gid\":8}}}]}}");
	_cleanup_json_doc_ cJSON *c = patched(pod, "app", &as_target);
	const cJSON *security = json_doc_get(c, "securityContext");

	assert_string_equal(json_doc_text(c, "name"), "podsnap-1");
	assert_string_equal(json_doc_text(c, "image"), IMAGE);
	assert_string_equal(json_doc_text(c, "targetContainerName"), "app");
	/* What is written counts; what is not is what the kubelet saw. */
	assert_int_equal(json_doc_get(security, "runAsUser")->valueint, 1000);
	assert_int_equal(json_doc_get(security, "runAsGroup")->valueint, 8);
	assert_string_equal(json_doc_get(security, "capabilities.drop")->child->valuestring, "ALL");
}

static void a_tracer_is_root_with_no_more_than_it_takes(void **state)
{
	_cleanup_json_doc_ cJSON *pod = parse(
	    "{\"spec\":{\"securityContext\":{\"runAsNonRoot\":true},\"containers\":[{\"name\":"
	    "\"app\",\"securityContext\":{\"runAsUser\":1000,\"readOnlyRootFilesystem\":true,"
	    "\"capabilities\":{\"add\":[\"NET_ADMIN\"]}}}]}}");
	_cleanup_json_doc_ cJSON *c = patched(pod, "app", &tracer);
	const cJSON *security = json_doc_get(c, "securityContext");
	_cleanup_free_ char *capabilities =
	    cJSON_PrintUnformatted(json_doc_get(security, "capabilities"));

	assert_string_equal(capabilities,
			    "{\"drop\":[\"ALL\"],\"add\":[\"SYS_PTRACE\",\"DAC_OVERRIDE\"]}");
	assert_int_equal(json_doc_get(security, "runAsUser")->valueint, 0);
	assert_int_equal(json_doc_get(security, "runAsGroup")->valueint, 0);
	assert_true(cJSON_IsFalse(json_doc_get(security, "runAsNonRoot")));
	assert_true(cJSON_IsTrue(json_doc_get(security, "readOnlyRootFilesystem")));
	assert_int_equal(cJSON_GetArraySize(security), 5);
}

static void the_pods_own_user_is_inherited(void **state)
{
	_cleanup_json_doc_ cJSON *security =
	    rights("{\"spec\":{\"securityContext\":{\"runAsUser\":5,\"runAsGroup\":6},"
		   "\"containers\":[{\"name\":\"app\"}]},"
		   "\"status\":{\"containerStatuses\":[{\"name\":\"app\",\"user\":{\"linux\":"
		   "{\"uid\":5,\"gid\":6}}}]}}",
		   "app");

	assert_non_null(security);
	assert_int_equal(cJSON_GetArraySize(security), 0);
}

static void a_sidecar_among_the_init_containers_has_rights_too(void **state)
{
	_cleanup_json_doc_ cJSON *security =
	    rights("{\"spec\":{\"containers\":[{\"name\":\"app\"}],\"initContainers\":["
		   "{\"name\":\"proxy\",\"securityContext\":{\"runAsUser\":1337}}]},"
		   "\"status\":{\"initContainerStatuses\":[{\"name\":\"proxy\",\"user\":{\"linux\":"
		   "{\"uid\":1337,\"gid\":1338}}}]}}",
		   "proxy");

	assert_int_equal(json_doc_get(security, "runAsUser")->valueint, 1337);
	assert_int_equal(json_doc_get(security, "runAsGroup")->valueint, 1338);
}

static void only_one_that_runs_beside_the_same_target_is_used_again(void **state)
{
	static const struct {
		const char *name, *target, *image, *state;
		bool good;
	} cases[] = {
	    {"podsnap-a", "app", IMAGE, "running", true},
	    {"podsnap-a", "app", IMAGE, "terminated", false},
	    {"podsnap-a", "side", IMAGE, "running", false},
	    {"podsnap-a", "app", "probe:2", "running", false},
	    {"debugger-a", "app", IMAGE, "running", false},
	    {"podsnap-ptrace-a", "app", IMAGE, "running", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[600];
		_cleanup_json_doc_ cJSON *pod = NULL;
		const char *found;

		snprintf(
		    text, sizeof(text),
		    "{\"spec\":{\"ephemeralContainers\":[{\"name\":\"%s\",\"image\":\"%s\","
		    "\"targetContainerName\":\"%s\"}]},\"status\":{"
		    "\"ephemeralContainerStatuses\":[{\"name\":\"%s\",\"state\":{\"%s\":{}}}]}}",
		    cases[i].name, cases[i].image, cases[i].target, cases[i].name, cases[i].state);
		pod = parse(text);
		found = ephemeral_find(pod, "app", &as_target);
		if (cases[i].good)
			assert_string_equal(found, cases[i].name);
		else
			assert_null(found);
		/* What may trace is used again for that, and for that only. */
		found = ephemeral_find(pod, "app", &tracer);
		assert_int_equal(found != NULL, strstr(cases[i].name, "ptrace") != NULL);
	}
}

static void what_will_not_start_is_told_from_what_may(void **state)
{
	static const struct {
		const char *phase, *state;
		int result;
		const char *says;
	} cases[] = {
	    {"Running", "{\"running\":{}}", 1, NULL},
	    {"Running", "{\"waiting\":{\"reason\":\"ContainerCreating\"}}", 0, NULL},
	    {"Running", "{}", 0, NULL},
	    {"Running", "{\"waiting\":{\"reason\":\"ErrImagePull\",\"message\":\"no such tag\"}}",
	     -ERR_UNSUPPORTED, "ErrImagePull: no such tag"},
	    {"Running", "{\"terminated\":{\"reason\":\"StartError\",\"exitCode\":128}}",
	     -ERR_UNSUPPORTED, "StartError, status 128"},
	    {"Failed", "{}", -ERR_GONE, "has ended: Failed"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err e = {0};
		char text[600];
		_cleanup_json_doc_ cJSON *pod = NULL;

		snprintf(text, sizeof(text),
			 "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"ephemeralContainers\":["
			 "{\"name\":\"podsnap-1\"}]},\"status\":{\"phase\":\"%s\","
			 "\"ephemeralContainerStatuses\":[{\"name\":\"podsnap-1\",\"state\":%s}]}}",
			 cases[i].phase, cases[i].state);
		pod = parse(text);
		assert_int_equal(ephemeral_judge(pod, "podsnap-1", &e), cases[i].result);
		if (cases[i].says) assert_non_null(strstr(e.text, cases[i].says));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_shares_the_targets_processes_and_its_rights),
	    cmocka_unit_test(a_tracer_is_root_with_no_more_than_it_takes),
	    cmocka_unit_test(the_pods_own_user_is_inherited),
	    cmocka_unit_test(a_sidecar_among_the_init_containers_has_rights_too),
	    cmocka_unit_test(only_one_that_runs_beside_the_same_target_is_used_again),
	    cmocka_unit_test(what_will_not_start_is_told_from_what_may),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
