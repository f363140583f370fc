/* What is gathered of a pod, from a server made up. */
#include "exec/evidence_internal.h"
#include "tests/unit/base/unit.h"

#define POD_PATH "/api/v1/namespaces/ns/pods/web"
#define OWNER(api, kind, name, uid)                                                                \
	"\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Other\",\"name\":\"o\"},"          \
	"{\"apiVersion\":\"" api "\",\"kind\":\"" kind "\",\"name\":\"" name "\",\"uid\":\"" uid   \
	"\",\"controller\":true}]"
#define META(name, uid, more) "\"metadata\":{\"name\":\"" name "\",\"uid\":\"" uid "\"" more "}"
#define APPS                                                                                       \
	"{\"resources\":[{\"name\":\"deployments/status\",\"kind\":\"Deployment\","                \
	"\"namespaced\":true},{\"name\":\"deployments\",\"kind\":\"Deployment\","                  \
	"\"namespaced\":true},{\"name\":\"replicasets\",\"kind\":\"ReplicaSet\","                  \
	"\"namespaced\":true}]}"

/* An answer; a path that ends in '*' is the start of one. code: instead of the body. */
struct answer {
	const char *path, *body;
	int code;
};
struct server {
	const struct answer *answers;
	size_t count;
};

static int get(void *ctx, const char *path, struct buf *ret, struct err *e)
{
	struct server *s = ctx;

	for (size_t i = 0; i < s->count; i++) {
		const struct answer *a = &s->answers[i];
		size_t len = strlen(a->path);
		bool prefix = a->path[len - 1] == '*';

		if (prefix ? strncmp(path, a->path, len - 1) != 0 : strcmp(path, a->path) != 0)
			continue;
		if (a->code == 0) return buf_puts(ret, a->body, e);
		err_set(e, (enum err_code) - a->code, "%s", a->body);
		return a->code == -ERR_FORBIDDEN
			   ? err_hint(e,
				      "a Role in namespace ns needs this rule:\n"
				      "- apiGroups: [\"\"]\n  resources: [\"x\"]\n  verbs: [\"y\"]")
			   : a->code;
	}
	return err_set(e, ERR_NOT_FOUND, "not found");
}

struct entry {
	char name[100], reason[BUNDLE_REASON_MAX];
	enum entry_status status;
	char *text; /* NULL: none */
};
struct entries {
	struct entry items[20];
	size_t count;
};

static int keep(void *ctx, const char *name, enum entry_status status, const char *reason,
		const void *data, size_t len, struct err *e)
{
	struct entries *all = ctx;
	struct entry *entry = &all->items[all->count++];

	assert_in_range(all->count, 1, ARRAY_SIZE(all->items));
	assert_int_equal(status == ENTRY_OK, !*reason);
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	snprintf(entry->reason, sizeof(entry->reason), "%s", reason);
	entry->status = status;
	entry->text = data ? strndup(data, len) : NULL;
	return 0;
}

static void entries_done(struct entries *all)
{
	for (size_t i = 0; i < all->count; i++)
		free(all->items[i].text);
}
#define _cleanup_entries_ _cleanup_(entries_done)

static const struct entry *find(const struct entries *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->items[i].name, name) == 0) return &all->items[i];
	return NULL;
}

static void expect(const struct entries *all, const char *name, enum entry_status status,
		   const char *reason)
{
	const struct entry *entry = find(all, name);

	if (!entry) fail_msg("no %s", name);
	if (entry->status != status || !strstr(entry->reason, reason))
		fail_msg("%s: %s, %s", name, entry_status_name(entry->status), entry->reason);
}

static const struct pod_target target = {
    .namespace_ = "ns", .pod = "web", .container = "app", .uid = "u1", .node = "n1"};

