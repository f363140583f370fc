/*
 * Where the cluster is and who we are: from kubeconfig files in kubectl's way, or from the service
 * account of the pod we are in. Secrets stay in here: no error holds one.
 * Format: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
 */
#ifndef EXEC_KUBECONFIG_H
#define EXEC_KUBECONFIG_H

#include "exec/kube.h"
#include "net/http.h"

enum { CREDENTIAL_FILE_MAX = 1 << 20 };

struct kube_access {
	char *server;                  /* "https://host:port/prefix", without a slash at the end */
	char *namespace_;              /* of the context, or NULL */
	char *token;                   /* or NULL */
	char *tls_server_name, *proxy; /* or NULL */
	struct buf ca, cert, key;      /* PEM; empty: none */
	bool insecure;
	char *origin; /* "context a of FILE", for errors */
};

/*
 * Files: options->kubeconfig alone, else the list in $KUBECONFIG (those that do not exist are
 * passed over), else ~/.kube/config, else the service account. What an earlier file defines wins.
 * Errors as kube_open; -ERR_UNSUPPORTED names a way of authentication that is not supported.
 */
int kubeconfig_load(const struct kube_options *options, struct kube_access *ret, struct err *e);
/* Clears the secrets, too. */
void kube_access_done(struct kube_access *a);

/* The TLS side of it, borrowed from a. */
struct tls_config kube_access_tls(const struct kube_access *a);

/* -ERR_AUTH if the first certificate of the PEM is past its end, or not yet valid, with the date;
 * -ERR_CORRUPT if it is none. whose: for the error. */
int certificate_check(const void *pem, size_t len, const char *whose, struct err *e);

/* The service account of a pod: dir has token, ca.crt and namespace. -ERR_NOT_FOUND when
 * $KUBERNETES_SERVICE_HOST is not set. */
int in_cluster_load(const char *dir, struct kube_access *ret, struct err *e);

#endif
