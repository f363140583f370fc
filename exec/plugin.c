#include "exec/plugin.h"

#include "base/rfc3339.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum {
	WORDS_MAX = 256 << 10, /* bytes of arguments, and of environment */
	COUNT_MAX = 1024,
	CREDENTIAL_MAX = 1 << 20,
};

#define GROUP "client.authentication.k8s.io/"
#define CONFIG_EXTENSION "client.authentication.k8s.io/exec"

static int no_memory(struct err *e)
{
	return err_set(e, ERR_NO_MEMORY, "no memory for a credential plugin");
}

int plugin_failed(const struct plugin *p, const char *next_step, struct err *e)
{
	err_wrap(e, "credential plugin \"%.100s\" of %.200s", p->command, p->origin);
	return err_hint(e, "%s%s%.700s", next_step, p->hint ? "\n" : "", p->hint ? p->hint : "");
}

/* --- the kubeconfig's side --- */

static int bad(const struct plugin *p, struct err *e, const char *what)
{
	return err_set(e, ERR_CORRUPT, "%s: its exec plugin %s", p->origin, what);
}

static int copy(char **ret, const char *text, struct err *e)
{
	if (!text || !*text) return 0;
	*ret = strdup(text);
	return *ret ? 0 : no_memory(e);
}

/* A string and its NUL. */
static int add(struct buf *list, size_t *count, const char *text, struct err *e)
{
	if (++*count > COUNT_MAX)
		return err_set(e, ERR_LIMIT,
			       "an exec plugin with more than %d arguments or "
			       "variables",
			       COUNT_MAX);
	return buf_append(list, text, strlen(text) + 1, e);
}

static int read_words(struct plugin *p, const struct yaml_node *exec, struct err *e)
{
	const struct yaml_node *args = yaml_get(exec, "args");
	int r = add(&p->words, &p->word_count, p->command, e);

	if (args && args->kind != YAML_SEQUENCE) return r;
	for (const struct yaml_node *n = args ? args->child : NULL; r == 0 && n; n = n->next)
		r = add(&p->words, &p->word_count, n->text ? n->text : "", e);
	return r;
}

static int read_env(struct plugin *p, const struct yaml_node *exec, struct err *e)
{
	const struct yaml_node *env = yaml_get(exec, "env");
	int r = 0;

	if (env && env->kind != YAML_SEQUENCE) return 0;
	for (const struct yaml_node *n = env ? env->child : NULL; r == 0 && n; n = n->next) {
		const char *name = yaml_text(n, "name"), *value = yaml_text(n, "value");

		if (!name || !*name || strchr(name, '='))
			return bad(p, e, "has a variable without a name");
		if (++p->env_count > COUNT_MAX)
			return err_set(e, ERR_LIMIT,
				       "%s: an exec plugin with more than %d variables", p->origin,
				       COUNT_MAX);
		r = buf_printf(&p->env, e, "%s=%s", name, value ? value : "");
		if (r == 0) r = buf_append(&p->env, "", 1, e);
	}
	return r;
}

static int read_interaction(struct plugin *p, const struct yaml_node *exec, struct err *e)
{
	static const char *const names[] = {
	    [PLUGIN_NEVER] = "Never",
	    [PLUGIN_IF_AVAILABLE] = "IfAvailable",
	    [PLUGIN_ALWAYS] = "Always",
	};
	const char *mode = yaml_text(exec, "interactiveMode");

	/* v1 wants it to be said; v1beta1 did not know it at first. */
	p->interaction = PLUGIN_IF_AVAILABLE;
	if (!mode || !*mode)
		return strcmp(p->api_version, GROUP "v1") == 0
			   ? bad(p, e, "has no interactiveMode (Never, IfAvailable or Always)")
			   : 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(mode, names[i]) != 0) continue;
		p->interaction = (enum plugin_interaction)i;
		return 0;
	}
	return bad(p, e, "has an interactiveMode that is not Never, IfAvailable or Always");
}

/* YAML as JSON: what stands there without quotes may be a number, a truth value or null. */
static cJSON *to_json(const struct yaml_node *node)
{
	cJSON *ret, *child;

	if (node->kind == YAML_SCALAR) {
		if (!node->text) return cJSON_CreateNull();
		ret = node->plain ? cJSON_ParseWithOpts(node->text, NULL, 1) : NULL;
		return ret ? ret : cJSON_CreateString(node->text);
	}
	ret = node->kind == YAML_SEQUENCE ? cJSON_CreateArray() : cJSON_CreateObject();
	for (const struct yaml_node *n = node->child; ret && n; n = n->next) {
		child = to_json(n);
		if (child && (n->key ? cJSON_AddItemToObject(ret, n->key, child)
				     : cJSON_AddItemToArray(ret, child)))
			continue;
		cJSON_Delete(child);
		cJSON_Delete(ret);
		return NULL;
	}
	return ret;
}

