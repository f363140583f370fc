#include "exec/kubeconfig.h"

#include "base/io.h"
#include "base/suggest.h"
#include "exec/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { FILES_MAX = 32, PATH_SIZE = 4096 };

#define SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

struct config_file {
	char *path;
	struct yaml_node *root; /* NULL: empty */
};
struct config {
	struct config_file files[FILES_MAX];
	size_t count;
};

/* A named cluster, user or context, and the file it is from. */
struct entry {
	const char *name; /* as asked for */
	const struct yaml_node *node;
	const struct config_file *file;
};

static void config_done(struct config *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->files[i].path);
		yaml_node_free(c->files[i].root);
	}
}

/* --- reading the files --- */

static int no_memory(struct err *e)
{
	return err_set(e, ERR_NO_MEMORY, "no memory for a kubeconfig");
}

static int add_file(struct config *c, const char *path, bool may_lack, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(YAML_TEXT_MAX);
	struct config_file *f;
	int r;

	if (c->count == FILES_MAX)
		return err_set(e, ERR_LIMIT, "KUBECONFIG lists more than %d files", FILES_MAX);
	r = io_read_file(AT_FDCWD, path, &text, e);
	if (r == -ERR_NOT_FOUND && may_lack) return 0;
	if (r < 0) return err_wrap(e, "kubeconfig");
	f = &c->files[c->count];
	f->path = strdup(path);
	if (!f->path) return no_memory(e);
	c->count++;
	r = yaml_parse(text.data, text.len, path, &f->root, e);
	if (text.data) OPENSSL_cleanse(text.data, text.len);
	if (r < 0) return r;
	if (f->root && f->root->kind != YAML_MAPPING)
		return err_set(e, ERR_CORRUPT, "%s:%zu: no kubeconfig: no keys and values", path,
			       f->root->line);
	return 0;
}

static int add_list(struct config *c, const char *list, struct err *e)
{
	char path[PATH_SIZE];
	int r = 0;

	while (r == 0 && *list) {
		size_t len = strcspn(list, ":");

		if (len >= sizeof(path))
			return err_set(e, ERR_LIMIT, "a path in KUBECONFIG is too long");
		memcpy(path, list, len);
		path[len] = '\0';
		if (len > 0) r = add_file(c, path, true, e);
		list += len;
		list += *list == ':';
	}
	return r;
}

static int read_files(const struct kube_options *options, struct config *c, struct err *e)
{
	const char *list = getenv("KUBECONFIG"), *home = getenv("HOME");
	char path[PATH_SIZE];

	if (options->kubeconfig) return add_file(c, options->kubeconfig, false, e);
	if (list && *list) return add_list(c, list, e);
	if (!home || !*home) return 0;
	if (snprintf(path, sizeof(path), "%s/.kube/config", home) >= (int)sizeof(path))
		return err_set(e, ERR_LIMIT, "the path in HOME is too long");
	return add_file(c, path, true, e);
}

/* --- finding what is named --- */

static const char *current_context(const struct config *c)
{
	for (size_t i = 0; i < c->count; i++) {
		const char *name = yaml_text(c->files[i].root, "current-context");

		if (name && *name) return name;
	}
	return NULL;
}

static bool find(const struct config *c, const char *list, const char *kind, const char *name,
		 struct entry *ret)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct yaml_node *all = yaml_get(c->files[i].root, list);

		if (!all || all->kind != YAML_SEQUENCE) continue;
		for (const struct yaml_node *n = all->child; n; n = n->next) {
			const char *its = yaml_text(n, "name");

			if (!its || strcmp(its, name) != 0) continue;
			*ret = (struct entry){name, yaml_get(n, kind), &c->files[i]};
			return true;
		}
	}
	return false;
}

