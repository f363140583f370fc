/* What of an object may be kept, by documents as the API server has them. */
#include "base/secret.h"
#include "exec/json_doc.h"
#include "exec/redact.h"
#include "tests/unit/base/unit.h"

/* The text of what is left of a document. */
static void expect(const char *before, bool every_member, const char *after)
{
	_cleanup_json_doc_ cJSON *doc = cJSON_Parse(before);
	_cleanup_free_ char *text = NULL;
	struct err e;

	assert_non_null(doc);
	assert_int_equal(redact_object(doc, every_member, &e), 0);
	text = cJSON_PrintUnformatted(doc);
	assert_string_equal(text, after);
}

static void environment_by_name_and_by_form(void **state)
{
	expect("{\"spec\":{\"containers\":[{\"name\":\"app\",\"env\":["
	       "{\"name\":\"DB_PASSWORD\",\"value\":\"hunter2\"},"
	       "{\"name\":\"MODE\",\"value\":\"fast\"},"
	       "{\"name\":\"URL\",\"value\":\"http://u:pw@h/\"},"
	       "{\"name\":\"API_TOKEN\",\"valueFrom\":{\"secretKeyRef\":{\"key\":\"k\"}}}]}]}}",
	       false,
	       "{\"spec\":{\"containers\":[{\"name\":\"app\",\"env\":["
	       "{\"name\":\"DB_PASSWORD\",\"value\":\"" SECRET_MASK "\"},"
	       "{\"name\":\"MODE\",\"value\":\"fast\"},"
	       "{\"name\":\"URL\",\"value\":\"http://u:" SECRET_MASK "@h/\"},"
	       "{\"name\":\"API_TOKEN\",\"valueFrom\":{\"secretKeyRef\":{\"key\":\"k\"}}}]}]}}");
}

static void a_pod_template_and_a_probes_headers(void **state)
{
	expect("{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"env\":[{\"name\":\"A_KEY\","
	       "\"value\":\"x\"}],\"livenessProbe\":{\"httpGet\":{\"httpHeaders\":[{\"name\":"
	       "\"Authorization\",\"value\":\"x\"}]}}}]}}}}",
	       false,
	       "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"env\":[{\"name\":\"A_KEY\","
	       "\"value\":\"" SECRET_MASK "\"}],\"livenessProbe\":{\"httpGet\":{\"httpHeaders\":[{"
	       "\"name\":\"Authorization\",\"value\":\"" SECRET_MASK "\"}]}}}]}}}}");
}

static void words_of_a_command(void **state)
{
	expect("{\"command\":[\"app\",\"--token\",\"abc\",\"--port\",\"1\"],"
	       "\"args\":[\"--password=x\",\"word\",\"--pass-file=y\",7,\"-v\"]}",
	       false,
	       "{\"command\":[\"app\",\"--token\",\"" SECRET_MASK "\",\"--port\",\"1\"],"
	       "\"args\":[\"--password=" SECRET_MASK "\",\"word\",\"--pass-file=" SECRET_MASK
	       "\",7,\"-v\"]}");
}

static void json_in_annotations_stays_json(void **state)
{
	expect("{\"metadata\":{\"annotations\":{"
	       "\"kubectl.kubernetes.io/last-applied-configuration\":"
	       "\"{\\\"spec\\\":{\\\"env\\\":[{\\\"name\\\":\\\"PASSWORD\\\",\\\"value\\\":"
	       "\\\"hunter2\\\"}]}}\\n\","
	       "\"note\":\"plain\",\"my/token\":\"{\\\"a\\\":1}\","
	       "\"broken\":\"{\\\"password\\\":\\\"x\\\"\"}}}",
	       false,
	       "{\"metadata\":{\"annotations\":{"
	       "\"kubectl.kubernetes.io/last-applied-configuration\":"
	       "\"{\\\"spec\\\":{\\\"env\\\":[{\\\"name\\\":\\\"PASSWORD\\\",\\\"value\\\":"
	       "\\\"" SECRET_MASK "\\\"}]}}\","
	       "\"note\":\"plain\",\"my/token\":\"" SECRET_MASK "\","
	       "\"broken\":\"{\\\"password\\\":" SECRET_MASK "\"}}}");
}

static void annotations_in_annotations_end_somewhere(void **state)
{
	_cleanup_json_doc_ cJSON *doc = cJSON_CreateObject();
	struct err e;

	for (int i = 0; i < 8; i++) {
		_cleanup_free_ char *inside = cJSON_PrintUnformatted(doc);

		cJSON_Delete(doc);
		doc = cJSON_CreateObject();
		cJSON_AddStringToObject(cJSON_AddObjectToObject(doc, "annotations"), "a", inside);
		if (i == 0) cJSON_AddStringToObject(doc, "password", "hunter2");
	}
	assert_int_equal(redact_object(doc, true, &e), 0);
	_cleanup_free_ char *text = cJSON_PrintUnformatted(doc);
	assert_null(strstr(text, "hunter2"));
}

static void other_kinds_hide_by_every_key(void **state)
{
	static const char before[] =
	    "{\"spec\":{\"adminPassword\":\"x\",\"users\":[{\"token\":\"y\"}"
	    "],\"replicas\":3,\"title\":\"z\"}}";

	expect(before, false, before);
	expect(before, true,
	       "{\"spec\":{\"adminPassword\":\"" SECRET_MASK
	       "\",\"users\":[{\"token\":\"" SECRET_MASK "\"}],\"replicas\":3,\"title\":\"z\"}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(environment_by_name_and_by_form),
	    cmocka_unit_test(a_pod_template_and_a_probes_headers),
	    cmocka_unit_test(words_of_a_command),
	    cmocka_unit_test(json_in_annotations_stays_json),
	    cmocka_unit_test(annotations_in_annotations_end_somewhere),
	    cmocka_unit_test(other_kinds_hide_by_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
