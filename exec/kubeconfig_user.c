#include "base/io.h"
#include "exec/kubeconfig_internal.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { HEADER_NAME_MAX = 1024 };

static int no_memory(struct err *e)
{
	return err_set(e, ERR_NO_MEMORY, "no memory for a kubeconfig");
}

/* --- values --- */

int config_set_text(char **ret, const char *value, struct err *e)
{
	char *copy;

	if (!value) return 0;
	copy = strdup(value);
	if (!copy) return no_memory(e);
	free(*ret);
	*ret = copy;
	return 0;
}

static int decode_base64(const char *text, const char *what, const struct config_entry *from,
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

int config_path(const char *path, const char *what, const struct config_entry *from,
		char ret[KUBECONFIG_PATH_SIZE], struct err *e)
{
	const char *slash = strrchr(from->file->path, '/');
	int n;

	if (path[0] == '/' || !slash)
		n = snprintf(ret, KUBECONFIG_PATH_SIZE, "%s", path);
	else
		n = snprintf(ret, KUBECONFIG_PATH_SIZE, "%.*s/%s", (int)(slash - from->file->path),
			     from->file->path, path);
	if (n < 0 || n >= KUBECONFIG_PATH_SIZE)
		return err_set(e, ERR_LIMIT, "%s: the path of %s is too long", from->file->path,
			       what);
	return 0;
}

static int read_beside(const char *path, const char *what, const struct config_entry *from,
		       struct buf *ret, struct err *e)
{
	char full[KUBECONFIG_PATH_SIZE];
	int r = config_path(path, what, from, full, e);

	if (r < 0) return r;
	r = io_read_file(AT_FDCWD, full, ret, e);
	if (r == 0) return 0;
	return err_wrap(e, "%s of \"%s\" in kubeconfig %s", what, from->name, from->file->path);
}

int config_load_pem(const struct config_entry *from, const char *key, struct buf *ret,
		    struct err *e)
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

/* --- what the user has --- */

static int load_token(const struct config_entry *from, struct kube_access *ret, struct err *e)
{
	const char *path = yaml_text(from->node, "tokenFile");
	const char *token = yaml_text(from->node, "token");
	char full[KUBECONFIG_PATH_SIZE];
	int r;

	if (!path || !*path) return token && *token ? config_set_text(&ret->token, token, e) : 0;
	r = config_path(path, "tokenFile", from, full, e);
	if (r == 0) r = config_set_text(&ret->token_file, full, e);
	if (r == 0) r = token_read(full, &ret->token, e);
	if (r == 0) return 0;
	/* The file is newer than a token beside it, which serves where there is no file. */
	if (token && *token) return config_set_text(&ret->token, token, e);
	return err_wrap(e, "tokenFile of \"%s\" in kubeconfig %s", from->name, from->file->path);
}

/* A file that an option names, else what the user's entry has. */
static int load_option_pem(const char *path, const char *key, const struct config_entry *from,
			   struct buf *ret, struct err *e)
{
	int r;

	if (!path) return config_load_pem(from, key, ret, e);
	r = io_read_file(AT_FDCWD, path, ret, e);
	return r < 0 ? err_wrap(e, "--%s", key) : 0;
}

static int load_certificate(const struct config_entry *from, const struct kube_options *options,
			    const char *origin, struct kube_access *ret, struct err *e)
{
	int r =
	    load_option_pem(options->client_certificate, "client-certificate", from, &ret->cert, e);

	if (r == 0) r = load_option_pem(options->client_key, "client-key", from, &ret->key, e);
	if (r < 0) return r;
	if ((ret->cert.len > 0) != (ret->key.len > 0))
		return err_set(e, ERR_CORRUPT,
			       "%s has a client certificate or key without the other", origin);
	if (ret->cert.len == 0) return 0;
	r = certificate_check(ret->cert.data, ret->cert.len, origin, e);
	if (r == 0)
		r = key_check(ret->cert.data, ret->cert.len, ret->key.data, ret->key.len, origin,
			      e);
	return r;
}

static int load_password(const struct config_entry *from, struct kube_access *ret, struct err *e)
{
	const char *name = yaml_text(from->node, "username");
	const char *password = yaml_text(from->node, "password");
	int r;

	if ((!name || !*name) && (!password || !*password)) return 0;
	if (name && strchr(name, ':'))
		return err_set(e, ERR_CORRUPT, "user \"%s\" of %s: a username has no colon",
			       from->name, from->file->path);
	r = config_set_text(&ret->username, name ? name : "", e);
	return r == 0 ? config_set_text(&ret->password, password ? password : "", e) : r;
}

static int load_plugin(const struct config_entry *from, const struct yaml_node *cluster,
		       const char *origin, struct kube_access *ret, struct err *e)
{
	const struct yaml_node *exec = yaml_get(from->node, "exec");
	const char *command = yaml_text(exec, "command");
	char full[KUBECONFIG_PATH_SIZE];
	int r;

	if (!exec || exec->kind != YAML_MAPPING) return 0;
	if (command && strchr(command, '/')) {
		r = config_path(command, "the command", from, full, e);
		if (r < 0) return r;
		command = full;
	}
	return plugin_new(exec, yaml_get(cluster, "extensions"), command, origin, &ret->plugin, e);
}

/* What we cannot do must not become an anonymous request that fails for another reason. */
static int check_supported(const struct config_entry *from, const char *origin, struct err *e)
{
	const struct yaml_node *provider = yaml_get(from->node, "auth-provider");
	const char *name = yaml_text(provider, "name");

	if (!provider || provider->kind != YAML_MAPPING) return 0;
	err_set(e, ERR_UNSUPPORTED,
		"%s authenticates by an auth-provider%s%s%s, which is not "
		"supported",
		origin, name ? " (" : "", name ? name : "", name ? ")" : "");
	return err_hint(e,
			"use an exec plugin instead: gke-gcloud-auth-plugin, kubelogin "
			"convert-kubeconfig, or kubectl oidc-login; or give a token with --token");
}

/* In the order in which kubectl chooses among several. */
static int load_ways(const struct config_entry *from, const struct yaml_node *cluster,
		     const char *origin, const struct kube_options *options,
		     struct kube_access *ret, struct err *e)
{
	int r = load_token(from, ret, e);

	if (r == 0) r = load_certificate(from, options, origin, ret, e);
	if (r == 0 && !ret->token) r = load_password(from, ret, e);
	if (r < 0 || ret->token || ret->cert.len > 0 || ret->username) return r;
	r = load_plugin(from, cluster, origin, ret, e);
	return r == 0 && !ret->plugin ? check_supported(from, origin, e) : r;
}

/* --- whom it impersonates --- */

static int add_header(struct kube_access *a, const char *name, const char *value,
		      const char *origin, struct err *e)
{
	int r;

	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_set(e, ERR_CORRUPT, "%s: a control character in %s", origin,
				       name);
	r = buf_printf(&a->impersonation, e, "%s: %s", name, value);
	return r == 0 ? buf_append(&a->impersonation, "", 1, e) : r;
}

/* Source of the header's form: client-go's transport.NewImpersonatingRoundTripper. */
static int add_extra(struct kube_access *a, const char *key, const char *value, const char *origin,
		     struct err *e)
{
	_cleanup_buf_ struct buf name = BUF_INIT(HEADER_NAME_MAX);
	int r = buf_puts(&name, "Impersonate-Extra-", e);

	if (r == 0) r = http_encode(&name, key, "!#$&'*+^`|", e);
	return r == 0 ? add_header(a, name.data, value, origin, e) : r;
}

static bool option_has_extra(const struct kube_options *options, const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < options->as_user_extra_count; i++)
		if (strncmp(options->as_user_extra[i], key, len) == 0 &&
		    options->as_user_extra[i][len] == '=')
			return true;
	return false;
}