/* before and now: the server when the capture begins, and when it is done. */
static void gather_two(const struct answer *before, size_t before_count, const struct answer *now,
		       size_t now_count, unsigned log_lines, struct entries *ret)
{
	const struct evidence_config config = {.log_lines = log_lines};
	struct server s = {before, before_count};
	_cleanup_evidence_ struct evidence *ev = NULL;
	struct err e;

	assert_int_equal(evidence_new_from(get, &s, NULL, &target, &ev, &e), 0);
	s = (struct server){now, now_count};
	assert_int_equal(evidence_gather(ev, &config, keep, ret, &e), 0);
}
#define GATHER(answers, log_lines, ret)                                                            \
	gather_two(answers, ARRAY_SIZE(answers), answers, ARRAY_SIZE(answers), log_lines, ret)

static void owners_are_followed_by_their_controllers(void **state)
{
	static const struct answer answers[] = {
	    {POD_PATH,
	     "{" META("web", "u1", "," OWNER("apps/v1", "ReplicaSet", "web-1", "r1")) "}"},
	    {"/apis/apps/v1", APPS},
	    {"/apis/apps/v1/namespaces/ns/replicasets/web-1",
	     "{" META("web-1", "r1", "," OWNER("apps/v1", "Deployment", "web", "d1")) "}"},
	    {"/apis/apps/v1/namespaces/ns/deployments/web",
	     "{" META("web", "d1", "," OWNER("shop.example/v2", "Shop", "main", "s1")) "}"},
	    {"/apis/shop.example/v2",
	     "{\"resources\":[{\"name\":\"shopz\",\"kind\":\"Shop\",\"namespaced\":false}]}"},
	    {"/apis/shop.example/v2/shopz/main",
	     "{" META("main", "s1",
		      ",\"managedFields\":[1]") ",\"spec\":{\"password\":\"hunter2\"}}"},
	};
	_cleanup_entries_ struct entries all = {0};

	GATHER(answers, 0, &all);
	expect(&all, "kube/owners/1-replicaset-web-1.json", ENTRY_OK, "");
	expect(&all, "kube/owners/2-deployment-web.json", ENTRY_OK, "");
	expect(&all, "kube/owners/3-shop-main.json", ENTRY_OK, "");
	/* What its kind keeps where is not known: every key counts. */
	assert_null(strstr(find(&all, "kube/owners/3-shop-main.json")->text, "hunter2"));
	assert_null(strstr(find(&all, "kube/owners/3-shop-main.json")->text, "managedFields"));
	assert_null(find(&all, "kube/logs/app.log"));
}

static void a_chain_has_an_end(void **state)
{
	static const struct answer ring[] = {
	    {POD_PATH, "{" META("web", "u1", "," OWNER("apps/v1", "ReplicaSet", "r", "r1")) "}"},
	    {"/apis/apps/v1", APPS},
	    {"/apis/apps/v1/namespaces/ns/replicasets/r",
	     "{" META("r", "r1", "," OWNER("apps/v1", "ReplicaSet", "r", "r1")) "}"},
	};
	_cleanup_entries_ struct entries all = {0};

	GATHER(ring, 0, &all);
	assert_non_null(find(&all, "kube/owners/5-replicaset-r.json"));
	assert_null(find(&all, "kube/owners/6-replicaset-r.json"));
}

