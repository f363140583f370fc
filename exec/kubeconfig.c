#include "exec/kubeconfig.h"

#include "base/io.h"
#include "base/suggest.h"
#include "exec/kubeconfig_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { FILES_MAX = 32 };

#define SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

struct config {
	struct config_file files[FILES_MAX];
	size_t count;
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
	buf_wipe(&text);
	if (r < 0) return r;
	if (f->root && f->root->kind != YAML_MAPPING)
		return err_set(e, ERR_CORRUPT, "%s:%zu: no kubeconfig: no keys and values", path,
			       f->root->line);
	return 0;
}

static int add_list(struct config *c, const char *list, struct err *e)
{
	char path[KUBECONFIG_PATH_SIZE];
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
	char path[KUBECONFIG_PATH_SIZE];

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
		 struct config_entry *ret)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct yaml_node *all = yaml_get(c->files[i].root, list);

		if (!all || all->kind != YAML_SEQUENCE) continue;
		for (const struct yaml_node *n = all->child; n; n = n->next) {
			const char *its = yaml_text(n, "name");

			if (!its || strcmp(its, name) != 0) continue;
			*ret = (struct config_entry){name, yaml_get(n, kind), &c->files[i]};
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

/* --- putting it together --- */

static int load_cluster(const struct config_entry *from, const struct kube_options *options,
			struct kube_access *ret, struct err *e)
{
	int r = config_set_text(&ret->server, yaml_text(from->node, "server"), e);

	if (r == 0 && !options->server) /* else the name is most likely not that one's */
		r = config_set_text(&ret->tls_server_name, yaml_text(from->node, "tls-server-name"),
				    e);
	if (r == 0) r = config_set_text(&ret->proxy, yaml_text(from->node, "proxy-url"), e);
	/* An option about trust replaces all that the file says of it. */
	if (r < 0 || options->certificate_authority || options->insecure_skip_tls_verify) return r;
	ret->insecure = yaml_true(from->node, "insecure-skip-tls-verify");
	return config_load_pem(from, "certificate-authority", &ret->ca, e);
}

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
	struct config_entry its_cluster = {0}, its_user = {0};
	int r;

	r = config_set_text(&ret->namespace_, yaml_text(context, "namespace"), e);
	if (r == 0 && cluster && *cluster) {
		if (!find(c, "clusters", "cluster", cluster, &its_cluster))
			return lacks(c, "cluster", cluster, e);
		r = load_cluster(&its_cluster, options, ret, e);
	}
	if (r < 0) return r;
	if (user && *user && !find(c, "users", "user", user, &its_user))
		return lacks(c, "user", user, e);
	return config_load_user(&its_user, its_cluster.node, options, ret, e);
}

static int from_files(const struct config *c, const struct kube_options *options,
		      struct kube_access *ret, struct err *e)
{
	const char *name = options->context ? options->context : current_context(c);
	struct config_entry context = {.name = name};

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
	int r = config_set_text(&ret->server, options->server, e);

	if (r == 0) r = config_set_text(&ret->tls_server_name, options->tls_server_name, e);
	if (r == 0 && options->certificate_authority) {
		buf_clear(&ret->ca);
		r = io_read_file(AT_FDCWD, options->certificate_authority, &ret->ca, e);
		if (r < 0) return err_wrap(e, "--certificate-authority");
	}
	if (options->insecure_skip_tls_verify) ret->insecure = true;
	return r;
}

static int malformed(const struct kube_access *a, struct err *e)
{
	err_set(e, ERR_CORRUPT, "%s: malformed server address", a->origin ? a->origin : "--server");
	return err_hint(e, "it should be https://HOST:PORT");
}

/* Scheme and slashes as the rest of exec/ expects them. */
static int check_server(struct kube_access *a, struct err *e)
{
	bool https;
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
		if ((unsigned char)*p <= ' ' || strchr("?#@\x7f", *p)) return malformed(a, e);
	https = strncasecmp(a->server, "https://", 8) == 0;
	if (!https && strncasecmp(a->server, "http://", 7) != 0) return malformed(a, e);
	if (strchr("/", a->server[https ? 8 : 7])) return malformed(a, e); /* or its end */
	len = strlen(a->server);
	while (len > 0 && a->server[len - 1] == '/')
		a->server[--len] = '\0';
	if (a->token && strpbrk(a->token, "\r\n"))
		return err_set(e, ERR_CORRUPT, "%s: the token has more than one line",
			       a->origin ? a->origin : "--token");
	/* Where everybody on the way could read them (a local `kubectl proxy` needs none). */
	if (!https) kube_access_forget_user(a);
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
		if (r == 0) r = config_load_user(&(struct config_entry){0}, NULL, options, ret, e);
		if (r < 0) return r;
	} else {
		r = from_files(c, options, ret, e);
	}
	if (r == 0) r = apply_options(options, ret, e);
	return r == 0 ? check_server(ret, e) : r;
}

int kubeconfig_load(const struct kube_options *options, struct kube_access *ret, struct err *e)
{
	struct kube_access a;
	struct config c = {.count = 0};
	int r;

	kube_access_init(&a);
	r = load(options, &c, &a, e);
	config_done(&c);
	if (r < 0)
		kube_access_done(&a);
	else
		*ret = a;
	return r;
}
