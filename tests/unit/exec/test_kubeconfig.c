#include "exec/kubeconfig.h"
#include "exec/yaml.h"
#include "tests/unit/exec/config_dir.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

static int load_file(const char *text, const char *context, struct kube_access *ret, struct err *e)
{
	struct kube_options options = {.kubeconfig = put("config", text), .context = context};

	return kubeconfig_load(&options, ret, e);
}

#define CLUSTERS "clusters: [{name: c, cluster: {server: 'https://one:6443/'}}]\n"

static void a_file_says_where_and_who(void **state)
{
	struct kube_access a;
	struct err e;

	put("token", "from-file\n");
	assert_int_equal(
	    load_file("current-context: x\n"
		      "contexts:\n- {name: x, context: {cluster: c, user: u, namespace: shop}}\n"
		      "- name: y\n  context: {cluster: d, user: v}\n"
		      "clusters:\n- name: c\n  cluster: {server: 'https://one:6443/'}\n"
		      "- name: d\n  cluster:\n    server: https://two\n"
		      "    insecure-skip-tls-verify: true\n    tls-server-name: other\n"
		      "    certificate-authority-data: aGVsbG8=\n"
		      "users: [{name: u, user: {token: secret}}, "
		      "{name: v, user: {tokenFile: token, token: no}}]\n",
		      NULL, &a, &e),
	    0);
	assert_string_equal(a.server, "https://one:6443");
	assert_string_equal(a.namespace_, "shop");
	assert_string_equal(a.token, "secret");
	assert_false(a.insecure);
	kube_access_done(&a);

	struct kube_options options = {.kubeconfig = path_of("config"), .context = "y"};
	assert_int_equal(kubeconfig_load(&options, &a, &e), 0);
	assert_string_equal(a.server, "https://two");
	assert_null(a.namespace_);
	assert_string_equal(a.token, "from-file");
	assert_string_equal(a.tls_server_name, "other");
	assert_true(a.insecure);
	assert_int_equal(a.ca.len, 5);
	assert_string_equal(a.ca.data, "hello");
	kube_access_done(&a);
}

static void options_win_over_the_file(void **state)
{
	struct kube_options options = {
	    .kubeconfig = put("config", "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
					"current-context: x\n" CLUSTERS
					"users: [{name: u, user: {exec: {command: aws}}}]\n"),
	    .server = "10.0.0.1:99",
	    .token = "mine"};
	struct kube_access a;
	struct err e;

	assert_int_equal(kubeconfig_load(&options, &a, &e), 0);
	assert_string_equal(a.server, "https://10.0.0.1:99");
	assert_string_equal(a.token, "mine");
	kube_access_done(&a);
}