/* The names there are, and the one that was probably meant. */
static int unknown_context(const struct config *c, const char *name, struct err *e)
{
	char names[ERR_HINT_MAX - 128] = "";
	struct suggestion near;
	size_t len = 0;

	suggest_init(&near, name, strlen(name));
	for (size_t i = 0; i < c->count; i++) {
		const struct yaml_node *all = yaml_get(c->files[i].root, "contexts");

		for (const struct yaml_node *n = all ? all->child : NULL; n; n = n->next) {
			const char *its = yaml_text(n, "name");
			int k;

			if (!its) continue;
			suggest_consider(&near, its);
			k = snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "",
				     its);
			if (k < 0 || (size_t)k >= sizeof(names) - len) break;
			len += (size_t)k;
		}
	}
	err_set(e, ERR_NOT_FOUND, "there is no context \"%s\" in %s", name,
		c->count > 0 ? c->files[0].path : "any kubeconfig");
	if (near.best) return err_hint(e, "did you mean %s? Contexts: %s", near.best, names);
	return err_hint(e, len ? "contexts: %s" : "it has no contexts%s", names);
}

/* --- values --- */

static int set_text(char **ret, const char *value, struct err *e)
{
	char *copy;

	if (!value) return 0;
	copy = strdup(value);
	if (!copy) return no_memory(e);
	free(*ret);
	*ret = copy;
	return 0;
}

static int decode_base64(const char *text, const char *what, const struct entry *from,
			 struct buf *ret, struct err *e)
{
	_cleanup_free_ char *clean = malloc(strlen(text) + 1);
	size_t len = 0, padding = 0;
	char *out;
	int n, r;

	if (!clean) return no_memory(e);
	for (const char *p = text; *p; p++)
		if (!strchr(" \t\r\n", *p)) clean[len++] = *p;
	while (padding < len && padding < 2 && clean[len - 1 - padding] == '=')
		padding++;
	r = buf_reserve(ret, len / 4 * 3 + 3, &out, e);
	if (r < 0) return r;
	n = len % 4 == 0 ? EVP_DecodeBlock((unsigned char *)out, (unsigned char *)clean, (int)len)
			 : -1;
	OPENSSL_cleanse(clean, len);
	if (n < (int)padding)
		return err_set(e, ERR_CORRUPT, "%s: %s of \"%s\" is not base64", from->file->path,
			       what, from->name);
	ret->len += (size_t)n - padding;
	out[(size_t)n - padding] = '\0';
	return 0;
}

/* path relative to the file that holds it. */
static int read_beside(const char *path, const char *what, const struct entry *from,
		       struct buf *ret, struct err *e)
{
	const char *slash = strrchr(from->file->path, '/');
	char full[PATH_SIZE];
	int n, r;

	if (path[0] == '/' || !slash)
		n = snprintf(full, sizeof(full), "%s", path);
	else
		n = snprintf(full, sizeof(full), "%.*s/%s", (int)(slash - from->file->path),
			     from->file->path, path);
	if (n < 0 || n >= (int)sizeof(full))
		return err_set(e, ERR_LIMIT, "%s: the path of %s is too long", from->file->path,
			       what);
	r = io_read_file(AT_FDCWD, full, ret, e);
	if (r == 0) return 0;
	return err_wrap(e, "%s of \"%s\" in kubeconfig %s", what, from->name, from->file->path);
}

/* A PEM that is given inline (KEY-data, which wins) or as a file (KEY). */
static int load_pem(const struct entry *from, const char *key, struct buf *ret, struct err *e)
{
	const char *inline_text, *path;
	char data_key[64];

	snprintf(data_key, sizeof(data_key), "%s-data", key);
	inline_text = yaml_text(from->node, data_key);
	path = yaml_text(from->node, key);
	if (inline_text && *inline_text) return decode_base64(inline_text, data_key, from, ret, e);
	if (path && *path) return read_beside(path, key, from, ret, e);
	return 0;
}

