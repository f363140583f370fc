#include "base/io.h"
#include "base/rfc3339.h"
#include "exec/kubeconfig.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

static void date_of(const ASN1_TIME *time, char ret[RFC3339_SIZE])
{
	struct tm tm = {0};

	snprintf(ret, RFC3339_SIZE, "unknown");
	if (ASN1_TIME_to_tm(time, &tm) == 1) rfc3339_utc(timegm(&tm), ret);
}

int certificate_check(const void *pem, size_t len, const char *whose, struct err *e)
{
	BIO *bio = len <= CREDENTIAL_FILE_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	char date[RFC3339_SIZE];
	int r = 0;

	BIO_free(bio);
	if (!x)
		return err_set(e, ERR_CORRUPT, "the client certificate of %s is no PEM certificate",
			       whose);
	if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0) {
		date_of(X509_get0_notAfter(x), date);
		err_set(e, ERR_AUTH, "the client certificate of %s expired at %s", whose, date);
		r = err_hint(e, "renew the credentials, or choose others with --context or --user");
	} else if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0) {
		date_of(X509_get0_notBefore(x), date);
		err_set(e, ERR_AUTH, "the client certificate of %s is not valid before %s", whose,
			date);
		r = err_hint(e, "check this machine's clock");
	}
	X509_free(x);
	return r;
}

/* A key with a passphrase must not make OpenSSL ask for it on the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *ret_asked)
{
	*(bool *)ret_asked = true;
	return -1;
}

int key_check(const void *cert, size_t cert_len, const void *key, size_t key_len, const char *whose,
	      struct err *e)
{
	bool fits = cert_len <= CREDENTIAL_FILE_MAX && key_len <= CREDENTIAL_FILE_MAX;
	BIO *cert_bio = fits ? BIO_new_mem_buf(cert, (int)cert_len) : NULL;
	BIO *key_bio = fits ? BIO_new_mem_buf(key, (int)key_len) : NULL;
	X509 *x = cert_bio ? PEM_read_bio_X509(cert_bio, NULL, NULL, NULL) : NULL;
	bool encrypted = false;
	EVP_PKEY *k =
	    key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, no_passphrase, &encrypted) : NULL;
	int r = 0;

	if (encrypted)
		r = err_set(e, ERR_UNSUPPORTED,
			    "the client key of %s has a passphrase, which is not supported", whose);
	else if (!k)
		r = err_set(e, ERR_CORRUPT, "the client key of %s is no PEM key", whose);
	else if (!x || X509_check_private_key(x, k) != 1)
		r = err_set(e, ERR_CORRUPT, "the client key of %s is not that of its certificate",
			    whose);
	if (r < 0)
		r = err_hint(e, "renew the credentials, or choose others with --context or --user");
	EVP_PKEY_free(k);
	X509_free(x);
	BIO_free(cert_bio);
	BIO_free(key_bio);
	return r;
}

void kube_access_forget_user(struct kube_access *a)
{
	buf_wipe(&a->key);
	buf_done(&a->cert);
	buf_done(&a->key);
	free_secret(&a->token);
	free_secret(&a->username);
	free_secret(&a->password);
	free(a->token_file);
	a->token_file = NULL;
	plugin_free(STEAL_PTR(a->plugin));
}

void kube_access_done(struct kube_access *a)
{
	if (!a) return;
	kube_access_forget_user(a);
	buf_done(&a->ca);
	buf_done(&a->impersonation);
	free_secret(&a->proxy); /* may hold a password */
	free(a->server);
	free(a->namespace_);
	free(a->tls_server_name);
	free(a->origin);
	*a = (struct kube_access){0};
}

void kube_access_init(struct kube_access *a)
{
	*a = (struct kube_access){.ca = BUF_INIT(CREDENTIAL_FILE_MAX),
				  .cert = BUF_INIT(CREDENTIAL_FILE_MAX),
				  .key = BUF_INIT(CREDENTIAL_FILE_MAX),
				  .impersonation = BUF_INIT(IMPERSONATION_MAX)};
}

struct tls_config kube_access_tls(const struct kube_access *a)
{
	return (struct tls_config){
	    .ca_pem = a->ca.data,
	    .ca_pem_len = a->ca.len,
	    .cert_pem = a->cert.data,
	    .cert_pem_len = a->cert.len,
	    .key_pem = a->key.data,
	    .key_pem_len = a->key.len,
	    .server_name = a->tls_server_name,
	    .insecure = a->insecure,
	};
}

static int read_trimmed(const char *path, char **ret, struct err *e)
{
	_cleanup_buf_ struct buf b = BUF_INIT(CREDENTIAL_FILE_MAX);
	int r = io_read_file(AT_FDCWD, path, &b, e);

	if (r < 0) return r;
	while (b.len > 0 && strchr(" \t\r\n", b.data[b.len - 1]))
		b.data[--b.len] = '\0';
	if (b.len > 0) buf_consume(&b, strspn(b.data, " \t\r\n"));
	free_secret(ret);
	*ret = buf_steal(&b);
	return *ret ? 0 : err_set(e, ERR_NO_MEMORY, "no memory for %s", path);
}

int token_read(const char *path, char **ret, struct err *e)
{
	_cleanup_(free_secret) char *token = NULL;
	int r = read_trimmed(path, &token, e);

	if (r < 0) return r;
	if (!*token) return err_set(e, ERR_CORRUPT, "there is no token in %s", path);
	if (strpbrk(token, "\r\n"))
		return err_set(e, ERR_CORRUPT, "the token in %s has more than one line", path);
	free_secret(ret);
	*ret = STEAL_PTR(token);
	return 0;
}

static int read_account(const char *dir, struct kube_access *a, struct err *e)
{
	char path[512];
	int r;

	if (asprintf(&a->token_file, "%s/token", dir) < 0) {
		a->token_file = NULL;
		return err_set(e, ERR_NO_MEMORY, "no memory for a path");
	}
	r = token_read(a->token_file, &a->token, e);
	snprintf(path, sizeof(path), "%s/namespace", dir);
	if (r == 0) r = read_trimmed(path, &a->namespace_, e);
	snprintf(path, sizeof(path), "%s/ca.crt", dir);
	if (r == 0) r = io_read_file(AT_FDCWD, path, &a->ca, e);
	return r < 0 ? err_wrap(e, "the pod's service account") : 0;
}

int in_cluster_load(const char *dir, struct kube_access *ret, struct err *e)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	struct kube_access a;
	bool v6;
	int r;

	if (!host || !*host || !port || !*port)
		return err_set(e, ERR_NOT_FOUND,
			       "this is no pod: KUBERNETES_SERVICE_HOST is not "
			       "set");
	kube_access_init(&a);
	v6 = strchr(host, ':') != NULL;
	if (asprintf(&a.server, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port) < 0)
		a.server = NULL;
	a.origin = strdup("the pod's service account");
	r = a.server && a.origin ? 0 : err_set(e, ERR_NO_MEMORY, "no memory for an address");
	if (r == 0) r = read_account(dir, &a, e);
	if (r < 0)
		kube_access_done(&a);
	else
		*ret = a;
	return r;
}