static int add_extras(const struct yaml_node *user, const char *origin,
		      const struct kube_options *options, struct kube_access *a, struct err *e)
{
	const struct yaml_node *extras = yaml_get(user, "as-user-extra");
	int r = 0;

	if (extras && extras->kind == YAML_MAPPING)
		for (const struct yaml_node *n = extras->child; r == 0 && n; n = n->next)
			for (const struct yaml_node *v = n->child;
			     r == 0 && v && !option_has_extra(options, n->key); v = v->next)
				r = add_extra(a, n->key, v->text ? v->text : "", origin, e);
	for (size_t i = 0; r == 0 && i < options->as_user_extra_count; i++) {
		_cleanup_free_ char *key = strdup(options->as_user_extra[i]);
		char *value = key ? strchr(key, '=') : NULL;

		if (!key) return no_memory(e);
		if (!value || value == key)
			return err_set(e, ERR_USAGE, "--as-user-extra takes KEY=VALUE");
		*value = '\0';
		r = add_extra(a, key, value + 1, "--as-user-extra", e);
	}
	return r;
}

static int add_groups(const struct yaml_node *user, const char *origin,
		      const struct kube_options *options, struct kube_access *a, struct err *e)
{
	const struct yaml_node *groups = yaml_get(user, "as-groups");
	int r = 0;

	for (size_t i = 0; r == 0 && i < options->as_group_count; i++)
		r = add_header(a, "Impersonate-Group", options->as_groups[i], "--as-group", e);
	if (options->as_group_count > 0 || !groups || groups->kind != YAML_SEQUENCE) return r;
	for (const struct yaml_node *n = groups->child; r == 0 && n; n = n->next)
		r = add_header(a, "Impersonate-Group", n->text ? n->text : "", origin, e);
	return r;
}

static int load_impersonation(const struct yaml_node *user, const char *origin,
			      const struct kube_options *options, struct kube_access *ret,
			      struct err *e)
{
	const char *name = options->as ? options->as : yaml_text(user, "as");
	const char *uid = options->as_uid ? options->as_uid : yaml_text(user, "as-uid");
	int r = 0;

	if (name && *name) r = add_header(ret, "Impersonate-User", name, origin, e);
	if (r == 0 && uid && *uid) r = add_header(ret, "Impersonate-Uid", uid, origin, e);
	if (r == 0) r = add_groups(user, origin, options, ret, e);
	if (r == 0) r = add_extras(user, origin, options, ret, e);
	if (r < 0 || ret->impersonation.len == 0 || (name && *name)) return r;
	err_set(e, ERR_USAGE, "%s impersonates a group, uid or extra, but no user", origin);
	return err_hint(e, "name the user with --as");
}

int config_load_user(const struct config_entry *from, const struct yaml_node *cluster,
		     const struct kube_options *options, struct kube_access *ret, struct err *e)
{
	char origin[400] = "the command line";
	int r;

	if (from->node)
		snprintf(origin, sizeof(origin), "user \"%.150s\" of %.200s", from->name,
			 from->file->path);
	/* What was given is meant: a certificate beside a token would win. */
	if (options->token) {
		free(ret->token_file);
		ret->token_file = NULL;
		r = config_set_text(&ret->token, options->token, e);
	} else if (options->client_certificate || options->client_key) {
		r = load_certificate(from, options, origin, ret, e);
	} else {
		r = load_ways(from, cluster, origin, options, ret, e);
	}
	return r == 0 ? load_impersonation(from->node, origin, options, ret, e) : r;
}
