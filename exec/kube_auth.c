#include "base/log.h"
#include "exec/kube_internal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

static int no_memory(struct err *e)
{
	return err_set(e, ERR_NO_MEMORY, "no memory for credentials");
}

struct http_config kube_http_config(const struct kube *k)
{
	return (struct http_config){
	    .tls = kube_access_tls(&k->access), .proxy = k->access.proxy, .cancel = k->cancel};
}

/* --- what changes --- */

/* A projected token is replaced long before it expires: the old one serves if reading fails. */
static void read_token_again(struct kube *k)
{
	struct err why;

	if (!k->access.token_file) return;
	if (token_read(k->access.token_file, &k->access.token, &why) < 0)
		log_debug("%s; going on with the token there was", why.text);
}

/* Another certificate needs another connection. */
static void take_credential(struct kube *k, struct plugin_credential *c)
{
	struct kube_access *a = &k->access;
	bool same = c->cert.len == a->cert.len &&
		    (c->cert.len == 0 || memcmp(c->cert.data, a->cert.data, c->cert.len) == 0);

	if (!same) {
		http_free(k->http);
		k->http = NULL;
	}
	k->expires = c->expires;
	k->has_credential = true;
	/* What there was goes away with c. */
	struct plugin_credential old = {.token = a->token, .cert = a->cert, .key = a->key};
	a->token = c->token;
	a->cert = c->cert;
	a->key = c->key;
	*c = old;
}

static int run_plugin(const struct kube *k, struct plugin_credential *ret, struct err *e)
{
	const struct kube_access *a = &k->access;
	struct plugin_cluster cluster = {.server = a->server,
					 .tls_server_name = a->tls_server_name,
					 .proxy = a->proxy,
					 .ca_pem = a->ca.data,
					 .ca_len = a->ca.len,
					 .insecure = a->insecure};
	struct plugin_limits limits = {.timeout_ns = k->plugin_timeout_ns, .cancel = k->cancel};
	_cleanup_(plugin_credential_done) struct plugin_credential c = {0};
	int r = plugin_run(a->plugin, &cluster, &limits, &c, e);

	if (r == 0 && c.cert.len > 0)
		r = certificate_check(c.cert.data, c.cert.len, a->plugin->origin, e);
	if (r == 0 && c.cert.len > 0)
		r = key_check(c.cert.data, c.cert.len, c.key.data, c.key.len, a->plugin->origin, e);
	if (r < 0) return r;
	*ret = c;
	c = (struct plugin_credential){0};
	return 0;
}

static int copy_credential(const struct plugin_credential *from, struct plugin_credential *ret,
			   struct err *e)
{
	_cleanup_(plugin_credential_done) struct plugin_credential c = {
	    .cert = BUF_INIT(CREDENTIAL_FILE_MAX),
	    .key = BUF_INIT(CREDENTIAL_FILE_MAX),
	    .expires = from->expires,
	};
	int r = 0;

	if (from->token && !(c.token = strdup(from->token))) r = no_memory(e);
	if (r == 0 && from->cert.len > 0)
		r = buf_append(&c.cert, from->cert.data, from->cert.len, e);
	if (r == 0 && from->key.len > 0) r = buf_append(&c.key, from->key.data, from->key.len, e);
	if (r < 0) return r;
	*ret = c;
	c = (struct plugin_credential){0};
	return 0;
}

static bool has_expired(time_t expires)
{
	return expires != 0 && time(NULL) >= expires;
}

/* Under the share's lock: what a sibling has had printed since, else the plugin is run. */
static int renew_shared(struct kube *k, struct plugin_credential *ret, struct err *e)
{
	struct plugin_share *share = k->share;
	int r = 0;

	if (share->run == k->run || has_expired(share->credential.expires)) {
		struct plugin_credential fresh;

		r = run_plugin(k, &fresh, e);
		if (r < 0) return r;
		plugin_credential_done(&share->credential);
		share->credential = fresh;
		share->run++;
	}
	r = copy_credential(&share->credential, ret, e);
	if (r == 0) k->run = share->run;
	return r;
}

