#include "base/io.h"
#include "base/rfc3339.h"
#include "exec/kubeconfig.h"

#include <fcntl.h>
#include <openssl/crypto.h>
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

static void free_secret(char *text)
{
	if (text) OPENSSL_cleanse(text, strlen(text));
	free(text);
}

void kube_access_done(struct kube_access *a)
{
	if (!a) return;
	if (a->key.data) OPENSSL_cleanse(a->key.data, a->key.len);
	buf_done(&a->ca);
	buf_done(&a->cert);
	buf_done(&a->key);
	free_secret(a->token);
	free_secret(a->proxy); /* may hold a password */
	free(a->server);
	free(a->namespace_);
	free(a->tls_server_name);
	free(a->origin);
	*a = (struct kube_access){0};
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

static int read_trimmed(const char *dir, const char *name, char **ret, struct err *e)
{
	_cleanup_buf_ struct buf b = BUF_INIT(CREDENTIAL_FILE_MAX);
	char path[512];
	int r;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	r = io_read_file(AT_FDCWD, path, &b, e);
	if (r < 0) return err_wrap(e, "the pod's service account");
	while (b.len > 0 && strchr(" \t\r\n", b.data[b.len - 1]))
		b.data[--b.len] = '\0';
	*ret = buf_steal(&b);
	return *ret ? 0 : err_set(e, ERR_NO_MEMORY, "no memory for %s", path);
}

int in_cluster_load(const char *dir, struct kube_access *ret, struct err *e)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	struct kube_access a = {.ca = BUF_INIT(CREDENTIAL_FILE_MAX)};
	char path[512];
	bool v6;
	int r;

	if (!host || !*host || !port || !*port)
		return err_set(e, ERR_NOT_FOUND,
			       "this is no pod: KUBERNETES_SERVICE_HOST is not "
			       "set");
	v6 = strchr(host, ':') != NULL;
	if (asprintf(&a.server, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port) < 0)
		a.server = NULL;
	a.origin = strdup("the pod's service account");
	r = a.server && a.origin ? 0 : err_set(e, ERR_NO_MEMORY, "no memory for an address");
	if (r == 0) r = read_trimmed(dir, "token", &a.token, e);
	if (r == 0) r = read_trimmed(dir, "namespace", &a.namespace_, e);
	if (r == 0) {
		snprintf(path, sizeof(path), "%s/ca.crt", dir);
		r = io_read_file(AT_FDCWD, path, &a.ca, e);
		if (r < 0) r = err_wrap(e, "the pod's service account");
	}
	if (r < 0)
		kube_access_done(&a);
	else
		*ret = a;
	return r;
}