static int load_cluster(const struct entry *from, struct kube_access *ret, struct err *e)
{
	const char *insecure = yaml_text(from->node, "insecure-skip-tls-verify");
	int r = set_text(&ret->server, yaml_text(from->node, "server"), e);

	if (r == 0)
		r = set_text(&ret->tls_server_name, yaml_text(from->node, "tls-server-name"), e);
	if (r == 0) r = set_text(&ret->proxy, yaml_text(from->node, "proxy-url"), e);
	if (r == 0) r = load_pem(from, "certificate-authority", &ret->ca, e);
	ret->insecure = insecure && strcmp(insecure, "true") == 0;
	return r;
}

/* What we cannot do must not become an anonymous request that fails for another reason. */
static int check_supported(const struct entry *from, struct err *e)
{
	static const struct {
		const char *key, *what;
	} others[] = {
	    {"exec", "an exec plugin"},
	    {"auth-provider", "an auth-provider"},
	    {"username", "a user name and password"},
	    {"as", "impersonation"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		const struct yaml_node *node = yaml_get(from->node, others[i].key);
		const char *name = yaml_text(node, i == 0 ? "command" : "name");

		if (!node || (node->kind == YAML_SCALAR && !node->text)) continue;
		err_set(e, ERR_UNSUPPORTED,
			"user \"%s\" of %s authenticates by %s%s%s%s, which is "
			"not supported",
			from->name, from->file->path, others[i].what, name ? " (" : "",
			name ? name : "", name ? ")" : "");
		return err_hint(e, "give a token with --token, for instance of a service account: "
				   "kubectl create token NAME");
	}
	return 0;
}

static int load_token(const struct entry *from, struct kube_access *ret, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT(CREDENTIAL_FILE_MAX);
	const char *path = yaml_text(from->node, "tokenFile");
	int r;

	if (!path || !*path) return set_text(&ret->token, yaml_text(from->node, "token"), e);
	r = read_beside(path, "tokenFile", from, &text, e);
	if (r < 0) return r;
	while (text.len > 0 && strchr(" \t\r\n", text.data[text.len - 1]))
		text.data[--text.len] = '\0';
	r = set_text(&ret->token, text.data ? text.data : "", e);
	if (text.data) OPENSSL_cleanse(text.data, text.len);
	return r;
}

static int load_user(const struct entry *from, struct kube_access *ret, struct err *e)
{
	char whose[400];
	int r = check_supported(from, e);

	if (r == 0) r = load_token(from, ret, e);
	if (r == 0) r = load_pem(from, "client-certificate", &ret->cert, e);
	if (r == 0) r = load_pem(from, "client-key", &ret->key, e);
	if (r < 0) return r;
	if ((ret->cert.len > 0) != (ret->key.len > 0))
		return err_set(e, ERR_CORRUPT,
			       "user \"%s\" of %s has a client certificate or key "
			       "without the other",
			       from->name, from->file->path);
	if (ret->cert.len == 0) return 0;
	snprintf(whose, sizeof(whose), "user \"%.150s\" (%.200s)", from->name, from->file->path);
	return certificate_check(ret->cert.data, ret->cert.len, whose, e);
}

/* --- putting it together --- */

static int lacks(const struct config *c, const char *kind, const char *name, struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "there is no %s \"%s\" in %s", kind, name,
		       c->count > 0 ? c->files[0].path : "any kubeconfig");
}

static int load_entries(const struct config *c, const struct kube_options *options,
			const struct yaml_node *context, struct kube_access *ret, struct err *e)
{
	const char *cluster = options->cluster ? options->cluster : yaml_text(context, "cluster");
	const char *user = options->user ? options->user : yaml_text(context, "user");
	struct entry entry;
	int r;

	r = set_text(&ret->namespace_, yaml_text(context, "namespace"), e);
	if (r == 0 && cluster && *cluster) {
		if (!find(c, "clusters", "cluster", cluster, &entry))
			return lacks(c, "cluster", cluster, e);
		r = load_cluster(&entry, ret, e);
	}
	if (r == 0 && user && *user) {
		if (!find(c, "users", "user", user, &entry)) return lacks(c, "user", user, e);
		/* A token that was given is meant: a certificate beside it would win. */
		if (!options->token) r = load_user(&entry, ret, e);
	}
	return r;
}