static int read_config(struct plugin *p, const struct yaml_node *extensions, struct err *e)
{
	if (!extensions || extensions->kind != YAML_SEQUENCE) return 0;
	for (const struct yaml_node *n = extensions->child; n; n = n->next) {
		const char *name = yaml_text(n, "name");
		const struct yaml_node *its = yaml_get(n, "extension");

		if (!name || strcmp(name, CONFIG_EXTENSION) != 0 || !its) continue;
		p->config = to_json(its);
		return p->config ? 0 : no_memory(e);
	}
	return 0;
}

static int read_all(struct plugin *p, const struct yaml_node *exec,
		    const struct yaml_node *extensions, const char *command, struct err *e)
{
	int r = copy(&p->command, command, e);

	if (r == 0) r = copy(&p->api_version, yaml_text(exec, "apiVersion"), e);
	if (r == 0) r = copy(&p->hint, yaml_text(exec, "installHint"), e);
	if (r < 0) return r;
	if (!p->command) return bad(p, e, "has no command");
	if (!p->api_version) return bad(p, e, "has no apiVersion");
	if (strcmp(p->api_version, GROUP "v1") != 0 &&
	    strcmp(p->api_version, GROUP "v1beta1") != 0) {
		bad(p, e, "has an apiVersion that is not " GROUP "v1 or v1beta1");
		return err_hint(e,
				"update the plugin and its entry in the kubeconfig (for instance "
				"aws eks update-kubeconfig)");
	}
	p->wants_cluster = yaml_true(exec, "provideClusterInfo");
	r = read_interaction(p, exec, e);
	if (r == 0) r = read_words(p, exec, e);
	if (r == 0) r = read_env(p, exec, e);
	if (r == 0) r = read_config(p, extensions, e);
	return r;
}

int plugin_new(const struct yaml_node *exec, const struct yaml_node *extensions,
	       const char *command, const char *origin, struct plugin **ret, struct err *e)
{
	_cleanup_plugin_ struct plugin *p = calloc(1, sizeof(*p));
	int r;

	if (!p) return no_memory(e);
	buf_init(&p->words, WORDS_MAX);
	buf_init(&p->env, WORDS_MAX);
	r = copy(&p->origin, origin, e);
	if (r == 0) r = read_all(p, exec, extensions, command, e);
	if (r == 0) *ret = STEAL_PTR(p);
	return r;
}

void plugin_free(struct plugin *p)
{
	if (!p) return;
	buf_wipe(&p->words);
	buf_done(&p->words);
	buf_wipe(&p->env);
	buf_done(&p->env);
	cJSON_Delete(p->config);
	free(p->command);
	free(p->api_version);
	free(p->hint);
	free(p->origin);
	free(p);
}

/* --- what it is told --- */

static bool add_text(cJSON *object, const char *key, const char *value)
{
	return !value || !*value || cJSON_AddStringToObject(object, key, value);
}

static bool add_base64(cJSON *object, const char *key, const void *data, size_t len)
{
	_cleanup_free_ char *text = NULL;

	if (len == 0) return true;
	if (len > CREDENTIAL_MAX) return false;
	text = malloc(len / 3 * 4 + 5);
	if (!text) return false;
	EVP_EncodeBlock((unsigned char *)text, data, (int)len);
	return cJSON_AddStringToObject(object, key, text);
}

static bool add_cluster(cJSON *spec, const struct plugin *p, const struct plugin_cluster *cluster)
{
	cJSON *object = cJSON_AddObjectToObject(spec, "cluster");

	return object && cJSON_AddStringToObject(object, "server", cluster->server) &&
	       add_text(object, "tls-server-name", cluster->tls_server_name) &&
	       (!cluster->insecure || cJSON_AddTrueToObject(object, "insecure-skip-tls-verify")) &&
	       add_base64(object, "certificate-authority-data", cluster->ca_pem, cluster->ca_len) &&
	       add_text(object, "proxy-url", cluster->proxy) &&
	       (!p->config || cJSON_AddItemReferenceToObject(object, "config", p->config));
}

int plugin_info(const struct plugin *p, const struct plugin_cluster *cluster, bool interactive,
		struct buf *ret, struct err *e)
{
	cJSON *doc = cJSON_CreateObject(), *spec;
	char *text = NULL;
	int r;

	if (doc && cJSON_AddStringToObject(doc, "kind", "ExecCredential") &&
	    cJSON_AddStringToObject(doc, "apiVersion", p->api_version) &&
	    (spec = cJSON_AddObjectToObject(doc, "spec")) &&
	    (!p->wants_cluster || add_cluster(spec, p, cluster)) &&
	    cJSON_AddBoolToObject(spec, "interactive", interactive))
		text = cJSON_PrintUnformatted(doc);
	r = text ? buf_puts(ret, text, e) : no_memory(e);
	if (text) OPENSSL_cleanse(text, strlen(text)); /* a proxy may have a password */
	cJSON_free(text);
	cJSON_Delete(doc);
	return r;
}