static void the_first_file_of_a_list_wins(void **state)
{
	struct kube_options options = {0};
	struct kube_access a;
	struct err e;
	char list[512];

	put("one", "contexts: [{name: x, context: {cluster: c, user: u}}]\n" CLUSTERS);
	put("two", "current-context: x\n"
		   "contexts: [{name: x, context: {cluster: d, user: v}}]\n"
		   "clusters: [{name: c, cluster: {server: 'https://wrong'}}]\n"
		   "users: [{name: u, user: {token: t2}}]\n");
	snprintf(list, sizeof(list), "%s/nothing:%s/one::%s/two", dir, dir, dir);
	assert_int_equal(setenv("KUBECONFIG", list, 1), 0);
	assert_int_equal(kubeconfig_load(&options, &a, &e), 0);
	assert_string_equal(a.server, "https://one:6443");
	assert_string_equal(a.token, "t2");
	kube_access_done(&a);

	/* All of them missing: no configuration, and this is no pod. */
	snprintf(list, sizeof(list), "%s/nothing:%s/nowhere", dir, dir);
	assert_int_equal(setenv("KUBECONFIG", list, 1), 0);
	assert_int_equal(kubeconfig_load(&options, &a, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "no kubeconfig");
	unsetenv("KUBECONFIG");

	/* One that was named must exist. */
	options.kubeconfig = path_of("nothing");
	assert_int_equal(kubeconfig_load(&options, &a, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "nothing");
}

static void bad_files_are_named_with_their_line(void **state)
{
	static const struct {
		const char *text, *part;
		int code;
	} cases[] = {
	    {"a: b\n  c: d\n", "config:2:", ERR_CORRUPT},
	    {"a: [b\n", "config:", ERR_CORRUPT},
	    {"- a\n", "config:1:", ERR_CORRUPT},
	    {"a: b\nc: *x\n", "config:2:", ERR_CORRUPT},
	    {"? [a]\n: b\n", "config:1:", ERR_CORRUPT},
	    {"a: \"\\0\"\n", "config:1:", ERR_CORRUPT},
	    {"", "names no server", ERR_NOT_FOUND},
	    {"contexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n",
	     "no cluster \"c\"", ERR_NOT_FOUND},
	    {"contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n" CLUSTERS,
	     "no user \"u\"", ERR_NOT_FOUND},
	    {"contexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n"
	     "clusters: [{name: c, cluster: {server: 'https://h', "
	     "certificate-authority-data: '%%%%'}}]\n",
	     "is not base64", ERR_CORRUPT},
	    {"contexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n"
	     "clusters: [{name: c, cluster: {server: \"https://h\\r\\nX: y\"}}]\n",
	     "malformed server", ERR_CORRUPT},
	    {"contexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n"
	     "clusters: [{name: c, cluster: {server: 'https://'}}]\n",
	     "malformed server", ERR_CORRUPT},
	    {"contexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n"
	     "clusters: [{name: c, cluster: {server: 'ftp://h'}}]\n",
	     "malformed server", ERR_CORRUPT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kube_access a;
		struct err e;

		assert_int_equal(load_file(cases[i].text, NULL, &a, &e), -cases[i].code);
		assert_contains(e.text, cases[i].part);
	}
}

static void deep_and_many_are_capped(void **state)
{
	static char text[300000];
	struct yaml_node *root;
	struct err e;

	memset(text, '[', 100000);
	assert_int_equal(yaml_parse(text, 100000, "f", &root, &e), -ERR_LIMIT);
	text[0] = '[';
	for (size_t i = 1; i + 1 < sizeof(text); i += 2)
		memcpy(text + i, "a,", 2);
	assert_int_equal(yaml_parse(text, sizeof(text), "f", &root, &e), -ERR_LIMIT);
	assert_int_equal(yaml_parse(text, YAML_TEXT_MAX + 1, "f", &root, &e), -ERR_LIMIT);
}

static void aliases_are_what_their_anchors_name(void **state)
{
	struct kube_access a;
	struct err e;

	assert_int_equal(
	    load_file("x-trust: &trust {insecure-skip-tls-verify: true, server: 'https://no'}\n"
		      "x-name: &name {tls-server-name: other}\n"
		      "current-context: &it x\n"
		      "contexts:\n- {name: *it, context: {cluster: c, user: u}}\n"
		      "clusters:\n"
		      "- {name: c, cluster: {<<: [*trust, *name], server: 'https://one'}}\n"
		      "users:\n- {name: v, user: &who {token: secret}}\n"
		      "- {name: u, user: *who}\n",
		      NULL, &a, &e),
	    0);
	assert_string_equal(a.server, "https://one");
	assert_string_equal(a.tls_server_name, "other");
	assert_true(a.insecure);
	assert_string_equal(a.token, "secret");
	kube_access_done(&a);
}

static int parse(const char *text, struct yaml_node **ret, struct err *e)
{
	return yaml_parse(text, strlen(text), "f", ret, e);
}

static void anchors_are_bounded(void **state)
{
	static const char *const bad[] = {
	    "a: *none\n",
	    "a: &a [*a]\n",
	    "b: &b 1\na: {<<: *b}\n",
	};
	struct buf text = BUF_INIT(1 << 20);
	struct yaml_node *root = NULL;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse(bad[i], &root, &e), -ERR_CORRUPT);
	/* Ten times as many with each line. */
	buf_puts(&text, "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n", NULL);
	for (int i = 1; i < 10; i++) {
		buf_printf(&text, NULL, "a%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++)
			buf_printf(&text, NULL, "*a%d,", i - 1);
		buf_puts(&text, "]\n", NULL);
	}
	assert_int_equal(parse(text.data, &root, &e), -ERR_LIMIT);
	/* One level deeper with each line. */
	buf_clear(&text);
	buf_puts(&text, "a0: &a0 []\n", NULL);
	for (int i = 1; i < 100; i++)
		buf_printf(&text, NULL, "a%d: &a%d [*a%d]\n", i, i, i - 1);
	assert_int_equal(parse(text.data, &root, &e), -ERR_LIMIT);
	buf_done(&text);
	/* The last one of a name counts, and an anchor without a use is none. */
	assert_int_equal(parse("a: &x 1\nb: *x\nc: &x 2\nd: *x\ne: &y\n", &root, &e), 0);
	assert_string_equal(yaml_text(root, "b"), "1");
	assert_string_equal(yaml_text(root, "d"), "2");
	yaml_node_free(root);
}

static void an_unknown_context_lists_those_there_are(void **state)
{
	struct kube_access a;
	struct err e;

	assert_int_equal(
	    load_file("contexts: [{name: staging}, {name: production}]\n", "prodction", &a, &e),
	    -ERR_NOT_FOUND);
	assert_contains(e.text, "prodction");
	assert_contains(e.hint, "did you mean production?");
	assert_contains(e.hint, "staging, production");
}

static void other_ways_of_authentication_are_named(void **state)
{
	static const struct {
		const char *user, *part;
	} cases[] = {
	    {"{auth-provider: {name: gcp}}", "an auth-provider (gcp)"},
	    {"{auth-provider: {config: {secret: hidden}}}", "an auth-provider, which"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kube_access a;
		char text[600];
		struct err e;

		snprintf(text, sizeof(text),
			 "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
			 "current-context: x\n" CLUSTERS "users: [{name: u, user: %s}]\n",
			 cases[i].user);
		assert_int_equal(load_file(text, NULL, &a, &e), -ERR_UNSUPPORTED);
		assert_contains(e.text, cases[i].part);
		assert_null(strstr(e.text, "hidden"));
	}
}

#define CONTEXT                                                                                    \
	"contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n" CLUSTERS

/* A context whose user's entry is this. */
static int load_user(const char *user, const struct kube_options *more, struct kube_access *ret,
		     struct err *e)
{
	struct kube_options options = more ? *more : (struct kube_options){0};
	char text[2000];

	snprintf(text, sizeof(text), CONTEXT "users: [{name: u, user: %s}]\n", user);
	options.kubeconfig = put("config", text);
	return kubeconfig_load(&options, ret, e);
}

/* The headers, joined by '|'. */
static const char *impersonated(struct kube_access *a)
{
	for (size_t i = 0; i + 1 < a->impersonation.len; i++)
		if (a->impersonation.data[i] == '\0') a->impersonation.data[i] = '|';
	return a->impersonation.len > 0 ? a->impersonation.data : "";
}

static void a_user_has_one_way_in_kubectl_s_order(void **state)
{
	static const char plugin[] = "exec: {apiVersion: client.authentication.k8s.io/v1beta1, "
				     "command: ./p}";
	struct kube_access a;
	char user[500];
	struct err e;

	assert_int_equal(load_user("{username: joe, password: ''}", NULL, &a, &e), 0);
	assert_string_equal(a.username, "joe");
	assert_string_equal(a.password, "");
	kube_access_done(&a);
	assert_int_equal(load_user("{username: 'a:b', password: x}", NULL, &a, &e), -ERR_CORRUPT);

	snprintf(user, sizeof(user), "{%s}", plugin);
	assert_int_equal(load_user(user, NULL, &a, &e), 0);
	assert_non_null(a.plugin);
	assert_string_equal(a.plugin->command, path_of("./p")); /* relative to the file */
	kube_access_done(&a);
	snprintf(user, sizeof(user), "{token: t, username: joe, %s}", plugin);
	assert_int_equal(load_user(user, NULL, &a, &e), 0);
	assert_null(a.plugin);
	assert_null(a.username);
	assert_string_equal(a.token, "t");
	kube_access_done(&a);
}

static void a_token_file_is_read_and_remembered(void **state)
{
	struct kube_options given = {.token = "given"};
	struct kube_access a;
	struct err e;

	put("token", " first \n");
	assert_int_equal(load_user("{tokenFile: token, token: old}", NULL, &a, &e), 0);
	assert_string_equal(a.token, "first");
	assert_string_equal(a.token_file, path_of("token"));
	kube_access_done(&a);
	assert_int_equal(load_user("{tokenFile: token}", &given, &a, &e), 0);
	assert_string_equal(a.token, "given");
	assert_null(a.token_file);
	kube_access_done(&a);
	/* A token beside a file that is not there. */
	assert_int_equal(load_user("{tokenFile: nothing, token: old}", NULL, &a, &e), 0);
	assert_string_equal(a.token, "old");
	kube_access_done(&a);
	assert_int_equal(load_user("{tokenFile: nothing}", NULL, &a, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "tokenFile of \"u\"");
	put("token", " \n");
	assert_int_equal(load_user("{tokenFile: token}", NULL, &a, &e), -ERR_CORRUPT);
	put("token", "hidden\nhidden\n");
	assert_int_equal(load_user("{tokenFile: token}", NULL, &a, &e), -ERR_CORRUPT);
	assert_contains(e.text, "more than one line");
	assert_null(strstr(e.text, "hidden"));
}

static void impersonation_is_of_the_file_and_the_options(void **state)
{
	static const char user[] =
	    "{token: t, as: jane, as-uid: '7', as-groups: [dev, 'ops team'], "
	    "as-user-extra: {scopes: [a, b], 'acme.io/x y': [c]}}";
	static const char *const groups[] = {"other"}, *const extras[] = {"scopes=z", "k=v=w"};
	struct kube_options options = {.as = "root",
				       .as_groups = groups,
				       .as_group_count = 1,
				       .as_user_extra = extras,
				       .as_user_extra_count = 2};
	struct kube_access a;
	struct err e;

	assert_int_equal(load_user(user, NULL, &a, &e), 0);
	assert_string_equal(impersonated(&a),
			    "Impersonate-User: jane|Impersonate-Uid: 7|Impersonate-Group: dev|"
			    "Impersonate-Group: ops team|Impersonate-Extra-scopes: a|"
			    "Impersonate-Extra-scopes: b|Impersonate-Extra-acme.io%2Fx%20y: c");
	kube_access_done(&a);
	assert_int_equal(load_user(user, &options, &a, &e), 0);
	assert_string_equal(impersonated(&a),
			    "Impersonate-User: root|Impersonate-Uid: 7|Impersonate-Group: other|"
			    "Impersonate-Extra-acme.io%2Fx%20y: c|Impersonate-Extra-scopes: z|"
			    "Impersonate-Extra-k: v=w");
	kube_access_done(&a);
	/* With another token, too. */
	options = (struct kube_options){.token = "other"};
	assert_int_equal(load_user("{token: t, as: jane}", &options, &a, &e), 0);
	assert_string_equal(impersonated(&a), "Impersonate-User: jane");
	kube_access_done(&a);

	assert_int_equal(load_user("{token: t, as-groups: [g]}", NULL, &a, &e), -ERR_USAGE);
	assert_contains(e.hint, "--as");
	assert_int_equal(load_user("{token: t, as: \"a\\r\\nX: y\"}", NULL, &a, &e), -ERR_CORRUPT);
	options =
	    (struct kube_options){.as = "a", .as_user_extra = groups, .as_user_extra_count = 1};
	assert_int_equal(load_user("{token: t}", &options, &a, &e), -ERR_USAGE);
	assert_contains(e.text, "KEY=VALUE");
}

static void nothing_secret_goes_over_plain_http(void **state)
{
	struct kube_options options = {.server = "http://127.0.0.1:8001"};
	struct kube_access a;
	struct err e;

	assert_int_equal(load_user("{token: t, as: jane}", &options, &a, &e), 0);
	assert_null(a.token);
	assert_string_equal(impersonated(&a), "Impersonate-User: jane");
	kube_access_done(&a);
	assert_int_equal(load_user("{username: u, password: p}", &options, &a, &e), 0);
	assert_null(a.username);
	assert_null(a.password);
	kube_access_done(&a);
}

static void options_about_trust_replace_the_file_s(void **state)
{
	static const char text[] =
	    "contexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n"
	    "clusters: [{name: c, cluster: {server: 'https://one', tls-server-name: name, "
	    "insecure-skip-tls-verify: True, certificate-authority: nothing}}]\n";
	struct kube_options options = {.kubeconfig = put("config", text),
				       .certificate_authority = put("ca.crt", "pem")};
	struct kube_access a;
	struct err e;

	assert_int_equal(kubeconfig_load(&options, &a, &e), 0);
	assert_string_equal(a.ca.data, "pem");
	assert_false(a.insecure);
	assert_string_equal(a.tls_server_name, "name");
	kube_access_done(&a);
	/* The name goes with the server. */
	options.server = "https://two";
	assert_int_equal(kubeconfig_load(&options, &a, &e), 0);
	assert_null(a.tls_server_name);
	kube_access_done(&a);
	options.tls_server_name = "given";
	assert_int_equal(kubeconfig_load(&options, &a, &e), 0);
	assert_string_equal(a.tls_server_name, "given");
	kube_access_done(&a);
	options = (struct kube_options){.kubeconfig = path_of("config"),
					.insecure_skip_tls_verify = true};
	assert_int_equal(kubeconfig_load(&options, &a, &e), 0);
	assert_true(a.insecure);
	assert_int_equal(a.ca.len, 0);
	kube_access_done(&a);
}

static void each_file_s_paths_are_its_own(void **state)
{
	struct kube_options options = {0};
	char list[300], other[80];
	struct kube_access a;
	struct err e;

	snprintf(other, sizeof(other), "%s/sub", dir);
	assert_int_equal(mkdir(other, 0700), 0);
	put("sub/token", "of sub");
	put("token", "of dir");
	put("one", CONTEXT);
	put("sub/two", "current-context: no\nusers: [{name: u, user: {tokenFile: token}}]\n");
	snprintf(list, sizeof(list), "%s/one:%s/sub/two", dir, dir);
	assert_int_equal(setenv("KUBECONFIG", list, 1), 0);
	assert_int_equal(kubeconfig_load(&options, &a, &e), 0);
	assert_string_equal(a.token, "of sub");
	kube_access_done(&a);
	unsetenv("KUBECONFIG");
	assert_int_equal(unlink(path_of("sub/token")), 0);
	assert_int_equal(unlink(path_of("sub/two")), 0);
	assert_int_equal(rmdir(other), 0);
}

/* A self-signed certificate that is valid from now + start to now + end seconds. */
static void write_certificate(long start, long end)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	FILE *f = fopen(path_of("crt"), "w");

	assert_non_null(key);
	assert_non_null(x);
	assert_non_null(f);
	X509_gmtime_adj(X509_getm_notBefore(x), start);
	X509_gmtime_adj(X509_getm_notAfter(x), end);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(f, x), 1);
	fclose(f);
	f = fopen(path_of("key"), "w");
	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void write_encrypted_key(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	FILE *f = fopen(path_of("key"), "w");

	assert_non_null(f);
	assert_int_equal(
	    PEM_write_PKCS8PrivateKey(f, key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL), 1);
	fclose(f);
	EVP_PKEY_free(key);
}

static void certificates_are_checked_for_their_dates(void **state)
{
	static const char text[] =
	    "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
	    "current-context: x\n" CLUSTERS "users: [{name: u, user: {client-certificate: crt, "
	    "client-key: key}}]\n";
	static const struct {
		long start, end;
		int code;
		const char *part;
	} cases[] = {
	    {-1000, 1000, 0, NULL},
	    {-2000, -1000, ERR_AUTH, "expired at 2"},
	    {1000, 2000, ERR_AUTH, "not valid before 2"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kube_access a;
		struct err e;

		write_certificate(cases[i].start, cases[i].end);
		assert_int_equal(load_file(text, NULL, &a, &e), -cases[i].code);
		if (cases[i].code == 0) {
			assert_contains(a.key.data, "PRIVATE KEY");
			kube_access_done(&a);
		} else {
			assert_contains(e.text, cases[i].part);
			assert_contains(e.text, "user \"u\"");
		}
	}
	put("crt", "-----BEGIN NOTHING-----\n");
	struct kube_access a;
	struct err e;
	assert_int_equal(load_file(text, NULL, &a, &e), -ERR_CORRUPT);
	assert_int_equal(unlink(path_of("key")), 0);
	write_certificate(-1, 100);
	assert_int_equal(unlink(path_of("key")), 0);
	assert_int_equal(load_file(text, NULL, &a, &e), -ERR_NOT_FOUND);
	assert_contains(e.text, "client-key");
	/* The key of another certificate, one with a passphrase (which is not asked for), none. */
	write_certificate(-1, 100);
	rename(path_of("key"), path_of("other"));
	write_certificate(-1, 100);
	rename(path_of("other"), path_of("key"));
	assert_int_equal(load_file(text, NULL, &a, &e), -ERR_CORRUPT);
	assert_contains(e.text, "is not that of its certificate");
	write_encrypted_key();
	assert_int_equal(load_file(text, NULL, &a, &e), -ERR_UNSUPPORTED);
	assert_contains(e.text, "passphrase");
	put("key", "hidden");
	assert_int_equal(load_file(text, NULL, &a, &e), -ERR_CORRUPT);
	assert_contains(e.text, "no PEM key");
}

static void a_pod_has_its_service_account(void **state)
{
	struct kube_access a;
	struct err e;

	unsetenv("KUBERNETES_SERVICE_HOST");
	assert_int_equal(in_cluster_load(dir, &a, &e), -ERR_NOT_FOUND);
	put("token", "tok\n");
	put("namespace", "mine");
	put("ca.crt", "pem");
	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_int_equal(in_cluster_load(dir, &a, &e), 0);
	assert_string_equal(a.server, "https://[fd00::1]:443");
	assert_string_equal(a.token, "tok");
	assert_string_equal(a.namespace_, "mine");
	assert_string_equal(a.ca.data, "pem");
	assert_string_equal(a.token_file, path_of("token"));
	kube_access_done(&a);
	unsetenv("KUBERNETES_SERVICE_HOST");
}

static int set_up(void **state)
{
	unsetenv("KUBERNETES_SERVICE_HOST");
	return make_dir() == 0 && setenv("HOME", dir, 1) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"config", "one", "two",       "token",
					    "crt",    "key", "namespace", "ca.crt"};

	return remove_dir(names, ARRAY_SIZE(names));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_says_where_and_who),
	    cmocka_unit_test(options_win_over_the_file),
	    cmocka_unit_test(the_first_file_of_a_list_wins),
	    cmocka_unit_test(bad_files_are_named_with_their_line),
	    cmocka_unit_test(deep_and_many_are_capped),
	    cmocka_unit_test(aliases_are_what_their_anchors_name),
	    cmocka_unit_test(anchors_are_bounded),
	    cmocka_unit_test(an_unknown_context_lists_those_there_are),
	    cmocka_unit_test(other_ways_of_authentication_are_named),
	    cmocka_unit_test(a_user_has_one_way_in_kubectl_s_order),
	    cmocka_unit_test(a_token_file_is_read_and_remembered),
	    cmocka_unit_test(impersonation_is_of_the_file_and_the_options),
	    cmocka_unit_test(nothing_secret_goes_over_plain_http),
	    cmocka_unit_test(options_about_trust_replace_the_file_s),
	    cmocka_unit_test(each_file_s_paths_are_its_own),
	    cmocka_unit_test(certificates_are_checked_for_their_dates),
	    cmocka_unit_test(a_pod_has_its_service_account),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
