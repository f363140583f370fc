/* The Event that a capture leaves. */
#include "exec/audit.h"
#include "exec/json_doc.h"
#include "tests/unit/base/unit.h"

static const struct pod_target target = {
    .namespace_ = "ns", .pod = "web", .container = "app", .uid = "u1"};

static cJSON *body(const struct audit_event *event)
{
	_cleanup_free_ char *text = audit_event_body(&target, event, "podsnap-1");
	cJSON *doc = cJSON_Parse(text);

	assert_non_null(doc);
	return doc;
}

static void it_is_on_the_pod_and_says_who_and_why(void **state)
{
	static const struct audit_event event = {.user = "anna",
						 .host = "laptop",
						 .reason = "slow",
						 .outcome = "complete bundle of 3 entries",
						 .container = "app",
						 .when = 86400};
	_cleanup_json_doc_ cJSON *doc = body(&event);

	assert_string_equal(json_doc_text(doc, "metadata.name"), "podsnap-1");
	assert_string_equal(json_doc_text(doc, "metadata.namespace"), "ns");
	assert_string_equal(json_doc_text(doc, "involvedObject.kind"), "Pod");
	assert_string_equal(json_doc_text(doc, "involvedObject.name"), "web");
	assert_string_equal(json_doc_text(doc, "involvedObject.uid"), "u1");
	assert_string_equal(json_doc_text(doc, "involvedObject.fieldPath"), "spec.containers{app}");
	assert_string_equal(json_doc_text(doc, "reason"), "PodsnapCapture");
	assert_string_equal(json_doc_text(doc, "reportingComponent"), "podsnap");
	assert_string_equal(json_doc_text(doc, "lastTimestamp"), "1970-01-02T00:00:00Z");
	assert_string_equal(json_doc_text(doc, "message"),
			    "anna on laptop captured container app: complete bundle of 3 entries; "
			    "reason: slow");
}

static void a_message_stays_below_the_servers_bound(void **state)
{
	char user[400], outcome[400], reason[5000];
	struct audit_event event = {
	    .user = user, .outcome = outcome, .reason = reason, .container = "app"};
	_cleanup_json_doc_ cJSON *doc = NULL;

	memset(user, 'u', sizeof(user) - 1);
	memset(outcome, 'o', sizeof(outcome) - 1);
	memset(reason, 'r', sizeof(reason) - 1);
	user[sizeof(user) - 1] = outcome[sizeof(outcome) - 1] = reason[sizeof(reason) - 1] = '\0';
	doc = body(&event);
	assert_in_range(strlen(json_doc_text(doc, "message")), 1000, 1023);
}

static void what_is_unknown_is_said_so(void **state)
{
	static const struct audit_event event = {.outcome = "failed", .container = "app"};
	_cleanup_json_doc_ cJSON *doc = body(&event);

	assert_string_equal(json_doc_text(doc, "message"),
			    "somebody captured container app: failed");
	assert_string_equal(json_doc_text(doc, "reportingInstance"), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_is_on_the_pod_and_says_who_and_why),
	    cmocka_unit_test(a_message_stays_below_the_servers_bound),
	    cmocka_unit_test(what_is_unknown_is_said_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