static void owners_that_are_not_asked_for(void **state)
{
	static const struct {
		const char *pod, *name, *says;
	} cases[] = {
	    {"{" META("web", "u1", "," OWNER("v1", "Secret", "s", "s1")) "}",
	     "kube/owners/1-secret-s.json", "never read"},
	    {"{" META("web", "u1", "," OWNER("apps/v1", "ReplicaSet", "other", "r2")) "}",
	     "kube/owners/1-replicaset-other.json", "another has its name"},
	    {"{" META("web", "u1", "," OWNER("apps/v1", "Strange", "s", "r2")) "}",
	     "kube/owners/1-strange-s.json", "no kind Strange"},
	    {"{" META("web", "u1", "," OWNER("../v1", "ReplicaSet", "s", "r2")) "}", NULL, NULL},
	    {"{" META("web", "u1", "," OWNER("apps/v1", "ReplicaSet", "../s", "r2")) "}", NULL,
	     NULL},
	    {"{" META("web", "u1", "," OWNER("apps/v1", "Re/plica", "s", "r2")) "}", NULL, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct answer answers[] = {
		    {POD_PATH, cases[i].pod},
		    {"/api/v1", "{\"resources\":[{\"name\":\"secrets\",\"kind\":\"Secret\","
				"\"namespaced\":true}]}"},
		    {"/apis/apps/v1", APPS},
		    {"/apis/apps/v1/namespaces/ns/replicasets/*", "{" META("other", "x", "") "}"},
		    {"/api/v1/namespaces/ns/secrets/*", "{" META("s", "s1", "") "}"},
		};
		_cleanup_entries_ struct entries all = {0};

		GATHER(answers, 0, &all);
		if (cases[i].name) {
			expect(&all, cases[i].name, ENTRY_SKIPPED, cases[i].says);
			assert_null(find(&all, cases[i].name)->text);
		} else {
			for (size_t k = 0; k < all.count; k++)
				assert_null(strstr(all.items[k].name, "owners"));
		}
	}
}

static void what_may_not_be_read_is_skipped_and_what_fails_has_failed(void **state)
{
	static const struct answer answers[] = {
	    {POD_PATH, "{" META("web", "u1", "") "}"},
	    {"/api/v1/nodes/n1", "no", -ERR_FORBIDDEN},
	    {"/api/v1/namespaces/ns/events*", "it burns", -ERR_SERVER},
	};
	_cleanup_entries_ struct entries all = {0};

	GATHER(answers, 0, &all);
	expect(&all, "kube/pod.json", ENTRY_OK, "");
	expect(&all, "kube/node.json", ENTRY_SKIPPED,
	       "not allowed: a Role in namespace ns needs this rule: apiGroups: [\"\"], "
	       "resources: [\"x\"], verbs: [\"y\"]");
	expect(&all, "kube/events.json", ENTRY_FAILED, "it burns");
	expect(&all, "kube/metrics.json", ENTRY_SKIPPED, "no metrics API");
}

#define EVENTS "/api/v1/namespaces/ns/events?limit=500&fieldSelector=involvedObject.uid%3Du1"

static void events_of_several_pages_are_one_list(void **state)
{
	static const struct answer answers[] = {
	    {POD_PATH, "{" META("web", "u1", "") "}"},
	    {EVENTS, "{\"metadata\":{\"continue\":\"a/b\"},\"items\":[{\"reason\":\"One\"}]}"},
	    {EVENTS "&continue=a%2Fb", "{\"metadata\":{},\"items\":[{\"reason\":\"Two\"}]}"},
	};
	static const struct answer endless[] = {
	    {POD_PATH, "{" META("web", "u1", "") "}"},
	    {EVENTS "*", "{\"metadata\":{\"continue\":\"a\"},\"items\":[{\"reason\":\"One\"}]}"},
	};
	_cleanup_entries_ struct entries all = {0}, much = {0};
	const char *text;

	GATHER(answers, 0, &all);
	expect(&all, "kube/events.json", ENTRY_OK, "");
	text = find(&all, "kube/events.json")->text;
	assert_true(strstr(text, "One") && strstr(text, "Two") && !strstr(text, "continue"));
	GATHER(endless, 0, &much);
	expect(&much, "kube/events.json", ENTRY_PARTIAL, "there are more");
}

#define LOG(container, lines)                                                                      \
	POD_PATH "/log?container=" container "&timestamps=true&tailLines=" lines                   \
		 "&limitBytes=8388608"

/* One that runs again, one that waits to, one that never ran; and what is no usual container. */
static const char many_containers[] =
    "{\"metadata\":{\"uid\":\"u1\"},"
    "\"spec\":{\"containers\":[{\"name\":\"app\"},{\"name\":\"crashing\"},{\"name\":\"new\"}],"
    "\"initContainers\":[{\"name\":\"init\"}],\"ephemeralContainers\":[{\"name\":\"debug\"}]},"
    "\"status\":{\"containerStatuses\":["
    "{\"name\":\"app\",\"state\":{\"running\":{}},\"lastState\":{\"terminated\":{}}},"
    "{\"name\":\"crashing\",\"state\":{\"waiting\":{}},\"lastState\":{\"terminated\":{}}},"
    "{\"name\":\"new\",\"state\":{\"waiting\":{}}}],"
    "\"initContainerStatuses\":[{\"name\":\"init\",\"state\":{\"terminated\":{}}}],"
    "\"ephemeralContainerStatuses\":[{\"name\":\"debug\",\"state\":{\"running\":{}}}]}}";

static void logs_of_every_container_that_has_one(void **state)
{
	static const struct answer answers[] = {
	    {POD_PATH, many_containers},
	    {LOG("app", "7"), "a\n"},
	    {LOG("app", "7") "&previous=true", "b\n"},
	    {LOG("crashing", "7") "&previous=true", "c\n"},
	    {LOG("init", "7"), ""},
	    {LOG("debug", "7"), "e\n"},
	};
	_cleanup_entries_ struct entries all = {0};
	size_t logs = 0;

	GATHER(answers, 7, &all);
	for (size_t i = 0; i < all.count; i++)
		logs += strncmp(all.items[i].name, "kube/logs/", 10) == 0;
	assert_int_equal(logs, 5);
	assert_string_equal(find(&all, "kube/logs/app.log")->text, "a\n");
	assert_string_equal(find(&all, "kube/logs/app.previous.log")->text, "b\n");
	assert_string_equal(find(&all, "kube/logs/crashing.previous.log")->text, "c\n");
	assert_string_equal(find(&all, "kube/logs/init.log")->text, "");
	assert_string_equal(find(&all, "kube/logs/debug.log")->text, "e\n");
}

static const char one_container[] =
    "{\"metadata\":{\"uid\":\"u1\"},\"spec\":{\"containers\":[{\"name\":\"app\"}]},"
    "\"status\":{\"containerStatuses\":[{\"name\":\"app\",\"state\":{\"running\":{}}}]}}";

/* A server whose one log has lines of 1 MiB, and which cuts at the end what is too much. */
static int get_long_log(void *ctx, const char *path, struct buf *ret, struct err *e)
{
	const char *lines = strstr(path, "tailLines=");
	unsigned long count = lines ? strtoul(lines + 10, NULL, 10) : 0, of = *(unsigned *)ctx;
	char *at;

	if (!lines)
		return strcmp(path, POD_PATH) == 0 ? buf_puts(ret, one_container, e)
						   : err_set(e, ERR_NOT_FOUND, "not found");
	count = MIN(count, (unsigned long)of);
	for (unsigned long i = of - count; i < of; i++) {
		assert_int_equal(buf_reserve(ret, 1 << 20, &at, e), 0);
		memset(at, 'x', 1 << 20);
		at[snprintf(at, 100, "line %lu", i + 1)] = ' ';
		at[(1 << 20) - 1] = '\n';
		ret->len += MIN((size_t)1 << 20, ((size_t)8 << 20) - ret->len);
		if (ret->len == (size_t)8 << 20) return 0;
	}
	return 0;
}

static void the_newest_lines_of_a_long_log_are_kept(void **state)
{
	const struct evidence_config config = {.log_lines = 1000};
	_cleanup_evidence_ struct evidence *ev = NULL;
	_cleanup_entries_ struct entries all = {0};
	unsigned lines = 20;
	const struct entry *log;
	struct err e;

	assert_int_equal(evidence_new_from(get_long_log, &lines, NULL, &target, &ev, &e), 0);
	assert_int_equal(evidence_gather(ev, &config, keep, &all, &e), 0);
	expect(&all, "kube/logs/app.log", ENTRY_PARTIAL, "only the last 6 of 1000 lines");
	log = find(&all, "kube/logs/app.log");
	assert_memory_equal(log->text, "line 15 ", 8);
	assert_non_null(strstr(log->text, "\nline 20 "));
}

static void a_pod_that_is_gone_is_kept_as_it_was(void **state)
{
	static const struct answer before[] = {{POD_PATH, one_container}};
	/* Another of its name, as a StatefulSet makes one. */
	static const struct answer now[] = {{POD_PATH, "{" META("web", "u2", "") "}"},
					    {LOG("app", "7"), "not its\n"}};
	_cleanup_entries_ struct entries all = {0};

	gather_two(before, ARRAY_SIZE(before), now, ARRAY_SIZE(now), 7, &all);
	expect(&all, "kube/pod.json", ENTRY_PARTIAL, "the pod is gone");
	assert_non_null(strstr(find(&all, "kube/pod.json")->text, "u1"));
	expect(&all, "kube/logs/app.log", ENTRY_SKIPPED, "the pod is gone");
}

#define ENDED_POD(uid, id, state, last)                                                            \
	"{" META("web", uid,                                                                       \
		 "") ",\"spec\":{\"containers\":[{\"name\":\"app\"}]},"                            \
		     "\"status\":{\"containerStatuses\":[{\"name\":\"app\",\"containerID\":\"" id  \
		     "\","                                                                         \
		     "\"state\":{" state "},\"lastState\":{" last "}}]}}"
#define OOM "\"terminated\":{\"containerID\":\"c1\",\"reason\":\"OOMKilled\",\"exitCode\":137}"

static void how_a_container_ended(void **state)
{
	static const struct {
		const char *now, *says;
		int code;
	} cases[] = {
	    {ENDED_POD("u1", "c1", "\"running\":{}", ""), NULL, 0},
	    /* An end before the capture is none during it. */
	    {ENDED_POD("u1", "c1", "\"running\":{}",
		       "\"terminated\":{\"containerID\":\"c0\",\"exitCode\":1}"),
	     NULL, 0},
	    {ENDED_POD("u1", "c1", OOM, ""), "container app ended: OOMKilled, exit status 137", 0},
	    {ENDED_POD("u1", "c2", "\"running\":{}", OOM),
	     "container app ended: OOMKilled, exit status 137", 0},
	    {ENDED_POD("u1", "c2", "\"running\":{}", ""), "container app ended", 0},
	    {ENDED_POD("u2", "c2", "\"running\":{}", ""), "pod web is gone", 0},
	    {"not found", "pod web is gone", -ERR_NOT_FOUND},
	    {"it burns", NULL, -ERR_SERVER},
	};
	static const struct answer before[] = {
	    {POD_PATH, ENDED_POD("u1", "c1", "\"running\":{}", "")}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct answer now[] = {{POD_PATH, cases[i].now, cases[i].code}};
		struct server s = {before, 1};
		_cleanup_evidence_ struct evidence *ev = NULL;
		char text[256] = "";
		struct err e;

		assert_int_equal(evidence_new_from(get, &s, NULL, &target, &ev, &e), 0);
		s.answers = now;
		assert_int_equal(evidence_ended(ev, 0, text, sizeof(text)), cases[i].says != NULL);
		if (cases[i].says) assert_string_equal(text, cases[i].says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(owners_are_followed_by_their_controllers),
	    cmocka_unit_test(a_chain_has_an_end),
	    cmocka_unit_test(owners_that_are_not_asked_for),
	    cmocka_unit_test(what_may_not_be_read_is_skipped_and_what_fails_has_failed),
	    cmocka_unit_test(events_of_several_pages_are_one_list),
	    cmocka_unit_test(logs_of_every_container_that_has_one),
	    cmocka_unit_test(the_newest_lines_of_a_long_log_are_kept),
	    cmocka_unit_test(a_pod_that_is_gone_is_kept_as_it_was),
	    cmocka_unit_test(how_a_container_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