static int renew_credential(struct kube *k, struct err *e)
{
	_cleanup_(plugin_credential_done) struct plugin_credential c = {0};
	int r;

	pthread_mutex_lock(&k->share->lock);
	r = renew_shared(k, &c, e);
	pthread_mutex_unlock(&k->share->lock);
	if (r == 0) take_credential(k, &c);
	return r;
}

int kube_share_join(struct kube *k, const struct kube *sibling, struct err *e)
{
	struct plugin_share *share = sibling ? sibling->share : calloc(1, sizeof(*share));

	if (!share) return no_memory(e);
	if (!sibling) pthread_mutex_init(&share->lock, NULL);
	pthread_mutex_lock(&share->lock);
	share->users++;
	pthread_mutex_unlock(&share->lock);
	k->share = share;
	return 0;
}

void kube_share_leave(struct kube *k)
{
	struct plugin_share *share = k->share;
	int users;

	if (!share) return;
	pthread_mutex_lock(&share->lock);
	users = --share->users;
	pthread_mutex_unlock(&share->lock);
	if (users > 0) return;
	pthread_mutex_destroy(&share->lock);
	plugin_credential_done(&share->credential);
	free(share);
}

static bool needs_plugin(const struct kube *k)
{
	if (!k->access.plugin) return false;
	return !k->has_credential || has_expired(k->expires);
}

/* --- headers --- */

static int add_basic(struct kube *k, struct err *e)
{
	_cleanup_free_ char *plain = NULL, *coded = NULL;
	size_t len;
	int r;

	if (asprintf(&plain, "%s:%s", k->access.username, k->access.password) < 0) {
		plain = NULL;
		return no_memory(e);
	}
	len = strlen(plain);
	if (len > CREDENTIAL_FILE_MAX / 2)
		return err_set(e, ERR_LIMIT, "the user name or password is too long");
	coded = malloc(len / 3 * 4 + 5);
	if (!coded) return no_memory(e);
	EVP_EncodeBlock((unsigned char *)coded, (unsigned char *)plain, (int)len);
	r = buf_printf(&k->authorization, e, "Authorization: Basic %s", coded);
	OPENSSL_cleanse(plain, len);
	OPENSSL_cleanse(coded, strlen(coded));
	return r;
}

static int make_headers(struct kube *k, struct err *e)
{
	const struct buf *more = &k->access.impersonation;
	int r = 0;

	buf_wipe(&k->authorization);
	if (k->access.token)
		r = buf_printf(&k->authorization, e, "Authorization: Bearer %s", k->access.token);
	else if (k->access.username)
		r = add_basic(k, e);
	if (r < 0) return r;
	/* A kubelet, which answers a request for exec, has no JSON to offer. */
	k->headers[0] = "Accept: application/json, */*";
	k->header_count = 1;
	if (k->authorization.len > 0) k->headers[k->header_count++] = k->authorization.data;
	for (size_t at = 0; at < more->len; at += strlen(more->data + at) + 1) {
		if (k->header_count == KUBE_HEADERS_MAX)
			return err_set(e, ERR_LIMIT,
				       "more than %d groups and extras to impersonate",
				       KUBE_HEADERS_MAX - 2);
		k->headers[k->header_count++] = more->data + at;
	}
	return 0;
}

int kube_authorize(struct kube *k, struct err *e)
{
	struct http_config config;
	int r = 0;

	read_token_again(k);
	if (needs_plugin(k)) r = renew_credential(k, e);
	if (r == 0) r = make_headers(k, e);
	if (r < 0 || k->http) return r;
	config = kube_http_config(k);
	return http_new(&config, &k->http, e);
}

int kube_refused(struct kube *k, bool *ret_again, struct err *e)
{
	*ret_again = k->access.plugin != NULL;
	if (!k->access.plugin) return 0;
	log_debug("the credentials of the plugin were refused: running it again");
	k->has_credential = false;
	return kube_authorize(k, e);
}
