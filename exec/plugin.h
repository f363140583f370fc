/*
 * A credential plugin of a kubeconfig's user (the "exec" of EKS, GKE, AKS and others): a program
 * that prints a token or a client certificate. It gets our environment and its own, our stderr, and
 * our stdin only where it may ask.
 * Format: https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
 */
#ifndef EXEC_PLUGIN_H
#define EXEC_PLUGIN_H

#include "base/buf.h"
#include "exec/yaml.h"

#include <cjson/cJSON.h>
#include <stdatomic.h>

enum plugin_interaction { PLUGIN_NEVER, PLUGIN_IF_AVAILABLE, PLUGIN_ALWAYS };

struct plugin {
	char *command; /* a path, or a name to look for in PATH */
	char *api_version;
	char *hint;       /* how to install it, or NULL */
	char *origin;     /* "user u of FILE", for errors */
	struct buf words; /* the command and its arguments, each ended by NUL */
	struct buf env;   /* "NAME=value", each ended by NUL */
	size_t word_count, env_count;
	enum plugin_interaction interaction;
	bool wants_cluster; /* to be told which cluster it is for */
	cJSON *config;      /* what the cluster's entry says to it, or NULL */
};

/*
 * Reads a user's "exec" mapping. extensions: the cluster's, or NULL. command: where a path relative
 * to the kubeconfig is, else what the mapping says. -ERR_CORRUPT names what is missing or wrong.
 */
int plugin_new(const struct yaml_node *exec, const struct yaml_node *extensions,
	       const char *command, const char *origin, struct plugin **ret, struct err *e);
void plugin_free(struct plugin *p); /* NULL-safe */
static inline void plugin_free_ptr(struct plugin **p)
{
	plugin_free(*p);
}
#define _cleanup_plugin_ _cleanup_(plugin_free_ptr)

/* What a plugin is told of the cluster; NULL or empty: not. */
struct plugin_cluster {
	const char *server, *tls_server_name, *proxy;
	const void *ca_pem;
	size_t ca_len;
	bool insecure;
};

struct plugin_limits {
	uint64_t timeout_ns;       /* 0: a minute, or five where it may ask the user */
	const atomic_bool *cancel; /* ends it; NULL: never */
};

/* What it printed. */
struct plugin_credential {
	char *token;          /* or NULL */
	struct buf cert, key; /* PEM; empty: none */
	time_t expires;       /* 0: never */
};
void plugin_credential_done(struct plugin_credential *c); /* clears the secrets */

/*
 * Runs it to its end. Errors name the plugin and its user, the next step, and how to install it;
 * never an argument or what it printed. -ERR_AUTH (it is not there, failed, or printed no
 * credential), -ERR_TIMEOUT, -ERR_CANCELLED, -ERR_USAGE (it wants a terminal, and there is none).
 */
int plugin_run(const struct plugin *p, const struct plugin_cluster *cluster,
	       const struct plugin_limits *limits, struct plugin_credential *ret, struct err *e);

/* --- the parts of plugin_run --- */

/* The value of KUBERNETES_EXEC_INFO. */
int plugin_info(const struct plugin *p, const struct plugin_cluster *cluster, bool interactive,
		struct buf *ret, struct err *e);
/* Reads what it printed. -ERR_AUTH. */
int plugin_parse(const struct plugin *p, const char *text, size_t len,
		 struct plugin_credential *ret, struct err *e);
/* Starts it with info in its environment and appends what it prints until it ends. */
int plugin_spawn(const struct plugin *p, const char *info, bool interactive,
		 const struct plugin_limits *limits, struct buf *ret, struct err *e);
/* Adds to an error which plugin, and the next step with its installHint. Returns -e->code. */
int plugin_failed(const struct plugin *p, const char *next_step, struct err *e);

#endif