static int from_files(const struct config *c, const struct kube_options *options,
		      struct kube_access *ret, struct err *e)
{
	const char *name = options->context ? options->context : current_context(c);
	struct entry context = {.name = name};

	if (name && !find(c, "contexts", "context", name, &context))
		return unknown_context(c, name, e);
	if (name && asprintf(&ret->origin, "context \"%s\" of %s", name, context.file->path) < 0) {
		ret->origin = NULL;
		return no_memory(e);
	}
	return load_entries(c, options, context.node, ret, e);
}

static int apply_options(const struct kube_options *options, struct kube_access *ret, struct err *e)
{
	int r = set_text(&ret->server, options->server, e);

	if (r == 0) r = set_text(&ret->token, options->token, e);
	if (r == 0 && options->certificate_authority) {
		buf_clear(&ret->ca);
		r = io_read_file(AT_FDCWD, options->certificate_authority, &ret->ca, e);
		if (r < 0) return err_wrap(e, "--certificate-authority");
	}
	if (options->insecure_skip_tls_verify) ret->insecure = true;
	return r;
}

/* Scheme and slashes as the rest of exec/ expects them. */
static int check_server(struct kube_access *a, struct err *e)
{
	char *server;
	size_t len;

	if (!a->server || !*a->server) {
		err_set(e, ERR_NOT_FOUND, "%s names no server",
			a->origin ? a->origin : "the kubeconfig");
		return err_hint(e, "choose a context with --context, or a server with --server");
	}
	if (!strstr(a->server, "://")) {
		if (asprintf(&server, "https://%s", a->server) < 0) return no_memory(e);
		free(a->server);
		a->server = server;
	}
	for (const char *p = a->server; *p; p++)
		if ((unsigned char)*p <= ' ' || strchr("?#@\x7f", *p))
			return err_set(e, ERR_CORRUPT, "%s: malformed server address",
				       a->origin ? a->origin : "--server");
	len = strlen(a->server);
	while (len > 0 && a->server[len - 1] == '/')
		a->server[--len] = '\0';
	if (a->token && strpbrk(a->token, "\r\n"))
		return err_set(e, ERR_CORRUPT, "%s: the token has more than one line",
			       a->origin ? a->origin : "--token");
	return 0;
}

static int load(const struct kube_options *options, struct config *c, struct kube_access *ret,
		struct err *e)
{
	bool named = options->context || options->cluster || options->user;
	int r = read_files(options, c, e);

	if (r < 0) return r;
	if (c->count == 0 && !named && !options->server) {
		r = in_cluster_load(SERVICE_ACCOUNT_DIR, ret, e);
		if (r == -ERR_NOT_FOUND && !getenv("KUBERNETES_SERVICE_HOST")) {
			err_set(e, ERR_NOT_FOUND, "no kubeconfig: %s, and this is no pod",
				getenv("KUBECONFIG") ? "none of the files in KUBECONFIG exists"
						     : "~/.kube/config does not exist");
			r = err_hint(e, "name one with --kubeconfig or KUBECONFIG");
		}
		if (r < 0) return r;
	} else {
		r = from_files(c, options, ret, e);
	}
	if (r == 0) r = apply_options(options, ret, e);
	return r == 0 ? check_server(ret, e) : r;
}

int kubeconfig_load(const struct kube_options *options, struct kube_access *ret, struct err *e)
{
	struct kube_access a = {0};
	struct config c = {.count = 0};
	int r;

	buf_init(&a.ca, CREDENTIAL_FILE_MAX);
	buf_init(&a.cert, CREDENTIAL_FILE_MAX);
	buf_init(&a.key, CREDENTIAL_FILE_MAX);
	r = load(options, &c, &a, e);
	config_done(&c);
	if (r < 0)
		kube_access_done(&a);
	else
		*ret = a;
	return r;
}
