/*
 * Where the cluster is and who we are: from kubeconfig files in kubectl's way, or from the service
 * account of the pod we are in. Secrets stay in here: no error holds one.
 * Format: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
 */
#ifndef EXEC_KUBECONFIG_H
#define EXEC_KUBECONFIG_H

#include "exec/kube.h"
#include "exec/plugin.h"
#include "net/http.h"

enum { CREDENTIAL_FILE_MAX = 1 << 20, IMPERSONATION_MAX = 64 << 10 };

struct kube_access {
	char *server;                  /* "https://host:port/prefix", without a slash at the end */
	char *namespace_;              /* of the context, or NULL */
	char *token;                   /* or NULL */
	char *token_file;              /* it may be another a minute later; or NULL */
	char *username, *password;     /* for basic authentication, or NULL */
	struct plugin *plugin;         /* where nothing else says who we are; or NULL */
	struct buf impersonation;      /* "Impersonate-User: x" and its like, each ended by NUL */
	char *tls_server_name, *proxy; /* or NULL */
	struct buf ca, cert, key;      /* PEM; empty: none */
	bool insecure;
	char *origin; /* "context a of FILE", for errors */
};

/*
 * Runs no plugin. Files: options->kubeconfig alone, else the list in $KUBECONFIG (those that do not
 * exist are passed over), else ~/.kube/config, else the service account. What an earlier file
 * defines wins. Errors as kube_open; -ERR_UNSUPPORTED names a way of authentication that is not
 * supported.
 */
int kubeconfig_load(const struct kube_options *options, struct kube_access *ret, struct err *e);
void kube_access_init(struct kube_access *a);
/* Clears the secrets, too. */
void kube_access_done(struct kube_access *a);
/* Clears what says who we are: token, password, certificate and key, plugin. */
void kube_access_forget_user(struct kube_access *a);

/* The TLS side of it, borrowed from a. */
struct tls_config kube_access_tls(const struct kube_access *a);

/* -ERR_AUTH if the first certificate of the PEM is past its end, or not yet valid, with the date;
 * -ERR_CORRUPT if it is none. whose: for the error. */
int certificate_check(const void *pem, size_t len, const char *whose, struct err *e);
/* -ERR_CORRUPT if the key is none, is encrypted, or belongs to another certificate. */
int key_check(const void *cert, size_t cert_len, const void *key, size_t key_len, const char *whose,
	      struct err *e);
/* Replaces *ret by the token in a file, without blanks around it. -ERR_CORRUPT if there is none. */
int token_read(const char *path, char **ret, struct err *e);

/* The service account of a pod, whose token is read again as it changes: dir has token, ca.crt and
 * namespace. -ERR_NOT_FOUND when $KUBERNETES_SERVICE_HOST is not set. */
int in_cluster_load(const char *dir, struct kube_access *ret, struct err *e);

#endif
