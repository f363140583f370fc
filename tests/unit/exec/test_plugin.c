#include "exec/kube_internal.h"
#include "exec/plugin.h"
#include "tests/unit/exec/config_dir.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#define V1 "client.authentication.k8s.io/v1"
#define V1BETA1 "client.authentication.k8s.io/v1beta1"

static const char *put_script(const char *text)
{
	const char *path = put("script", text);

	assert_int_equal(chmod(path, 0755), 0);
	return path;
}

static char *get(const char *name)
{
	static char text[4096];
	FILE *f = fopen(path_of(name), "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f) fclose(f);
	text[n] = '\0';
	return text;
}

static int make(const char *exec, const char *extensions, struct plugin **ret, struct err *e)
{
	_cleanup_yaml_ struct yaml_node *node = NULL, *more = NULL;

	assert_int_equal(yaml_parse(exec, strlen(exec), "test", &node, e), 0);
	if (extensions)
		assert_int_equal(yaml_parse(extensions, strlen(extensions), "test", &more, e), 0);
	return plugin_new(node, more, yaml_text(node, "command"), "user \"u\" of FILE", ret, e);
}

/* A plugin that is this script. */
static struct plugin *script(const char *text, const char *more)
{
	struct plugin *p = NULL;
	char exec[500];
	struct err e;

	snprintf(exec, sizeof(exec), "{apiVersion: " V1 ", interactiveMode: Never, command: %s%s}",
		 put_script(text), more);
	if (make(exec, NULL, &p, &e) != 0) fail_msg("%s", e.text);
	return p;
}

static int run(const struct plugin *p, struct buf *ret, struct err *e)
{
	struct plugin_limits limits = {0};

	return plugin_spawn(p, "{info}", false, &limits, ret, e);
}

static void what_is_missing_in_the_kubeconfig_is_named(void **state)
{
	static const struct {
		const char *exec, *part;
	} cases[] = {
	    {"{apiVersion: " V1 ", interactiveMode: Never}", "no command"},
	    {"{command: p, interactiveMode: Never}", "no apiVersion"},
	    {"{command: p, apiVersion: client.authentication.k8s.io/v1alpha1}",
	     "an apiVersion that is not"},
	    {"{command: p, apiVersion: " V1 "}", "no interactiveMode"},
	    {"{command: p, apiVersion: " V1BETA1 ", interactiveMode: Sometimes}",
	     "an interactiveMode that is not"},
	    {"{command: p, apiVersion: " V1BETA1 ", env: [{value: hidden}]}",
	     "a variable without a name"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct plugin *p = NULL;
		struct err e;

		assert_int_equal(make(cases[i].exec, NULL, &p, &e), -ERR_CORRUPT);
		assert_contains(e.text, "user \"u\" of FILE: its exec plugin has ");
		assert_contains(e.text, cases[i].part);
		assert_null(strstr(e.text, "hidden"));
	}
}

static void the_info_is_what_kubectl_gives(void **state)
{
	_cleanup_plugin_ struct plugin *p = NULL, *plain = NULL;
	_cleanup_buf_ struct buf info = BUF_INIT(10000);
	struct plugin_cluster cluster = {.server = "https://h:1/p",
					 .tls_server_name = "name",
					 .proxy = "http://proxy",
					 .ca_pem = "pem!",
					 .ca_len = 4,
					 .insecure = true};
	struct err e;

	assert_int_equal(make("{command: p, apiVersion: " V1BETA1 ", provideClusterInfo: true}",
			      "[{name: other, extension: {no: no}}, {name: " V1BETA1
			      "}, {name: client.authentication.k8s.io/exec, extension: {audience: "
			      "abc, n: 42, s: '42', t: true, z: null, list: [a, 1.5]}}]",
			      &p, &e),
			 0);
	assert_int_equal(p->interaction, PLUGIN_IF_AVAILABLE);
	assert_int_equal(plugin_info(p, &cluster, false, &info, &e), 0);
	assert_string_equal(
	    info.data,
	    "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1BETA1 "\",\"spec\":{\"cluster\":{"
	    "\"server\":\"https://h:1/p\",\"tls-server-name\":\"name\","
	    "\"insecure-skip-tls-verify\":true,\"certificate-authority-data\":\"cGVtIQ==\","
	    "\"proxy-url\":\"http://proxy\",\"config\":{\"audience\":\"abc\",\"n\":42,\"s\":\"42\","
	    "\"t\":true,\"z\":null,\"list\":[\"a\",1.5]}},\"interactive\":false}}");
	buf_clear(&info);
	assert_int_equal(
	    make("{command: p, apiVersion: " V1 ", interactiveMode: Always}", NULL, &plain, &e), 0);
	assert_int_equal(plugin_info(plain, &cluster, true, &info, &e), 0);
	assert_string_equal(info.data, "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\","
				       "\"spec\":{\"interactive\":true}}");
}

static void an_answer_is_a_token_or_a_certificate(void **state)
{
#define ANSWER(status)                                                                             \
	"{\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\",\"status\":" status "}"
	_cleanup_plugin_ struct plugin *p = NULL;
	static const struct {
		const char *text, *part;
	} bad[] = {
	    {"", "no ExecCredential"},
	    {"hidden", "no ExecCredential"},
	    {"{\"token\": \"hidden", "no ExecCredential"},
	    {"[1]", "no ExecCredential"},
	    {"{\"kind\":\"Status\",\"token\":\"hidden\"}", "no ExecCredential"},
	    {"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1BETA1 "\"}",
	     "asks for " V1 ", and it answered with " V1BETA1},
	    {"{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\"}", "without a status"},
	    {ANSWER("{}"), "neither a token nor"},
	    {ANSWER("{\"token\":\"\"}"), "neither a token nor"},
	    {ANSWER("{\"clientKeyData\":\"hidden\"}"), "without the other"},
	    {ANSWER("{\"token\":\"hidden\",\"expirationTimestamp\":\"hidden\"}"), "is no time"},
	    {ANSWER("{\"token\":\"hidden\\nX: y\"}"), "more than one line"},
	};
	static const char both[] =
	    ANSWER("{\"token\":\"t\",\"clientCertificateData\":\"c\\nd\",\"clientKeyData\":\"k\","
		   "\"expirationTimestamp\":\"2026-01-02T04:04:05.123+01:00\"}");
	static const char yaml[] =
	    "apiVersion: " V1 "\nkind: ExecCredential\nstatus:\n  token: t\n";
	struct plugin_credential c;
	struct err e;

	assert_int_equal(make("{command: p, apiVersion: " V1 ", interactiveMode: Never, "
			      "installHint: get p}",
			      NULL, &p, &e),
			 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(plugin_parse(p, bad[i].text, strlen(bad[i].text), &c, &e),
				 -ERR_AUTH);
		assert_contains(e.text, "credential plugin \"p\" of user \"u\" of FILE: ");
		assert_contains(e.text, bad[i].part);
		assert_contains(e.hint, "\nget p");
		assert_null(strstr(e.text, "hidden"));
	}
	assert_int_equal(plugin_parse(p, both, strlen(both), &c, &e), 0);
	assert_string_equal(c.token, "t");
	assert_string_equal(c.cert.data, "c\nd");
	assert_string_equal(c.key.data, "k");
	assert_int_equal(c.expires, 1767323045);
	plugin_credential_done(&c);
	assert_int_equal(plugin_parse(p, yaml, strlen(yaml), &c, &e), 0);
	assert_string_equal(c.token, "t");
	assert_int_equal(c.expires, 0);
	plugin_credential_done(&c);
}

static void it_gets_arguments_environment_and_no_stdin(void **state)
{
	static const char text[] = "#!/bin/sh\n"
				   "echo \"$1|$2|$A|$B|$OURS|$KUBERNETES_EXEC_INFO|$(cat)\"\n"
				   "ls /proc/self/fd | wc -l\n";
	_cleanup_plugin_ struct plugin *p =
	    script(text, ", args: ['a b', ''], env: [{name: A, value: x=y}, {name: B}, {name: "
			 "OURS, value: first}, {name: OURS, value: its}]");
	_cleanup_buf_ struct buf out = BUF_INIT(1000);
	_cleanup_close_ int open_fd = open("/dev/null", O_RDONLY); /* not for it */
	struct err e;

	setenv("OURS", "ours", 1);
	setenv("KUBERNETES_EXEC_INFO", "ours", 1);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(run(p, &out, &e), 0);
	/* ls has 0, 1, 2 and the directory. */
	assert_string_equal(out.data, "a b||x=y||its|{info}|\n4\n");
}

static void a_plugin_that_fails_says_how_and_what_to_do(void **state)
{
	static const struct {
		const char *text, *part;
		int code;
	} cases[] = {
	    {"#!/bin/sh\necho hidden; exit 3\n", "failed with exit status 3", ERR_AUTH},
	    {"#!/bin/sh\nkill -9 $$\n", "ended by signal 9", ERR_AUTH},
	    {"#!/no/such/program\n", "there is no such program", ERR_AUTH},
	    {"#!/bin/sh\nyes | head -c 3000000\n", "prints more than a credential", ERR_AUTH},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_plugin_ struct plugin *p =
		    script(cases[i].text, ", args: [hidden], installHint: 'see: the manual'");
		_cleanup_buf_ struct buf out = BUF_INIT(1 << 20);
		struct err e;

		assert_int_equal(run(p, &out, &e), -cases[i].code);
		assert_contains(e.text, "credential plugin \"/tmp/podsnap-unit-");
		assert_contains(e.text, cases[i].part);
		assert_contains(e.hint, "--token");
		assert_contains(e.hint, "see: the manual");
		assert_null(strstr(e.text, "hidden"));
	}
	_cleanup_plugin_ struct plugin *p = script("#!/bin/sh\n", "");
	_cleanup_buf_ struct buf out = BUF_INIT(100);
	struct err e;
	assert_int_equal(chmod(p->command, 0600), 0);
	assert_int_equal(run(p, &out, &e), -ERR_PERMISSION);
}

static atomic_bool cancel;

static void on_alarm(int sig)
{
	atomic_store(&cancel, true);
}

static void one_that_hangs_is_ended(void **state)
{
	_cleanup_plugin_ struct plugin *p =
	    script("#!/bin/sh\necho $$ >${0%/*}/pid\nexec sleep 1000\n", "");
	struct plugin_limits limits = {.timeout_ns = NS_PER_S / 2};
	_cleanup_buf_ struct buf out = BUF_INIT(100);
	struct err e;

	assert_int_equal(plugin_spawn(p, "", false, &limits, &out, &e), -ERR_TIMEOUT);
	assert_contains(e.hint, "--request-timeout");
	assert_int_equal(kill(atoi(get("pid")), 0), -1);

	limits = (struct plugin_limits){.timeout_ns = 3600ull * NS_PER_S, .cancel = &cancel};
	signal(SIGALRM, on_alarm);
	ualarm(200000, 0);
	assert_int_equal(plugin_spawn(p, "", false, &limits, &out, &e), -ERR_CANCELLED);
	assert_int_equal(kill(atoi(get("pid")), 0), -1);
	atomic_store(&cancel, false);
	assert_int_equal(unlink(path_of("pid")), 0);
}

/* A helper of its own that stays does not keep us: what matters is that the plugin ended. */
static void what_it_leaves_behind_is_not_waited_for(void **state)
{
	_cleanup_plugin_ struct plugin *p =
	    script("#!/bin/sh\nsleep 1000 2>/dev/null &\necho $! >${0%/*}/pid\necho done\n", "");
	_cleanup_buf_ struct buf out = BUF_INIT(100);
	struct err e;

	assert_int_equal(run(p, &out, &e), 0);
	assert_string_equal(out.data, "done\n");
	assert_int_equal(kill(atoi(get("pid")), SIGKILL), 0);
	assert_int_equal(unlink(path_of("pid")), 0);
}

/* --- what becomes of it in a client --- */

/* A client whose user is this entry; the plugin counts its runs in a file. */
static struct kube *open_sibling(const char *user, const struct kube *sibling)
{
	struct kube_options options = {.sibling = sibling};
	struct kube *k = NULL;
	char text[1500];
	struct err e;

	snprintf(text, sizeof(text),
		 "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n"
		 "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
		 "users: [{name: u, user: %s}]\n",
		 user);
	options.kubeconfig = put("config", text);
	if (kube_open(&options, &k, &e) != 0) fail_msg("%s", e.text);
	return k;
}

static struct kube *open_kube(const char *user)
{
	return open_sibling(user, NULL);
}

#define EXEC "{exec: {apiVersion: " V1 ", interactiveMode: Never, command: ./script}}"

static void put_counter(const char *expires)
{
	char text[800];

	snprintf(text, sizeof(text),
		 "#!/bin/sh\ncd ${0%%/*}\necho run >>runs\nn=$(wc -l <runs)\n"
		 "echo '{\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\",\"status\":{"
		 "\"token\":\"t'$n'\"%s}}'\n",
		 expires);
	put_script(text);
	put("runs", "");
}

static void assert_authorization(struct kube *k, const char *value)
{
	struct err e;

	if (kube_authorize(k, &e) != 0) fail_msg("%s %s", e.text, e.hint);
	assert_string_equal(k->headers[0], "Accept: application/json, */*");
	assert_true(k->header_count >= 2);
	assert_string_equal(k->headers[1], value);
}

static void siblings_run_it_once_and_renew_it_once(void **state)
{
	_cleanup_kube_ struct kube *second = NULL;
	struct kube *first = open_kube(EXEC);
	bool again = false;
	struct err e;

	put_counter("");
	second = open_sibling(EXEC, first);
	assert_authorization(first, "Authorization: Bearer t1");
	assert_authorization(second, "Authorization: Bearer t1");
	/* Both are refused with the same: the second takes what the first got. */
	assert_int_equal(kube_refused(first, &again, &e), 0);
	assert_int_equal(kube_refused(second, &again, &e), 0);
	assert_authorization(first, "Authorization: Bearer t2");
	assert_authorization(second, "Authorization: Bearer t2");
	kube_free(first);
	assert_int_equal(kube_refused(second, &again, &e), 0);
	assert_authorization(second, "Authorization: Bearer t3");
}

static void a_credential_is_kept_until_it_expires_or_is_refused(void **state)
{
	_cleanup_kube_ struct kube *k = open_kube(EXEC);
	bool again = false;
	struct err e;

	put_counter("");
	assert_authorization(k, "Authorization: Bearer t1");
	assert_authorization(k, "Authorization: Bearer t1");
	assert_int_equal(kube_refused(k, &again, &e), 0);
	assert_true(again);
	assert_authorization(k, "Authorization: Bearer t2");
	kube_free(k);

	k = open_kube(EXEC);
	put_counter(",\"expirationTimestamp\":\"2999-01-01T00:00:00Z\"");
	assert_authorization(k, "Authorization: Bearer t1");
	assert_authorization(k, "Authorization: Bearer t1");
	kube_free(k);

	k = open_kube(EXEC);
	put_counter(",\"expirationTimestamp\":\"2001-01-01T00:00:00Z\"");
	assert_authorization(k, "Authorization: Bearer t1");
	assert_authorization(k, "Authorization: Bearer t2");
}

static void a_token_file_is_read_again(void **state)
{
	_cleanup_kube_ struct kube *k = NULL;
	bool again = true;
	struct err e;

	put("token", "one");
	k = open_kube("{tokenFile: token, as: jane}");
	assert_authorization(k, "Authorization: Bearer one");
	assert_int_equal(k->header_count, 3);
	assert_string_equal(k->headers[2], "Impersonate-User: jane");
	put("token", "two\n");
	assert_authorization(k, "Authorization: Bearer two");
	assert_int_equal(kube_refused(k, &again, &e), 0);
	assert_false(again);
	/* While it is being replaced, and nothing is there. */
	put("token", "");
	assert_authorization(k, "Authorization: Bearer two");
	assert_int_equal(unlink(path_of("token")), 0);
	assert_authorization(k, "Authorization: Bearer two");
}

static void a_password_is_basic_authentication(void **state)
{
	_cleanup_kube_ struct kube *k = open_kube("{username: Aladdin, password: open sesame}");

	assert_authorization(k, "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

static int set_up(void **state)
{
	return make_dir();
}

static int tear_down(void **state)
{
	static const char *const names[] = {"config", "script", "runs"};

	return remove_dir(names, ARRAY_SIZE(names));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_missing_in_the_kubeconfig_is_named),
	    cmocka_unit_test(the_info_is_what_kubectl_gives),
	    cmocka_unit_test(an_answer_is_a_token_or_a_certificate),
	    cmocka_unit_test(it_gets_arguments_environment_and_no_stdin),
	    cmocka_unit_test(a_plugin_that_fails_says_how_and_what_to_do),
	    cmocka_unit_test(one_that_hangs_is_ended),
	    cmocka_unit_test(what_it_leaves_behind_is_not_waited_for),
	    cmocka_unit_test(siblings_run_it_once_and_renew_it_once),
	    cmocka_unit_test(a_credential_is_kept_until_it_expires_or_is_refused),
	    cmocka_unit_test(a_token_file_is_read_again),
	    cmocka_unit_test(a_password_is_basic_authentication),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