/* --- what it says --- */

void plugin_credential_done(struct plugin_credential *c)
{
	if (!c) return;
	free_secret(&c->token);
	buf_wipe(&c->cert);
	buf_done(&c->cert);
	buf_wipe(&c->key);
	buf_done(&c->key);
}

static int no_credential(const struct plugin *p, struct err *e, const char *what)
{
	err_set(e, ERR_AUTH, "%s", what);
	return plugin_failed(p,
			     "run it by hand to see what it prints, and sign in again with its "
			     "own tool",
			     e);
}

static int read_status(const struct plugin *p, const struct yaml_node *status,
		       struct plugin_credential *ret, struct err *e)
{
	const char *token = yaml_text(status, "token"), *expires;
	const char *cert = yaml_text(status, "clientCertificateData");
	const char *key = yaml_text(status, "clientKeyData");
	int r;

	expires = yaml_text(status, "expirationTimestamp");
	if (expires && !rfc3339_parse(expires, &ret->expires))
		return no_credential(p, e, "its expirationTimestamp is no time");
	if ((cert && *cert) != (key && *key))
		return no_credential(p, e,
				     "it printed a client certificate or key without the "
				     "other");
	if ((!token || !*token) && (!cert || !*cert))
		return no_credential(p, e, "it printed neither a token nor a client certificate");
	if (token && strpbrk(token, "\r\n"))
		return no_credential(p, e, "its token has more than one line");
	r = copy(&ret->token, token, e);
	if (r == 0 && cert) r = buf_puts(&ret->cert, cert, e);
	if (r == 0 && key) r = buf_puts(&ret->key, key, e);
	return r;
}

static int read_document(const struct plugin *p, const struct yaml_node *doc,
			 struct plugin_credential *ret, struct err *e)
{
	const char *kind = yaml_text(doc, "kind"), *version = yaml_text(doc, "apiVersion");
	const struct yaml_node *status = yaml_get(doc, "status");

	if (!kind || strcmp(kind, "ExecCredential") != 0)
		return no_credential(p, e, "it printed something that is no ExecCredential");
	if (!version || strcmp(version, p->api_version) != 0) {
		err_set(e, ERR_AUTH, "the kubeconfig asks for %.100s, and it answered with %.100s",
			p->api_version, version ? version : "no apiVersion");
		return plugin_failed(p,
				     "change the apiVersion in the kubeconfig, or update the "
				     "plugin",
				     e);
	}
	if (!status || status->kind != YAML_MAPPING)
		return no_credential(p, e, "it printed an ExecCredential without a status");
	return read_status(p, status, ret, e);
}

int plugin_parse(const struct plugin *p, const char *text, size_t len,
		 struct plugin_credential *ret, struct err *e)
{
	struct plugin_credential c = {.cert = BUF_INIT(CREDENTIAL_MAX),
				      .key = BUF_INIT(CREDENTIAL_MAX)};
	_cleanup_yaml_ struct yaml_node *doc = NULL;
	struct err why;
	int r;

	/* JSON by custom; kubectl takes YAML, too. */
	r = yaml_parse(text, len, "its answer", &doc, &why);
	if (r == -ERR_NO_MEMORY) return no_memory(e);
	if (r < 0) return no_credential(p, e, "it printed something that is no ExecCredential");
	r = read_document(p, doc, &c, e);
	if (r < 0)
		plugin_credential_done(&c);
	else
		*ret = c;
	return r;
}

int plugin_run(const struct plugin *p, const struct plugin_cluster *cluster,
	       const struct plugin_limits *limits, struct plugin_credential *ret, struct err *e)
{
	bool terminal = isatty(STDIN_FILENO) == 1;
	bool interactive = terminal && p->interaction != PLUGIN_NEVER;
	_cleanup_buf_ struct buf info = BUF_INIT(2 * CREDENTIAL_MAX);
	_cleanup_buf_ struct buf answer = BUF_INIT(CREDENTIAL_MAX);
	int r;

	if (p->interaction == PLUGIN_ALWAYS && !terminal) {
		err_set(e, ERR_USAGE,
			"it has to ask the user (interactiveMode: Always), and "
			"standard input is no terminal");
		return plugin_failed(p, "run podsnap from a terminal, or give a token with --token",
				     e);
	}
	r = plugin_info(p, cluster, interactive, &info, e);
	if (r == 0) r = plugin_spawn(p, info.data, interactive, limits, &answer, e);
	if (r == 0) r = plugin_parse(p, answer.data ? answer.data : "", answer.len, ret, e);
	buf_wipe(&answer);
	return r;
}
